"""A run: the engine's chunks of steps go to a timing model and to what keeps their records, in memory or in files."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from threading import Event
from time import perf_counter

import numpy as np

from emulator.account import NO_LINES, Managed
from emulator.budget import Watch
from emulator.chip import Chip
from emulator.engine import FIRST_STEPS, Chunk, Engine, Schedule, ctrl_c
from emulator.management import Management
from emulator.observe.checkpoint import Plan, Standing
from emulator.observe.records import Collector, Probes, Records, no_part
from emulator.observe.run import Run
from emulator.observe.writing import RunWriter
from emulator.timing import Timer, Timers, Timing

Progress = Callable[[int], None]


class Stop:
    """Whether a run ends where it is: Ctrl-C was pressed, or memory is short."""

    def __init__(self, interrupted: Event | None, watch: Watch | None) -> None:
        self._interrupted, self._watch = interrupted, watch

    def is_set(self) -> bool:
        """Look."""
        if self._interrupted is not None and self._interrupted.is_set():
            return True
        return self._watch is not None and self._watch.left is not None


class Session:
    """The steps of one run, from where it stands to its end or an interruption.

    Parameters
    ----------
    engine : Engine
        Holds the state; it stands where the run stands.
    chip : Chip
        What decides time and energy.
    plan : Plan
        What was asked.
    schedule : Schedule
        Input spikes of the whole run.
    standing : Standing
        How far the run is; kept up to date.
    keeper : Collector or RunWriter
        Takes the records; only a RunWriter makes checkpoints.
    management : Management, optional
        The management cores.
    probes : Probes, optional
        Of the program; made anew by default.
    timers : Timers, optional
        Of the program on the chip, kept from run to run; made anew by default.

    Attributes
    ----------
    was_interrupted : bool
        Whether Ctrl-C was pressed while the steps were done, the last one too.
    """

    def __init__(
        self,
        engine: Engine,
        chip: Chip,
        plan: Plan,
        schedule: Schedule,
        standing: Standing,
        keeper: Collector | RunWriter,
        management: Management | None = None,
        probes: Probes | None = None,
        timers: Timers | None = None,
    ) -> None:
        self.management = management
        if management is not None:
            management.take()  # what was done outside of runs, or in one that failed, belongs to no run
        self.engine, self.chip, self.plan, self.schedule = engine, chip, plan, schedule
        self.standing, self.keeper = standing, keeper
        self._probes = Probes(engine.program) if probes is None else probes
        self._timers = Timers(engine.program, chip, engine.threads) if timers is None else timers
        self._began = engine.machine.step - standing.step  # the chip's step 0 of this run
        self._timer: Timer | None = None
        self._watch = Watch() if isinstance(keeper, Collector) else None
        self._progress: Progress | None = None
        self.was_interrupted = False
        self._clock = 0.0

    def advance(self, progress: Progress | None, *, stoppable: bool = True) -> bool:
        """Run to the end; return False when Ctrl-C ended it before.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of steps done, after each chunk.
        stoppable : bool
            Whether Ctrl-C ends the run where nothing is half done; otherwise it raises, in a short run: see `is_short`.

        Raises
        ------
        OverflowPolicyError
            In a strict run.
        """
        plan, standing = self.plan, self.standing
        stopping = ctrl_c() if stoppable else nullcontext()
        with self._timers.timer(plan.timing, standing.step) as timer, stopping as interrupted:
            self._timer, self._progress = timer, progress
            self._clock = perf_counter() - standing.wall_seconds
            done = self.engine.run(
                plan.steps,
                self.schedule,
                self._probes.read,
                self._take,
                seed=plan.seed,
                first_step=standing.step,
                strict=plan.strict,
                reset_every=plan.reset_every,
                pause_every=(plan.checkpoint_every, plan.weights_every),
                stop=Stop(interrupted, self._watch),
            )
            if plan.checkpoint_every and done < plan.steps:
                self._checkpoint()
                return False
            self._keep_last(done)
            if timer is not None:
                self._add_time(timer.take())
        standing.wall_seconds = perf_counter() - self._clock
        self.was_interrupted = interrupted is not None and interrupted.is_set()
        return done == plan.steps

    @property
    def is_short(self) -> bool:
        """Whether the run is over before anybody waits for it, and alone: a Ctrl-C may as well raise when it is."""
        left = self.plan.steps - self.standing.step
        return (
            left <= FIRST_STEPS
            and self.engine.threads == 1
            and self.management is None
            and isinstance(self.keeper, Collector)
        )

    @property
    def reason(self) -> BaseException:
        """Why a run ended before its last step: what is raised where the part is not wanted."""
        if self._watch is not None and self._watch.left is not None:
            return self._watch.error(self.standing.step, self.plan.steps)
        return KeyboardInterrupt()

    def _take(self, chunk: Chunk) -> None:
        """Keep a chunk of steps that the engine has done."""
        standing, plan = self.standing, self.plan
        predicted, fired = 0, chunk.spike_source
        if len(fired):
            predicted = int(np.add.reduce(self.engine.fan_out[fired], dtype=np.int64))
        assert predicted == chunk.n_synaptic_events, (
            f"{chunk.n_synaptic_events} synaptic events were made, {predicted} follow from the spikes"
        )
        did = self._managed(chunk.first_step)
        if self._timer is not None:
            self._timer.submit(chunk.spike_start, chunk.spike_source, chunk.active, did)
        step = chunk.first_step + len(chunk.active)
        learned = ((step, self.engine.learned()),) if self._keeps(step) else ()
        part = self._probes.part(chunk, learned, did.later(chunk.first_step))
        self.keeper.add(part)
        if self._watch is not None and step > FIRST_STEPS:
            self._watch.hold(part.n_bytes)
        standing.n_synaptic_events += chunk.n_synaptic_events
        standing.n_overflows += chunk.n_overflows
        standing.step = step
        if plan.checkpoint_every and step % plan.checkpoint_every == 0:
            self._checkpoint()
        if self._progress is not None:
            self._progress(step)

    def _checkpoint(self) -> None:
        standing = self.standing
        standing.wall_seconds = perf_counter() - self._clock
        standing.state = self.engine.snapshot()
        timed = None if self._timer is None else self._timer.take()
        self._add_time(timed)
        assert isinstance(self.keeper, RunWriter)
        self.keeper.checkpoint(self.plan, standing, timed)

    def _managed(self, n_steps_before: int) -> Managed:
        """Return what management cores did since it was asked last; its steps count from the chunk's first."""
        if self.management is None:
            return NO_LINES
        return self.management.take().later(-self._began - n_steps_before)

    def _keeps(self, step: int) -> bool:
        """Return whether the state of plastic synapses was asked for after so many steps."""
        every = self.plan.weights_every
        return bool(every and step % every == 0 and step and self.engine.plastic is not None)

    def _keep_last(self, done: int) -> None:
        """Keep the state in which plastic synapses end, unless it was asked for anyway."""
        engine = self.engine
        if engine.plastic is not None and not self._keeps(done):
            part = no_part(engine.program, self._probes.neurons, done)
            self.keeper.add(replace(part, learned=((done, engine.learned()),)))

    def _add_time(self, timed: Timing | None) -> None:
        earlier = self.standing.timing
        self.standing.timing = timed if earlier is None or timed is None else earlier.then(timed)

    def run(self, records: Records) -> Run:
        """Return the run as far as it is."""
        standing, plan = self.standing, self.plan
        return Run(
            program=self.engine.program,
            chip=self.chip,
            n_steps=standing.step,
            seed=plan.seed,
            status="complete" if standing.step == plan.steps else "interrupted",
            records=records,
            timing=standing.timing,
            steps_asked=plan.steps,
            n_overflows=standing.n_overflows,
            wall_seconds=standing.wall_seconds,
        )

    def finish(self) -> Run:
        """Finish the run's folder and return the run; a first Ctrl-C does not end this."""
        assert isinstance(self.keeper, RunWriter)
        run = self.run(self.keeper.records(self.standing.step))
        with ctrl_c():
            self.keeper.finish(run)
        return run
