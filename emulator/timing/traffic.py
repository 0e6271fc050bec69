"""What each source of a program sends on a chip: entries by destination core.

Both timing models and the counters stand on these tables, which follow from the program and the chip alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.errors import ProgramError, RunError
from emulator.kernels.pipeline import ENTRY
from emulator.learning import compiled
from emulator.program import Program
from emulator.program.storage import row_words, stored_bits

PIECE_ROWS = 1 << 16
"""Rows worked on at a time: what is made of them stays in the cache."""
MOST_SERVICE = 2**31 - 1


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
    source_flits : (n_sources,) int32
        Flits of each of its packets; empty where no source sends payloads: all have those of the header.
    """

    entry_start: NDArray[np.int64]
    entries: NDArray[np.void]
    source_core: NDArray[np.int32]
    source_tile: NDArray[np.int32]
    source_flits: NDArray[np.int32]


def traffic(program: Program, chip: Chip) -> Traffic:
    """Return what each source of a program sends on a chip.

    Raises
    ------
    ProgramError
        When the rows of a source are not by core.
    RunError
        When a packet keeps its core busy for more cycles than are counted.
    """
    n_sources, row_start = program.n_sources, program.row_start
    service = _Service(program, chip)
    entry_start = np.zeros(n_sources + 1, np.int64)
    entries = np.empty(len(program.rows), ENTRY)  # takes no memory where nothing is written
    first = n_entries = 0
    while first < n_sources:
        enough = int(np.searchsorted(row_start, int(row_start[first]) + PIECE_ROWS, side="right"))
        stop = min(max(enough - 1, first + 1), n_sources)
        starts, core, work = _entries(program, service, first, stop)
        entry_start[first:stop] = n_entries + starts
        part = entries[n_entries : n_entries + len(core)]
        part["core"], part["service"] = core, work
        n_entries += len(core)
        first = stop
    entry_start[n_sources:] = n_entries
    return Traffic(
        entry_start,
        entries[:n_entries],
        source_cores(program),
        source_tiles(program, chip),
        source_flits(program, chip) if program.is_graded else np.empty(0, np.int32),
    )


class _Service:
    """The cycles that a row of a block and length keeps its core's receive path busy, from one table."""

    def __init__(self, program: Program, chip: Chip) -> None:
        bits, kind = np.unique(stored_bits(program, chip), return_inverse=True)
        n_lengths = int(program.rows["length"].max(initial=0)) + 1
        length = np.arange(n_lengths)
        cycles = chip.service_cycles
        words = row_words(length, bits[:, None], chip.synapses)
        self._cycles = (words * cycles("synapse_word") + length * cycles("synaptic_event")).ravel()
        self._first = kind.reshape(-1) * n_lengths
        self.look_up = cycles("axon_in")

    def of(self, rows: NDArray[np.void]) -> NDArray[np.int64]:
        """Return the cycles of rows."""
        place: NDArray[np.int64] = self._first[rows["block"]] + rows["length"]
        return self._cycles[place]


def _entries(
    program: Program, service: _Service, first: int, stop: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Return where the entries of some sources begin, and core and cycles of each entry."""
    start = program.row_start[first : stop + 1].astype(np.int64)
    rows, start = program.rows[start[0] : start[-1]], start[:-1] - start[0]
    core, work = program.blocks[rows["block"], 0], service.of(rows)
    of_source = np.zeros(len(rows) + 1, bool)
    of_source[start] = True  # of sources without rows: that of the next one
    begins = of_source[:-1].copy()
    begins[1:] |= core[1:] != core[:-1]
    if np.any((core[1:] < core[:-1]) & ~of_source[1:-1]):
        raise ProgramError("program: the rows of a source are not by core")
    place = np.flatnonzero(begins)
    if len(place) < len(rows):
        core, work = core[place], np.add.reduceat(work, place)
        start = np.searchsorted(place, start).astype(np.int64)
    work += service.look_up
    if work.max(initial=0) > MOST_SERVICE:
        raise RunError(
            f"a packet keeps core {core[work.argmax()]} busy for {work.max():,} cycles; "
            f"at most {MOST_SERVICE:,} can be counted"
        )
    return start, core, work


def instructions_per_visit(program: Program, chip: Chip) -> NDArray[np.int64]:
    """Return the micro-instructions of a visit of one synapse, for each learning block, (n_blocks,)."""
    each = {k: compiled(rule, chip.learning).n_instructions for k, rule in program.rules.items()}
    projections = program.blocks[program.learning_blocks, 1].tolist()
    return np.array([each[k] for k in projections], np.int64)


def flits_per_packet(chip: Chip, payload_bits: int = 0) -> int:
    """Return the flits of a packet: header and payload over the width of a flit."""
    return -(-(chip.mesh.header_bits + payload_bits) // chip.mesh.flit_bits)


def source_flits(program: Program, chip: Chip) -> NDArray[np.int32]:
    """Return the flits of each packet of each source, (n_sources,)."""
    flits = [flits_per_packet(chip, bits) for bits in program.payload_bits]
    return np.array(flits, np.int32)[program.source_population]


def source_tiles(program: Program, chip: Chip) -> NDArray[np.int32]:
    """Return the tile at which each source's packets enter the mesh, (n_sources,).

    Its own; of an input that of a host port, or of the management core that sends its spikes.
    """
    tiles = source_cores(program) // chip.mesh.cores_per_tile
    ports = np.asarray(chip.host.ports, np.int32)
    tiles[program.n_compartments :] = np.resize(ports, program.n_sources - program.n_compartments)
    for name, sender in program.senders.items():
        tiles[program.sources_of(name)] = chip.management.tiles[sender % len(chip.management.tiles)]
    return tiles


def source_cores(program: Program) -> NDArray[np.int32]:
    """Return the core of each source, (n_sources,); -1 for inputs, which occupy none."""
    cores = np.full(program.n_sources, -1, np.int32)
    cores[: program.n_compartments] = np.repeat(
        np.arange(program.n_cores, dtype=np.int32), np.diff(program.core_start)
    )
    return cores
