"""Which compartments fired: from bytes to a list."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef inline int64_t list_fired(const uint8_t *fired, int64_t first, int64_t n_cells, uint32_t *spikes) noexcept nogil:
    """Write first + the index of each set byte, ascending; return how many there are."""
    cdef int64_t i = 0, n = 0
    cdef uint64_t[8] line
    cdef int k, j
    while i < n_cells:                     # the bytes after the last are zero
        memcpy(line, fired + i, 64)
        if line[0] | line[1] | line[2] | line[3] | line[4] | line[5] | line[6] | line[7]:
            for k in range(8):
                if line[k]:
                    for j in range(8 * k, 8 * k + 8):
                        if fired[i + j]:
                            spikes[n] = <uint32_t>(first + i + j)
                            n += 1
        i += 64
    return n
