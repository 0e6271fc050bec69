"""The cycles of recorded steps: cores as servers on the mesh, one step after another, each on an empty mesh.

Oracle: tests/oracle/pipeline.py. Specification: DESIGN.md, "Time". A core serves its compartments one after another;
a spike goes to the axon server when its compartment is done; each packet enters the mesh when it is made. At its core
a packet waits in a queue of limited length, then is looked up, its words are read, its events added. A packet that the
queue has no room for stays in its virtual channel: that is the back-pressure into the mesh.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

import numpy as np

from emulator.kernels.mesh_state cimport LOWEST, Branch, Mesh
from emulator.kernels.router cimport free_mesh, link_counts, new_mesh, occupied_buffers, reset_mesh, run_mesh

cdef enum:
    NEURONS, AXON_OUT, SYNAPSES, LINK, INJECTION, BACK_PRESSURE, BARRIER
    LONGEST_LATENCY = 1 << 14      # cycles that the histogram tells apart
    DIGIT_BITS = 11                # of the radix sort

BOTTLENECKS = (
    "neuron updates", "axon out", "synapse memory", "link", "injection port", "back-pressure", "barrier",
)

cdef Entry _entry
ENTRY = np.asarray(<Entry[:1]> &_entry).dtype


cdef int64_t take(
    void *context, uint32_t delivery, uint32_t tile, int vc, bint tail, int64_t cycle
) noexcept nogil:
    """Return when a flit leaves its VC for its core's queue, behind what came before it there."""
    cdef Pipe *p = <Pipe *> context
    cdef int64_t *vc_taken = &p.vc_taken[tile * 8 + vc]
    cdef int64_t taken = max(cycle, vc_taken[0]), e, start, place
    cdef Delivery *d = &p.deliveries[delivery]
    cdef Core *core
    cdef int32_t c
    if tail:
        for e in range(d.entry, d.stop_entry):
            core = &p.cores[p.entries[e].core]
            taken = max(taken, core.last_taken)     # a core takes packets in the order in which they came
            if core.n_received >= p.costs.queue:
                place = p.entries[e].core * p.costs.queue + core.n_received % p.costs.queue
                taken = max(taken, p.finished[place])
        p.taken[delivery] = taken
        p.n_blocked += taken > cycle
        for e in range(d.entry, d.stop_entry):
            c = p.entries[e].core
            core = &p.cores[c]
            if taken > cycle:
                p.waited[p.n_cores + c] += taken - max(core.last_taken, cycle)
            core.last_taken = taken
            start = taken + p.costs.within_tile
            if core.n_received and start <= core.receive_free:
                start = core.receive_free
            else:
                core.chain = delivery
            core.receive_free = start + p.entries[e].service
            p.finished[c * p.costs.queue + core.n_received % p.costs.queue] = core.receive_free
            core.n_received += 1
            p.busy[2 * p.n_cores + c] += p.entries[e].service
    vc_taken[0] = taken
    return taken


cdef bint make_room(Pipe *p, int64_t n_packets, int64_t n_deliveries) noexcept nogil:
    """Let the scratch arrays hold so many packets and deliveries; return False without memory."""
    cdef int64_t n
    if n_packets > p.room_packets:
        n = n_packets + n_packets // 2 + 64
        p.packets = <Packet *> realloc(p.packets, n * sizeof(Packet))
        p.order = <uint32_t *> realloc(p.order, 2 * n * sizeof(uint32_t))
        p.rank = <uint32_t *> realloc(p.rank, n * sizeof(uint32_t))
        p.cycle = <int64_t *> realloc(p.cycle, n * sizeof(int64_t))
        p.source = <int32_t *> realloc(p.source, n * sizeof(int32_t))
        p.target = <int32_t *> realloc(p.target, n * sizeof(int32_t))
        p.root = <uint32_t *> realloc(p.root, n * sizeof(uint32_t))
        p.first_delivery = <uint32_t *> realloc(p.first_delivery, n * sizeof(uint32_t))
        p.queue = <uint32_t *> realloc(p.queue, n * sizeof(uint32_t))
        p.size = <int32_t *> realloc(p.size, n * sizeof(int32_t))
        p.inject = <int64_t *> realloc(p.inject, n * sizeof(int64_t))
        if (
            p.packets == NULL or p.order == NULL or p.rank == NULL or p.cycle == NULL or p.source == NULL
            or p.target == NULL or p.root == NULL or p.first_delivery == NULL or p.queue == NULL or p.inject == NULL
            or p.size == NULL
        ):
            return False
        p.room_packets = n
    if n_deliveries > p.room_deliveries:
        n = n_deliveries + n_deliveries // 2 + 64
        p.deliveries = <Delivery *> realloc(p.deliveries, n * sizeof(Delivery))
        p.taken = <int64_t *> realloc(p.taken, n * sizeof(int64_t))
        p.arrive = <int64_t *> realloc(p.arrive, n * sizeof(int64_t))
        if p.deliveries == NULL or p.taken == NULL or p.arrive == NULL:
            return False
        p.room_deliveries = n
    return True


cdef inline void add_packet(
    Pipe *p, int64_t made, int64_t ready, int32_t core, int32_t tile, uint32_t root
) noexcept nogil:
    cdef Packet *packet = &p.packets[p.n_packets]
    packet.made, packet.ready, packet.core, packet.tile, packet.root = made, ready, core, tile, root
    packet.flits = p.flits
    packet.delivery = <uint32_t> p.n_deliveries
    p.n_packets += 1


cdef inline void add_delivery(Pipe *p, int64_t entry, int64_t stop_entry) noexcept nogil:
    cdef Delivery *d = &p.deliveries[p.n_deliveries]
    d.packet, d.entry, d.stop_entry = <uint32_t> (p.n_packets - 1), entry, stop_entry
    p.packets[p.n_packets - 1].target = p.entries[entry].core // p.cores_per_tile
    p.n_deliveries += 1


cdef inline int64_t emit(
    Pipe *p, int64_t made, int64_t free_at, int64_t cost, int32_t core, int32_t tile,
    int64_t first, int64_t stop, bint tree, uint32_t root,
) noexcept nogil:
    """Make the packets of one spike, one after another; return when their server is free again."""
    cdef int64_t ready = made if made > free_at else free_at, e, begin
    if first == stop:
        return free_at
    if not tree:
        for e in range(first, stop):
            ready += cost
            add_packet(p, made, ready, core, tile, 0)
            add_delivery(p, e, e + 1)
        return ready
    ready += cost
    add_packet(p, made, ready, core, tile, root)
    begin = first
    for e in range(first + 1, stop + 1):
        if e == stop or p.entries[e].core // p.cores_per_tile != p.entries[begin].core // p.cores_per_tile:
            add_delivery(p, begin, e)
            begin = e
    return ready


cdef void sort_by_time(Pipe *p) noexcept nogil:
    """Rank the packets by the cycle in which they are ready; in one cycle by core, as they were made."""
    cdef int64_t i, most = 0, before = 0
    cdef bint sorted_already = True
    cdef uint32_t *order = p.order
    cdef uint32_t *other = p.order + p.room_packets
    cdef uint32_t *swap
    cdef uint32_t starts[1 << DIGIT_BITS]
    cdef uint32_t total, count, digit
    cdef int shift = 0
    for i in range(p.n_packets):
        order[i] = <uint32_t> i
        sorted_already &= p.packets[i].ready >= before
        before = p.packets[i].ready
        most = most if most > before else before
    while not sorted_already and most >> shift:
        memset(starts, 0, sizeof(starts))
        for i in range(p.n_packets):
            starts[p.packets[i].ready >> shift & ((1 << DIGIT_BITS) - 1)] += 1
        total = 0
        for i in range(1 << DIGIT_BITS):
            count = starts[i]
            starts[i] = total
            total += count
        for i in range(p.n_packets):
            digit = p.packets[order[i]].ready >> shift & ((1 << DIGIT_BITS) - 1)
            other[starts[digit]] = order[i]
            starts[digit] += 1
        swap = order
        order = other
        other = swap
        shift += DIGIT_BITS
    for i in range(p.n_packets):
        p.cycle[i] = p.packets[order[i]].ready
        p.source[i] = p.packets[order[i]].tile
        p.target[i] = p.packets[order[i]].target
        p.root[i] = p.packets[order[i]].root
        p.first_delivery[i] = p.packets[order[i]].delivery
        p.size[i] = p.packets[order[i]].flits
    if order != p.order:
        for i in range(p.n_packets):
            p.order[i] = order[i]


cdef bint cross_mesh(Pipe *p, bint tree, int64_t patience) noexcept nogil:
    """Send the packets of a step through the mesh; return False if it is stuck."""
    cdef Mesh *m = p.mesh
    cdef int64_t i, total = 0, count
    cdef int32_t tile, k
    cdef uint64_t left
    sort_by_time(p)
    for k in range(m.n_words):         # terminals that got something in the last step
        left = m.touched[k]
        while left:
            tile = k << 6 | LOWEST(left)
            left &= left - 1
            if tile < m.n_tiles:
                memset(&p.vc_taken[8 * tile], 0, 8 * sizeof(int64_t))
    reset_mesh(m, p.cycle[0])
    m.cycle, m.source, m.target, m.size = (
        p.cycle, p.source, p.target, p.size if p.n_packets and p.packets[0].flits else NULL
    )
    m.first_delivery, m.queue, m.inject, m.arrive = p.first_delivery, p.queue, p.inject, p.arrive
    m.n_packets, m.n_left = p.n_packets, p.n_deliveries
    if tree:
        m.root = p.root
    for i in range(p.n_packets):
        m.sources[p.source[i]].due += 1
    for i in range(p.n_packets):       # the tiles of packets, each once: its count becomes its place in the queue
        tile = p.source[i]
        if m.sources[tile].left == 0:
            m.sources[tile].left = 1
            count = m.sources[tile].due
            m.sources[tile].next = m.sources[tile].due = total
            total += count
        p.queue[m.sources[tile].due] = <uint32_t> i
        m.sources[tile].due += 1
    for i in range(p.n_packets):
        m.sources[p.source[i]].left = 0
        m.sources[p.source[i]].due = m.sources[p.source[i]].next
    return run_mesh(m, INT64_MAX, patience)


cdef int critical_part(Pipe *p, const Core *last) noexcept nogil:
    """Return the longest part of what led to the end of the core that ended last: see DESIGN.md, "Time"."""
    cdef uint32_t delivery = last.chain
    cdef Packet *packet = &p.packets[p.deliveries[delivery].packet]
    cdef int64_t inject = p.inject[p.rank[p.deliveries[delivery].packet]]
    cdef int64_t parts[BACK_PRESSURE + 1]
    cdef int k, most = NEURONS
    parts[NEURONS] = packet.made
    parts[AXON_OUT] = packet.ready - packet.made
    parts[INJECTION] = inject - packet.ready
    parts[LINK] = p.arrive[delivery] - inject + p.costs.within_tile
    parts[BACK_PRESSURE] = p.taken[delivery] - p.arrive[delivery]
    parts[SYNAPSES] = last.receive_free - p.taken[delivery] - p.costs.within_tile
    if p.n_blocked:                # what waits before a full mesh, or in it, waits for the cores that do not take
        parts[BACK_PRESSURE] += parts[INJECTION] + parts[LINK]
        parts[INJECTION] = parts[LINK] = 0
    for k in range(BACK_PRESSURE + 1):
        if parts[k] > parts[most]:
            most = k
    return most


cdef class Timer:
    """Times steps on one chip; each worker has its own, and their sums are added.

    Parameters
    ----------
    mesh_settings : int64 array
        In the order of router.SETTINGS.
    routes : int32 array
        `Routes.packed`.
    costs : (6,) int64
        The fields of Costs, in order.
    n_cores, cores_per_tile, packet_flits : int
    entry_start : (n_sources + 1,) int64
        Where each source's entries begin.
    entries : (n_entries,) ENTRY
        What each source sends, by core.
    segments : (n_segments, 5) int32
        Core, size, first compartment, cycles of each compartment and of each count of `active`; by first compartment.
    source_tile : (n_sources,) int32
        Where each source's packets enter the mesh.
    source_flits : (n_sources,) int32
        Flits of its packets; empty: all have packet_flits.
    root : (n_sources,) uint32, branches : (n_branches,) BRANCH
        Multicast trees; empty for unicast.
    """

    cdef Pipe pipe
    cdef bint tree
    cdef const int32_t[::1] routes
    cdef const int64_t[::1] entry_start
    cdef const Entry[::1] entries
    cdef const int32_t[:, ::1] segments
    cdef const int32_t[::1] source_tile
    cdef const int32_t[::1] source_flits
    cdef const uint32_t[::1] root
    cdef const Branch[::1] branches
    cdef int64_t n_compartments
    cdef readonly object busy      # (3, n_cores) cycles of neuron loop, axon out, receive
    cdef readonly object waited    # (2, n_cores) cycles with a packet before the mesh, with one before the full queue
    cdef readonly object latency   # (LONGEST_LATENCY,) packets by cycles from ready to terminal; the last: or more

    def __cinit__(
        self, const int64_t[::1] mesh_settings, const int32_t[::1] routes, const int64_t[::1] costs, int32_t n_cores,
        int32_t cores_per_tile, int32_t packet_flits, const int64_t[::1] entry_start, const Entry[::1] entries,
        const int32_t[:, ::1] segments, const int32_t[::1] source_tile, const int32_t[::1] source_flits,
        const uint32_t[::1] root, const Branch[::1] branches,
    ):
        cdef Pipe *p = &self.pipe
        cdef int64_t[:, ::1] busy, waited
        cdef int64_t[::1] latency
        cdef int32_t s
        memset(p, 0, sizeof(Pipe))
        (
            p.costs.spike, p.costs.axon_out, p.costs.host, p.costs.within_tile, p.costs.barrier, p.costs.queue,
        ) = costs
        self.routes = routes
        self.entry_start, self.entries, self.segments, self.source_tile = entry_start, entries, segments, source_tile
        self.root, self.branches, self.source_flits = root, branches, source_flits
        self.tree = branches.shape[0] > 0
        p.n_cores, p.cores_per_tile = n_cores, cores_per_tile
        if entries.shape[0]:
            p.entries = &entries[0]
        self.busy, self.waited = np.zeros((3, n_cores), np.int64), np.zeros((2, n_cores), np.int64)
        self.latency = np.zeros(LONGEST_LATENCY, np.int64)
        busy, waited, latency = self.busy, self.waited, self.latency
        p.busy, p.waited, p.latency = &busy[0, 0], &waited[0, 0], &latency[0]
        p.mesh = new_mesh(&mesh_settings[0], &routes[0])
        if p.mesh == NULL:
            raise MemoryError("no memory for the mesh")
        p.cores = <Core *> calloc(n_cores, sizeof(Core))
        p.finished = <int64_t *> calloc(n_cores * p.costs.queue, sizeof(int64_t))
        p.vc_taken = <int64_t *> calloc(8 * p.mesh.n_tiles, sizeof(int64_t))
        p.port_free = <int64_t *> calloc(p.mesh.n_tiles, sizeof(int64_t))
        if p.cores == NULL or p.finished == NULL or p.vc_taken == NULL or p.port_free == NULL:
            raise MemoryError("no memory for the cores")
        p.mesh.take, p.mesh.context, p.mesh.packet_flits = take, p, packet_flits
        if self.tree:
            p.mesh.branches = &branches[0]
        for s in range(segments.shape[0]):
            self.n_compartments += segments[s, 1]

    def __dealloc__(self):
        cdef Pipe *p = &self.pipe
        free_mesh(p.mesh)
        for block in (
            <size_t> p.cores, <size_t> p.finished, <size_t> p.vc_taken, <size_t> p.port_free, <size_t> p.packets,
            <size_t> p.order, <size_t> p.rank, <size_t> p.cycle, <size_t> p.source, <size_t> p.target,
            <size_t> p.root, <size_t> p.first_delivery, <size_t> p.queue, <size_t> p.inject, <size_t> p.deliveries,
            <size_t> p.taken, <size_t> p.arrive, <size_t> p.size,
        ):
            free(<void *> <size_t> block)

    @property
    def link_flits(self):
        """Flits by (tile, port) over all steps: ports +x, -x, +y, -y and the terminal."""
        return link_counts(self.pipe.mesh)

    def occupied(self):
        """Return what waits in buffers, as router.Replay does."""
        return occupied_buffers(self.pipe.mesh)

    @property
    def n_moves(self):
        """Flits that crossed a switch."""
        return self.pipe.mesh.n_moves

    def packets(self):
        """Return cycle, source and target tile of the packets of the step timed last, by cycle; one way each."""
        cdef const Pipe *p = &self.pipe
        cdef int64_t i
        table = np.empty((3, p.n_packets), np.int64)
        cdef int64_t[:, ::1] view = table
        for i in range(p.n_packets):
            view[0, i], view[1, i], view[2, i] = p.cycle[i], p.source[i], p.target[i]
        return table

    def time_steps(
        self,
        int64_t first,                    # step
        int64_t stop,
        const int64_t[::1] spike_start,   # (n_steps + 1,)
        const uint32_t[::1] spike_source,
        const uint32_t[:, ::1] active,    # (n_steps, n_segments)
        int64_t[::1] step_cycles,         # OUT (stop - first,)
        uint8_t[::1] bottleneck,          # OUT (stop - first,)
        int64_t patience=1_000_000,
    ):
        """Time steps first..stop; return the first step in which the mesh is stuck, or -1."""
        cdef int64_t t, stuck = -1
        cdef bint without_memory = False
        with nogil:
            for t in range(first, stop):
                if not self.make(t, spike_start, spike_source, active):
                    without_memory = True
                    break
                if self.pipe.n_packets and not cross_mesh(&self.pipe, self.tree, patience):
                    stuck = t
                    break
                step_cycles[t - first] = self.end(&bottleneck[t - first])
        if without_memory:
            raise MemoryError("no memory for the packets of a step")
        return stuck

    cdef bint make(
        self, int64_t t, const int64_t[::1] spike_start, const uint32_t[::1] spike_source,
        const uint32_t[:, ::1] active,
    ) noexcept nogil:
        """Let every core serve its compartments and make its packets; return False without memory."""
        cdef Pipe *p = &self.pipe
        cdef Costs *costs = &p.costs
        cdef int64_t i = spike_start[t], end = spike_start[t + 1], n_entries = 0, k, size, n_active, n_spikes, made
        cdef int64_t source
        cdef int32_t s, c, tile
        cdef uint32_t root = 0
        cdef Core *core
        for k in range(i, end):
            n_entries += self.entry_start[spike_source[k] + 1] - self.entry_start[spike_source[k]]
        if not make_room(p, n_entries, n_entries):
            return False
        p.n_packets = p.n_deliveries = p.n_blocked = 0
        memset(p.cores, 0, p.n_cores * sizeof(Core))
        for s in range(self.segments.shape[0]):
            c = self.segments[s, 0]
            core, size, n_active, n_spikes = &p.cores[c], self.segments[s, 1], active[t, s], 0
            while i < end and spike_source[i] < <uint32_t> (self.segments[s, 2] + size):
                source = spike_source[i]
                i += 1
                k = source - self.segments[s, 2] + 1
                n_spikes += 1
                made = core.loop_end + k * self.segments[s, 3] + n_spikes * costs.spike
                # Only how many were active, or instructions executed, is recorded: they count as spread evenly.
                made += k * n_active // size * self.segments[s, 4]
                if self.tree:
                    root = self.root[source]
                k = p.n_packets
                p.flits = self.source_flits[source] if self.source_flits.shape[0] else 0
                core.axon_free = emit(
                    p, made, core.axon_free, costs.axon_out, c, self.source_tile[source],
                    self.entry_start[source], self.entry_start[source + 1], self.tree, root,
                )
                p.busy[p.n_cores + c] += (p.n_packets - k) * costs.axon_out
            made = size * self.segments[s, 3] + n_active * self.segments[s, 4] + n_spikes * costs.spike
            p.busy[c] += made
            core.loop_end += made
        if i < end:
            for k in range(i, end):
                p.port_free[self.source_tile[spike_source[k]]] = 0
        while i < end:                 # inputs, which come from the host
            source = spike_source[i]
            i += 1
            tile = self.source_tile[source]
            if self.tree:
                root = self.root[source]
            p.flits = self.source_flits[source] if self.source_flits.shape[0] else 0
            p.port_free[tile] = emit(
                p, 0, p.port_free[tile], costs.host, -1, tile,
                self.entry_start[source], self.entry_start[source + 1], self.tree, root,
            )
        return True

    cdef int64_t end(self, uint8_t *bottleneck) noexcept nogil:
        """Return the cycles of the step, and what most of them went to."""
        cdef Pipe *p = &self.pipe
        cdef int64_t cycles = 0, i, latency
        cdef int32_t c, last = -1
        cdef Core *core
        bottleneck[0] = NEURONS
        for c in range(p.n_cores):
            if p.cores[c].loop_end > cycles:
                cycles = p.cores[c].loop_end
        for c in range(p.n_cores):
            if p.cores[c].receive_free > cycles:
                cycles = p.cores[c].receive_free
                last = c
        for i in range(p.n_packets):
            p.rank[p.order[i]] = <uint32_t> i
            if p.packets[p.order[i]].core >= 0:
                c = p.packets[p.order[i]].core
                core = &p.cores[c]
                if p.inject[i] > p.cycle[i]:
                    p.waited[c] += p.inject[i] - max(p.cycle[i], core.last_sent)
                core.last_sent = p.inject[i]
        for i in range(p.n_deliveries):
            latency = p.arrive[i] - p.packets[p.deliveries[i].packet].ready
            p.latency[min(latency, LONGEST_LATENCY - 1)] += 1
        if p.costs.barrier >= cycles:
            bottleneck[0] = BARRIER
        elif last >= 0:
            bottleneck[0] = critical_part(p, &p.cores[last])
        return cycles + p.costs.barrier
