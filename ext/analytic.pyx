"""Lower bound of each step's cycles: the busiest server of the step, then the barrier.

Source: the "max-affine" model (DESIGN.md, "Time"). Oracle: tests/oracle/analytic.py. Nothing here knows how the
spikes were computed: a recorded run is timed from its spikes and its counts of active compartments. Links of multicast
trees are worked out without the trees of `ext/trees.pyx`, which cycle timing follows.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

import numpy as np

from emulator.kernels.mesh_state cimport LOWEST
from emulator.kernels.pipeline cimport AHEAD, Entry, fetch_ahead, prefetch
from emulator.kernels.routes cimport ANY_CORNERS, N_PORTS, X_FIRST, Routes, port_before, unpack_routes

cdef enum:
    NEURONS, AXON_OUT, SYNAPSES, LINK, INJECTION, EJECTION, BARRIER, HOST
    N_LOADS = 7                    # of a tile: links +x, -x, +y, -y, ports in and out, host port
    MOST_WAYS = 1 << 16            # counters from tile to tile: what the second-level cache holds
    WAYS_PER_SPIKE = 8

cdef extern from *:
    """
    #define HIGHEST(mask) (63 - (int32_t)__builtin_clzll(mask))
    """
    int32_t HIGHEST(uint64_t mask) nogil

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


cdef struct Loads:                 # flits of a step by tile
    Routes routes
    # Routes with one corner are noted as +1 where a run begins and -1 where it ends; others link by link.
    bint as_runs
    int64_t *links[N_PORTS - 1]    # by port; up is towards larger y
    int64_t *injected
    int64_t *ejected
    int32_t *reached               # of a tree as runs: the tile up to which each column has been noted
    int64_t *met                   # of a tree link by link: in which tree each tile was met last
    int64_t n_trees
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
    const int32_t[::1] routes,            # IN   Routes.packed
    int32_t cores_per_tile,
    bint tree,                            # IN   one packet a spike, copied where its routes part
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
    cdef int32_t[::1] reached = np.zeros(n_tiles, np.int32)
    cdef int64_t[::1] met = np.zeros(n_tiles, np.int64)
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
    unpack_routes(&loads.routes, &routes[0])
    loads.as_runs = loads.routes.corner == X_FIRST or loads.routes.corner != ANY_CORNERS and not tree
    for axis in range(N_PORTS - 1):
        loads.links[axis] = &tile_now[axis, 0]
    loads.injected, loads.ejected = &tile_now[4, 0], &tile_now[5, 0]
    loads.reached, loads.met, loads.n_trees = &reached[0], &met[0], 0
    loads.n_tiles, loads.ways = n_tiles, &ways[0]
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
                    if n_packets and loads.as_runs:
                        cross_tree(&loads, tile, &entries[first], stop - first, &tile_of[0])
                    elif n_packets:
                        walk_tree(&loads, tile, &entries[first], stop - first, &tile_of[0])
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
            if loads.as_runs and spike_start[t + 1] > spike_start[t]:
                sum_runs(tile_now, loads.routes.width)
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
    """Note the route of n flits."""
    cdef const Routes *r = &load.routes
    cdef int32_t across = r.column[target] - r.column[source], corner, before
    cdef int64_t *along_x
    cdef int64_t *along_y
    load.injected[source] += n
    load.ejected[target] += n
    if not load.as_runs:
        while target != source:
            before = port_before(r, source, target)
            target = r.neighbour[target * (N_PORTS - 1) + (before ^ 1)]
            load.links[before][target] += n
        return
    along_x, along_y = load.links[across < 0], load.links[2 + (r.row[target] < r.row[source])]
    if r.corner == X_FIRST:
        corner = source + across
        along_x[source] += n           # where a run has no links, what begins ends at once
        along_x[corner] -= n
        along_y[corner] += n
        along_y[target] -= n
    else:
        corner = target - across
        along_y[source] += n
        along_y[corner] -= n
        along_x[corner] += n
        along_x[target] -= n


cdef inline void walk_tree(
    Loads *load, int32_t source, const Entry *entries, int64_t n_entries, const int32_t *tile_of
) noexcept nogil:
    """Note the tree of a packet of one flit, backwards from each tile until a tile that was met before."""
    cdef const Routes *r = &load.routes
    cdef int32_t here, port, before = -1
    cdef int64_t e
    load.injected[source] += 1
    load.n_trees += 1
    load.met[source] = load.n_trees
    for e in range(n_entries):
        here = tile_of[entries[e].core]
        load.ejected[here] += here != before
        before = here
        while load.met[here] != load.n_trees:
            load.met[here] = load.n_trees
            port = port_before(r, source, here)
            here = r.neighbour[here * (N_PORTS - 1) + (port ^ 1)]
            load.links[port][here] += 1


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
    cdef const int32_t *column = load.routes.column
    cdef int32_t row = source - column[source], before = -1, tile, x, corner, more, far
    cdef uint64_t columns = 0
    cdef int64_t *right = load.links[0]
    cdef int64_t *left = load.links[1]
    cdef int64_t *up = load.links[2]
    cdef int64_t *down = load.links[3]
    load.injected[source] += 1
    for x in range(load.routes.width):
        load.reached[x] = row + x
    for e in range(n_entries):
        tile = tile_of[entries[e].core]
        x = column[tile]
        corner = row + x
        below = (tile < row) & ~(columns >> x)
        columns |= <uint64_t> 1 << x
        load.ejected[tile] += tile != before
        down[corner] += below
        down[tile] -= below
        more = tile - load.reached[x]
        more &= ~(more >> 31)
        up[load.reached[x]] += 1
        load.reached[x] += more
        up[load.reached[x]] -= 1
        before = tile
    far = row + HIGHEST(columns)
    if far > source:
        right[source] += 1
        right[far] -= 1
    far = row + <int32_t> LOWEST(columns)
    if far < source:
        left[source] += 1
        left[far] -= 1


cdef void sum_runs(int64_t[:, ::1] load, int32_t width) noexcept nogil:
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
