"""What each source of a program sends on a chip: entries by destination core, and the tree along which they travel.

Both timing models and the counters stand on these tables, which follow from the program and the chip alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.kernels.pipeline import ENTRY
from emulator.kernels.router import BRANCH
from emulator.program import Program

LOCAL = 4
MAX_BRANCHES = 1 << 24


@dataclass(frozen=True)
class Traffic:
    """The packets of every source.

    Attributes
    ----------
    entry_start : (n_sources + 1,) int64
        Where each source's entries begin.
    entries : (n_entries,) ENTRY
        Destination core and the cycles for which the packet keeps its receive path busy, by core.
    source_core, source_tile : (n_sources,) int32
        Where the source is (-1: the host) and where its packets enter the mesh.
    root : (n_sources,) uint32
        The branch at which the source's multicast tree begins; all 0 without trees.
    branches : (n_branches,) BRANCH
        Nodes of the trees; empty without trees.
    """

    entry_start: NDArray[np.int64]
    entries: NDArray[np.void]
    source_core: NDArray[np.int32]
    source_tile: NDArray[np.int32]
    root: NDArray[np.uint32]
    branches: NDArray[np.void]


def traffic(program: Program, chip: Chip) -> Traffic:
    """Return what each source of a program sends on a chip."""
    rows, blocks = program.rows, program.blocks
    core = blocks[rows["block"], 0]
    words = row_words(rows["length"], blocks[rows["block"], 3], chip)
    cycles = chip.service_cycles
    work = words * cycles("synapse_word") + rows["length"] * np.int64(cycles("synaptic_event"))
    start = program.row_start.astype(np.int64)
    source = np.repeat(np.arange(program.n_sources, dtype=np.int64), np.diff(start))
    first = np.ones(len(rows), bool)
    first[1:] = (core[1:] != core[:-1]) | (source[1:] != source[:-1])
    begins = np.flatnonzero(first)
    entries = np.zeros(len(begins), ENTRY)
    entries["core"] = core[begins]
    entries["service"] = cycles("axon_in") + (
        np.add.reduceat(work, begins) if len(begins) else np.empty(0, np.int64)
    )
    entry_start = np.searchsorted(begins, start).astype(np.int64)
    tiles = source_tiles(program, chip)
    root, branches = np.zeros(program.n_sources, np.uint32), np.empty(0, BRANCH)
    if chip.mesh.multicast == "tree":
        root, branches = _trees(
            entry_start, entries["core"] // chip.mesh.cores_per_tile, tiles, chip.mesh.width
        )
    return Traffic(entry_start, entries, source_cores(program), tiles, root, branches)


def row_words(
    length: NDArray[np.integer], bits_per_synapse: NDArray[np.integer], chip: Chip
) -> NDArray[np.int64]:
    """Return the synapse-memory words of rows: full storage blocks, then one for the rest."""
    storage = chip.synapses
    n_full, rest = np.divmod(length.astype(np.int64), storage.block_synapses)
    full_bits = (
        storage.block_synapses * bits_per_synapse.astype(np.int64) + storage.block_header_bits
    )
    rest_bits = rest * bits_per_synapse + storage.block_header_bits
    words = n_full * -(-full_bits // storage.word_bits)
    return np.asarray(words + (rest > 0) * -(-rest_bits // storage.word_bits), np.int64)


def source_tiles(program: Program, chip: Chip) -> NDArray[np.int32]:
    """Return the tile at which each source's packets enter the mesh, (n_sources,): its own, or a host port's."""
    tiles = source_cores(program) // chip.mesh.cores_per_tile
    ports = np.asarray(chip.host.ports, np.int32)
    tiles[program.n_compartments :] = np.resize(ports, program.n_sources - program.n_compartments)
    return tiles


def source_cores(program: Program) -> NDArray[np.int32]:
    """Return the core of each source, (n_sources,); -1 for inputs, which occupy none."""
    cores = np.full(program.n_sources, -1, np.int32)
    cores[: program.n_compartments] = np.repeat(
        np.arange(program.n_cores, dtype=np.int32), np.diff(program.core_start)
    )
    return cores


def _trees(
    entry_start: NDArray[np.int64],
    tile: NDArray[np.int32],
    source_tile: NDArray[np.int32],
    width: int,
) -> tuple[NDArray[np.uint32], NDArray[np.void]]:
    """Return each source's root and the branches of all trees; sources with the same way share a tree."""
    made: dict[tuple[int, bytes], int] = {}
    root = np.zeros(len(source_tile), np.uint32)
    nodes: list[tuple[int, int]] = []
    for source in np.flatnonzero(np.diff(entry_start)).tolist():
        tiles = np.unique(tile[entry_start[source] : entry_start[source + 1]])
        key = int(source_tile[source]), tiles.tobytes()
        if key not in made:
            made[key] = _plant(nodes, key[0], tiles.tolist(), width)
        root[source] = made[key]
    assert len(nodes) <= MAX_BRANCHES, "more branches than a flit can tell apart"
    return root, np.array(nodes, BRANCH)


def _plant(nodes: list[tuple[int, int]], at: int, tiles: list[int], width: int) -> int:
    """Add the XY tree from a tile to others; return its first branch. A delivery is numbered as its tile in `tiles`."""
    root = len(nodes)
    nodes.append((0, 0))
    waiting = [(root, at, list(enumerate(tiles)))]
    for node, here, ends in waiting:  # grows while it is walked: breadth first
        by_port: dict[int, list[tuple[int, int]]] = {}
        for number, tile in ends:
            by_port.setdefault(port_towards(here, tile, width), []).append((number, tile))
        nodes[node] = sum(1 << port for port in by_port), len(nodes)
        for port in sorted(by_port):
            if port == LOCAL:
                nodes.append((0, by_port[port][0][0]))
            else:
                waiting.append((len(nodes), here + (1, -1, width, -width)[port], by_port[port]))
                nodes.append((0, 0))
    return root


def port_towards(here: int, tile: int, width: int) -> int:
    """Return the port by which XY routing leaves a tile: +x, -x, +y, -y, or the terminal."""
    dx, dy = tile % width - here % width, tile // width - here // width
    if dx:
        return 0 if dx > 0 else 1
    if dy:
        return 2 if dy > 0 else 3
    return LOCAL
