from libc.stdint cimport int32_t, int64_t, uint8_t

from emulator.kernels.state cimport Arithmetic, Compartments

cdef void lif_update(
    const Compartments *cells,
    const Arithmetic *rules,
    int32_t *inputs,
    uint8_t *fired,
    int64_t first,
    int64_t stop,
    int64_t *n_active,
    int64_t *n_overflows,
) noexcept nogil
