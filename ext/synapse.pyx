"""Spikes through axons and synapse rows into dendrite accumulators.

Oracle: tests/oracle/synapse.py. A synapse is one 32-bit word: weight (9-bit signed) << 23 | delay << 16 |
target slot within its core. A spike of step t is added to the accumulators of step t + 1 + delay.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from emulator.kernels.state cimport Accumulators, Block, Row, Synapses


cdef extern from *:
    """
    #define PREFETCH(address) __builtin_prefetch(address)

    /* Every line of a row, as far as a row is short: beyond, the hardware has seen where it leads. */
    static inline void PREFETCH_WORDS(const uint32_t *first, int32_t n) {
        if (n > 256) n = 256;
        for (int32_t k = 0; k < n; k += 16) __builtin_prefetch(first + k);
        __builtin_prefetch(first + n - 1);
    }
    """
    void PREFETCH(const void *address) nogil
    void PREFETCH_WORDS(const uint32_t *first, int32_t n) nogil

cdef enum:
    AHEAD = 16                     # spikes whose rows are asked for before they are needed
    ROWS_AHEAD = 12                # rows, likewise


cdef inline void add_row(
    const Row *row, const Block *block, const uint32_t *packed, const Accumulators *accumulators, int32_t slot
) noexcept nogil:
    """Add the weights of a row to the accumulators of its core."""
    cdef int32_t scale = block.scale, when
    cdef int64_t k
    cdef uint32_t word
    cdef int32_t *target
    if accumulators.n_slots == 1:
        target = accumulators.input + block.first_compartment
        for k in range(row.length):
            word = packed[k]
            target[word & 0xFFFF] += (<int32_t>word >> 23) * scale
        return
    for k in range(row.length):
        word = packed[k]
        when = slot + <int32_t>(word >> 16 & 63)
        if when >= accumulators.n_slots:
            when -= accumulators.n_slots
        target = accumulators.input + when * accumulators.n_compartments
        target[block.first_compartment + (word & 0xFFFF)] += (<int32_t>word >> 23) * scale


cdef inline bint is_mine(
    const Synapses *synapses, const Row *row, int32_t first_core, int32_t stop_core
) noexcept nogil:
    return first_core <= synapses.blocks[row.block].core < stop_core


cdef int64_t deliver_sorted(
    const Synapses *synapses,
    const Accumulators *accumulators,
    const uint32_t *sources,
    int64_t n_sources,
    int32_t slot,
    int32_t first_core,
    int32_t stop_core,
    Sorter *sorter,
) noexcept nogil:
    """Deliver as `deliver` does, block by block: accumulators stay in the cache, and rows are asked for ahead.

    Pays where synapses and accumulators do not fit the cache: rows of a step are then spread over all memory.
    """
    cdef int64_t n_events = 0, i = 0, n_rows, r
    cdef int32_t b, n_blocks = sorter.n_blocks
    cdef uint32_t total, count
    cdef const Row *row
    cdef const Row *stop
    cdef Row *rows = sorter.sorted_rows
    while i < n_sources:
        n_rows = 0
        memset(sorter.start, 0, n_blocks * sizeof(uint32_t))
        while i < n_sources:               # as many spikes as there is room for
            row = &synapses.rows[synapses.row_start[sources[i]]]
            stop = &synapses.rows[synapses.row_start[sources[i] + 1]]
            if n_rows + (stop - row) > sorter.room:
                break
            if i + 2 * AHEAD < n_sources:
                PREFETCH(&synapses.row_start[sources[i + 2 * AHEAD]])
                PREFETCH(&synapses.rows[synapses.row_start[sources[i + AHEAD]]])
            while row != stop:
                if sorter.all_mine or is_mine(synapses, row, first_core, stop_core):
                    sorter.start[row.block] += 1
                    sorter.rows[n_rows] = row[0]
                    n_rows += 1
                row += 1
            i += 1
        total = 0
        for b in range(n_blocks):
            count = sorter.start[b]
            sorter.start[b] = total
            total += count
        for r in range(n_rows):
            row = &sorter.rows[r]
            rows[sorter.start[row.block]] = row[0]
            sorter.start[row.block] += 1
        for r in range(min(ROWS_AHEAD, n_rows)):
            PREFETCH_WORDS(&synapses.packed[rows[r].start], rows[r].length)
        for r in range(n_rows):
            row = &rows[r]
            if r + ROWS_AHEAD < n_rows:
                PREFETCH_WORDS(&synapses.packed[row[ROWS_AHEAD].start], row[ROWS_AHEAD].length)
            add_row(row, &synapses.blocks[row.block], &synapses.packed[row.start], accumulators, slot)
            n_events += row.length
    return n_events


cdef int64_t deliver(
    const Synapses *synapses,
    const Accumulators *accumulators,
    const uint32_t *sources,
    int64_t n_sources,
    int32_t slot,
    int32_t first_core,
    int32_t stop_core,
) noexcept nogil:
    """Deliver spikes to the cores first_core..stop_core and return the synaptic events made.

    `slot` is the accumulator slot of the next step. The sums wrap at 32 bits, so their order does not matter.
    """
    cdef int64_t n_events = 0, i, r
    cdef const Row *row
    cdef const Block *block
    for i in range(n_sources):
        for r in range(synapses.row_start[sources[i]], synapses.row_start[sources[i] + 1]):
            row = &synapses.rows[r]
            block = &synapses.blocks[row.block]
            if first_core <= block.core < stop_core:
                add_row(row, block, &synapses.packed[row.start], accumulators, slot)
                n_events += row.length
    return n_events


cdef int64_t deliver_graded(
    const Synapses *synapses,
    const Accumulators *accumulators,
    const uint32_t *sources,
    const int32_t *payloads,
    int64_t n_sources,
    int32_t slot,
    int32_t first_core,
    int32_t stop_core,
) noexcept nogil:
    """Deliver as `deliver` does, with weights times the payload of each spike."""
    cdef int64_t n_events = 0, i, r, k
    cdef int32_t when
    cdef uint32_t word, factor
    cdef const Row *row
    cdef const Block *block
    cdef int32_t *target
    for i in range(n_sources):
        for r in range(synapses.row_start[sources[i]], synapses.row_start[sources[i] + 1]):
            row = &synapses.rows[r]
            block = &synapses.blocks[row.block]
            if not first_core <= block.core < stop_core:
                continue
            factor = <uint32_t>block.scale * <uint32_t>payloads[i]
            for k in range(row.start, row.start + row.length):
                word = synapses.packed[k]
                when = slot + <int32_t>(word >> 16 & 63)
                if when >= accumulators.n_slots:
                    when -= accumulators.n_slots
                target = accumulators.input + when * accumulators.n_compartments + block.first_compartment
                target[word & 0xFFFF] = <int32_t>(
                    <uint32_t>target[word & 0xFFFF] + <uint32_t>(<int32_t>word >> 23) * factor
                )
            n_events += row.length
    return n_events


def first_bad_row(
    const Row[::1] rows,            # IN  (n_rows,)
    const uint16_t[::1] lowest,     # IN  (n_blocks,)  first target on the core of each block
    const uint16_t[::1] highest,    # IN  (n_blocks,)  last target on it
    const uint8_t[::1] max_delay,   # IN  (n_blocks,)  largest delay allowed
    const uint32_t[::1] packed,     # IN  (n_synapses,)
):
    """Return the first row that points outside a table or has a synapse outside its core, or -1."""
    cdef int64_t r, k, n_rows = rows.shape[0]
    cdef uint64_t n_synapses = packed.shape[0]
    cdef uint32_t word, least_slot, worst_slot, worst_delay
    cdef int64_t bad = -1
    with nogil:
        for r in range(n_rows):
            if rows[r].block >= highest.shape[0] or <uint64_t>rows[r].start + rows[r].length > n_synapses:
                bad = r
                break
            worst_slot = 0
            least_slot = 0xFFFF
            worst_delay = 0
            for k in range(rows[r].length):
                word = packed[rows[r].start + k]
                worst_slot = max(worst_slot, word & 0xFFFF)
                least_slot = min(least_slot, word & 0xFFFF)
                worst_delay = max(worst_delay, word >> 16 & 127)
            if (
                rows[r].length and least_slot < lowest[rows[r].block]
                or worst_slot > highest[rows[r].block] or worst_delay > max_delay[rows[r].block]
            ):
                bad = r
                break
    return bad
