"""Where management cores act in a run: between the phases of a step, and on the input spikes of each step.

Programs are Python's (emulator/management); which steps they may run in is decided here, without Python.
"""

from libc.stdint cimport int64_t

import numpy as np

from emulator.kernels.meeting cimport meet


cdef class Phases:
    """What a run loop shares with management cores."""

    def __cinit__(self):
        self.manager = self.failure = None
        self.managed, self.next_sent, self._keep_now = False, -1, [None, None]

    def manage(self, manager, const int64_t[:, ::1] guards):
        """Call manager.phase(step, phase) where a guard (phase, every, first) may hold, and manager.sent(...)."""
        self.manager, self.guards, self.managed = manager, guards, guards.shape[0] > 0
        self.next_sent = -1

    def expect_spikes(self, int64_t step):
        """Set the step in which spikes of management cores come next, -1: there are none."""
        self.next_sent = step

    def raise_failure(self):
        """Raise what a management program raised in the last chunk, if any did."""
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    cdef bint call(self, int k, int64_t t, int phase) noexcept nogil:
        """Let management programs run whose guards may hold, while all workers wait; return whether one failed."""
        cdef Py_ssize_t i
        cdef int64_t since
        for i in range(self.guards.shape[0]):
            since = self.step + t - self.guards[i, 2]
            if self.guards[i, 0] == phase and since >= 0 and since % self.guards[i, 1] == 0:
                break
        else:
            return False
        meet(&self.meeting, self.n_workers)
        if k == 0:
            with gil:
                try:
                    self.manager.phase(self.step + t, t, phase)
                except BaseException as error:
                    self.failure, self.stopped = error, True
        meet(&self.meeting, self.n_workers)
        return self.stopped

    cdef void take_inputs(self, int64_t t, int parity) noexcept nogil:
        """Make the input spikes of a step known: those given, and those that management cores have sent for it."""
        cdef int64_t first = self.input_start[t]
        cdef int64_t n = self.input_start[t + 1] - first
        self.n_now[parity] = n
        if n:
            self.now_source[parity] = &self.input_source[first]
            self.now_payload[parity] = &self.input_payload[first] if self.graded else NULL
        if self.managed and self.next_sent == self.step + t:
            with gil:
                self._merge_sent(t, parity)

    cdef void _merge_sent(self, int64_t t, int parity):
        cdef const uint32_t[::1] source
        cdef const int32_t[::1] payload
        cdef int64_t first = self.input_start[t], stop = self.input_start[t + 1]
        try:
            given = np.asarray(self.input_source[first:stop])
            carried = np.asarray(self.input_payload[first:stop]) if self.graded else None
            source, payload = self.manager.sent(self.step + t, given, carried)
            self._keep_now[parity] = (source, payload)
            self.n_now[parity] = source.shape[0]
            if source.shape[0]:
                self.now_source[parity] = &source[0]
                self.now_payload[parity] = &payload[0] if self.graded else NULL
        except BaseException as error:
            self.failure, self.stopped = error, True
