"""Where management cores act in a run: see ext/phases.pyx."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from emulator.kernels.meeting cimport meeting_t

cdef enum:
    PRE = 0
    POST = 1
    PRE_LEARNING = 2
    POST_LEARNING = 3
    HOST_PHASE = 4

cdef class Phases:
    cdef readonly int n_workers
    cdef meeting_t meeting
    cdef public int64_t step               # of the next step; its accumulator slot follows from it
    cdef bint graded                       # whether spikes have payloads
    cdef int64_t[::1] input_start          # of the chunk: see Machine.begin
    cdef uint32_t[::1] input_source
    cdef int32_t[::1] input_payload
    cdef const uint32_t *now_source[2]     # input spikes of the even and the odd step
    cdef const int32_t *now_payload[2]
    cdef int64_t[2] n_now
    cdef list _keep_now
    cdef object manager                    # or None
    cdef object failure                    # what it raised, or None
    cdef bint managed, stopped
    cdef const int64_t[:, ::1] guards      # (n_guards, 3)  phase, every, first
    cdef int64_t next_sent                 # step in which spikes of management cores come next

    cdef bint call(self, int k, int64_t t, int phase) noexcept nogil
    cdef void take_inputs(self, int64_t t, int parity) noexcept nogil
    cdef void _merge_sent(self, int64_t t, int parity)
