"""Records: everything that a run recorded, in memory or in the files of a run folder.

What a run leaves comes in parts, one after the other: some consecutive steps with their spikes, active compartments
and recordings. Parts are put together in memory (`Collector`) or written as they come (`tables.RunTables`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.account import NO_LINES, Managed, joined
from emulator.arguments import frozen
from emulator.engine import Chunk, Probed
from emulator.growing import Growing
from emulator.observe.learned import Learned, State
from emulator.program import Program

Neurons = dict[str, dict[str, NDArray[np.int64]]]
"""The neurons recorded, by population and variable."""
Columns = dict[str, dict[str, NDArray[Any]]]
"""Recordings by population and variable, (n_steps, n_neurons of the probe)."""


def freeze_columns(columns: Columns) -> Columns:
    """Return recordings after making them read-only."""
    for variables in columns.values():
        for rows in variables.values():
            frozen(rows)
    return columns


@dataclass(frozen=True, eq=False)
class Part:
    """What some consecutive steps left behind.

    Attributes
    ----------
    first_step : int
        Step of the first row.
    spike_start : (n_steps + 1,) int64
        Where the spikes of each step begin.
    spike_source : (n_spikes,) uint32
        Sources, ascending in each step.
    active : (n_steps, n_counts) uint32
        Active compartments of each segment, or instructions executed; then plastic synapses visited, by learning block.
    recordings : dict
        `recordings[population][variable]` is (n_steps, n_neurons).
    spike_payload : (n_spikes,) int32
        Payload of each spike, 1 of those without; empty where the program has none.
    learned : tuple of (step, State)
        What plastic synapses have learned after so many steps, where it was asked for or the run ended.
    managed : Managed
        What management cores did; its steps are those of the run.
    """

    first_step: int
    spike_start: NDArray[np.int64]
    spike_source: NDArray[np.uint32]
    active: NDArray[np.uint32]
    recordings: Columns
    spike_payload: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    learned: tuple[tuple[int, State], ...] = ()
    managed: Managed = field(default_factory=Managed)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.active)

    @property
    def n_bytes(self) -> int:
        """What it takes to keep it."""
        rows = [rows for variables in self.recordings.values() for rows in variables.values()]
        learned = [a for _, state in self.learned for own in state.values() for a in own.values()]
        spikes = 4 * len(self.spike_source) + self.spike_source.nbytes + self.spike_payload.nbytes
        return spikes + sum(array.nbytes for array in (self.active, *rows, *learned))

    @property
    def spike_step(self) -> NDArray[np.uint32]:
        """Step of each spike."""
        steps = np.arange(self.first_step, self.first_step + self.n_steps, dtype=np.uint32)
        return np.repeat(steps, np.diff(self.spike_start))


class Totals:
    """How often each source fired, how many compartments of each segment were active, what management cores did."""

    def __init__(self, program: Program) -> None:
        self.spikes_per_source = np.zeros(program.n_sources, np.int64)
        self.active_per_segment = np.zeros(program.n_counts, np.int64)
        self.managed: list[Managed] = []

    def add(self, part: Part) -> None:
        """Add a part."""
        # Few spikes among many sources: no pass over all of these.
        np.add.at(self.spikes_per_source, part.spike_source, 1)
        self.active_per_segment += part.active.sum(axis=0, dtype=np.int64)
        if part.managed:
            self.managed.append(part.managed)


class Records(Protocol):
    """What a run recorded, wherever it is."""

    @property
    def spike_step(self) -> NDArray[np.uint32]:
        """Step of every spike, (n_spikes,), ascending."""

    @property
    def spike_source(self) -> NDArray[np.uint32]:
        """Source of every spike, inputs included, ascending in each step."""

    @property
    def spike_payload(self) -> NDArray[np.int32]:
        """Payload of every spike, 1 of those without; empty where the program has none."""

    @property
    def active(self) -> NDArray[np.uint32]:
        """What was counted in each step, (n_steps, n_counts): see `Part`."""

    @property
    def recordings(self) -> Columns:
        """What was probed."""

    @property
    def learned(self) -> Learned:
        """What plastic synapses have learned."""

    @property
    def managed(self) -> Managed:
        """What management cores did."""

    @property
    def spikes_per_source(self) -> NDArray[np.int64]:
        """How often each source fired, (n_sources,)."""

    @property
    def active_per_segment(self) -> NDArray[np.int64]:
        """What was counted, summed over the steps, (n_counts,)."""


@dataclass(frozen=True, eq=False)
class HeldRecords:
    """Records in memory, read-only; see `Records`."""

    n_sources: int
    spike_step: NDArray[np.uint32]
    spike_source: NDArray[np.uint32]
    active: NDArray[np.uint32]
    learned: Learned
    recordings: Columns = field(default_factory=dict)
    spike_payload: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    managed: Managed = field(default_factory=Managed)

    def __post_init__(self) -> None:
        for array in (self.spike_step, self.spike_source, self.active, self.spike_payload):
            frozen(array)
        for table in self.managed:
            frozen(table)
        freeze_columns(self.recordings)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process needs."""
        return {own.name: getattr(self, own.name) for own in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    @cached_property
    def spikes_per_source(self) -> NDArray[np.int64]:
        """How often each source fired, (n_sources,)."""
        return frozen(np.bincount(self.spike_source, minlength=self.n_sources))

    @cached_property
    def active_per_segment(self) -> NDArray[np.int64]:
        """What was counted, summed over the steps, (n_counts,)."""
        return frozen(self.active.sum(axis=0, dtype=np.int64))


class OnePart:
    """Records of a run that came in one part, which is kept as it is, read-only; see `Records`."""

    def __init__(self, program: Program, part: Part, learned: Learned, managed: Managed) -> None:
        self._n_sources, self._part = program.n_sources, part
        self.learned, self.managed = learned, managed
        self._freeze()

    def _freeze(self) -> None:
        part = self._part
        for array in (part.spike_source, part.active, part.spike_payload, *self.managed):
            frozen(array)
        freeze_columns(part.recordings)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process needs."""
        return {name: vars(self)[name] for name in ("_n_sources", "_part", "learned", "managed")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._freeze()

    @cached_property
    def spike_step(self) -> NDArray[np.uint32]:
        """Step of every spike, (n_spikes,), ascending."""
        return frozen(self._part.spike_step)

    @property
    def spike_source(self) -> NDArray[np.uint32]:
        """Source of every spike, inputs included, ascending in each step."""
        return self._part.spike_source

    @property
    def spike_payload(self) -> NDArray[np.int32]:
        """Payload of every spike, 1 of those without; empty where the program has none."""
        return self._part.spike_payload

    @property
    def active(self) -> NDArray[np.uint32]:
        """What was counted in each step, (n_steps, n_counts): see `Part`."""
        return self._part.active

    @property
    def recordings(self) -> Columns:
        """What was probed."""
        return self._part.recordings

    @cached_property
    def spikes_per_source(self) -> NDArray[np.int64]:
        """How often each source fired, (n_sources,)."""
        return frozen(np.bincount(self._part.spike_source, minlength=self._n_sources))

    @cached_property
    def active_per_segment(self) -> NDArray[np.int64]:
        """What was counted, summed over the steps, (n_counts,)."""
        return frozen(self._part.active.sum(axis=0, dtype=np.int64))


def part_of(records: Records) -> Part:
    """Return all of a run as one part."""
    steps = np.arange(len(records.active) + 1)
    start = np.searchsorted(records.spike_step, steps).astype(np.int64)
    return Part(
        0, start, records.spike_source, records.active, records.recordings, records.spike_payload,
        tuple(records.learned.states), records.managed,
    )  # fmt: skip


class Collector:
    """Keeps the parts of a run in memory.

    Parameters
    ----------
    program : Program
        What runs.
    n_steps : int
        Steps of the run, if nothing ends it before.
    weights_every : int, optional
        After how many steps states of plastic synapses are kept.
    probed : Neurons, optional
        The neurons recorded, as `probed_neurons` returns them, where they are known already.
    """

    def __init__(
        self,
        program: Program,
        n_steps: int = 0,
        weights_every: int | None = None,
        probed: Neurons | None = None,
    ) -> None:
        self.program, self.n_steps, self.weights_every = program, n_steps, weights_every
        self._probed = probed_neurons(program) if probed is None else probed
        self._only: Part | None = None
        self._done = 0
        self._states: list[tuple[int, State]] = []
        self._managed: list[Managed] = []

    def add(self, part: Part) -> None:
        """Keep the steps that follow those before."""
        self._states += part.learned
        self._managed.append(part.managed)
        if self._only is None and not self._done:
            self._only = part
        elif part.n_steps:
            if self._only is not None:
                self._begin(self._only)
                self._only = None
            self._put(part)

    def _begin(self, first: Part) -> None:
        """Make the columns: those of known length whole, of which a page takes no memory before it is written."""
        self._rows = {
            name: np.empty((self.n_steps, column.shape[1]), column.dtype)
            for name, column in _rows_of(first)
        }
        self._spikes = [Growing(np.uint32), Growing(np.uint32), Growing(np.int32)]
        self._put(first)

    def _put(self, part: Part) -> None:
        stop = self._done + part.n_steps
        for name, rows in _rows_of(part):
            self._rows[name][self._done : stop] = rows
        for column, values in zip(self._spikes, _spikes_of(part), strict=True):
            column.add(values)
        self._done = stop

    def records(self) -> Records:
        """Return what was kept, in one piece; it is given away."""
        program, only = self.program, self._only
        learned, managed = (
            Learned(program, self._states, self.weights_every), joined(self._managed),
        )  # fmt: skip
        self._only, self._states, self._managed = None, [], []
        if only is None and not self._done:
            only = no_part(program, self._probed)
        if only is not None:  # a short run: nothing is copied
            return OnePart(program, only, learned, managed)
        step, source, payload = (column.take() for column in self._spikes)
        rows, done, self._done = self._rows, self._done, 0
        recordings: Columns = {
            population: {
                variable: rows.pop((population, variable))[:done] for variable in variables
            }
            for population, variables in self._probed.items()
        }
        return HeldRecords(
            program.n_sources, step, source, rows.pop(("active",))[:done], learned, recordings,
            payload, managed,
        )  # fmt: skip


def _rows_of(part: Part) -> Iterator[tuple[tuple[str, ...], NDArray[Any]]]:
    """Yield what has a row for each step, by name."""
    yield ("active",), part.active
    for population, variables in part.recordings.items():
        for variable, rows in variables.items():
            yield (population, variable), rows


def _spikes_of(part: Part) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]:
    return part.spike_step, part.spike_source, part.spike_payload


def no_part(program: Program, probed: Neurons, first_step: int = 0) -> Part:
    """Return a part without steps."""
    none, kinds = np.empty(0, np.uint32), {"spikes": np.bool_}
    recordings: Columns = {
        population: {
            variable: np.empty((0, len(neurons)), kinds.get(variable, np.int32))
            for variable, neurons in variables.items()
        }
        for population, variables in probed.items()
    }
    active = np.empty((0, program.n_counts), np.uint32)
    return Part(first_step, np.zeros(1, np.int64), none, active, recordings)


def probed_neurons(program: Program) -> Neurons:
    """Return the neurons recorded of each population and variable, in the order of the recordings.

    Several probes of one variable make one recording: the neurons of the first as they stand there, repeats included,
    and of each further one those that none before it has.
    """
    sizes = {p["name"]: p["size"] for p in program.manifest["populations"]}
    probed: dict[str, dict[str, list[int]]] = {}
    for probe in program.manifest["probes"]:
        population, neurons = probe["population"], probe["neurons"]
        asked = probed.setdefault(population, {}).setdefault(probe["variable"], [])
        earlier = set(asked)
        wanted = range(sizes[population]) if neurons is None else neurons
        asked += [neuron for neuron in wanted if neuron not in earlier]
    return {
        population: {
            variable: np.array(neurons, np.int64) for variable, neurons in variables.items()
        }
        for population, variables in probed.items()
    }


class Probes:
    """What the probes of a program read from a running chip.

    Attributes
    ----------
    neurons : Neurons
        What is recorded.
    read : Probed
        What is read in each step.
    n_values : int
        Values recorded in each step.
    step_bytes : int
        Bytes of what is recorded in each step, but for spikes.
    """

    def __init__(self, program: Program) -> None:
        self.neurons = probed_neurons(program)
        each = [
            (len(neurons), 1 if variable == "spikes" else 4)
            for variables in self.neurons.values()
            for variable, neurons in variables.items()
        ]
        self.n_values = sum(n for n, _ in each)
        self.step_bytes = 4 * program.n_counts + sum(n * size for n, size in each)
        self._sources: dict[str, dict[str, NDArray[Any]]] = {}
        self._kind: dict[str, dict[str, str]] = {}
        for population, variables in self.neurons.items():
            own = self._sources.setdefault(population, {})
            kinds = self._kind.setdefault(population, {})
            programmed = program.model_of(population) is not None
            for variable, neurons in variables.items():
                is_word = programmed and variable != "spikes"
                where = (
                    program.word_places(population, variable)
                    if is_word
                    else program.sources_of(population)
                )
                own[variable] = where[neurons]
                kinds[variable] = "words" if is_word else variable
        self.read = Probed(self._of("u"), self._of("v"), self._of("words").astype(np.int64))
        self._columns = {
            population: {
                variable: self._column(kinds[variable], places)
                for variable, places in self._sources[population].items()
            }
            for population, kinds in self._kind.items()
        }

    def _of(self, kind: str) -> NDArray[Any]:
        asked: Iterable[NDArray[Any]] = (
            places
            for population, variables in self._sources.items()
            for variable, places in variables.items()
            if self._kind[population][variable] == kind
        )
        return np.unique(np.concatenate([np.empty(0, np.int32), *asked]))

    def _column(self, kind: str, places: NDArray[Any]) -> NDArray[np.int64] | None:
        """Return which columns of what is read are recorded; None: all, as they are."""
        if kind == "spikes":
            return None
        there = getattr(self.read, kind)
        return None if np.array_equal(there, places) else np.searchsorted(there, places)

    def part(
        self,
        chunk: Chunk,
        learned: tuple[tuple[int, State], ...] = (),
        managed: Managed = NO_LINES,
    ) -> Part:
        """Return a chunk of the engine with its columns by population and variable, and what else is to be kept."""
        recordings: Columns = {}
        for population, variables in self._sources.items():
            recorded = recordings[population] = {}
            for variable, places in variables.items():
                kind = self._kind[population][variable]
                if kind == "spikes":
                    recorded[variable] = _raster(chunk, places)
                    continue
                rows, columns = getattr(chunk, kind), self._columns[population][variable]
                recorded[variable] = rows if columns is None else rows[:, columns]
        return Part(
            chunk.first_step, chunk.spike_start, chunk.spike_source, chunk.active, recordings,
            chunk.spike_payload, learned, managed,
        )  # fmt: skip


def _raster(chunk: Chunk, sources: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return in which steps each of some sources fired, (n_steps, n_sources)."""
    each, column = np.unique(sources, return_inverse=True)
    n_steps = len(chunk.active)
    raster = np.zeros((n_steps, len(each)), bool)
    at = np.searchsorted(each, chunk.spike_source)
    hit = at < len(each)
    hit[hit] = each[at[hit]] == chunk.spike_source[hit]
    step = np.repeat(np.arange(n_steps), np.diff(chunk.spike_start))
    raster[step[hit], at[hit]] = True
    return raster[:, column.reshape(-1)]
