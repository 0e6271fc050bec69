"""The routes of a mesh as kernels read them: the tables of emulator/chip/routes.py, in one row of numbers.

Ports 0 to 3 lead along +x, -x, +y and -y, port 4 to the tile's own cores.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t

cdef enum:
    LOCAL = 4                      # the port of the terminal
    N_PORTS = 5
    ANY_CORNERS = 0                # routes that only the tables tell
    X_FIRST = 1                    # along x to a corner, then along y; no ring
    Y_FIRST = 2

cdef struct Routes:
    int32_t width
    int32_t height
    int32_t wraps                  # rows and columns are rings
    int32_t corner                 # ANY_CORNERS, X_FIRST or Y_FIRST
    const int32_t *first_port      # (16,) by the signs of the way left
    const int32_t *last_port       # (16,) by which the packet will arrive
    const int32_t *offset_x        # (width, width) signed links from column to column
    const int32_t *offset_y        # (height, height)
    const int32_t *neighbour       # (n_tiles, 4)
    const int32_t *column          # (n_tiles,)
    const int32_t *row             # (n_tiles,)


cdef inline void unpack_routes(Routes *r, const int32_t *packed) noexcept nogil:
    """Point into `Routes.packed`, which must stay."""
    r.width, r.height, r.wraps, r.corner = packed[0], packed[1], packed[2], packed[3]
    r.first_port = packed + 4
    r.last_port = r.first_port + 16
    r.offset_x = r.last_port + 16
    r.offset_y = r.offset_x + r.width * r.width
    r.neighbour = r.offset_y + r.height * r.height
    r.column = r.neighbour + r.width * r.height * (N_PORTS - 1)
    r.row = r.column + r.width * r.height


cdef inline int32_t x_left(const Routes *r, int32_t here, int32_t target) noexcept nogil:
    """Return the signed links along x from a tile to a tile."""
    if not r.wraps:
        return r.column[target] - r.column[here]
    return r.offset_x[r.column[here] * r.width + r.column[target]]


cdef inline int32_t y_left(const Routes *r, int32_t here, int32_t target) noexcept nogil:
    """Return the signed links along y from a tile to a tile."""
    if not r.wraps:
        return r.row[target] - r.row[here]
    return r.offset_y[r.row[here] * r.height + r.row[target]]


cdef inline uint32_t signs_of(int32_t x, int32_t y) noexcept nogil:
    return (x > 0) | (x < 0) << 1 | (y > 0) << 2 | (y < 0) << 3


cdef inline int32_t port_before(const Routes *r, int32_t source, int32_t here) noexcept nogil:
    """Return the port through which a route from `source` arrived at `here`; LOCAL at its source."""
    return r.last_port[signs_of(x_left(r, source, here), y_left(r, source, here))]


cdef inline bint is_edge(int32_t here, int32_t there, int32_t port, int32_t width) noexcept nogil:
    """Return whether the link by which a tile's port leads there goes from one end of a row or column to the other."""
    return there - here != (1 if port == 0 else -1 if port == 1 else width if port == 2 else -width)


cdef inline bint crosses(int32_t place, int32_t left, int32_t size) noexcept nogil:
    """Return whether a way of `left` signed links from a place on a ring of `size` goes over its end."""
    return place + left >= size or place + left < 0
