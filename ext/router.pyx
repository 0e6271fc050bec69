"""The mesh network, cycle by cycle: what becomes visible, injection, then every router that has something to do.

Oracle: tests/oracle/router.py. The state is in `mesh_state.pxd`, one cycle of one router in `mesh_switch.pxd`. Events
wait in a wheel of flat lists; with nothing posted and nothing active, time jumps to the next packet.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import numpy as np

from emulator.kernels.mesh_state cimport (
    ALL_PORTS, LOWEST, NONE, PORT_SHIFT, TAIL_SHIFT, DX_SHIFT, DY_SHIFT, BRANCH_SHIFT,
    Branch, InVC, Late, Mesh, Router, Slot, Source,
    after, bit, next_in_turn, slot_at, way_port, with_ports, HEAD_SHIFT, routing_cycles,
)
from emulator.kernels.mesh_switch cimport mark, step_general, step_ring, step_single, want
from emulator.kernels.routes cimport LOCAL, N_PORTS, unpack_routes, x_left, y_left

SETTINGS = (
    "virtual_channels", "buffer_flits", "routing_delay_cycles", "speculative", "input_first",
    "iterations", "wait_for_tail_credit", "credit_delay_cycles", "latency_ew", "latency_ns", "blocked_tile",
)

cdef Branch _branch
BRANCH = np.asarray(<Branch[:1]> &_branch).dtype


cdef Mesh *new_mesh(const int64_t *settings, const int32_t *routes) noexcept nogil:
    """Return a mesh at rest at cycle 0, or NULL when there is no memory.

    Settings come in the order of SETTINGS; the mesh points into `routes`, which are `Routes.packed`.
    """
    cdef Mesh *m = <Mesh *> calloc(1, sizeof(Mesh))
    cdef int64_t longest, room, i
    cdef Slot *slot
    cdef uint32_t *lists
    if m == NULL:
        return NULL
    unpack_routes(&m.routes, routes)
    m.n_vcs, m.depth, m.routing_delay = <int32_t> settings[0], <int32_t> settings[1], <int32_t> settings[2]
    m.speculative, m.input_first = <int32_t> settings[3], <int32_t> settings[4]
    m.iterations, m.wait_for_tail_credit = <int32_t> settings[5], <int32_t> settings[6]
    m.credit_delay, m.blocked_tile = <int32_t> settings[7], <int32_t> settings[10]
    m.n_tiles, m.n_in = m.routes.width * m.routes.height, N_PORTS * m.n_vcs
    m.vc_mask, m.lower_mask = bit(m.n_vcs) - 1, bit(m.n_vcs // 2) - 1
    m.step[0], m.step[1], m.step[2], m.step[3] = 1, -1, m.routes.width, -m.routes.width
    for i in range(16):
        m.port_by_signs[i] = m.routes.first_port[i]
    m.way[0], m.way[1] = -(<uint64_t> 1 << DX_SHIFT), <uint64_t> 1 << DX_SHIFT
    m.way[2], m.way[3] = -(<uint64_t> 1 << DY_SHIFT), <uint64_t> 1 << DY_SHIFT
    for i in range(N_PORTS):
        m.latency[i] = <int32_t> (settings[8] if i < 2 else settings[9] if i < LOCAL else 1)
    for i in range(m.n_in):
        m.port_of[i], m.vc_of[i] = i // m.n_vcs, i % m.n_vcs
    m.ring = 1
    while m.ring < m.depth:
        m.ring *= 2
    longest = max(settings[8], settings[9]) + m.credit_delay + 6
    m.wheel_mask = 7
    while m.wheel_mask < longest:
        m.wheel_mask = 2 * m.wheel_mask + 1
    m.n_words = (m.n_tiles + 63) // 64
    m.wheel = <Slot *> calloc(m.wheel_mask + 1, sizeof(Slot))
    m.late = <Late *> calloc(m.n_tiles * m.n_vcs * m.depth + 1, sizeof(Late))
    m.routers = <Router *> calloc(m.n_tiles, sizeof(Router))
    m.flits = <uint64_t *> calloc(<size_t> m.n_tiles * m.n_in * m.ring, sizeof(uint64_t))
    m.sources = <Source *> calloc(m.n_tiles, sizeof(Source))
    m.active = <uint64_t *> calloc(3 * m.n_words, sizeof(uint64_t))
    m.link_flits = <uint64_t *> calloc(m.n_tiles * N_PORTS, sizeof(uint64_t))
    if (
        m.wheel == NULL or m.late == NULL or m.routers == NULL or m.flits == NULL or m.sources == NULL
        or m.active == NULL or m.link_flits == NULL
    ):
        free_mesh(m)
        return NULL
    m.sending, m.touched = m.active + m.n_words, m.active + 2 * m.n_words
    memset(m.touched, 255, m.n_words * sizeof(uint64_t))
    for i in range(m.wheel_mask + 1):
        slot = &m.wheel[i]
        # A cycle has at most one flit per port, and a head of the cycle before where routing takes one; a credit per
        # port, and those of terminals and sources; routes per VC.
        room = m.n_tiles * (3 * N_PORTS + m.n_vcs * m.depth + m.n_in + 1)
        lists = <uint32_t *> calloc(room, sizeof(uint32_t))
        if lists == NULL:
            free_mesh(m)
            return NULL
        slot.arrivals = lists
        slot.source_credits = slot.arrivals + 2 * m.n_tiles * N_PORTS
        slot.routed = slot.source_credits + m.n_tiles
        slot.credits = slot.routed + m.n_tiles * m.n_in
    reset_mesh(m, 0)
    return m


cdef void free_mesh(Mesh *m) noexcept nogil:
    cdef uint32_t i
    if m == NULL:
        return
    if m.wheel != NULL:
        for i in range(m.wheel_mask + 1):
            free(m.wheel[i].arrivals)
    free(m.wheel)
    free(m.late)
    free(m.routers)
    free(m.flits)
    free(m.sources)
    free(m.active)
    free(m.link_flits)
    free(m)


cdef void reset_mesh(Mesh *m, int64_t now) noexcept nogil:
    """Empty the mesh: every round robin at its beginning, nothing under way, no packets."""
    cdef int32_t k, r, i
    cdef uint64_t left
    cdef Router *R
    for k in range(m.n_words):
        left = m.touched[k]
        while left:
            r = k << 6 | LOWEST(left)
            left &= left - 1
            if r >= m.n_tiles:
                break
            R = &m.routers[r]
            memset(R, 0, sizeof(Router))
            memset(&m.sources[r], 0, sizeof(Source))
            R.free = R.roomy = bit(m.n_in) - 1
            for i in range(m.n_in):
                R.vcs[i].ins.out = NONE
            m.sources[r].vc = m.n_vcs - 1
        m.touched[k] = m.active[k] = m.sending[k] = 0
    m.some_active = m.some_sending = 0
    for i in range(<int32_t> m.wheel_mask + 1):
        m.wheel[i].n_credits = m.wheel[i].n_arrivals = m.wheel[i].n_routed = m.wheel[i].n_source_credits = 0
    m.n_posted = m.n_late = m.n_due = 0
    m.now = m.last_move = now


cdef inline void give_back(Mesh *m, uint32_t router, uint32_t out) noexcept nogil:
    """Return a credit of an output VC."""
    cdef Router *R = &m.routers[router]
    R.vcs[out].out.used -= 1
    R.roomy |= bit(out)
    if R.vcs[out].out.tail_sent and R.vcs[out].out.used == 0:
        R.vcs[out].out.tail_sent = 0
        R.free |= bit(out)
    if (R.ready | R.wanted) & bit(out):
        mark(m, router)


cdef inline void arrive(Mesh *m, uint32_t event) noexcept nogil:
    """Make a flit visible in the input VC that it was written to."""
    cdef uint32_t router = event >> 9, i = event & 63
    cdef Router *R = &m.routers[router]
    cdef InVC *vc = &R.vcs[i].ins
    cdef Slot *slot
    m.touched[router >> 6] |= bit(router & 63)
    vc.visible += 1
    if vc.visible > 1:
        return
    if vc.busy:
        R.ready |= bit(vc.out)
    else:
        vc.busy = 1
        if m.routing_delay and vc.left_at == <uint32_t> (m.now - 1):
            # It came when the tail ahead of it left, so it is only being routed now.
            slot = slot_at(m, m.now + 1)
            slot.routed[slot.n_routed] = event
            slot.n_routed += 1
            m.n_posted += 1
            return
        want(m, R, router, event >> 6 & 7, i, m.routes.wraps)
    mark(m, router)


cdef inline void wake(Mesh *m, uint32_t tile) noexcept nogil:
    """Let a source try to send."""
    m.sending[tile >> 6] |= bit(tile & 63)
    m.some_sending |= bit(tile >> 6)


cdef inline void become_visible(Mesh *m) noexcept nogil:
    """Apply what was posted for this cycle."""
    cdef Slot *slot = slot_at(m, m.now)
    cdef uint32_t k, tile, vc, event
    cdef Source *source
    while m.n_late and m.late[0].cycle <= m.now:
        give_back(m, m.late[0].credit >> 6, m.late[0].credit & 63)
        drop_late(m)
    m.n_posted -= slot.n_credits + slot.n_source_credits + slot.n_routed + slot.n_arrivals
    for k in range(slot.n_credits):
        give_back(m, slot.credits[k] >> 6, slot.credits[k] & 63)
    for k in range(slot.n_source_credits):
        tile, vc = slot.source_credits[k] >> 3, slot.source_credits[k] & 7
        source = &m.sources[tile]
        source.used[vc] -= 1
        source.full &= ~(1 << vc)
        if source.tail_sent & 1 << vc and source.used[vc] == 0:
            source.tail_sent &= ~(1 << vc)
            source.in_use &= ~(1 << vc)
        if source.left or source.next < source.due:
            wake(m, tile)
    for k in range(slot.n_routed):
        event = slot.routed[k]
        want(m, &m.routers[event >> 9], event >> 9, event >> 6 & 7, event & 63, m.routes.wraps)
        mark(m, event >> 9)
    for k in range(slot.n_arrivals):
        arrive(m, slot.arrivals[k])
    slot.n_credits = slot.n_source_credits = slot.n_routed = slot.n_arrivals = 0


cdef inline void drop_late(Mesh *m) noexcept nogil:
    """Take the first event off the heap."""
    cdef int64_t i = 0, below
    cdef Late last
    m.n_late -= 1
    last = m.late[m.n_late]
    while True:
        below = 2 * i + 1
        if below >= m.n_late:
            break
        if below + 1 < m.n_late and m.late[below + 1].cycle < m.late[below].cycle:
            below += 1
        if m.late[below].cycle >= last.cycle:
            break
        m.late[i] = m.late[below]
        i = below
    m.late[i] = last


cdef inline bint send(Mesh *m, uint32_t tile) noexcept nogil:
    """Send one flit of the packet at the front of a source; return whether the source may send in the next cycle."""
    cdef Source *source = &m.sources[tile]
    cdef uint32_t packet = m.queue[source.next], open, in_vc, dx, dy
    cdef uint64_t flit = packet
    cdef InVC *there
    cdef Slot *slot
    if source.left == 0:
        open = ~(source.in_use | source.full) & <uint32_t> m.vc_mask
        if open == 0:
            return False
        source.vc = next_in_turn(open, after(source.vc, m.n_vcs))
        source.in_use |= 1 << source.vc
        source.left = m.packet_flits if m.size == NULL else m.size[packet]
        flit |= <uint64_t> 1 << HEAD_SHIFT
        m.inject[packet] = m.now
    elif source.full & 1 << source.vc:
        return False
    if m.branches != NULL:
        flit = packet | <uint64_t> m.root[packet] << BRANCH_SHIFT
        flit = with_ports(flit, m.branches[m.root[packet]].ports & ALL_PORTS)
    else:
        dx = x_left(&m.routes, tile, m.target[packet]) + 128
        dy = y_left(&m.routes, tile, m.target[packet]) + 128
        flit |= <uint64_t> dx << DX_SHIFT | <uint64_t> dy << DY_SHIFT
        flit |= <uint64_t> way_port(m, flit) << PORT_SHIFT
    source.left -= 1
    source.used[source.vc] += 1
    if source.used[source.vc] == m.depth:
        source.full |= 1 << source.vc
    if source.left == 0:
        flit |= <uint64_t> 1 << TAIL_SHIFT
        source.next += 1
        if m.wait_for_tail_credit:
            source.tail_sent |= 1 << source.vc
        else:
            source.in_use &= ~(1 << source.vc)
    in_vc = LOCAL * m.n_vcs + source.vc
    there = &m.routers[tile].vcs[in_vc].ins
    m.flits[(tile * m.n_in + in_vc) * m.ring + there.tail] = flit
    there.tail = (there.tail + 1) & (m.ring - 1)
    slot = slot_at(m, m.now + 2 + routing_cycles(m, flit))
    slot.arrivals[slot.n_arrivals] = tile << 9 | <uint32_t> (flit >> PORT_SHIFT & 7) << 6 | in_vc
    slot.n_arrivals += 1
    m.n_posted += 1
    return source.left or source.next < source.due


cdef inline bint step_mesh(Mesh *m) noexcept nogil:
    """One cycle; return whether a router or a source has something to do in the next."""
    cdef uint32_t tile, k
    cdef uint64_t words, left, stay
    cdef bint busy
    if m.n_posted or m.n_late:
        become_visible(m)
    while m.n_due < m.n_packets and m.cycle[m.n_due] <= m.now:
        tile = m.source[m.n_due]
        m.sources[tile].due += 1
        wake(m, tile)
        m.n_due += 1
    words = m.some_sending
    while words:
        k = LOWEST(words)
        words &= words - 1
        left = stay = m.sending[k]
        while left:
            tile = LOWEST(left)
            left &= left - 1
            if not send(m, k << 6 | tile):
                stay &= ~bit(tile)
        m.sending[k] = stay
        if stay == 0:
            m.some_sending &= ~bit(k)
    words = m.some_active
    while words:
        k = LOWEST(words)
        words &= words - 1
        left = stay = m.active[k]
        while left:
            tile = LOWEST(left)
            left &= left - 1
            if m.n_vcs == 1:
                busy = step_single(m, k << 6 | tile)
            elif m.routes.wraps:
                busy = step_ring(m, k << 6 | tile)
            else:
                busy = step_general(m, k << 6 | tile, False)
            if not busy:
                stay &= ~bit(tile)
        m.active[k] = stay
        if stay == 0:
            m.some_active &= ~bit(k)
    m.now += 1
    return m.some_sending or m.some_active


cdef bint run_mesh(Mesh *m, int64_t until, int64_t patience) noexcept nogil:
    """Advance until every packet was delivered, or to cycle `until`; return False when the network is stuck.

    It is stuck when packets are left and nothing can ever move again, or nothing moved for `patience` cycles although
    routers are busy.
    """
    cdef int64_t next_event
    while m.n_left and m.now < until:
        if step_mesh(m):
            if m.now - m.last_move > patience:
                return False
        elif m.n_posted == 0:
            next_event = INT64_MAX
            if m.n_due < m.n_packets:
                next_event = m.cycle[m.n_due]
            if m.n_late and m.late[0].cycle < next_event:
                next_event = m.late[0].cycle
            if next_event == INT64_MAX:
                return m.n_left == 0
            if next_event > m.now:
                m.now = m.last_move = next_event
    return True


cdef object occupied_buffers(const Mesh *m):
    """Return what waits in buffers: (tile, port, vc, flits, next port, has an output VC, credits left on it)."""
    cdef int32_t r, i
    cdef const InVC *vc
    cdef uint64_t flit
    found = []
    for r in range(m.n_tiles):
        for i in range(m.n_in):
            vc = &m.routers[r].vcs[i].ins
            if vc.visible:
                flit = m.flits[(r * m.n_in + i) * m.ring + vc.head]
                credits = -1 if vc.out == NONE else m.depth - m.routers[r].vcs[vc.out].out.used
                found.append((r, m.port_of[i], m.vc_of[i], vc.visible, flit >> PORT_SHIFT & 7, vc.out != NONE, credits))
    return found


cdef object link_counts(const Mesh *m):
    """Return flits by (tile, port): ports +x, -x, +y, -y and the terminal."""
    cdef int64_t i, port
    counts = np.empty((m.n_tiles, N_PORTS), np.int64)
    cdef int64_t[:, ::1] view = counts
    for i in range(m.n_tiles):
        for port in range(N_PORTS):
            view[i, port] = m.link_flits[i * N_PORTS + port]
    return counts


cdef class Replay:
    """A mesh and the packets that cross it.

    Parameters
    ----------
    settings : (11,) int64
        In the order of SETTINGS; blocked_tile is -1 but in tests.
    routes : int32
        `Routes.packed`.
    cycle, source, target, size : (n_packets,)
        When each packet is due, not decreasing; tiles; flits. The caller has checked them.
    root : (n_packets,) uint32, branches : (n_branches,) BRANCH, optional
        Multicast trees instead of targets.
    first_delivery : (n_packets,) uint32, optional
        With trees, the number of each packet's first delivery.
    n_deliveries : int
        With trees, how many there are.
    """

    cdef Mesh *mesh
    cdef object kept               # arrays that the mesh points into
    cdef readonly object inject    # (n_packets,) int64, -1 before
    cdef readonly object arrive    # (n_deliveries,) int64, -1 before

    def __cinit__(
        self, const int64_t[::1] settings, const int32_t[::1] routes, const int64_t[::1] cycle,
        const int32_t[::1] source, const int32_t[::1] target, const int32_t[::1] size,
        *, root=None, branches=None, first_delivery=None, int64_t n_deliveries=-1,
    ):
        cdef Mesh *m
        cdef int64_t[::1] inject, arrive, first
        cdef const uint32_t[::1] queue, roots, numbers
        cdef const Branch[::1] nodes
        cdef int64_t n = cycle.shape[0]
        cdef int32_t tile
        if settings.shape[0] != len(SETTINGS):
            raise ValueError(f"settings: {settings.shape[0]} values; expected {len(SETTINGS)}")
        self.mesh = m = new_mesh(&settings[0], &routes[0])
        if m == NULL:
            raise MemoryError(f"no memory for a mesh of {routes[0]} x {routes[1]} routers")
        self.inject = np.full(n, -1, np.int64)
        self.arrive = np.full(n if n_deliveries < 0 else n_deliveries, -1, np.int64)
        # Tiles fit 16 bits, for which a stable sort is eight times faster.
        order = np.argsort(np.asarray(source).astype(np.uint16), kind="stable").astype(np.uint32)
        starts = np.searchsorted(np.asarray(source)[order], np.arange(m.n_tiles)).astype(np.int64)
        self.kept = [routes, cycle, source, target, size, order, root, branches, first_delivery]
        if n == 0:
            return
        inject, arrive, queue, first = self.inject, self.arrive, order, starts
        m.cycle, m.source, m.target, m.size = &cycle[0], &source[0], &target[0], &size[0]
        m.queue, m.inject, m.arrive = &queue[0], &inject[0], &arrive[0]
        if root is not None:
            roots, nodes, numbers = root, branches, first_delivery
            m.root, m.branches, m.first_delivery = &roots[0], &nodes[0], &numbers[0]
        for tile in range(m.n_tiles):
            m.sources[tile].next = m.sources[tile].due = first[tile]
        m.n_packets, m.n_left = n, arrive.shape[0]

    def __dealloc__(self):
        free_mesh(self.mesh)

    def advance(self, int64_t n_cycles, int64_t patience=100_000):
        """Advance by at most so many cycles; return False when the network is stuck."""
        cdef Mesh *m = self.mesh
        cdef int64_t until = m.now + n_cycles
        cdef bint alive
        with nogil:
            alive = run_mesh(m, until, patience)
        return alive

    @property
    def now(self):
        """The cycle that comes next."""
        return self.mesh.now

    @property
    def n_left(self):
        """Deliveries that have not reached their terminal."""
        return self.mesh.n_left

    @property
    def n_moves(self):
        """Flits that crossed a switch: the flit-routers of the run."""
        return self.mesh.n_moves

    @property
    def link_flits(self):
        """Flits by (tile, port), ports +x, -x, +y, -y and the terminal."""
        return link_counts(self.mesh)

    def occupied(self):
        """Return what waits in buffers: (tile, port, vc, flits, next port, has an output VC, credits left on it)."""
        return occupied_buffers(self.mesh)
