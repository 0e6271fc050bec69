from libc.stdint cimport int32_t, int64_t

from emulator.kernels.mesh_state cimport Mesh

cdef Mesh *new_mesh(const int64_t *settings, const int32_t *routes) noexcept nogil
cdef void free_mesh(Mesh *mesh) noexcept nogil
cdef void reset_mesh(Mesh *mesh, int64_t now) noexcept nogil
cdef object occupied_buffers(const Mesh *mesh)
cdef object link_counts(const Mesh *mesh)
cdef bint run_mesh(Mesh *mesh, int64_t until, int64_t patience) noexcept nogil
