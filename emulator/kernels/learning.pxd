"""The learning engine of a core: see ext/learning.pyx."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from emulator.kernels.plasticity cimport Plasticity

cdef void visit(
    Plasticity *p, int64_t step, int n_workers, int32_t first_core, int32_t stop_core, uint32_t *visits
) noexcept nogil

cdef class Learning:
    cdef Plasticity plasticity
    cdef object _keep
