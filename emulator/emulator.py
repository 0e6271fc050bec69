"""Emulator: a chip with a program loaded, ready to run. The command line only wraps this."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import (
    callable_or_none,
    flag,
    is_one_of,
    path_of,
    require_kind,
    shown,
    whole,
)
from emulator.budget import check_run
from emulator.chip import Chip
from emulator.engine import (
    MAX_THREADS,
    Engine,
    Schedule,
    reward_schedule,
    spike_schedule,
)
from emulator.errors import ChipError, ProgramError, RunError
from emulator.management import Management, check_attached
from emulator.network.managed import ChannelPlan, managed, missing_cores
from emulator.observe.checkpoint import Plan, Standing
from emulator.observe.learned import Learned
from emulator.observe.records import Collector, Probes
from emulator.observe.run import Run
from emulator.observe.writing import (
    RunWriter,
    new_run_folder,
    new_unfinished_folder,
    unfinished_folder,
)
from emulator.program import Program, check_fit
from emulator.running import Session
from emulator.stepping import NeuronStep, watch
from emulator.timing import TIMING_MODES, Timers, TimingMode

MAX_STEPS = 2**32 - 1
"""Steps are numbered in 32 bits."""


class Emulator:
    """A chip with a program loaded.

    Parameters
    ----------
    chip : Chip
        Its arithmetic, capacities and core count must be those the program was compiled for; costs, latencies and
        the mesh may differ.
    program : Program
        From `compile_network` or `Program.load`.
    threads : int
        Workers; the result does not depend on their number.

    Raises
    ------
    ProgramError
        When the program was compiled for another kind of chip.

    Examples
    --------
    >>> from emulator import Emulator, Network, compile_network, load_chip
    >>> chip, net = load_chip("tiny"), Network("pair")
    >>> source = net.input("in", 1)
    >>> cell = net.population("cell", 1, vth_mant=100)
    >>> _ = net.connect(source, cell, weights=[[120]])
    >>> run = Emulator(chip, compile_network(net, chip)).run(4, inputs={"in": [[1, 0]]})
    >>> run.spikes["cell"].tolist()
    [[2, 0]]
    """

    def __init__(self, chip: Chip, program: Program, *, threads: int = 1) -> None:
        require_kind("chip", chip, Chip, "as load_chip returns it", ChipError)
        require_kind(
            "program",
            program,
            Program,
            "as compile_network or Program.load returns it",
            ProgramError,
        )
        threads = whole("threads", threads, 1, MAX_THREADS, RunError)
        check_fit(program, chip)
        self.chip = chip
        self.program = program
        self.threads = threads
        self._programs = list(program.managed)
        self._kept: dict[str, NDArray[Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return chip, program and state: a copy, in another process too, goes on from where this one stands.

        Raises
        ------
        RunError
            When management programs may have run, which keep state of their own.
        """
        state = self._kept
        if "_engine" in vars(self):
            if self._engine.is_managed:
                raise RunError(
                    "an emulator with management programs is copied before its first run: they keep state of their "
                    "own, which no copy can hold"
                )
            state = self._engine.snapshot()
        own = ("chip", "program", "threads", "_programs")
        return {name: vars(self)[name] for name in own} | {"_kept": state}

    @cached_property
    def _engine(self) -> Engine:
        is_managed = bool(self._programs or self.program.manifest["channels"])
        engine = Engine(self.program, self.chip, self.threads, is_managed=is_managed)
        if self._kept is not None:
            engine.restore(self._kept)
            self._kept = None
        return engine

    @cached_property
    def _probes(self) -> Probes:
        return Probes(self.program)

    @cached_property
    def _timers(self) -> Timers:
        return Timers(self.program, self.chip, self._engine.threads)

    @cached_property
    def _management(self) -> Management | None:
        """The management cores, where there is anything for them to do."""
        check_attached(self.program, self._programs)
        if not self._engine.is_managed:
            return None
        return Management(self._engine, self.chip, self._programs)

    def manage(
        self,
        core: int | str,
        phase: str,
        run: Callable[[Any], object] | str | Path,
        *,
        every: int = 1,
        first: int | None = None,
        when: str | Callable[[Any], object] | None = None,
        instructions: int = 0,
    ) -> None:
        """Add a program of a management core, as `Network.manage`; an x86 program too.

        Parameters
        ----------
        core, phase, every, first, when, instructions
            As `Network.manage` takes them.
        run : callable or path
            A function of a `ManagementCore`, or an ELF file that `emulator build-management` made.

        Raises
        ------
        NetworkError, RunError
            With every mistake; when the chip has run already.
        """
        if "_engine" in vars(self):
            raise RunError("management programs are added before the chip is run or looked into")
        program = managed(core, phase, run, every, first, when, instructions)
        channels = [ChannelPlan(**channel) for channel in self.program.manifest["channels"]]
        mistakes = missing_cores(self.chip.name, self.chip.management.cores, [program], channels)
        if mistakes:
            raise RunError("\n".join(mistakes))
        self._programs.append(program)

    def reset(self) -> None:
        """Restore the freshly loaded program, at step 0."""
        self._engine.reset()
        self._engine.machine.step = 0
        if self._management is not None:
            self._management.reset()

    def read(self, population: str, variable: str) -> NDArray[np.int32]:
        """Return a variable of each neuron as it is now, (size,): "u" or "v", or a word of microcode.

        Raises
        ------
        RunError
            When there is no such population or variable.
        """
        values: NDArray[np.int32] = self._engine.variable(population, variable)[0].copy()
        return values

    def write(self, population: str, variable: str, values: ArrayLike) -> None:
        """Set a variable of each neuron before the next step: a schedule between runs.

        Parameters
        ----------
        population, variable : str
            As `read` takes them; parameters of microcode too.
        values : int or (size,) array of int
            Within the range of the variable.

        Raises
        ------
        RunError
            When there is no such variable, or a value is outside its range.
        """
        self._engine.write(population, variable, values)

    def weights(self, projection: str) -> NDArray[np.int32]:
        """Return the weights of a projection as they are now, as mantissas, (post, pre); 0 where there is no synapse.

        Weights of several synapses between the same two neurons are added; `synapses` has each.

        Raises
        ------
        KeyError
            When there is no such projection.
        """
        return self._learned().matrix(projection, "weights")

    def synapses(self, projection: str) -> dict[str, NDArray[np.int32]]:
        """Return the synapses of a projection as they are now, one by one; see `Run.synapses`.

        Raises
        ------
        KeyError
            When there is no such projection.
        """
        return self._learned().table(projection)

    def _learned(self) -> Learned:
        return Learned(self.program, [(0, self._engine.learned())])

    def watch(
        self,
        population: str,
        neuron: int,
        steps: int,
        inputs: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        rewards: Mapping[str, ArrayLike] | None = None,
    ) -> Iterator[NeuronStep]:
        """Advance the chip and yield each step of one neuron with microcode, instruction by instruction.

        Raises
        ------
        RunError
            When there is no such neuron, or its model is no microcode.
        """
        steps = whole("steps", steps, 0, MAX_STEPS, RunError)
        seed = whole("seed", seed, 0, 2**63 - 1, RunError)
        schedule = spike_schedule(self.program, inputs, steps)
        schedule = schedule._replace(rewards=reward_schedule(self.program, rewards, steps))
        _ = self._management  # it acts in these steps too
        return watch(self._engine, population, neuron, steps, schedule, seed)

    def run(  # noqa: PLR0913  # each is an option of a run
        self,
        steps: int,
        inputs: Mapping[str, Any] | None = None,
        *,
        timing: TimingMode = "cycle",
        seed: int = 0,
        strict: bool = False,
        reset_every: int | None = None,
        progress: Callable[[int], None] | None = None,
        keep_partial: bool = False,
        save_to: str | Path | None = None,
        force: bool = False,
        checkpoint_every: int | None = None,
        weights_every: int | None = None,
        rewards: Mapping[str, ArrayLike] | None = None,
    ) -> Run:
        """Advance the chip; a second call continues where the first ended.

        Parameters
        ----------
        steps : int
            Algorithmic time steps.
        inputs : mapping of input population to its spikes, optional
            A spike of step t acts at t + 1 + delay. What is given is copied. One of these forms:

            * raster: bool (steps, size), a row for each step; after the last nothing comes. Integers of 0 and 1 are
              read alike, but not for two neurons, and a scipy sparse matrix, whose zeros are no spikes
            * pairs: integers (n_spikes, 2), step and neuron of each spike, in any order; triples (n_spikes, 3) with the
              payload for an input that has payloads
            * table: a mapping, a structured array or a data frame with columns `step`, `neuron` and, where there are
              any, `payload`

            For two neurons zeros and ones in two columns may be pairs or a raster. They are read as pairs where
            nobody would make such a raster: where each row is there once, and there is not one row for each step of
            the run, or it is a list in order. Others are refused (so are all arrays of 8 bits), unless both are the
            same spikes.
        timing : {"cycle", "analytic", "off"}
            How long each step takes; never what it computes. "cycle" follows each packet through the mesh, "analytic"
            is a lower bound.
        seed : int
            Of everything random, recorded with the run.
        strict : bool
            Raise when u wraps around; otherwise the chip's behaviour is kept and counted in `run.n_overflows`.
        reset_every : int, optional
            Reset the neurons before every so many steps, the first included, so that samples of this length that follow
            each other do not meet. Synapses keep what they learned and their tags; their traces are zero again.
            Parameters of microcode stay as `write` left them.
        progress : callable, optional
            Called with the number of steps done, every tenth of a second or so.
        keep_partial : bool
            On Ctrl-C return what was run so far, with status "interrupted", instead of raising KeyboardInterrupt.
        save_to : path, optional
            Run folder to make. The records are written there while the run goes on and are not kept in memory.
        force : bool
            Replace a run folder that is already there.
        checkpoint_every : int, optional
            With `save_to`: keep the state after every so many steps, so that `resume_run` can go on after whatever
            ended the run. The folder is there from the first step on.
        weights_every : int, optional
            Keep weights, delays, tags and traces of plastic synapses after every so many steps, as
            `run.recordings[projection]`.
        rewards : mapping of "r0" or "r1" to array, optional
            Rewards (steps,) of whole numbers, -128 to 127; a learning rule reads their sum over its epoch.

        Returns
        -------
        Run
            Spikes, recordings, counters, timing and energy.

        Raises
        ------
        NetworkError
            When the inputs do not fit the program.
        OverflowPolicyError
            In a strict run.
        RunError
            When a record cannot be written, or Ctrl-C ended a run with checkpoints.
        """
        steps = whole("steps", steps, 0, MAX_STEPS, RunError)
        seed = whole("seed", seed, 0, 2**63 - 1, RunError)
        strict = flag("strict", strict, RunError)
        keep_partial = flag("keep_partial", keep_partial, RunError)
        force = flag("force", force, RunError)
        callable_or_none("progress", progress, RunError)
        if not is_one_of(timing, TIMING_MODES):
            raise RunError(f"timing is {shown(timing)}; allowed: {', '.join(TIMING_MODES)}")
        reset_every, checkpoint_every, weights_every = _intervals(
            self.program, save_to, reset_every=reset_every, checkpoint_every=checkpoint_every,
            weights_every=weights_every,
        )  # fmt: skip
        plan = _plan(steps, timing, seed, strict, reset_every, checkpoint_every, weights_every)
        check_run(
            self.program, self._probes, plan, held=save_to is None,
            n_inputs=len(inputs) if isinstance(inputs, Mapping) else 0, rewarded=rewards is not None,
            loaded="_engine" in vars(self),
        )  # fmt: skip
        schedule = spike_schedule(self.program, inputs, steps)
        if rewards is not None:
            schedule = schedule._replace(rewards=reward_schedule(self.program, rewards, steps))
        if self._management is not None and checkpoint_every is not None:
            raise RunError(
                "checkpoint_every: management programs keep state of their own, which no file holds"
            )
        if save_to is None:
            collector = Collector(self.program, steps, weights_every, self._probes.neurons)
            session = self._session(plan, schedule, collector)
            done = session.advance(progress, stoppable=keep_partial or not session.is_short)
            if not keep_partial and (session.was_interrupted or not done):
                raise session.reason
            return session.run(collector.records())
        folder = path_of("save_to", save_to, RunError)
        if checkpoint_every is None:
            with new_run_folder(
                folder, self.program, self.chip, force=force, weights_every=weights_every
            ) as writer:
                session = self._session(plan, schedule, writer)
                if not session.advance(progress) and not keep_partial:
                    raise session.reason
                run = session.finish()
            if (
                session.was_interrupted and not keep_partial
            ):  # in the last steps: the folder is whole
                raise KeyboardInterrupt
            return replace(run, records=writer.records(run.n_steps))
        standing = Standing(state=self._engine.snapshot())
        with new_unfinished_folder(
            folder, self.program, self.chip, plan, schedule, standing, force=force
        ) as writer:
            return _to_the_end(self._session(plan, schedule, writer, standing), writer, progress)

    def _session(
        self,
        plan: Plan,
        schedule: Schedule,
        keeper: Collector | RunWriter,
        standing: Standing | None = None,
    ) -> Session:
        return Session(
            self._engine, self.chip, plan, schedule, standing or Standing(), keeper, self._management,
            self._probes, self._timers,
        )  # fmt: skip


def resume_run(
    folder: str | Path, *, threads: int = 1, progress: Callable[[int], None] | None = None
) -> Run:
    """Go on with a run that has checkpoints and was not finished; the result is that of an uninterrupted one.

    Parameters
    ----------
    folder : str or Path
        The run folder, as given to `save_to` or `emulator run -o`.
    threads : int
        Workers; the result does not depend on their number.
    progress : callable, optional
        Called with the number of steps done, those before the checkpoint included.

    Returns
    -------
    Run

    Raises
    ------
    RunError
        When there is no such run, it is finished, it is damaged, or another process goes on with it.
    """
    callable_or_none("progress", progress, RunError)
    with unfinished_folder(path_of("folder", folder, RunError)) as (
        writer,
        plan,
        standing,
        schedule,
    ):
        emulator = Emulator(writer.chip, writer.program, threads=threads)
        engine = emulator._engine
        engine.restore(standing.state)
        session = Session(engine, writer.chip, plan, schedule, standing, writer)
        return _to_the_end(session, writer, progress)


def _to_the_end(session: Session, writer: RunWriter, progress: Callable[[int], None] | None) -> Run:
    """Advance a run that has checkpoints, and finish its folder."""
    standing = session.standing
    if not session.advance(progress):
        raise RunError(
            f"interrupted after {standing.step:,} of {session.plan.steps:,} steps; "
            f"'emulator run --resume {writer.folder}' goes on from there"
        )
    return session.finish()


@lru_cache(16, typed=True)
def _plan(
    steps: int, timing: TimingMode, seed: int, strict: bool, reset_every: int | None,
    checkpoint_every: int | None, weights_every: int | None,
) -> Plan:  # fmt: skip
    """Return what is asked of a run; in a loop of short ones it is the same again and again."""
    return Plan(
        steps=steps,
        timing=timing,
        seed=seed,
        strict=strict,
        reset_every=reset_every,
        checkpoint_every=checkpoint_every,
        weights_every=weights_every,
    )


def _intervals(
    program: Program, save_to: str | Path | None, **intervals: int | None
) -> list[int | None]:
    """Return numbers of steps, checked: no checkpoints without a folder, no weights where none are learned."""
    steps = [
        None if every is None else whole(name, every, 1, MAX_STEPS, RunError)
        for name, every in intervals.items()
    ]
    if intervals["checkpoint_every"] is not None and save_to is None:
        raise RunError("checkpoint_every needs save_to: the folder in which checkpoints are")
    if intervals["weights_every"] is not None and not program.learns:
        raise RunError(f"weights_every: no synapse of program '{program.name}' learns")
    return steps
