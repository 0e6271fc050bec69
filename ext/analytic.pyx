"""Lower bound of each step's cycles: the busiest server of the step, then the barrier.

Source: the "max-affine" model (DESIGN.md, "Time"). Oracle: tests/oracle/analytic.py. Nothing here knows how the
spikes were computed: a recorded run is timed from its spikes and its counts of active compartments.

Below it, for cycle timing, the trees that multicast packets follow (test: tests/unit/test_traffic.py); the bound works
their links out without them.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

import numpy as np

from emulator.kernels.mesh_state cimport LOCAL, LOWEST, N_PORTS, Branch
from emulator.kernels.pipeline cimport Entry

from emulator.kernels.router import BRANCH

cdef enum:
    NEURONS, AXON_OUT, SYNAPSES, LINK, INJECTION, EJECTION, BARRIER, HOST
    N_LOADS = 7                    # of a tile: links +x, -x, +y, -y, ports in and out, host port
    MOST_WAYS = 1 << 16            # counters from tile to tile: what the second-level cache holds
    WAYS_PER_SPIKE = 8
    AHEAD = 8                      # spikes between fetching where entries begin, fetching them, and their use
    ENTRIES_OF_LINE = 8

cdef extern from *:
    """
    #define HIGHEST(mask) (63 - (int32_t)__builtin_clzll(mask))
    #define prefetch(place) __builtin_prefetch(place)
    """
    int32_t HIGHEST(uint64_t mask) nogil
    void prefetch(const void *place) nogil

BOTTLENECKS = (
    "neuron updates", "axon out", "synapse memory", "link", "injection port", "ejection port", "barrier", "host port",
)

cdef struct Costs:                 # cycles each event keeps its server busy
    int64_t spike
    int64_t axon_out
    int64_t host
    int64_t barrier


cdef inline int raise_to(int64_t value, int name, int64_t *most, int bottleneck) noexcept nogil:
    if value > most[0]:
        most[0] = value
        return name
    return bottleneck


cdef int busiest(
    int64_t[::1] loads, int64_t[::1] totals, int64_t factor, int name, int64_t *most, int bottleneck
) noexcept nogil:
    """Fold one family of servers into the step's maximum and into the run's totals; clear it."""
    cdef Py_ssize_t i
    for i in range(loads.shape[0]):
        if loads[i]:
            bottleneck = raise_to(loads[i] * factor, name, most, bottleneck)
            totals[i] += loads[i] * factor
            loads[i] = 0
    return bottleneck


cdef inline void fetch_ahead(const int64_t *entry_start, const Entry *entries, const uint32_t *spike) noexcept nogil:
    """Bring where the entries of a later spike begin into the cache, and the entries of a nearer one."""
    cdef const Entry *near = entries + entry_start[spike[AHEAD]]
    prefetch(entry_start + spike[2 * AHEAD])
    prefetch(near)
    prefetch(near + ENTRIES_OF_LINE - 1)


cdef struct Loads:                 # flits of a step by tile; a route is +1 where a run begins, -1 where it ends
    int64_t *right
    int64_t *left
    int64_t *up                    # towards larger y
    int64_t *down
    int64_t *injected
    int64_t *ejected
    const int32_t *x               # column of each tile
    int32_t width
    int32_t *reached               # (width,) of a tree: the tile up to which each column has been noted
    int32_t n_tiles
    uint32_t *ways                 # (n_tiles, n_tiles) flits from tile to tile whose routes are not noted yet


def time_steps(
    const int64_t[::1] entry_start,       # IN   (n_sources + 1,)
    const Entry[::1] entries,             # IN   (n_entries,)  by core
    const int32_t[:, ::1] segments,       # IN   (n_segments, 5)  see emulator.timing.analytic.segment_table
    const int32_t[::1] source_core,       # IN   (n_sources,)  core of a compartment, -1 for an input
    const int32_t[::1] source_tile,       # IN   (n_sources,)  where its packets enter the mesh
    const int32_t[::1] source_flits,      # IN   (n_sources,)  of each of its packets; empty: packet_flits
    int32_t packet_flits,
    const int64_t[::1] spike_start,       # IN   (n_steps + 1,)
    const uint32_t[::1] spike_source,     # IN   (n_spikes,)
    const uint32_t[:, ::1] active,        # IN   (n_steps, n_segments)  compartments, or instructions
    int64_t[::1] costs_table,             # IN   the fields of Costs, in order
    int32_t width,                        # IN   tiles
    int32_t cores_per_tile,
    bint tree,                            # IN   one packet a spike, copied along its XY tree
    int64_t[::1] step_cycles,             # OUT  (n_steps,)
    uint8_t[::1] bottleneck,              # OUT  (n_steps,)  index into BOTTLENECKS
    int64_t[:, ::1] core_cycles,          # OUT  (3, n_cores)  neuron loop, axon out, receive; added to
    int64_t[:, ::1] tile_loads,           # OUT  (7, n_tiles)  flits on links and ports, host packets; added to
):
    """Time every step; returns nothing, fills the OUT arrays."""
    cdef Costs costs
    cdef Loads loads
    cdef Py_ssize_t n_steps = step_cycles.shape[0], n_cores = core_cycles.shape[1], n_tiles = tile_loads.shape[1]
    cdef bint few_tiles = n_tiles * n_tiles <= MOST_WAYS and not tree, counted
    cdef int64_t[:, ::1] core_now = np.zeros((3, n_cores), np.int64)
    cdef int64_t[:, ::1] tile_now = np.zeros((N_LOADS, n_tiles), np.int64)
    # A division takes longer than all the rest of a packet.
    cdef const int32_t[::1] tile_of = np.arange(n_cores, dtype=np.int32) // cores_per_tile
    cdef const int32_t[::1] x = np.arange(n_tiles, dtype=np.int32) % width
    cdef int32_t[::1] reached = np.zeros(width, np.int32)
    cdef uint32_t[::1] ways = np.zeros(n_tiles * n_tiles if few_tiles else 1, np.uint32)
    cdef uint32_t *ways_here
    cdef Py_ssize_t t, i, s
    cdef int64_t most, n_packets, e, first, stop
    cdef int32_t flits = packet_flits
    cdef bint same_size = source_flits.shape[0] == 0
    cdef int32_t core, tile
    cdef uint32_t source
    cdef int name, axis
    (
        costs.spike, costs.axon_out, costs.host, costs.barrier,
    ) = costs_table
    loads.right, loads.left, loads.up, loads.down = &tile_now[0, 0], &tile_now[1, 0], &tile_now[2, 0], &tile_now[3, 0]
    loads.injected, loads.ejected = &tile_now[4, 0], &tile_now[5, 0]
    loads.x, loads.width, loads.reached, loads.n_tiles, loads.ways = &x[0], width, &reached[0], n_tiles, &ways[0]
    with nogil:
        for t in range(n_steps):
            for s in range(segments.shape[0]):
                core_now[0, segments[s, 0]] += (
                    <int64_t> segments[s, 1] * segments[s, 3] + <int64_t> active[t, s] * segments[s, 4]
                )
            # Counting ways pays where there are not many more of them than spikes.
            counted = few_tiles and (spike_start[t + 1] - spike_start[t]) * WAYS_PER_SPIKE >= n_tiles * n_tiles
            for i in range(spike_start[t], spike_start[t + 1]):
                if i + 2 * AHEAD < spike_start[n_steps]:
                    prefetch(&source_core[spike_source[i + 2 * AHEAD]])
                    fetch_ahead(&entry_start[0], &entries[0], &spike_source[i])
                source = spike_source[i]
                first, stop, core = entry_start[source], entry_start[source + 1], source_core[source]
                tile = tile_of[core] if core >= 0 else source_tile[source]
                n_packets = stop - first
                if not same_size:
                    flits = source_flits[source]
                if tree:
                    n_packets = n_packets > 0
                    for e in range(first, stop):
                        core_now[2, entries[e].core] += entries[e].service
                    if n_packets:
                        cross_tree(&loads, tile, &entries[first], stop - first, &tile_of[0])
                elif counted:
                    ways_here = loads.ways + tile * n_tiles
                    for e in range(first, stop):
                        core_now[2, entries[e].core] += entries[e].service
                        ways_here[tile_of[entries[e].core]] += flits
                else:
                    for e in range(first, stop):
                        core_now[2, entries[e].core] += entries[e].service
                        cross(&loads, tile, tile_of[entries[e].core], flits)
                if core >= 0:
                    core_now[0, core] += costs.spike
                    core_now[1, core] += n_packets * costs.axon_out
                else:
                    tile_now[6, tile] += n_packets
            if counted:
                cross_counted(&loads)
            if spike_start[t + 1] > spike_start[t]:
                sum_routes(tile_now, width)
            most = 0
            name = BARRIER
            for axis in range(3):
                name = busiest(core_now[axis], core_cycles[axis], 1, axis, &most, name)
            for axis in range(6):
                name = busiest(
                    tile_now[axis], tile_loads[axis], 1,
                    LINK if axis < 4 else INJECTION + axis - 4, &most, name,
                )
            name = busiest(tile_now[6], tile_loads[6], costs.host, HOST, &most, name)
            step_cycles[t] = most + costs.barrier
            bottleneck[t] = BARRIER if costs.barrier >= most else name


cdef inline void cross(Loads *load, int32_t source, int32_t target, int64_t n) noexcept nogil:
    """Note the XY route of n flits: along x to a corner, then along y."""
    cdef int32_t corner = source - load.x[source] + load.x[target]
    cdef int64_t *along_x = load.right if corner > source else load.left
    cdef int64_t *along_y = load.up if target > corner else load.down
    load.injected[source] += n
    load.ejected[target] += n
    along_x[source] += n               # where a run has no links, what begins ends at once
    along_x[corner] -= n
    along_y[corner] += n
    along_y[target] -= n


cdef void cross_counted(Loads *load) noexcept nogil:
    """Note the routes of all packets that were counted by source and target; clear the counts."""
    cdef int32_t source, target
    cdef uint32_t *ways = load.ways
    for source in range(load.n_tiles):
        for target in range(load.n_tiles):
            if ways[target]:
                cross(load, source, target, ways[target])
                ways[target] = 0
        ways += load.n_tiles


cdef inline void cross_tree(
    Loads *load, int32_t source, const Entry *entries, int64_t n_entries, const int32_t *tile_of
) noexcept nogil:
    """Note the XY tree of a packet of one flit: a row to the farthest columns, and in each a run to the farthest tiles.

    The tiles come in order, so the first of a column is the farthest down, and each further one extends the run up.
    Without branches, which would be guessed wrongly: where there is no run, what begins ends at once.
    """
    cdef int64_t e, below
    cdef int32_t row = source - load.x[source], before = -1, tile, x, corner, more, far
    cdef uint64_t columns = 0
    load.injected[source] += 1
    for x in range(load.width):
        load.reached[x] = row + x
    for e in range(n_entries):
        tile = tile_of[entries[e].core]
        x = load.x[tile]
        corner = row + x
        below = (tile < row) & ~(columns >> x)
        columns |= <uint64_t> 1 << x
        load.ejected[tile] += tile != before
        load.down[corner] += below
        load.down[tile] -= below
        more = tile - load.reached[x]
        more &= ~(more >> 31)
        load.up[load.reached[x]] += 1
        load.reached[x] += more
        load.up[load.reached[x]] -= 1
        before = tile
    far = row + HIGHEST(columns)
    if far > source:
        load.right[source] += 1
        load.right[far] -= 1
    far = row + <int32_t> LOWEST(columns)
    if far < source:
        load.left[source] += 1
        load.left[far] -= 1


cdef void sum_routes(int64_t[:, ::1] load, int32_t width) noexcept nogil:
    """Turn the differences into packets on the link that leaves each tile in each direction."""
    cdef Py_ssize_t i, n = load.shape[1]
    for i in range(n):
        if i % width:
            load[0, i] += load[0, i - 1]
        if i >= width:
            load[2, i] += load[2, i - width]
    for i in range(n - 1, -1, -1):
        if (i + 1) % width:
            load[1, i] += load[1, i + 1]
        if i + width < n:
            load[3, i] += load[3, i + width]


cdef enum:
    NOT_PLANTED = 0xFFFFFFFF       # the root of a source without a tree: all bits are 1

cdef struct Bud:                   # a router of a tree whose branch is not filled in yet
    uint32_t branch
    int32_t tile
    int32_t port                   # that led there; LOCAL: the source's own router

cdef Bud _bud
BUD = np.asarray(<Bud[:1]> &_bud).dtype


cdef class Trees:
    """The multicast trees of sources: planted when a source first spikes, all felled when there is no more room.

    Sources of a tile that reach the same tiles share a tree. A delivery is numbered as its tile among those of the
    tree, in ascending order.

    Parameters
    ----------
    entry_start : (n_sources + 1,) int64
        Where each source's entries begin.
    entries : (n_entries,) ENTRY
        What each source sends, by core.
    source_tile : (n_sources,) int32
        Where each source's packets enter the mesh.
    width, height, cores_per_tile : int
    most_branches : int
        Branches that may stand at a time.

    Attributes
    ----------
    root : (n_sources,) uint32
        The branch at which the tree of a source begins; rewritten in place.
    branches : (n,) BRANCH
        Nodes of the trees; rewritten in place.
    n_branches : int
        Those that stand.
    """

    cdef readonly object root
    cdef readonly object branches
    cdef readonly int64_t n_branches
    cdef uint32_t[::1] root_of
    cdef Branch[::1] nodes
    cdef const int64_t[::1] entry_start
    cdef const Entry[::1] entries
    cdef const int32_t[::1] source_tile
    cdef const int32_t[::1] tile_of  # of each core
    cdef const int32_t[::1] x      # of each tile
    cdef int32_t width
    cdef int32_t n_tiles
    cdef uint64_t[::1] known       # hash table: lower half of a hash, then a source with that tree + 1; 0: none
    # The tree that is being planted:
    cdef Bud[::1] buds
    cdef int32_t[::1] number       # (n_tiles,) of each tile's delivery, or -1
    cdef int32_t[::1] lowest       # (width,) tiles that are reached in each column, first and last
    cdef int32_t[::1] highest

    def __cinit__(
        self, const int64_t[::1] entry_start, const Entry[::1] entries, const int32_t[::1] source_tile,
        int32_t width, int32_t height, int32_t cores_per_tile, int64_t most_branches,
    ):
        cdef int64_t n_tiles = width * height, n_sending, n_known = 2
        self.entry_start, self.entries, self.source_tile = entry_start, entries, source_tile
        self.width, self.n_tiles = width, n_tiles
        self.tile_of = np.arange(n_tiles * cores_per_tile, dtype=np.int32) // cores_per_tile
        self.x = np.arange(n_tiles, dtype=np.int32) % width
        self.root = self.root_of = np.full(source_tile.shape[0], <uint32_t> NOT_PLANTED, np.uint32)
        n_sending = np.count_nonzero(np.diff(entry_start))
        # A tree has at most a branch and a delivery in each tile. Pages that no tree has come to take no memory.
        self.branches = self.nodes = np.empty(min(most_branches, n_sending * 2 * n_tiles), BRANCH)
        while n_known < 2 * min(n_sending, self.nodes.shape[0]):
            n_known *= 2
        self.known = np.zeros(n_known, np.uint64)
        self.buds = np.empty(n_tiles, BUD)
        self.number = np.full(n_tiles, -1, np.int32)
        self.lowest, self.highest = np.zeros(width, np.int32), np.zeros(width, np.int32)

    def plant(
        self,
        const int64_t[::1] spike_start,   # (n_steps + 1,)
        const uint32_t[::1] spike_source,
        int64_t first,                    # step
        int64_t stop,
    ):
        """Let all sources that spike in some steps have trees; return the first step for which there is no room.

        What was planted before may be felled, but nothing that the steps before that one need.
        """
        cdef int64_t t = first
        with nogil:
            while t < stop and self.plant_step(spike_start[t], spike_start[t + 1], spike_source):
                t += 1
            if t == first and t < stop:
                self.n_branches = 0
                memset(&self.root_of[0], 255, self.root_of.shape[0] * sizeof(uint32_t))
                memset(&self.known[0], 0, self.known.shape[0] * sizeof(uint64_t))
                while t < stop and self.plant_step(spike_start[t], spike_start[t + 1], spike_source):
                    t += 1
        return t

    cdef bint plant_step(self, int64_t i, int64_t end, const uint32_t[::1] spike_source) noexcept nogil:
        """Let the sources of some spikes have trees; return False when there is no room."""
        cdef uint32_t source, other
        cdef uint64_t hash, slot, mask = self.known.shape[0] - 1
        for i in range(i, end):
            if i + 2 * AHEAD < end:
                prefetch(&self.root_of[spike_source[i + 2 * AHEAD]])
                fetch_ahead(&self.entry_start[0], &self.entries[0], &spike_source[i])
            source = spike_source[i]
            if self.root_of[source] != NOT_PLANTED or self.entry_start[source] == self.entry_start[source + 1]:
                continue
            hash = self.hash_of(source)
            slot = hash >> 32 & mask
            while self.known[slot]:
                other = <uint32_t> self.known[slot] - 1
                if self.known[slot] >> 32 == <uint32_t> hash and self.same_way(source, other):
                    self.root_of[source] = self.root_of[other]
                    break
                slot = slot + 1 & mask
            if self.known[slot] == 0:
                if self.n_branches + 2 * self.n_tiles > self.nodes.shape[0]:
                    return False
                self.root_of[source] = self.plant_tree(source)
                self.known[slot] = hash << 32 | source + 1
        return True

    cdef uint64_t hash_of(self, uint32_t source) noexcept nogil:
        """Return a hash of the tile of a source and those that it reaches."""
        cdef uint64_t hash = self.source_tile[source] + 1
        cdef int32_t tile, before = -1
        cdef int64_t e
        for e in range(self.entry_start[source], self.entry_start[source + 1]):
            tile = self.tile_of[self.entries[e].core]
            if tile != before:
                hash = (hash ^ <uint64_t> tile) * <uint64_t> 0x9E3779B97F4A7C15
                hash ^= hash >> 29
            before = tile
        return hash

    cdef bint same_way(self, uint32_t a, uint32_t b) noexcept nogil:
        """Return whether two sources are in one tile and reach the same tiles."""
        cdef int64_t i = self.entry_start[a], j = self.entry_start[b]
        cdef int64_t stop_i = self.entry_start[a + 1], stop_j = self.entry_start[b + 1]
        cdef int32_t tile
        if self.source_tile[a] != self.source_tile[b]:
            return False
        while i < stop_i and j < stop_j:
            tile = self.tile_of[self.entries[i].core]
            if tile != self.tile_of[self.entries[j].core]:
                return False
            while i < stop_i and self.tile_of[self.entries[i].core] == tile:
                i += 1
            while j < stop_j and self.tile_of[self.entries[j].core] == tile:
                j += 1
        return i == stop_i and j == stop_j

    cdef uint32_t plant_tree(self, uint32_t source) noexcept nogil:
        """Add the XY tree of a source, breadth first; return its first branch."""
        cdef int32_t here = self.source_tile[source], row = here - self.x[here], before = -1, n = 0, tile, x, port
        cdef int32_t left, right, n_done = 0, n_buds = 1
        cdef int64_t e
        cdef uint64_t columns = 0
        cdef uint32_t root = self.n_branches, ports
        cdef Bud bud
        for e in range(self.entry_start[source], self.entry_start[source + 1]):
            tile = self.tile_of[self.entries[e].core]
            if tile == before:
                continue
            before, x = tile, self.x[tile]
            if not columns >> x & 1:
                columns |= <uint64_t> 1 << x
                self.lowest[x] = tile
            self.highest[x] = tile
            self.number[tile] = n
            n += 1
        left, right = row + <int32_t> LOWEST(columns), row + HIGHEST(columns)
        self.buds[0] = Bud(root, here, LOCAL)
        self.n_branches += 1
        while n_done < n_buds:
            bud = self.buds[n_done]
            n_done += 1
            x = self.x[bud.tile]
            ports = (self.number[bud.tile] >= 0) << LOCAL
            if bud.port == LOCAL or bud.port == 0:
                ports |= bud.tile < right
            if bud.port == LOCAL or bud.port == 1:
                ports |= (bud.tile > left) << 1
            if columns >> x & 1 and bud.port != 3:
                ports |= (bud.tile < self.highest[x]) << 2
            if columns >> x & 1 and bud.port != 2:
                ports |= (bud.tile > self.lowest[x]) << 3
            self.nodes[bud.branch] = Branch(ports, self.n_branches)
            for port in range(N_PORTS):
                if not ports >> port & 1:
                    continue
                if port == LOCAL:
                    self.nodes[self.n_branches] = Branch(0, self.number[bud.tile])
                else:
                    tile = 1 if port == 0 else -1 if port == 1 else self.width if port == 2 else -self.width
                    self.buds[n_buds] = Bud(self.n_branches, bud.tile + tile, port)
                    n_buds += 1
                self.n_branches += 1
        for e in range(self.entry_start[source], self.entry_start[source + 1]):
            self.number[self.tile_of[self.entries[e].core]] = -1
        return root
