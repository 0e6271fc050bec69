"""Lower bound of each step's cycles: the busiest server of the step, then the barrier.

Source: the "max-affine" model (DESIGN.md, "Time"). Oracle: tests/oracle/analytic.py. Nothing here knows how the
spikes were computed: a recorded run is timed from its spikes and its counts of active compartments.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

import numpy as np

from emulator.kernels.mesh_state cimport LOCAL, N_PORTS, Branch
from emulator.kernels.pipeline cimport Entry

cdef enum:
    NEURONS, AXON_OUT, SYNAPSES, LINK, INJECTION, EJECTION, BARRIER, HOST
    N_LOADS = 7                    # of a tile: links +x, -x, +y, -y, ports in and out, host port

BOTTLENECKS = (
    "neuron updates", "axon out", "synapse memory", "link", "injection port", "ejection port", "barrier", "host port",
)

cdef struct Costs:                 # cycles each event keeps its server busy
    int64_t idle
    int64_t active
    int64_t spike
    int64_t axon_out
    int64_t host
    int64_t flits_per_packet
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


def time_steps(
    const int64_t[::1] entry_start,       # IN   (n_sources + 1,)
    const Entry[::1] entries,             # IN   (n_entries,)
    const int32_t[:, ::1] segments,       # IN   (n_segments, 3)  core, size, first compartment
    const int32_t[::1] source_core,       # IN   (n_sources,)  core of a compartment, -1 for an input
    const int32_t[::1] source_tile,       # IN   (n_sources,)  where its packets enter the mesh
    const uint32_t[::1] root,             # IN   (n_sources,)  with trees: the branch at its own router
    const Branch[::1] branches,           # IN   (n_branches,)  empty without trees
    const int64_t[::1] spike_start,       # IN   (n_steps + 1,)
    const uint32_t[::1] spike_source,     # IN   (n_spikes,)
    const uint32_t[:, ::1] active,        # IN   (n_steps, n_segments)
    int64_t[::1] costs_table,             # IN   the fields of Costs, in order
    int32_t width,                        # IN   tiles
    int32_t cores_per_tile,
    int64_t[::1] step_cycles,             # OUT  (n_steps,)
    uint8_t[::1] bottleneck,              # OUT  (n_steps,)  index into BOTTLENECKS
    int64_t[:, ::1] core_cycles,          # OUT  (3, n_cores)  neuron loop, axon out, receive; added to
    int64_t[:, ::1] tile_loads,           # OUT  (7, n_tiles)  flits on links and ports, host packets; added to
):
    """Time every step; returns nothing, fills the OUT arrays."""
    cdef Costs costs
    cdef Py_ssize_t n_steps = step_cycles.shape[0], n_cores = core_cycles.shape[1], n_tiles = tile_loads.shape[1]
    cdef int64_t[:, ::1] core_now = np.zeros((3, n_cores), np.int64)
    cdef int64_t[:, ::1] tile_now = np.zeros((N_LOADS, n_tiles), np.int64)
    cdef Py_ssize_t t, i, s, e
    cdef int64_t most, n_packets
    cdef int32_t source
    cdef int name, axis
    (
        costs.idle, costs.active, costs.spike, costs.axon_out, costs.host, costs.flits_per_packet, costs.barrier,
    ) = costs_table
    with nogil:
        for t in range(n_steps):
            for s in range(segments.shape[0]):
                core_now[0, segments[s, 0]] += (
                    active[t, s] * costs.active + (segments[s, 1] - active[t, s]) * costs.idle
                )
            for i in range(spike_start[t], spike_start[t + 1]):
                source = spike_source[i]
                n_packets = entry_start[source + 1] - entry_start[source]
                for e in range(entry_start[source], entry_start[source + 1]):
                    core_now[2, entries[e].core] += entries[e].service
                    if branches.shape[0] == 0:
                        cross(tile_now, source_tile[source], entries[e].core // cores_per_tile, width)
                if branches.shape[0] and n_packets:
                    n_packets = 1
                    cross_tree(tile_now, branches, root[source], source_tile[source], width)
                if source_core[source] >= 0:
                    core_now[0, source_core[source]] += costs.spike
                    core_now[1, source_core[source]] += n_packets * costs.axon_out
                else:
                    tile_now[6, source_tile[source]] += n_packets
            if spike_start[t + 1] > spike_start[t]:
                sum_routes(tile_now, width)
            most = 0
            name = BARRIER
            for axis in range(3):
                name = busiest(core_now[axis], core_cycles[axis], 1, axis, &most, name)
            for axis in range(6):
                name = busiest(
                    tile_now[axis], tile_loads[axis], costs.flits_per_packet,
                    LINK if axis < 4 else INJECTION + axis - 4, &most, name,
                )
            name = busiest(tile_now[6], tile_loads[6], costs.host, HOST, &most, name)
            step_cycles[t] = most + costs.barrier
            bottleneck[t] = BARRIER if costs.barrier >= most else name


cdef void cross(int64_t[:, ::1] load, int32_t source, int32_t target, int32_t width) noexcept nogil:
    """Note one packet's XY route as differences: +1 where a straight run begins, -1 where it ends."""
    cdef int32_t corner = source // width * width + target % width
    load[4, source] += 1
    load[5, target] += 1
    if corner != source:
        load[0 if corner > source else 1, source] += 1
        load[0 if corner > source else 1, corner] -= 1
    if target != corner:
        load[2 if target > corner else 3, corner] += 1
        load[2 if target > corner else 3, target] -= 1


cdef void cross_tree(
    int64_t[:, ::1] load, const Branch[::1] branches, uint32_t root, int32_t tile, int32_t width
) noexcept nogil:
    """Note the links of one packet's tree, likewise: a link is a run of one."""
    load[4, tile] += 1
    follow(load, branches, root, tile, width)


cdef void follow(
    int64_t[:, ::1] load, const Branch[::1] branches, uint32_t branch, int32_t tile, int32_t width
) noexcept nogil:
    cdef uint32_t child = branches[branch].first
    cdef int32_t port, there
    for port in range(N_PORTS):
        if not branches[branch].ports >> port & 1:
            continue
        if port == LOCAL:
            load[5, tile] += 1
        else:
            there = tile + (1 if port == 0 else -1 if port == 1 else width if port == 2 else -width)
            load[port, tile] += 1
            load[port, there] -= 1
            follow(load, branches, child, there, width)
        child += 1


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
