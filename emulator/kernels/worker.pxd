"""What belongs to one worker of the run loop."""

from libc.stdint cimport int32_t, int64_t

from emulator.kernels.microcode cimport Lanes
from emulator.kernels.state cimport Segment
from emulator.kernels.synapse cimport Sorter

cdef struct Worker:
    int32_t first_core
    int32_t stop_core
    int32_t first_segment
    int32_t stop_segment
    int64_t first_compartment
    int64_t n_events
    int64_t n_overflows
    int32_t overflow_segment      # where a strict run stopped, or -1
    int32_t first_u_probe
    int32_t stop_u_probe
    int32_t first_v_probe
    int32_t stop_v_probe
    int32_t first_word_probe
    int32_t stop_word_probe
    int64_t[2] n_spikes           # of the even and the odd step
    Sorter sorter
    Lanes *lanes                  # of the interpreter, where there is microcode


cdef inline void own_segments(Worker *worker, const Segment *segments, int32_t n) noexcept nogil:
    """Note the segments on a worker's cores; they are in the order of cores."""
    cdef int32_t s = 0
    while s < n and segments[s].core < worker.first_core:
        s += 1
    worker.first_segment = s
    while s < n and segments[s].core < worker.stop_core:
        s += 1
    worker.stop_segment = s


ctypedef fused place_t:
    int32_t
    int64_t


cdef inline int32_t _first_from(const place_t[::1] places, int64_t least) noexcept nogil:
    """Return the index of the first of ascending places that is not below the least."""
    cdef Py_ssize_t low = 0, high = places.shape[0], middle
    while low < high:
        middle = (low + high) // 2
        if places[middle] < least:
            low = middle + 1
        else:
            high = middle
    return <int32_t>low


cdef inline void own_places(
    const place_t[::1] places, int64_t first, int64_t stop, int32_t *first_own, int32_t *stop_own
) noexcept nogil:
    """Note which of ascending places a worker owns: those from `first` to before `stop`."""
    first_own[0], stop_own[0] = _first_from(places, first), _first_from(places, stop)
