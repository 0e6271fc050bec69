from libc.stdint cimport int32_t, int64_t, uint32_t

from emulator.kernels.state cimport Accumulators, Row, Synapses

cdef int64_t deliver(
    const Synapses *synapses,
    const Accumulators *accumulators,
    const uint32_t *sources,
    int64_t n_sources,
    int32_t slot,
    int32_t first_core,
    int32_t stop_core,
) noexcept nogil

cdef struct Sorter:                # of one worker: the rows of some spikes, by block
    uint32_t *start                # (n_blocks,)
    Row *rows                      # (room,) as they come
    Row *sorted_rows               # (room,)
    int64_t room                   # at least the rows of any source
    int32_t n_blocks
    int32_t all_mine               # whether the worker owns all cores

cdef int64_t deliver_sorted(
    const Synapses *synapses,
    const Accumulators *accumulators,
    const uint32_t *sources,
    int64_t n_sources,
    int32_t slot,
    int32_t first_core,
    int32_t stop_core,
    Sorter *sorter,
) noexcept nogil

cdef int64_t deliver_graded(
    const Synapses *synapses,
    const Accumulators *accumulators,
    const uint32_t *sources,
    const int32_t *payloads,
    int64_t n_sources,
    int32_t slot,
    int32_t first_core,
    int32_t stop_core,
) noexcept nogil
