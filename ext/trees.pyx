"""The trees that multicast packets follow in cycle timing.

Test, with routes of the oracle tests/oracle/routes.py: tests/unit/test_traffic.py.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

import numpy as np

from emulator.kernels.mesh_state cimport CROSSING_SHIFT, Branch
from emulator.kernels.pipeline cimport AHEAD, Entry, fetch_ahead, prefetch
from emulator.kernels.routes cimport LOCAL, N_PORTS, Routes, is_edge, port_before, unpack_routes

from emulator.kernels.router import BRANCH

cdef enum:
    NOT_PLANTED = 0xFFFFFFFF       # the root of a source without a tree: all bits are 1

cdef struct Bud:                   # a router of a tree whose branch is not filled in yet
    uint32_t branch
    int32_t tile

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
    routes : int32
        `Routes.packed`.
    cores_per_tile : int
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
    cdef const int32_t[::1] packed_routes
    cdef Routes routes
    cdef int32_t n_tiles
    cdef uint64_t[::1] known       # hash table: lower half of a hash, then a source with that tree + 1; 0: none
    # The tree that is being planted:
    cdef Bud[::1] buds
    cdef int32_t[::1] number       # (n_tiles,) of each tile's delivery, or -1
    cdef uint32_t[::1] ports       # (n_tiles,) through which the tree leaves it, as Branch.ports

    def __cinit__(
        self, const int64_t[::1] entry_start, const Entry[::1] entries, const int32_t[::1] source_tile,
        const int32_t[::1] routes, int32_t cores_per_tile, int64_t most_branches,
    ):
        cdef int64_t n_tiles = routes[0] * routes[1], n_sending, n_known = 2
        self.entry_start, self.entries, self.source_tile = entry_start, entries, source_tile
        self.packed_routes, self.n_tiles = routes, n_tiles
        unpack_routes(&self.routes, &routes[0])
        self.tile_of = np.arange(n_tiles * cores_per_tile, dtype=np.int32) // cores_per_tile
        self.root = self.root_of = np.full(source_tile.shape[0], <uint32_t> NOT_PLANTED, np.uint32)
        n_sending = np.count_nonzero(np.diff(entry_start))
        # A tree has at most a branch and a delivery in each tile. Pages that no tree has come to take no memory.
        self.branches = self.nodes = np.empty(min(most_branches, n_sending * 2 * n_tiles), BRANCH)
        while n_known < 2 * min(n_sending, self.nodes.shape[0]):
            n_known *= 2
        self.known = np.zeros(n_known, np.uint64)
        self.buds = np.empty(n_tiles, BUD)
        self.number = np.full(n_tiles, -1, np.int32)
        self.ports = np.zeros(n_tiles, np.uint32)

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
        """Add the tree of a source, breadth first; return its first branch."""
        cdef int32_t here = self.source_tile[source], before = -1, n = 0, tile, port
        cdef int32_t n_done = 0, n_buds = 1
        cdef int64_t e
        cdef uint32_t root = self.n_branches, ports
        cdef Bud bud
        for e in range(self.entry_start[source], self.entry_start[source + 1]):
            tile = self.tile_of[self.entries[e].core]
            if tile == before:
                continue
            before = tile
            self.number[tile] = n
            n += 1
            self.note_route(here, tile)
        self.buds[0] = Bud(root, here)
        self.n_branches += 1
        while n_done < n_buds:
            bud = self.buds[n_done]
            n_done += 1
            ports = self.ports[bud.tile] | (self.number[bud.tile] >= 0) << LOCAL
            self.ports[bud.tile] = 0
            self.nodes[bud.branch] = Branch(ports, self.n_branches)
            for port in range(N_PORTS):
                if not ports >> port & 1:
                    continue
                if port == LOCAL:
                    self.nodes[self.n_branches] = Branch(0, self.number[bud.tile])
                else:
                    tile = self.routes.neighbour[bud.tile * (N_PORTS - 1) + port]
                    self.buds[n_buds] = Bud(self.n_branches, tile)
                    n_buds += 1
                self.n_branches += 1
        for e in range(self.entry_start[source], self.entry_start[source + 1]):
            self.number[self.tile_of[self.entries[e].core]] = -1
        return root

    cdef void note_route(self, int32_t source, int32_t here) noexcept nogil:
        """Note the links of a route, backwards, until those that another route of the tree has in common with it."""
        cdef int32_t port, before, last = LOCAL
        cdef uint32_t crossing = 0, noted
        while here != source:
            port = port_before(&self.routes, source, here)
            before = self.routes.neighbour[here * (N_PORTS - 1) + (port ^ 1)]
            if port != last:
                crossing = 0
            crossing |= is_edge(before, here, port, self.routes.width)
            noted = 1 << port | crossing << CROSSING_SHIFT + port
            if self.ports[before] & noted == noted:
                return
            self.ports[before] |= noted
            here, last = before, port
