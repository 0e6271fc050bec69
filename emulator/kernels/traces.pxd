"""Traces of spikes, and when epochs end: see ext/traces.pyx."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from emulator.kernels.plasticity cimport Plasticity

cdef void mark(Plasticity *p, const uint32_t *sources, int64_t n, int64_t step) noexcept nogil
cdef void supply(Plasticity *p, int32_t segment, int64_t step) noexcept nogil
cdef void reward(Plasticity *p, const int32_t *rewards) noexcept nogil
cdef bint ends_epoch(const Plasticity *p, int64_t step) noexcept nogil
cdef void follow(Plasticity *p, int64_t step, int worker, int n_workers) noexcept nogil
