"""From spikes to events: counts follow from a program's tables and how often each source fired.

The engine records spikes and active compartments, nothing else. What a spike sets off on a given
chip (packets, hops, memory words) never changes, so it is worked out after the run, for any chip.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.account import CALL, INSTRUCTIONS, NO_LINES, READ, RECEIVE, SEND, WRITE
from emulator.chip import Chip
from emulator.errors import RunError
from emulator.observe.counters import CHIP, CODE, Counters
from emulator.program import Program
from emulator.program.storage import row_words, stored_bits
from emulator.timing import ManagementTraffic
from emulator.timing.traffic import (
    flits_per_packet,
    instructions_per_visit,
    source_cores,
    source_flits,
    source_tiles,
)

Ints = NDArray[np.int64]
PART_ROWS = 1 << 16
"""Rows that are looked at together: 5 times faster than all at once, when there are 8 million."""


def count_events(
    program: Program,
    chip: Chip,
    spikes_per_source: Ints,
    active_per_segment: Ints,
    n_steps: int,
    managed: Ints = NO_LINES.lines,
) -> Counters:
    """Count every event of some steps of a run.

    Parameters
    ----------
    program : Program
        What ran.
    chip : Chip
        Where: its mesh and synapse storage decide hops, flits and memory words.
    spikes_per_source : (n_sources,) int64
        How often each source fired, in the order of the program's sources.
    active_per_segment : (n_counts,) int64
        Compartments of each segment that were active, or instructions it executed, summed over the steps; then
        synapses that each learning block visited.
    n_steps : int
        How many steps.
    managed : (n, 6) int64
        What management cores did, see `Managed.lines`.

    Returns
    -------
    Counters
        Sending (`axon_out`, `host`, `packet`, hops) belongs to the source population and core, host
        packets to core -1; receiving (`axon_in`, `synapse_word`, `synaptic_event`) to the target
        population and core; what management core k does to the core k behind the chip's last; the barrier to
        the chip.
    """
    if program.n_cores > chip.mesh.n_cores:
        raise RunError(
            f"chip '{chip.name}' has {chip.mesh.n_cores} cores; "
            f"the program uses core {program.n_cores - 1}"
        )
    lines = _Lines()
    n_segments = len(program.segments)
    _count_neurons(lines, program, spikes_per_source, active_per_segment[:n_segments], n_steps)
    _count_learning(lines, program, chip, active_per_segment[n_segments:])
    flits = source_flits(program, chip) if program.is_graded else flits_per_packet(chip)
    places = _Places(
        source_cores(program), source_tiles(program, chip), flits, stored_bits(program, chip)
    )
    for fired in _parts(program, np.flatnonzero(spikes_per_source)):
        _count_traffic(lines, chip, places, _Traffic(program, spikes_per_source, fired))
    _count_management(lines, chip, managed)
    lines.add("barrier", CHIP, CHIP, n_steps)
    return lines.counters()


class _Places(NamedTuple):
    """Where sources are, flits of their packets, and bits of a synapse of each block."""

    core: NDArray[np.int32]
    tile: NDArray[np.int32]
    flits: NDArray[np.int32] | int
    bits: Ints


class _Lines:
    """Lines of a counter table, collected event by event."""

    def __init__(self) -> None:
        self._columns: list[tuple[NDArray[Any], ...]] = []

    def add(self, event: str, core: Any, population: Any, count: Any) -> None:
        """Add counts of one event, arrays or single numbers, reduced to one line for each place."""
        core, population, count = np.broadcast_arrays(np.atleast_1d(core), population, count)
        if not count.any():
            return
        n_populations = int(population.max()) + 2
        key = (core.astype(np.int64) + 1) * n_populations + population + 1
        # Integer sums: bincount would add in doubles and lose counts above 2**53.
        sums = np.zeros(int(key.max()) + 1, np.int64)
        np.add.at(sums, key, count.astype(np.int64))
        happened = np.flatnonzero(sums)
        code = np.full(len(happened), CODE[event])
        self._columns.append(
            (happened // n_populations - 1, happened % n_populations - 1, code, sums[happened])
        )

    def counters(self) -> Counters:
        """Return everything that was added."""
        empty = (np.empty(0, np.int64),) * 4
        core, population, code, count = map(
            np.concatenate, zip(*self._columns or [empty], strict=True)
        )
        return Counters(core, population, code, count)


def _count_neurons(
    lines: _Lines, program: Program, spikes_per_source: Ints, active_per_segment: Ints, n_steps: int
) -> None:
    if not len(program.segments):
        return
    population, first, stop, core, compartment = program.segments.astype(np.int64).T
    spikes = np.add.reduceat(spikes_per_source[: program.n_compartments], compartment)
    is_microcode = np.array([p["model"] in program.models for p in program.manifest["populations"]])
    programmed, size = is_microcode[population], stop - first
    joins = np.bincount(program.segment_joins, minlength=len(size))
    idle = size * n_steps - active_per_segment
    lines.add("neuron_idle", core, population, np.where(programmed, 0, idle))
    lines.add("neuron_active", core, population, np.where(programmed, 0, active_per_segment))
    lines.add("neuron_spike", core, population, spikes)
    lines.add("instruction", core, population, np.where(programmed, active_per_segment, 0))
    lines.add("dendrite_join", core, population, joins * size * n_steps)


def _count_learning(lines: _Lines, program: Program, chip: Chip, visits: Ints) -> None:
    """Count micro-instructions: they belong to the target population, on its cores."""
    if not program.learns:
        return
    blocks = program.blocks[program.learning_blocks]
    targets = [program.population_index[p["target"]] for p in program.manifest["projections"]]
    each = instructions_per_visit(program, chip)
    lines.add(
        "learning_instruction",
        blocks[:, 0],
        np.array(targets, np.int64)[blocks[:, 1]],
        visits * each,
    )


def _count_management(lines: _Lines, chip: Chip, managed: Ints) -> None:
    """Count what management cores did, and their packets."""
    if not len(managed):
        return
    traffic = ManagementTraffic(chip)
    kind, peer, count = managed[:, 3], managed[:, 4], managed[:, 5]
    core = np.where(managed[:, 2] < 0, CHIP, chip.mesh.n_cores + managed[:, 2])
    on_chip = core != CHIP
    for event, which in (
        ("management_call", (kind == CALL) & on_chip),
        ("management_instruction", (kind == INSTRUCTIONS) & on_chip),
        ("management_word", (kind == READ) | (kind == WRITE)),
        ("message", ((kind == SEND) | (kind == RECEIVE)) & on_chip & (peer != CHIP)),
        ("host_message", ((kind == SEND) | (kind == RECEIVE)) & on_chip & (peer == CHIP)),
    ):
        if which.any():
            lines.add(event, core[which], CHIP, count[which])
    dx, dy = traffic.distance(managed)
    for one, (out, back) in traffic.flits.items():
        mine = kind == one
        if mine.any():
            n = count[mine]
            lines.add("packet", core[mine], CHIP, n * (2 if back else 1))
            lines.add("hop_ew", core[mine], CHIP, n * (out + back) * dx[mine])
            lines.add("hop_ns", core[mine], CHIP, n * (out + back) * dy[mine])


def _parts(program: Program, fired: Ints) -> list[Ints]:
    """Cut the sources that fired into parts whose rows stay in the cache."""
    n_rows = program.row_start[fired + 1].astype(np.int64) - program.row_start[fired]
    rows_before = np.cumsum(n_rows) - n_rows
    cuts = np.flatnonzero(np.diff(rows_before // PART_ROWS)) + 1
    return np.split(fired, cuts)


@dataclass(frozen=True)
class _Traffic:
    """The synapse rows of some sources that fired, in order, and the packets to them."""

    program: Program
    spikes_per_source: Ints
    fired: Ints

    @cached_property
    def _n_rows(self) -> Ints:
        start = self.program.row_start
        return start[self.fired + 1].astype(np.int64) - start[self.fired]

    @cached_property
    def source(self) -> Ints:
        """Source of each row."""
        return np.repeat(self.fired, self._n_rows)

    @cached_property
    def spikes(self) -> Ints:
        """How often each row was visited."""
        return self.spikes_per_source[self.source].astype(np.int64)

    @cached_property
    def rows(self) -> NDArray[Any]:
        """Each row's entry in the program."""
        before = np.cumsum(self._n_rows) - self._n_rows
        first = self.program.row_start[self.fired].astype(np.int64)
        index = np.arange(len(self.source)) + np.repeat(first - before, self._n_rows)
        rows: NDArray[Any] = self.program.rows[index]
        return rows

    @cached_property
    def blocks(self) -> NDArray[np.int32]:
        """Each row's block: core, projection, shift, bits per synapse, format."""
        return self.program.blocks.take(self.rows["block"], axis=0)

    @cached_property
    def target_population(self) -> NDArray[np.int64]:
        """Population on which each row acts."""
        index = self.program.population_index
        targets = [
            index[projection["target"]] for projection in self.program.manifest["projections"]
        ]
        return np.array(targets, np.int64)[self.blocks[:, 1]]

    @cached_property
    def is_packet(self) -> NDArray[np.bool_]:
        """Whether a row is its source's first on a core: consecutive ones share a packet."""
        core = self.blocks[:, 0]
        first = np.ones(len(core), bool)
        first[1:] = (core[1:] != core[:-1]) | (self.source[1:] != self.source[:-1])
        return first


def _count_traffic(
    lines: _Lines,
    chip: Chip,
    places: _Places,
    traffic: _Traffic,
) -> None:
    core = traffic.blocks[:, 0].astype(np.int64)
    target, spikes, packets = traffic.target_population, traffic.spikes, traffic.is_packet
    length = traffic.rows["length"].astype(np.int64)
    words = row_words(length, places.bits[traffic.rows["block"]], chip.synapses)
    lines.add("synaptic_event", core, target, spikes * length)
    lines.add("synapse_word", core, target, spikes * words)
    lines.add("axon_in", core[packets], target[packets], spikes[packets])

    source, to_tile = traffic.source[packets], core[packets] // chip.mesh.cores_per_tile
    if chip.mesh.multicast == "tree":
        of_source, from_tile = source, places.tile[source]
        source, tree = np.unique(of_source, return_inverse=True)
        hops_ew, hops_ns = chip.mesh.routes.tree_hops(tree, from_tile, to_tile)
    else:
        hops_ew, hops_ns = chip.mesh.routes.hops(places.tile[source], to_tile)
    sent = traffic.spikes_per_source[source].astype(np.int64)
    population = traffic.program.source_population[source].astype(np.int64)
    sender = places.core[source]  # -1, the chip, for inputs
    is_host = sender == CHIP
    lines.add("packet", sender, population, sent)
    lines.add("axon_out", sender, population, sent * ~is_host)
    lines.add("host", sender, population, sent * is_host)
    size = places.flits
    flits = sent * (size if isinstance(size, int) else size[source])
    lines.add("hop_ew", sender, population, flits * hops_ew)
    lines.add("hop_ns", sender, population, flits * hops_ns)
