"""Neuron microcode: one instruction at a time for a whole block of compartments.

Semantics: docs/microcode.md. Oracle: tests/oracle/microcode.py. Where all compartments of a block are on the same way
through the program the loops have no mask; those that jumped wait until the others come to where they go on.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from emulator.kernels.microcode cimport LANES, Instruction, Lanes, Microcode, Watch

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__)
    #define KERNEL static __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
    #else
    #define KERNEL static
    #endif
    #if defined(__clang__)
    #define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
    #else
    #define INDEPENDENT _Pragma("GCC ivdep")   /* d may be a or b: each lane reads its own before it writes */
    #endif

    typedef int64_t (*work_t)(int32_t *, const int32_t *, const int32_t *, const uint8_t *, const uint8_t *,
                              int64_t, int32_t, int32_t, int32_t);
    /* `work` sets x from p and q, which are read before anything is decided, so that no loop needs a branch, and lost
       to 1 where something was lost. The second loop leaves lanes alone that do not live. */
    #define LOOPS(name, work) \\
    KERNEL int64_t name(int32_t *d, const int32_t *a, const int32_t *b, const uint8_t *flag, const uint8_t *live, \\
                        int64_t lanes, int32_t n, int32_t low, int32_t high) { \\
        uint32_t total = 0; \\
        if (live == 0) { \\
            INDEPENDENT for (int64_t i = 0; i < lanes; i++) { \\
                int32_t p = a[i], q = b[i], x, lost = 0; work; (void)q; d[i] = x; total += lost; } \\
        } else { \\
            INDEPENDENT for (int64_t i = 0; i < lanes; i++) { \\
                int32_t p = a[i], q = b[i], x, lost = 0, on = -(int32_t)live[i]; work; (void)q; \\
                d[i] = (x & on) | (d[i] & ~on); total += lost & on; } \\
        } \\
        (void)n; (void)low; (void)high; (void)flag; (void)a; (void)b; \\
        return total; \\
    }
    #define WRAPPING(x, y) (int32_t)((uint32_t)(x) + (uint32_t)(y))
    #define CLAMP(y) y = y < low ? low : y; y = y > high ? high : y
    #define SUM int32_t s = WRAPPING(p, q), over = ((p ^ s) & (q ^ s)) >> 31
    #define PRODUCT ((int64_t)p * q)
    #define TOWARD_ZERO(y, bits) (((y) + (((y) >> 63) & (((int64_t)1 << (bits)) - 1))) >> (bits))

    LOOPS(move, x = p)
    LOOPS(choose, x = flag[i] ? p : q)
    LOOPS(both, x = p & q)
    LOOPS(either, x = p | q)
    LOOPS(shift_left, x = (int32_t)((uint32_t)p << n))
    LOOPS(shift_right, x = p >> n)
    LOOPS(add, x = WRAPPING(p, q))
    LOOPS(add_wrap, SUM; x = (int32_t)((uint32_t)s << n) >> n; lost = ((x ^ s) | over) != 0)
    LOOPS(add_clamp, \\
          SUM; s = (s & ~over) | (((p >> 31) ^ 0x7fffffff) & over); x = s; CLAMP(x); lost = ((x ^ s) | over) != 0)
    LOOPS(negate, x = (int32_t)(0u - (uint32_t)p))
    LOOPS(smaller, x = p < q ? p : q)
    /* toward zero, exact for factors b from 0 to 4096, in 32-bit operations */
    LOOPS(retain, x = (p >> 12) * q + (((p & 4095) * q + ((p >> 31) & 4095)) >> 12))
    LOOPS(multiply, int64_t y = PRODUCT; x = (int32_t)TOWARD_ZERO(y, n))
    LOOPS(fit_wrap, x = (int32_t)((uint32_t)p << n) >> n; lost = (x ^ p) != 0)
    LOOPS(fit_mask, x = p & high; lost = (x ^ p) != 0)
    LOOPS(fit_clamp, x = p; CLAMP(x); lost = (x ^ p) != 0)
    /* results of 64 bits, for words that must know how much was lost: rare, and slower */
    #define WIDE(exact, wraps) int64_t w = (exact); \\
        int64_t kept = w; \\
        if (wraps) kept = (int64_t)((uint64_t)(w - low) & (uint64_t)((int64_t)high - low)) + low; \\
        else { CLAMP(kept); } \\
        x = (int32_t)kept; lost = kept != w
    LOOPS(wide_add_wrap, WIDE((int64_t)p + q, 1))
    LOOPS(wide_negate_wrap, WIDE(-(int64_t)p, 1))
    LOOPS(wide_negate, WIDE(-(int64_t)p, 0))
    LOOPS(wide_shift_wrap, WIDE((int64_t)p * ((int64_t)1 << n), 1))
    LOOPS(wide_shift, WIDE((int64_t)p * ((int64_t)1 << n), 0))
    LOOPS(wide_multiply_wrap, int64_t y = PRODUCT; WIDE(TOWARD_ZERO(y, n), 1))
    LOOPS(wide_multiply, int64_t y = PRODUCT; WIDE(TOWARD_ZERO(y, n), 0))
    LOOPS(take, x = (int32_t)((uint32_t)p << n) >> n; lost = (x ^ p) != 0)

    #define COMPARES(name, test) \\
    KERNEL void name(uint8_t *flag, const int32_t *a, const int32_t *b, const uint8_t *live, int64_t lanes) { \\
        if (live == 0) { \\
            INDEPENDENT for (int64_t i = 0; i < lanes; i++) flag[i] = a[i] test b[i]; \\
        } else { \\
            INDEPENDENT for (int64_t i = 0; i < lanes; i++) flag[i] = live[i] ? a[i] test b[i] : flag[i]; \\
        } \\
    }
    COMPARES(is_less, <)
    COMPARES(is_not_less, >=)
    COMPARES(is_equal, ==)

    /* Park live lanes whose flag is set until instruction n; return how many go on. */
    KERNEL int64_t park(uint8_t *live, const uint8_t *flag, int32_t *waits, int64_t lanes, int32_t n) {
        uint32_t left = 0;
        INDEPENDENT for (int64_t i = 0; i < lanes; i++) {
            int32_t leaves = -(int32_t)(live[i] & flag[i]);
            waits[i] = (n & leaves) | (waits[i] & ~leaves);
            live[i] &= flag[i] ^ 1;
            left += live[i];
        }
        return left;
    }
    /* Let the lanes go on that wait for instruction n; return how many live now. */
    KERNEL int64_t unpark(uint8_t *live, int32_t *waits, int64_t lanes, int32_t n) {
        uint32_t left = 0;
        INDEPENDENT for (int64_t i = 0; i < lanes; i++) {
            live[i] |= waits[i] == n;
            left += live[i];
        }
        return left;
    }
    /* Philox4x32-10 (Salmon et al. 2011), the first of its four words: the same as emulator/streams.py. */
    KERNEL void draw(int32_t *d, const uint8_t *live, int64_t lanes, uint32_t step, uint32_t first_id,
                     uint32_t stream, uint32_t number, uint32_t key0, uint32_t key1) {
        INDEPENDENT for (int64_t i = 0; i < lanes; i++) {
            uint32_t c0 = step, c1 = first_id + (uint32_t)i, c2 = stream, c3 = number, k0 = key0, k1 = key1;
            for (int round = 0; round < 10; round++) {
                uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
                uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
                c1 = (uint32_t)p1; c3 = (uint32_t)p0; c0 = n0; c2 = n2;
                k0 += 0x9E3779B9u; k1 += 0xBB67AE85u;
            }
            int32_t on = live == 0 ? -1 : -(int32_t)live[i];
            d[i] = ((int32_t)c0 & on) | (d[i] & ~on);
        }
    }
    /* Ask for a row of the next block, to the second cache: rows lie apart, so the hardware does not see it coming. */
    static inline void fetch(const int32_t *row, int64_t lanes) {
        for (int64_t i = 0; i < lanes; i += 16) __builtin_prefetch(row + i, 0, 2);
    }
    KERNEL void clear(int32_t *d, const uint8_t *live, int64_t lanes) {
        INDEPENDENT for (int64_t i = 0; i < lanes; i++) d[i] = live == 0 || live[i] ? 0 : d[i];
    }
    KERNEL void mark(uint8_t *fired, const uint8_t *live, int64_t lanes) {
        INDEPENDENT for (int64_t i = 0; i < lanes; i++) fired[i] = live == 0 ? 1 : live[i] | fired[i];
    }
    """
    ctypedef int64_t (*work_t)(
        int32_t *d, const int32_t *a, const int32_t *b, const uint8_t *flag, const uint8_t *live,
        int64_t lanes, int32_t n, int32_t low, int32_t high,
    ) noexcept nogil
    work_t move, choose, both, either, shift_left, shift_right, add, add_wrap, add_clamp, negate, smaller, retain
    work_t multiply
    work_t fit_wrap, fit_mask, fit_clamp, wide_add_wrap, wide_negate_wrap, wide_negate, wide_shift_wrap, wide_shift
    work_t wide_multiply_wrap, wide_multiply, take
    void is_less(uint8_t *flag, const int32_t *a, const int32_t *b, const uint8_t *live, int64_t lanes) noexcept nogil
    void is_not_less(
        uint8_t *flag, const int32_t *a, const int32_t *b, const uint8_t *live, int64_t lanes
    ) noexcept nogil
    void is_equal(uint8_t *flag, const int32_t *a, const int32_t *b, const uint8_t *live, int64_t lanes) noexcept nogil
    int64_t park(uint8_t *live, const uint8_t *flag, int32_t *waits, int64_t lanes, int32_t n) noexcept nogil
    int64_t unpark(uint8_t *live, int32_t *waits, int64_t lanes, int32_t n) noexcept nogil
    void draw(
        int32_t *d, const uint8_t *live, int64_t lanes, uint32_t step, uint32_t first_id, uint32_t stream,
        uint32_t number, uint32_t key0, uint32_t key1,
    ) noexcept nogil
    void fetch(const int32_t *row, int64_t lanes) noexcept nogil
    void clear(int32_t *d, const uint8_t *live, int64_t lanes) noexcept nogil
    void mark(uint8_t *fired, const uint8_t *live, int64_t lanes) noexcept nogil

cdef enum:                         # in the order of ACTIONS
    OPEN, TAKE, RANDOM, CLEAR, MOVE, CHOOSE, BOTH, EITHER, SHIFT_LEFT, SHIFT_RIGHT, SUM, SUM_WRAP, SUM_CLAMP, SUM_WIDE
    NEGATE, NEGATE_WIDE, NEGATE_WIDE_WRAP, SMALLER, RETAIN, MULTIPLY, MULTIPLY_WIDE, MULTIPLY_WIDE_WRAP
    SHIFT_WIDE, SHIFT_WIDE_WRAP, LESS, NOT_LESS, EQUAL, JUMP, SPIKE, SPIKE_PAYLOAD

cdef enum:
    FEW_LANES = 4096               # whose words the second cache holds from step to step
    NEURON_STREAM = 2              # of random bits, see emulator/streams.py

cdef enum:                         # in the order of FITS
    NO_FIT, FIT_WRAP, FIT_MASK, FIT_CLAMP

ACTIONS = (
    "open", "take", "random", "clear", "move", "choose", "both", "either", "shift_left", "shift_right", "sum",
    "sum_wrap", "sum_clamp", "sum_wide", "negate", "negate_wide", "negate_wide_wrap", "smaller", "retain", "multiply",
    "multiply_wide", "multiply_wide_wrap", "shift_wide", "shift_wide_wrap", "less", "not_less", "equal", "jump",
    "spike", "spike_payload",
)
FITS = ("none", "wrap", "mask", "clamp")
BLOCK_LANES = LANES

cdef work_t[30] WORK               # of the actions that are one loop
WORK[MOVE], WORK[CHOOSE], WORK[BOTH], WORK[EITHER] = move, choose, both, either
WORK[SHIFT_LEFT], WORK[SHIFT_RIGHT], WORK[SUM], WORK[SUM_WRAP] = shift_left, shift_right, add, add_wrap
WORK[SUM_CLAMP], WORK[SUM_WIDE], WORK[NEGATE], WORK[NEGATE_WIDE] = add_clamp, wide_add_wrap, negate, wide_negate
WORK[NEGATE_WIDE_WRAP], WORK[SMALLER], WORK[RETAIN], WORK[MULTIPLY] = wide_negate_wrap, smaller, retain, multiply
WORK[MULTIPLY_WIDE], WORK[MULTIPLY_WIDE_WRAP] = wide_multiply, wide_multiply_wrap
WORK[SHIFT_WIDE], WORK[SHIFT_WIDE_WRAP] = wide_shift, wide_shift_wrap


cdef inline int32_t *place(const Microcode *program, Lanes *lanes, int32_t where, int64_t offset) noexcept nogil:
    cdef int32_t kind = where >> 10, index = where & 0x3FF
    if kind == 0:
        return &lanes.registers[index * LANES]
    if kind == 3:
        return <int32_t *> &program.numbers[index * LANES]
    return program.words + (index if kind == 1 else program.n_states + index) * program.n_cells + offset


cdef inline void note(
    Watch *watch, const Lanes *lanes, const int32_t *written, int64_t lane, int32_t pc, bint masked
) noexcept nogil:
    """Write down what an instruction did to the compartment that is watched."""
    if masked and not lanes.live[lane]:
        return
    watch.rows[3 * pc] = 1
    watch.rows[3 * pc + 1] = lanes.flag[lane]
    watch.rows[3 * pc + 2] = written[lane] if written != NULL else 0


cdef void run_block(
    const Microcode *program, Lanes *lanes, int32_t *inputs, int32_t accumulator_shift, uint8_t *fired,
    int32_t *payload, int64_t offset, int64_t n_lanes, uint32_t step, const uint32_t *seed, Watch *watch,
    int64_t watched, int64_t *n_executed, int64_t *n_overflows,
) noexcept nogil:
    """Run the program once for the compartments offset..offset + n_lanes of a segment."""
    cdef const Instruction *s
    cdef int64_t n_live = n_lanes, executed = 0, lost
    cdef int64_t n_next = min(<int64_t> LANES, program.n_cells - offset - LANES)
    cdef int32_t pc = 0
    cdef const uint8_t *live = NULL        # NULL: all
    cdef int32_t *d
    cdef const int32_t *a
    cdef const int32_t *b
    memset(lanes.live, 1, n_lanes)
    if n_next < 0 or program.n_cells <= FEW_LANES:
        n_next = 0
    while pc < program.n_steps:
        s = &program.steps[pc]
        if n_next and pc < program.n_rows:
            fetch(program.words + pc * program.n_cells + offset + LANES, n_next)
        if s.joins and n_live < n_lanes:
            n_live = unpark(lanes.live, lanes.waits, n_lanes, pc)
            live = NULL if n_live == n_lanes else lanes.live
        if n_live == 0:
            pc += 1
            continue
        executed += n_live
        lost = 0
        d = place(program, lanes, s.d, offset)
        a = place(program, lanes, s.a, offset)
        b = place(program, lanes, s.b, offset)
        if s.action == OPEN:
            pass
        elif s.action == TAKE:
            n_overflows[0] += take(d, inputs, inputs, NULL, live, n_lanes, accumulator_shift, 0, 0)
            clear(inputs, live, n_lanes)
        elif s.action == RANDOM:
            draw(
                d, live, n_lanes, step, program.first_id + <uint32_t> offset, NEURON_STREAM, <uint32_t> s.n,
                seed[0], seed[1],
            )
        elif s.action == CLEAR:
            move(d, a, a, NULL, live, n_lanes, 0, 0, 0)
            if d != a:
                clear(<int32_t *> a, live, n_lanes)
        elif s.action == LESS:
            is_less(lanes.flag, a, b, live, n_lanes)
        elif s.action == NOT_LESS:
            is_not_less(lanes.flag, a, b, live, n_lanes)
        elif s.action == EQUAL:
            is_equal(lanes.flag, a, b, live, n_lanes)
        elif s.action == JUMP:
            if watch != NULL:
                note(watch, lanes, NULL, watched, pc, live != NULL)
            if n_live == n_lanes:          # what waited before has gone on
                memset(lanes.waits, 0, n_lanes * sizeof(int32_t))
            n_live = park(lanes.live, lanes.flag, lanes.waits, n_lanes, s.n)
            live = NULL if n_live == n_lanes else lanes.live
            pc += 1
            continue
        elif s.action == SPIKE:
            mark(fired, live, n_lanes)
        elif s.action == SPIKE_PAYLOAD:
            mark(fired, live, n_lanes)
            lost = fit_clamp(payload, a, a, NULL, live, n_lanes, 0, s.low, s.high)
        elif s.action == SUM_WRAP:
            lost = add_wrap(d, a, b, NULL, live, n_lanes, s.unused_bits, 0, 0)
        else:
            lost = WORK[s.action](d, a, b, lanes.flag, live, n_lanes, s.n, s.low, s.high)
        if s.fit == FIT_WRAP:
            lost += fit_wrap(d, d, d, NULL, live, n_lanes, s.unused_bits, 0, 0)
        elif s.fit == FIT_MASK:
            lost += fit_mask(d, d, d, NULL, live, n_lanes, 0, 0, s.high)
        elif s.fit == FIT_CLAMP:
            lost += fit_clamp(d, d, d, NULL, live, n_lanes, 0, s.low, s.high)
        n_overflows[0] += lost if s.counts else 0
        if watch != NULL:
            note(
                watch, lanes, a if s.action == OPEN else payload if s.action == SPIKE_PAYLOAD else d, watched, pc,
                live != NULL,
            )
        pc += 1
    n_executed[0] += executed


cdef void run_microcode(
    const Microcode *program,
    Lanes *lanes,
    int32_t *inputs,
    int32_t accumulator_shift,
    uint8_t *fired,
    int32_t *payload,
    int64_t first,
    uint32_t step,
    const uint32_t *seed,
    Watch *watch,
    int64_t *n_executed,
    int64_t *n_overflows,
) noexcept nogil:
    """Advance the compartments of a segment one step: take and clear their input, set fired[0..] and payload[0..].

    `inputs`, `fired` and `payload` begin at the segment, whose first compartment is `first`.
    """
    cdef int64_t offset = 0, n_lanes, watched
    cdef Watch *noted
    memset(fired, 0, program.n_cells)
    while offset < program.n_cells:
        n_lanes = min(<int64_t> LANES, program.n_cells - offset)
        watched = watch.compartment - first - offset
        noted = watch if 0 <= watched < n_lanes else NULL
        run_block(
            program, lanes, inputs + offset, accumulator_shift, fired + offset, payload + offset, offset, n_lanes,
            step, seed, noted, watched, n_executed, n_overflows,
        )
        # What a program did not read is gone at the end of the step.
        memset(inputs + offset, 0, n_lanes * sizeof(int32_t))
        offset += LANES
