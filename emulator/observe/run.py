"""Run: what one run of a program on a chip left behind, and everything that follows from it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import (
    callable_or_none,
    flag,
    frozen,
    is_one_of,
    is_whole,
    path_of,
    quoted,
    require_kind,
    shown,
    whole,
)
from emulator.chip import Chip
from emulator.errors import ChipError, ProgramError, RunError
from emulator.observe.counters import Counters
from emulator.observe.counting import count_events
from emulator.observe.energy import Energy, energy
from emulator.observe.learned import Learned
from emulator.observe.records import Records
from emulator.program import Program, check_fit
from emulator.timing import TIMING_MODES, Timing, TimingMode, managed_cycles, time_run
from emulator.units import seconds_from_cycles

MAX_WORKERS = 64


class Spikes(Mapping[str, NDArray[np.int64]]):
    """Spikes of each population by name: (n_spikes, 2) step and neuron, sorted; made on demand.

    Parameters
    ----------
    program : Program
        Knows which population and neuron each source is.
    records : Records
        The spikes, by source of the program.
    """

    def __init__(self, program: Program, records: Records) -> None:
        self._program = program
        self._records = records
        self._made: dict[str, NDArray[np.int64]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process needs."""
        return {"_program": self._program.bare, "_records": self._records, "_made": {}}

    @cached_property
    def _population(self) -> NDArray[np.int32]:
        return self._program.source_population.take(self._records.spike_source)

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        if not is_one_of(name, self._program.population_index):
            raise KeyError(f"no population {quoted(name)}; there are: {', '.join(self)}")
        if name not in self._made:
            step, neuron, order = self._of(name)
            table = np.empty((len(step), 2), np.int64)
            table[:, 0], table[:, 1] = step[order], neuron[order]
            self._made[name] = frozen(table)
        return self._made[name]

    def _of(
        self, name: str
    ) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int64] | slice]:
        """Return step and neuron of each spike of a population as recorded, and the order by step and neuron."""
        mine = self._mine(name)
        step = self._records.spike_step[mine]
        neuron = self._program.source_neuron[self._records.spike_source[mine]]
        # Mostly sources are in the order of their neurons, and a mapping need not be undone.
        if ((neuron[1:] > neuron[:-1]) | (step[1:] != step[:-1])).all():
            return step, neuron, slice(None)
        return step, neuron, np.lexsort((neuron, step))

    def _mine(self, name: str) -> NDArray[np.int64]:
        return np.flatnonzero(self._population == self._program.population_index[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._program.population_index)

    def __len__(self) -> int:
        return len(self._program.population_index)

    def payloads(self, name: str) -> NDArray[np.int32]:
        """Return the payload of each spike of a population, (n_spikes,), as `self[name]` has them; 1 where none is."""
        spikes = self[name]
        if not self._program.is_graded:
            return np.ones(len(spikes), np.int32)
        payload: NDArray[np.int32] = self._records.spike_payload[self._mine(name)]
        return payload[self._of(name)[2]]

    def counts(self) -> dict[str, int]:
        """Return the number of spikes of each population."""
        n_spikes = np.zeros(len(self), np.int64)
        np.add.at(n_spikes, self._program.source_population, self._records.spikes_per_source)
        return dict(zip(self, n_spikes.tolist(), strict=True))


class Recordings(dict[str, Any]):
    """Recordings by population or by variable, which say what there is when asked for another.

    Parameters
    ----------
    rows : mapping of str to array or str
        Recordings; a string says why there is none, and is raised when it is asked for.
    """

    def __init__(self, rows: Mapping[str, Any]) -> None:
        super().__init__({name: row for name, row in rows.items() if not isinstance(row, str)})
        self._reasons = {name: row for name, row in rows.items() if isinstance(row, str)}

    def __missing__(self, key: object) -> Any:
        if is_one_of(key, self._reasons):
            raise RunError(self._reasons[key])
        raise KeyError(f"no recording of {quoted(key)}; there are: {', '.join(self) or 'none'}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Recordings, ({**self, **self._reasons},)


class Messages(dict[str, NDArray[np.int64]]):
    """Messages to the host by channel, which say what there is when asked for another."""

    def __missing__(self, key: object) -> NDArray[np.int64]:
        raise KeyError(
            f"no channel {quoted(key)} to the host; there are: {', '.join(self) or 'none'}"
        )


@dataclass(frozen=True, eq=False)
class Run:
    """The result of a run.

    Attributes
    ----------
    program, chip : Program, Chip
        What ran, and on what.
    n_steps : int
        Steps that were executed; all arrays cover exactly these.
    seed : int
        Seed of the run's random numbers.
    status : "complete", "interrupted" or "unfinished"
        An interrupted run ends before the last step that was asked for. Of an unfinished one, which was loaded from
        a folder with checkpoints, the steps up to the last checkpoint are here; `resume_run` goes on with it.
    records : Records
        Spikes, active compartments and recordings, in memory or in files.
    timing : Timing or None
        None when the run was not timed.
    n_overflows : int
        Sums that wrapped around; in a strict run none.
    steps_asked : int or None
        Steps that were asked for, if not `n_steps`.
    wall_seconds : float
        How long the emulator took; it says nothing about the chip.
    """

    program: Program
    chip: Chip
    n_steps: int
    seed: int
    status: Literal["complete", "interrupted", "unfinished"]
    records: Records
    timing: Timing | None = None
    n_overflows: int = 0
    steps_asked: int | None = None
    wall_seconds: float = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process needs: records by value, or by the path of their folder.

        Management functions stay behind, as they do when a run is saved.
        """
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"program": self.program.bare}

    @property
    def spike_step(self) -> NDArray[np.uint32]:
        """Step of every spike, inputs included, (n_spikes,), ascending."""
        return self.records.spike_step

    @property
    def spike_source(self) -> NDArray[np.uint32]:
        """Source of every spike in the program, (n_spikes,), ascending in each step."""
        return self.records.spike_source

    @property
    def active(self) -> NDArray[np.uint32]:
        """Compartments of each segment that were active, or instructions it executed, (n_steps, n_segments)."""
        return self.records.active[:, : len(self.program.segments)]

    def visits(self, projection: str) -> NDArray[np.int64]:
        """Return how many synapses of a projection its learning rule visited in each step, (n_steps,)."""
        program = self.program
        names = [p["name"] for p in program.manifest["projections"]]
        if not is_one_of(projection, names):
            raise KeyError(f"no projection {quoted(projection)}; there are: {', '.join(names)}")
        mine = program.blocks[program.learning_blocks, 1] == names.index(projection)
        counts = self.records.active[:, len(program.segments) :]
        visits: NDArray[np.int64] = counts[:, mine].sum(axis=1, dtype=np.int64)
        return visits

    @property
    def learned(self) -> Learned:
        """What plastic synapses have learned, at the end and at every step asked for."""
        return self.records.learned

    def weights(self, projection: str) -> NDArray[np.int32]:
        """Return the weights of a projection at the end, as mantissas, (post, pre); 0 where there is no synapse.

        Weights of several synapses between the same two neurons are added; `synapses` has each.

        Raises
        ------
        KeyError
            When there is no such projection.
        """
        return self.learned.matrix(projection, "weights")

    def delays(self, projection: str) -> NDArray[np.int32]:
        """Return the delays of a projection at the end, in steps, (post, pre); 0 where there is no synapse.

        Raises
        ------
        KeyError
            When there is no such projection.
        RunError
            When several synapses between the same two neurons have different ones; `synapses` has each.
        """
        return self.learned.matrix(projection, "delays")

    def tags(self, projection: str) -> NDArray[np.int32]:
        """Return the tags of a projection at the end, (post, pre); 0 where there is no synapse.

        Raises
        ------
        KeyError
            When there is no such projection.
        RunError
            When several synapses between the same two neurons have different ones; `synapses` has each.
        """
        return self.learned.matrix(projection, "tags")

    def synapses(self, projection: str, step: int | None = None) -> dict[str, NDArray[np.int32]]:
        """Return the synapses of a projection one by one, at the end or after so many steps.

        Parameters
        ----------
        projection : str
            Its name.
        step : int, optional
            One of the steps of `weights_every`; by default the end.

        Returns
        -------
        dict of str to (n,) array
            "pre", "post", "weight" (mantissas), "delay" (steps) and "tag", in the order of pre, then post; synapses
            of one pair of neurons follow each other as they were given to `connect`. No mapping changes it.

        Raises
        ------
        KeyError
            When there is no such projection.
        RunError
            When nothing was kept after so many steps.
        """
        return self.learned.table(projection, step)

    def trained(self) -> Program:
        """Return the program with the synapses as they are at the end; nothing learns in it any more."""
        return self.learned.trained()

    @cached_property
    def messages(self) -> dict[str, NDArray[np.int64]]:
        """What the host got through each channel to it: (n, 1 + words), step and words of each message.

        Channels that a program of the host receives from are that program's.
        """
        table = self.records.managed.messages
        found = Messages()
        for index, channel in enumerate(self.program.manifest["channels"]):
            if channel["target"] < 0:
                mine = table[table[:, 1] == index].reshape(-1, channel["words"], 5)
                found[channel["name"]] = frozen(np.column_stack([mine[:, 0, 0], mine[:, :, 4]]))
        return found

    def management_cycles(
        self, *, exact: bool | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the cycles of management in each step, (n_steps,), and of each core in each phase, (5, n_cores).

        Parameters
        ----------
        exact : bool, optional
            Whether ways through the mesh count: by default as the run was timed.
        """
        if exact is None:
            exact = self.timing is not None and self.timing.mode == "cycle"
        return managed_cycles(self.records.managed.lines, self.chip, self.n_steps, exact=exact)

    @cached_property
    def recordings(self) -> "Recordings":
        """What was probed: `recordings[population][variable]` is (n_steps, n_neurons of the probe).

        Column k is the k-th neuron of the probe, also where it was named twice; see `Network.probe`.

        With `weights_every`: `recordings[projection]["weights"]` (n, post, pre) after every so many steps; also
        "delays", "tags" and traces, where there are any. Weights of several synapses between the same two neurons
        are added; delays and tags that differ there are none of these matrices, and `synapses` has each.
        """
        rows: dict[str, Mapping[str, Any]] = {
            **self.records.recordings,
            **self.learned.recordings(),
        }
        return Recordings({name: Recordings(own) for name, own in rows.items()})

    @cached_property
    def spikes(self) -> Spikes:
        """Spikes by population: `spikes["cells"]` is (n_spikes, 2) step and neuron, sorted."""
        return Spikes(self.program, self.records)

    @cached_property
    def counters(self) -> Counters:
        """Every event of the run."""
        return self.count(0, self.n_steps)

    def count(self, start: int, stop: int) -> Counters:
        """Count the events of steps `start` to `stop - 1`.

        Raises
        ------
        RunError
            When they are no whole numbers; steps that there are not are left out, as a slice does.
        """
        start, stop = self._part(start, stop)
        if (start, stop) == (0, self.n_steps):
            spikes, active = self.records.spikes_per_source, self.records.active_per_segment
            return count_events(
                self.program, self.chip, spikes, active, stop, self.records.managed.lines
            )
        first, last = np.searchsorted(self.spike_step, [start, max(start, stop)])
        spikes = np.bincount(self.spike_source[first:last], minlength=self.program.n_sources)
        active = self.records.active[start:stop].sum(axis=0, dtype=np.int64)
        did = self.records.managed.lines
        did = did[(did[:, 0] >= start) & (did[:, 0] < stop)]
        return count_events(self.program, self.chip, spikes, active, max(0, stop - start), did)

    def energy(
        self, chip: Chip | None = None, *, start: int = 0, stop: int | None = None
    ) -> Energy:
        """Price the run, or its steps `start` to `stop - 1`, with its chip's costs or with another's.

        Events and duration are those of this run; only costs and static power are the other chip's. Parts that
        cover the run add up to the whole, exactly.
        """
        start, stop = self._part(start, stop)
        if chip is not None:
            require_kind("chip", chip, Chip, "as load_chip returns it", ChipError)
        duration = None
        if self.timing is not None:
            cycles = int(self.timing.step_cycles[start:stop].sum())
            duration = seconds_from_cycles(cycles, self.timing.clock_mhz)
        whole = (start, stop) == (0, self.n_steps)
        counters = self.counters if whole else self.count(start, stop)
        return energy(counters, chip or self.chip, duration, tuple(self.program.population_index))

    def _part(self, start: int, stop: int | None) -> tuple[int, int]:
        """Return the steps that two numbers stand for, as a slice does."""
        for name, step in (("start", start), ("stop", stop)):
            if not (step is None or is_whole(step)):
                raise RunError(f"{name} is {shown(step)}; it must be a whole number")
        return slice(start, stop).indices(self.n_steps)[:2]

    def retimed(
        self,
        chip: Chip,
        timing: TimingMode = "cycle",
        workers: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> "Run":
        """Return this run as it would have been on another chip, without running the network again.

        Parameters
        ----------
        chip : Chip
            Mesh, clock, latencies and costs may differ; what decides the function may not.
        timing : str
            The timing model.
        workers : int
            Threads of cycle timing; the result does not depend on them.
        progress : callable, optional
            Called with the number of steps timed, in cycle timing.

        Raises
        ------
        ProgramError
            When the program would compute something else on that chip, or does not fit it.
        ChipError, RunError
            When an argument is of a wrong kind.
        """
        require_kind("chip", chip, Chip, "as load_chip returns it", ChipError)
        if not is_one_of(timing, TIMING_MODES):
            raise RunError(f"timing is {shown(timing)}; allowed: {', '.join(TIMING_MODES)}")
        workers = whole("workers", workers, 1, MAX_WORKERS, RunError)
        callable_or_none("progress", progress, RunError)
        check_fit(self.program, chip)
        most = int(self.records.managed.lines[:, 2].max(initial=-1)) + 1
        if most > chip.management.cores:
            raise ProgramError(
                f"the run has {most} management cores; chip '{chip.name}' has {chip.management.cores}"
            )
        timed = time_run(
            self.program,
            chip,
            self.n_steps,
            self.spike_step,
            self.spike_source,
            self.records.active,
            self.records.managed,
            mode=timing,
            workers=workers,
            progress=progress,
        )
        return replace(self, chip=chip, timing=timed)

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the run as a folder of files that other tools read.

        Parameters
        ----------
        folder : str or Path
            Folder to make.
        force : bool
            Replace a run folder that is already there.

        Raises
        ------
        RunError
            When there is something at `folder` that may not be replaced, or it cannot be written.
        """
        from emulator.observe.writing import save_run  # noqa: PLC0415  # it imports this module

        force = flag("force", force, RunError)
        save_run(self, path_of("folder", folder, RunError), force=force)

    @classmethod
    def load(cls, folder: str | Path, *, lazy: bool = False) -> "Run":
        """Read a run folder, every file verified; of an unfinished run what is there up to its last checkpoint.

        Parameters
        ----------
        folder : str or Path
            A run folder.
        lazy : bool
            Read each file, and verify its checksum, when something of it is first asked for. Manifest, chip, program
            and timing are read at once, `counters` come from their own file, and a program that is that of the folder
            before it is not read again: for sweeps over many folders, which must stay there meanwhile.

        Raises
        ------
        RunError
            When a file is missing, damaged, or of another version; a lazy run raises it when it comes to the file.
        """
        from emulator.observe.folder import load_run  # noqa: PLC0415  # it imports this module

        lazy = flag("lazy", lazy, RunError)
        return load_run(path_of("folder", folder, RunError), lazy=lazy)

    def __repr__(self) -> str:
        return (
            f"<Run of '{self.program.name}' on '{self.chip.name}': {self.n_steps:,} steps, "
            f"{int(self.records.spikes_per_source.sum()):,} spikes, {self.status}>"
        )
