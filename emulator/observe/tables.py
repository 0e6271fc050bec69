"""A run as tables: which columns each file of a run folder has, and back."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from emulator.chip import EVENTS
from emulator.errors import RunError
from emulator.observe import learned_tables
from emulator.observe.counters import Counters
from emulator.observe.learned_tables import LearnedTables
from emulator.observe.managed_tables import ManagedTables
from emulator.observe.parquet import (
    Columns,
    Folder,
    Named,
    Stream,
    Table,
    read_columns,
    write_columns,
)
from emulator.observe.records import Collector, Part, Totals, part_of, probed_neurons
from emulator.observe.run import Run
from emulator.observe.upgrade import CORE_CYCLES, INSTRUCTIONS
from emulator.program import Program
from emulator.timing import CORE_ARRAYS, LINKS, Timing

PART_ROWS = 1 << 20  # of a recording; bounds what a save holds in memory beside the run
PARTS, STEPS = "parts", "timing_steps.parquet"
"""How the names of files of recordings begin."""
DTYPES = {"spikes": "bool"}
"""Of recordings; every other variable has 32 bits."""
TIMING_FILES = (
    "timing.parquet",
    "timing_cores.parquet",
    "timing_links.parquet",
    "timing_latency.parquet",
)


def population_names(program: Program) -> list[str]:
    """Return the populations' names, by index."""
    return [p["name"] for p in program.manifest["populations"]]


def recording_file(program: Program, population: str) -> str:
    """Return the name of the file that holds a population's recordings."""
    safe = quote(population, safe=" ")
    if len(safe) > 100:  # file systems allow 255 bytes
        safe = f"%{program.population_index[population]}"
    return f"recordings_{safe}.parquet"


def files(program: Program, *, timed: bool) -> list[str]:
    """Return the names of all tables that a run of a program has."""
    return [
        "spikes.parquet",
        "active.parquet",
        "counters.parquet",
        *(learned_tables.FILES if program.learns else ()),
        *TIMING_FILES[: len(TIMING_FILES) * timed],
        *recording_files(program),
    ]


def recording_files(program: Program) -> list[str]:
    """Return the names of the tables of recordings."""
    return [recording_file(program, population) for population in probed_neurons(program)]


class RunTables:
    """The tables of a run that grow with its steps: spikes, active compartments and recordings.

    Parameters
    ----------
    folder : Path
        Run folder; parts are made in its folder `PARTS`.
    program : Program
        What runs.
    n_parts : int
        Parts that each table has already.
    """

    def __init__(self, folder: Path, program: Program, n_parts: int = 0) -> None:
        self.program = program
        self.totals = Totals(program)
        parts = folder / PARTS
        parts.mkdir(exist_ok=True)
        empty = part_of(Collector(program).records())
        self._streams = {
            name: Stream(folder / name, parts, columns, n_parts)
            for name, columns in (
                ("spikes.parquet", _spike_columns(program, empty)),
                ("active.parquet", _active_columns(program, empty)),
            )
        }
        self._learned = LearnedTables(folder, parts, program, n_parts)
        self._managed = ManagedTables(folder, parts, program)
        self._recordings = {
            population: Stream(
                folder / recording_file(program, population),
                parts,
                next(_recording_columns(program, population, empty)),
                n_parts,
            )
            for population in probed_neurons(program)
        }

    @property
    def n_parts(self) -> int:
        """Parts of each table that are whole."""
        return self._streams["spikes.parquet"].n_parts

    def add(self, part: Part) -> None:
        """Write the steps that follow those before."""
        self.totals.add(part)
        self._streams["spikes.parquet"].write(_spike_columns(self.program, part))
        self._streams["active.parquet"].write(_active_columns(self.program, part))
        self._learned.add(part)
        self._managed.add(part.managed)
        for population, stream in self._recordings.items():
            for columns in _recording_columns(self.program, population, part):
                stream.write(columns)

    def cut(self) -> None:
        """Make what was written so far last."""
        for stream in self._all():
            stream.cut()

    def finish(self) -> None:
        """Make the files of the run."""
        for stream in self._all():
            stream.finish()

    def close(self) -> None:
        """Close files that are open."""
        for stream in self._all():
            stream.close()

    def _all(self) -> list[Stream]:
        learned = self._learned.streams.values()
        managed = self._managed.streams
        return [*self._streams.values(), *learned, *managed, *self._recordings.values()]


def step_stream(folder: Path, n_parts: int) -> Stream:
    """Return the table of the cycles of each step, which checkpoints need and a finished run has in its timing."""
    empty: Columns = {"cycles": np.empty(0, np.int64), "bottleneck": np.empty(0, np.uint8)}
    return Stream(folder / STEPS, folder / PARTS, empty, n_parts)


# spikes


def _spike_columns(program: Program, part: Part) -> Columns:
    """Return step, population, neuron and, where there are any, payload of every spike, in the order of the run."""
    payload: Columns = {"payload": part.spike_payload} if program.is_graded else {}
    return {
        "step": part.spike_step,
        "population": Named(
            program.source_population[part.spike_source], population_names(program)
        ),
        "neuron": program.source_neuron[part.spike_source].view(np.uint32),
        **payload,
    }


def read_spikes(
    path: Table, program: Program, n_steps: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]:
    """Return step, source and payload of every spike; no payload where the program has none."""
    names = population_names(program)
    payload = {"payload": "int32"} if program.is_graded else {}
    table = read_columns(path, step="uint32", population=names, neuron="uint32", **payload)
    step, population, neuron = table["step"], table["population"], table["neuron"]
    sizes = np.array([p["size"] for p in program.manifest["populations"]])
    if (population < 0).any() or (neuron >= sizes[population]).any() or (step >= n_steps).any():
        raise RunError(
            f"{path}: it holds a spike outside the run's {n_steps} steps and its populations"
        )
    start = np.cumsum(sizes) - sizes
    sources = np.concatenate([program.sources_of(name) for name in names])
    source = sources[start[population] + neuron].astype(np.uint32)
    carried = table["payload"] if payload else np.empty(0, np.int32)
    # Mostly they are as the run left them; others may have written the file anew.
    if ((step[1:] > step[:-1]) | ((step[1:] == step[:-1]) & (source[1:] >= source[:-1]))).all():
        return step, source, carried
    order = np.lexsort((source, step))
    return step[order], source[order], carried[order] if payload else carried


# active compartments


def _active_columns(program: Program, part: Part) -> Columns:
    """Return how many compartments of a segment were active, or instructions it executed, in each step with any."""
    active = part.active[:, : len(program.segments)]
    step, segment = np.nonzero(active)
    count = active[step, segment]
    is_microcode = np.array([p["model"] in program.models for p in program.manifest["populations"]])
    population, _, _, core, _ = program.segments[segment].T
    return {
        "step": (step + part.first_step).astype(np.uint32),
        "segment": segment.astype(np.uint32),
        "population": Named(population, population_names(program)),
        "core": np.ascontiguousarray(core),
        "active": np.where(is_microcode[population], 0, count).astype(np.uint32),
        "instructions": np.where(is_microcode[population], count, 0).astype(np.uint32),
    }


def read_active(path: Table, program: Program, n_steps: int) -> NDArray[np.uint32]:
    """Return what was counted in each step, (n_steps, n_counts): see `Part`."""
    table = read_columns(
        path, step="uint32", segment="uint32", active="uint32", instructions=INSTRUCTIONS
    )
    segment_sizes = program.segments[:, 2] - program.segments[:, 1]
    segment = table["segment"]
    outside = (table["step"] >= n_steps).any() or (segment >= len(segment_sizes)).any()
    if not outside:
        most = _most_instructions(program)[segment]
        outside = (table["active"] > np.where(most, 0, segment_sizes[segment])).any() or (
            table["instructions"] > most * segment_sizes[segment]
        ).any()
    if outside:
        raise RunError(
            f"{path}: it holds a line outside the run's {n_steps} steps and its segments"
        )
    active = np.zeros((n_steps, len(segment_sizes)), np.uint32)
    active[table["step"], segment] = table["active"] + table["instructions"]
    return np.concatenate(
        [active, learned_tables.read_visits(path.parent, program, n_steps)], axis=1
    )


def _most_instructions(program: Program) -> NDArray[np.int64]:
    """Return the length of each segment's neuron program, 0 of native ones."""
    models = [program.model_of(k) for k in range(len(program.population_index))]
    length = [0 if model is None else len(model.steps) for model in models]
    return np.array(length, np.int64)[program.segments[:, 0]]


# counters


def write_counters(path: Path, run: Run) -> None:
    """Write the counters; the population of the chip itself is empty, its core is -1."""
    counters = run.counters
    columns: Columns = {
        "core": counters.core,
        "population": Named(counters.population, population_names(run.program)),
        "event": Named(counters.code.astype(np.int32), EVENTS),
        "count": counters.count,
    }
    write_columns(path, columns)


def read_counters(path: Path, program: Program) -> Counters:
    """Return the counters."""
    names = population_names(program)
    table = read_columns(path, core="int32", population=names, event=EVENTS, count="int64")
    if (table["event"] < 0).any():
        raise RunError(f"{path}: it holds a line without an event")
    return Counters(table["core"], table["population"], table["event"], table["count"])


# timing


def write_timing(folder: Path, timing: Timing, width: int) -> None:
    """Write cycles by step, by core and by link, and how long packets took."""
    by_step, by_core, by_link, by_latency = (folder / name for name in TIMING_FILES)
    n_cores, n_tiles = len(timing.core_neuron_cycles), len(timing.link_flits)
    columns: Columns = {
        "step": np.arange(timing.n_steps, dtype=np.uint32),
        "cycles": timing.step_cycles,
        "bottleneck": Named(timing.bottleneck.astype(np.int32), timing.bottleneck_names),
    }
    write_columns(by_step, columns)
    columns = {
        "core": np.arange(n_cores, dtype=np.uint32),
        **{_core_column(name): getattr(timing, name) for name in CORE_ARRAYS},
    }
    write_columns(by_core, columns)
    tile = np.repeat(np.arange(n_tiles, dtype=np.uint32), len(LINKS))
    columns = {
        "tile": tile,
        "x": tile % width,
        "y": tile // width,
        "direction": Named(np.tile(np.arange(len(LINKS)), n_tiles), LINKS),
        "flits": timing.link_flits.reshape(-1),
    }
    write_columns(by_link, columns)
    packets = timing.latency_packets
    write_columns(
        by_latency, {"latency_cycles": np.arange(len(packets), dtype=np.uint32), "packets": packets}
    )


def _core_column(name: str) -> str:
    return name.removeprefix("core_")


def read_timing(
    folder: Path,
    n_steps: int,
    mode: str,
    clock_mhz: float,
    names: tuple[str, ...],
    barrier_cycles: int,
) -> Timing:
    """Return the timing from its files and the four things that they do not hold."""
    by_step, by_core, by_link, by_latency = (folder / name for name in TIMING_FILES)
    steps = read_columns(by_step, cycles="int64", bottleneck=names)
    cores = read_columns(
        by_core, **{_core_column(n): CORE_CYCLES.get(n, "int64") for n in CORE_ARRAYS}
    )
    links = read_columns(by_link, direction=LINKS, flits="int64")
    if len(steps["cycles"]) != n_steps or (steps["bottleneck"] < 0).any():
        raise RunError(
            f"{by_step}: it does not have one line for each of the run's {n_steps} steps"
        )
    n_tiles = len(links["flits"]) // len(LINKS)
    if not np.array_equal(links["direction"], np.tile(np.arange(len(LINKS)), n_tiles)):
        raise RunError(f"{by_link}: its directions are not {', '.join(LINKS)} for each tile")
    return Timing(
        mode=mode,
        clock_mhz=clock_mhz,
        step_cycles=steps["cycles"],
        bottleneck=steps["bottleneck"].astype(np.uint8),
        bottleneck_names=names,
        **{name: cores[_core_column(name)] for name in CORE_ARRAYS},
        link_flits=links["flits"].reshape(n_tiles, len(LINKS)),
        barrier_cycles=barrier_cycles,
        latency_packets=read_columns(by_latency, packets="int64")["packets"],
    )


# recordings


def _recording_columns(program: Program, population: str, part: Part) -> Iterator[Columns]:
    """Yield a line for each step and neuron probed; a variable that was not probed in a neuron is empty there."""
    probed = probed_neurons(program)[population]
    neurons = np.unique(np.concatenate(list(probed.values())))
    part_steps = max(1, PART_ROWS // max(1, len(neurons)))
    for start in range(0, max(1, part.n_steps), part_steps):
        rows = np.arange(start, min(start + part_steps, part.n_steps))
        columns: dict[str, NDArray[np.generic] | Named] = {
            "step": np.repeat((rows + part.first_step).astype(np.uint32), len(neurons)),
            "neuron": np.tile(neurons.astype(np.uint32), len(rows)),
        }
        for variable, mine in probed.items():
            values = np.ma.MaskedArray(
                np.zeros((len(rows), len(neurons)), DTYPES.get(variable, "int32")), mask=True
            )
            values[:, np.searchsorted(neurons, mine)] = part.recordings[population][variable][rows]
            columns[variable] = values.reshape(-1)
        yield columns


def read_recording(
    path: Table, program: Program, population: str, n_steps: int
) -> dict[str, NDArray[np.generic]]:
    """Return the recordings of a population, (n_steps, n_neurons) for each variable."""
    probed = probed_neurons(program)[population]
    neurons = np.unique(np.concatenate(list(probed.values())))
    table = read_columns(
        path, step="uint32", **{variable: DTYPES.get(variable, "int32") for variable in probed}
    )
    if len(table["step"]) != n_steps * len(neurons):
        raise RunError(
            f"{path}: it has {len(table['step'])} lines; "
            f"{n_steps} steps of {len(neurons)} neurons need {n_steps * len(neurons)}"
        )
    return {
        variable: table[variable].reshape(n_steps, len(neurons))[:, np.searchsorted(neurons, mine)]
        for variable, mine in probed.items()
    }


def read_recordings(
    folder: Folder, program: Program, n_steps: int
) -> dict[str, dict[str, NDArray[np.generic]]]:
    """Return the recordings of all populations that were probed."""
    return {
        population: read_recording(
            folder / recording_file(program, population), program, population, n_steps
        )
        for population in probed_neurons(program)
    }
