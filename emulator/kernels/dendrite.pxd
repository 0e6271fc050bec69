from libc.stdint cimport int32_t, uint8_t

from emulator.kernels.state cimport Compartments, Join

cdef void pass_on(
    const Join *join,
    const Compartments *cells,
    const int32_t *words,
    int32_t *due,
    const uint8_t *fired,
) noexcept nogil
