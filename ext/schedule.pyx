"""Input spikes in the order of the run loop: by step, and in each step by source.

A raster is read many bytes at a time, most of which hold no spike; a list that is in order is copied once, and one that
is not is sorted step by step. Oracle: tests/oracle/schedule.py.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import numpy as np

cdef extern from *:
    """
    #include <stdint.h>
    #define LOWEST(bits) __builtin_ctzll(bits)
    /* A bit for each of eight bytes, set where the byte is not 0; the first in memory is the lowest. */
    static inline uint64_t BITS_OF(uint64_t word) {
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
    #endif
        word |= (word & 0x7F7F7F7F7F7F7F7Fu) + 0x7F7F7F7F7F7F7F7Fu;
        return ((word >> 7 & 0x0101010101010101u) * 0x0102040810204080u) >> 56;
    }
    """
    int LOWEST(uint64_t bits) nogil
    uint64_t BITS_OF(uint64_t word) nogil

cdef enum:
    WORD = 8
    LINE = 64                      # bytes read together
    SMALL = 1 << 12                # bytes of a raster
    FEW = 64                       # numbers, of which no more are sorted by insertion

ctypedef fused whole_t:
    int32_t
    int64_t
    uint32_t
    uint64_t


def from_rows(const uint8_t[:, :] raster, uint32_t first_source, int64_t n_steps):
    """Return where each step begins, its sources, and the largest byte's bits, of a raster whose rows are contiguous.

    Parameters
    ----------
    raster : (n_rows, size) uint8
        A byte that is not 0 is a spike; at most `n_steps` rows. Columns are neighbours in memory.
    first_source : int
        Source of the first column.
    n_steps : int

    Returns
    -------
    start : (n_steps + 1,) int64
    source : (n_spikes,) uint32
    bits : int
        All bytes, or'ed: more than 1 where one is neither 0 nor 1.
    """
    cdef int64_t t, n_rows = raster.shape[0], size = raster.shape[1], n = 0, count
    cdef uint64_t seen = 0
    _check(n_rows, n_steps, raster.strides[1] == 1 or size <= 1 or not n_rows)
    start_array = np.empty(n_steps + 1, np.int64)
    count = n_rows * size  # of a small one as many as there can be: counting takes longer than reading
    if count > SMALL:
        count = np.count_nonzero(np.asarray(raster).view(np.bool_))
    source_array = np.empty(count, np.uint32)
    cdef int64_t[::1] start = start_array
    cdef uint32_t[::1] source = source_array
    cdef uint32_t *out = &source[0] if source.shape[0] else NULL
    start[0] = 0
    with nogil:
        for t in range(n_rows if out != NULL else 0):
            n = _row(&raster[t, 0], size, first_source, out, n, &seen)
            start[t + 1] = n
        for t in range(n_rows if out != NULL else 0, n_steps):
            start[t + 1] = n
    return start_array, source_array[:n] if n < count else source_array, _bits(seen)


def from_columns(const uint8_t[:, :] raster, uint32_t first_source, int64_t n_steps):
    """Return the same of a raster whose columns are contiguous: rows are neighbours in memory."""
    cdef int64_t i, j, n_rows = raster.shape[0], size = raster.shape[1]
    _check(n_rows, n_steps, True)
    column_array, row_array, bits = from_rows(raster.T, 0, size)
    start_array, source_array = np.zeros(n_steps + 1, np.int64), np.empty(len(row_array), np.uint32)
    cdef const int64_t[::1] column = column_array
    cdef const uint32_t[::1] row = row_array
    cdef int64_t[::1] start = start_array, begin
    cdef uint32_t[::1] source = source_array
    with nogil:
        for j in range(row.shape[0]):
            start[row[j] + 1] += 1
        for i in range(n_steps):
            start[i + 1] += start[i]
    begin = start_array[:n_rows].copy()
    with nogil:
        for i in range(size):
            for j in range(column[i], column[i + 1]):
                source[begin[row[j]]] = first_source + <uint32_t>i
                begin[row[j]] += 1
    return start_array, source_array, bits


def from_pairs(const whole_t[:, :] pairs, int64_t size, uint32_t first_source, int64_t n_steps):
    """Return where each step begins, its sources, and what is wrong with the pairs.

    Parameters
    ----------
    pairs : (n, 2) int32, int64, uint32 or uint64
        Step and neuron of each spike.
    size : int
        Neurons are 0 to size - 1.
    first_source : int
        Source of neuron 0.
    n_steps : int
        Steps are 0 to n_steps - 1.

    Returns
    -------
    start : (n_steps + 1,) int64
    source : (n,) uint32
    ordered : bool
        Whether each pair was behind the one before it, by step, then by neuron.
    outside : int
        The first pair of which the step or the neuron is outside, or -1; if there is one, the rest means nothing.
    twice : int
        Where in `source` one is that its step has twice, or -1.
    """
    cdef int64_t n = pairs.shape[0], i, outside = -1, twice = -1, step, neuron, last_step = -1, last_neuron = -1
    cdef bint by_step = True, ordered = True
    start_array, source_array = np.zeros(n_steps + 1, np.int64), np.empty(n, np.uint32)
    cdef int64_t[::1] start = start_array
    cdef uint32_t[::1] source = source_array
    with nogil:
        for i in range(n):
            # A number of 64 bits without a sign that is too large is negative here, and outside as well.
            step, neuron = <int64_t>pairs[i, 0], <int64_t>pairs[i, 1]
            if step < 0 or step >= n_steps or neuron < 0 or neuron >= size:
                outside = i
                break
            by_step &= step >= last_step
            ordered &= step > last_step or (step == last_step and neuron > last_neuron)
            last_step, last_neuron = step, neuron
            source[i] = first_source + <uint32_t>neuron
            start[step + 1] += 1
        for i in range(n_steps):
            start[i + 1] += start[i]
    if outside < 0 and not by_step:
        source_array = _by_step(pairs, source, start)
    if outside < 0 and not ordered:
        twice = _sort_steps(source_array, start, first_source, size)
    return start_array, source_array, bool(ordered), outside, twice


cdef _by_step(const whole_t[:, :] pairs, const uint32_t[::1] source, const int64_t[::1] start):
    """Return the sources of each step, one step behind the other, as they were listed."""
    cdef int64_t i
    ordered_array = np.empty(source.shape[0], np.uint32)
    cdef uint32_t[::1] ordered = ordered_array
    cdef int64_t[::1] begin = np.array(start[:start.shape[0] - 1])
    with nogil:
        for i in range(source.shape[0]):
            ordered[begin[<int64_t>pairs[i, 0]]] = source[i]
            begin[<int64_t>pairs[i, 0]] += 1
    return ordered_array


cdef int64_t _sort_steps(uint32_t[::1] source, const int64_t[::1] start, uint32_t first, int64_t size) except -2:
    """Sort the sources of each step; return where one is that its step has twice, or -1."""
    cdef int64_t t, n, twice = -1
    cdef uint64_t[::1] bits = np.zeros(size // 64 + 1, np.uint64)
    with nogil:
        for t in range(start.shape[0] - 1):
            n = start[t + 1] - start[t]
            if n < 2:
                continue
            if n <= FEW:
                twice = _insert(&source[start[t]], n)
            else:
                twice = _through_bits(&source[start[t]], n, first, &bits[0])
            if twice >= 0:
                twice += start[t]
                break
    return twice


cdef int64_t _insert(uint32_t *source, int64_t n) noexcept nogil:
    """Sort a few numbers; return where one is for the second time, or -1."""
    cdef int64_t i, j, twice = -1
    cdef uint32_t one
    for i in range(1, n):
        one, j = source[i], i
        while j and source[j - 1] > one:
            source[j] = source[j - 1]
            j -= 1
        source[j] = one
    for i in range(1, n):
        if source[i] == source[i - 1]:
            twice = i
            break
    return twice


cdef int64_t _through_bits(uint32_t *source, int64_t n, uint32_t first, uint64_t *bits) noexcept nogil:
    """Sort many numbers: set a bit for each, then read the bits in order, which are zero before and after."""
    cdef int64_t i, k, j = 0, low = source[0] - first, high = low, twice = -1
    cdef uint64_t bit
    for i in range(n):
        k = source[i] - first
        low, high = min(low, k), max(high, k)
        bit = <uint64_t>1 << (k & 63)
        if bits[k >> 6] & bit:
            twice = i
        bits[k >> 6] |= bit
    if twice >= 0:
        return twice
    for i in range(low >> 6, (high >> 6) + 1):
        while bits[i]:
            source[j] = first + <uint32_t>(64 * i + LOWEST(bits[i]))
            j += 1
            bits[i] &= bits[i] - 1
    return -1


def place(const int64_t[::1] start, const uint32_t[::1] values, int64_t[::1] begin, uint32_t[::1] out):
    """Copy what each step has of one population to where it belongs among all; move `begin` behind it.

    Parameters
    ----------
    start : (n_steps + 1,) int64
        Where each step begins in `values`.
    values : (n,) uint32
    begin : (n_steps,) int64
        Where the next value of each step belongs in `out`.
    out : (n_all,) uint32
    """
    cdef int64_t t, n
    with nogil:
        for t in range(begin.shape[0]):
            n = start[t + 1] - start[t]
            if n:
                memcpy(&out[begin[t]], &values[start[t]], n * sizeof(uint32_t))
                begin[t] += n


cdef void _check(int64_t n_rows, int64_t n_steps, bint contiguous) except *:
    if n_rows > n_steps:
        raise ValueError(f"{n_rows} rows of a raster for {n_steps} steps")
    if not contiguous:
        raise ValueError("the bytes of a raster lie apart")


cdef int _bits(uint64_t seen):
    cdef int k, bits = 0
    for k in range(WORD):
        bits |= <int>(seen >> 8 * k & 0xFF)
    return bits


cdef inline int64_t _row(
    const uint8_t *row, int64_t size, uint32_t first, uint32_t *source, int64_t n, uint64_t *seen
) noexcept nogil:
    """Write the source of each byte that is not 0 behind the n that are there; return how many there are then."""
    cdef int64_t i = 0
    cdef int k
    cdef uint64_t word, bits
    cdef uint64_t all_of = seen[0]
    while i + LINE <= size:
        bits = 0
        for k in range(WORD):
            memcpy(&word, row + i + WORD * k, WORD)
            all_of |= word
            bits |= BITS_OF(word) << WORD * k
        while bits:
            source[n] = first + <uint32_t>(i + LOWEST(bits))
            n += 1
            bits &= bits - 1
        i += LINE
    while i + WORD <= size:
        memcpy(&word, row + i, WORD)
        if word:
            all_of |= word
            bits = BITS_OF(word)
            while bits:
                source[n] = first + <uint32_t>(i + LOWEST(bits))
                n += 1
                bits &= bits - 1
        i += WORD
    while i < size:
        if row[i]:
            all_of |= row[i]
            source[n] = first + <uint32_t>i
            n += 1
        i += 1
    seen[0] = all_of
    return n
