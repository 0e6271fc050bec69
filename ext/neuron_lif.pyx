"""Current-based leaky integrate-and-fire compartments, in the chip's integer arithmetic.

Source: the rules on which three public models of Loihi agree (see DESIGN.md, "Arithmetic"). Oracle:
tests/oracle/neuron_lif.py. Each step, for every compartment:

    u = wrap(toward_zero(u * u_retain / 4096) + input)
    v = clip(toward_zero(v * v_retain / 4096) + u + bias)
    v = 0 while the refractory counter runs
    v > threshold: a spike; v = 0 and the counter starts
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from emulator.kernels.state cimport Arithmetic, Compartments

cdef extern from *:
    """
    #include <stdint.h>
    /* Without restrict, a byte store may alias every array and nothing is vectorised (8 times slower). */
    typedef int32_t *__restrict r_int32;
    typedef const int32_t *__restrict r_const_int32;
    typedef const uint16_t *__restrict r_const_uint16;
    typedef uint8_t *__restrict r_uint8;
    typedef const uint8_t *__restrict r_const_uint8;

    /* Integers give the same result in every clone; the loader picks the widest that the machine has. */
    #if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__)
    #define KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
    #else
    #define KERNEL
    #endif
    #define KERNEL_VOID KERNEL void
    #if defined(__GNUC__)
    #define INLINED_VOID inline __attribute__((always_inline)) void
    #else
    #define INLINED_VOID inline void
    #endif

    /* x * retain / 4096 toward zero, exact for every x and 0 <= retain <= 4096, in 32-bit operations. */
    static inline int32_t retained(int32_t x, int32_t retain) {
        return (x >> 12) * retain + (((x & 4095) * retain + ((x >> 31) & 4095)) >> 12);
    }
    """
    ctypedef int32_t *r_int32
    ctypedef const int32_t *r_const_int32
    ctypedef const uint16_t *r_const_uint16
    ctypedef uint8_t *r_uint8
    ctypedef const uint8_t *r_const_uint8
    ctypedef void KERNEL_VOID
    ctypedef void INLINED_VOID
    int32_t retained(int32_t x, int32_t retain) nogil


cdef INLINED_VOID wrap_all(
    r_int32 u, r_int32 v, r_uint8 left,
    r_const_uint16 u_retain, r_const_uint16 v_retain, r_const_int32 bias, r_const_int32 threshold,
    r_const_uint8 refractory, r_int32 inputs, r_uint8 fired,
    int32_t u_shift, int32_t accumulator_shift, int32_t v_min, int32_t v_max,
    int64_t n, int64_t *n_active, int64_t *n_overflows, bint usual,
) noexcept nogil:
    """Advance n compartments; `usual` is known when this is compiled and saves a fifth of the time."""
    cdef int64_t i
    cdef int32_t raw, taken, kept, total, wrapped, volt, held, live, spike, steps_left
    cdef uint32_t active = 0, overflows = 0
    for i in range(n):
        raw = inputs[i]
        inputs[i] = 0
        steps_left = left[i]
        held = v[i]
        active += (raw | u[i] | held | bias[i] | steps_left) != 0
        taken = raw if usual else <int32_t>(<uint32_t>raw << accumulator_shift) >> accumulator_shift
        kept = retained(u[i], u_retain[i])
        total = <int32_t>(<uint32_t>kept + <uint32_t>taken)
        wrapped = <int32_t>(<uint32_t>total << u_shift) >> u_shift
        if usual:
            # A sum that wraps at 32 bits is then too large for u in any case.
            overflows += wrapped != total
        else:
            # A change of sign that neither term has is a wrap of the 32-bit sum itself.
            overflows += ((taken ^ raw) | (wrapped ^ total) | (((kept ^ total) & (taken ^ total)) >> 31)) != 0
        u[i] = wrapped
        volt = retained(held, v_retain[i]) + wrapped + bias[i]
        volt = v_min if volt < v_min else volt
        volt = v_max if volt > v_max else volt
        live = -<int32_t>(steps_left == 0)
        volt = volt & live
        spike = -<int32_t>(volt > threshold[i])
        v[i] = volt & ~spike
        fired[i] = <uint8_t>(spike & 1)
        steps_left = (refractory[i] & spike) | (steps_left & ~spike)
        left[i] = <uint8_t>(steps_left - (steps_left != 0))
    n_active[0] += active
    n_overflows[0] += overflows


cdef KERNEL_VOID wrapping(
    r_int32 u, r_int32 v, r_uint8 left,
    r_const_uint16 u_retain, r_const_uint16 v_retain, r_const_int32 bias, r_const_int32 threshold,
    r_const_uint8 refractory, r_int32 inputs, r_uint8 fired,
    int32_t u_shift, int32_t accumulator_shift, int32_t v_min, int32_t v_max,
    int64_t n, int64_t *n_active, int64_t *n_overflows,
) noexcept nogil:
    # Two bits less than the sum has: u and its sum with any input differ in a bit that is kept, or did not wrap.
    if accumulator_shift == 0 and u_shift >= 2:
        wrap_all(
            u, v, left, u_retain, v_retain, bias, threshold, refractory, inputs, fired,
            u_shift, accumulator_shift, v_min, v_max, n, n_active, n_overflows, True,
        )
    else:
        wrap_all(
            u, v, left, u_retain, v_retain, bias, threshold, refractory, inputs, fired,
            u_shift, accumulator_shift, v_min, v_max, n, n_active, n_overflows, False,
        )


cdef void saturating(
    const Compartments *cells, const Arithmetic *rules, int32_t *inputs, uint8_t *fired,
    int64_t first, int64_t stop, int64_t *n_active, int64_t *n_overflows,
) noexcept nogil:
    """Do the same with a u that stops at its limits: the rarer chip, written plainly."""
    cdef int64_t i, total, limit = (<int64_t>1 << (31 - rules.u_shift)) - 1
    cdef int32_t raw, taken, volt
    for i in range(first, stop):
        raw = inputs[i]
        inputs[i] = 0
        n_active[0] += (
            raw | cells.u[i] | cells.v[i] | cells.bias[i] | <int32_t>cells.refractory_left[i]
        ) != 0
        taken = <int32_t>(<uint32_t>raw << rules.accumulator_shift) >> rules.accumulator_shift
        total = <int64_t>retained(cells.u[i], cells.u_retain[i]) + taken
        n_overflows[0] += taken != raw or total > limit or total < -limit - 1
        total = min(max(total, -limit - 1), limit)
        cells.u[i] = <int32_t>total
        volt = retained(cells.v[i], cells.v_retain[i]) + <int32_t>total + cells.bias[i]
        volt = min(max(volt, rules.v_min), rules.v_max)
        if cells.refractory_left[i]:
            volt = 0
        fired[i - first] = volt > cells.threshold[i]
        if fired[i - first]:
            volt = 0
            cells.refractory_left[i] = cells.refractory[i]
        cells.v[i] = volt
        if cells.refractory_left[i]:
            cells.refractory_left[i] -= 1


cdef void lif_update(
    const Compartments *cells,
    const Arithmetic *rules,
    int32_t *inputs,
    uint8_t *fired,
    int64_t first,
    int64_t stop,
    int64_t *n_active,
    int64_t *n_overflows,
) noexcept nogil:
    """Advance compartments first..stop one step: take and clear their input, set fired[0..] to 0 or 1."""
    if rules.u_saturates:
        saturating(cells, rules, inputs, fired, first, stop, n_active, n_overflows)
        return
    wrapping(
        cells.u + first, cells.v + first, cells.refractory_left + first,
        cells.u_retain + first, cells.v_retain + first, cells.bias + first, cells.threshold + first,
        cells.refractory + first, inputs + first, fired,
        rules.u_shift, rules.accumulator_shift, rules.v_min, rules.v_max,
        stop - first, n_active, n_overflows,
    )
