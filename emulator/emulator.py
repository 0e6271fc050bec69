"""Emulator: a chip with a program loaded, ready to run. The command line only wraps this."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import require_kind, shown, whole
from emulator.chip import Chip
from emulator.engine import MAX_THREADS, Engine, Execution, ctrl_c, spike_schedule
from emulator.errors import ChipError, ProgramError, RunError
from emulator.observe.run import Run, probed_neurons
from emulator.program import Program, check_fit
from emulator.timing import TIMING_MODES, TimingMode, start_timing

MAX_STEPS = 2**32 - 1
"""Steps are numbered in 32 bits."""
MEMORY_SHARE = 0.7
"""Part of the machine's memory that the records of a run may take."""


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
        self._engine = Engine(program, chip, threads)

    def reset(self) -> None:
        """Restore the freshly loaded program, at step 0."""
        self._engine.reset()

    def run(
        self,
        steps: int,
        inputs: Mapping[str, ArrayLike] | None = None,
        *,
        timing: TimingMode = "cycle",
        seed: int = 0,
        strict: bool = False,
        reset_every: int | None = None,
        progress: Callable[[int], None] | None = None,
        keep_partial: bool = False,
    ) -> Run:
        """Advance the chip; a second call continues where the first ended.

        Parameters
        ----------
        steps : int
            Algorithmic time steps.
        inputs : mapping of input population to array, optional
            Bool (steps, size), or integer pairs (n_spikes, 2) of step and neuron. Row t is emitted in step t and acts
            at t + 1 + delay; after the last row nothing comes.
        timing : {"cycle", "analytic", "off"}
            How long each step takes; never what it computes. "cycle" follows each packet through the mesh, "analytic"
            is a lower bound.
        seed : int
            Of everything random, recorded with the run.
        strict : bool
            Raise when u wraps around; otherwise the chip's behaviour is kept and counted in `run.n_overflows`.
        reset_every : int, optional
            Reset the state before every so many steps, the first included, so that samples of this length that follow
            each other do not meet.
        progress : callable, optional
            Called with the number of steps done, every tenth of a second or so.
        keep_partial : bool
            On Ctrl-C return what was run so far, with status "interrupted", instead of raising KeyboardInterrupt.

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
        """
        steps = whole("steps", steps, 0, MAX_STEPS, RunError)
        seed = whole("seed", seed, 0, 2**63 - 1, RunError)
        if reset_every is not None:
            reset_every = whole("reset_every", reset_every, 1, MAX_STEPS, RunError)
        if timing not in TIMING_MODES:
            raise RunError(f"timing is {shown(timing)}; allowed: {', '.join(TIMING_MODES)}")
        _check_memory(self.program, steps, timing)
        schedule = spike_schedule(self.program, inputs, steps)
        probes = _probed(self.program)
        u_columns, v_columns = (np.unique(_all_of(probes, variable)) for variable in ("u", "v"))
        with ExitStack() as stack:
            timer = start_timing(self.program, self.chip, timing, self.threads)
            if timer is not None:
                stack.enter_context(timer)
            interrupted = stack.enter_context(ctrl_c())
            execution = self._engine.run(
                steps,
                schedule,
                u_columns,
                v_columns,
                strict=strict,
                reset_every=reset_every,
                progress=progress,
                stop=interrupted,
                on_chunk=None if timer is None else timer.submit,
            )
            if execution.interrupted and not keep_partial:
                raise KeyboardInterrupt
            timed = None if timer is None else timer.result()
        columns = {"u": (u_columns, execution.u), "v": (v_columns, execution.v)}
        run = Run(
            program=self.program,
            chip=self.chip,
            n_steps=execution.n_steps,
            seed=seed,
            status="interrupted" if execution.interrupted else "complete",
            spike_step=execution.spike_step,
            spike_source=execution.spike_source,
            active=execution.active,
            recordings=_recordings(probes, columns, execution),
            timing=timed,
            steps_asked=steps,
            n_overflows=execution.n_overflows,
        )
        _cross_check(run, execution)
        return run


def _check_memory(program: Program, steps: int, timing: TimingMode) -> None:
    """Refuse a run whose records cannot be held in memory, before anything is made."""
    # What is recorded is held in chunks and then in one piece: twice 4 bytes for each value.
    n_values = len(program.segments) + sum(
        len(neurons) for probed in probed_neurons(program).values() for neurons in probed.values()
    )
    per_step = 8 * n_values + 8 + (0 if timing == "off" else 18)
    room = int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if steps * per_step > room:
        raise RunError(
            f"steps is {steps:,}: what is recorded takes {per_step:,} bytes a step, {steps * per_step / 1e9:,.1f} GB; "
            f"{room / 1e9:,.1f} GB of this machine may be used, which is enough for {room // per_step:,} steps: "
            "make several runs that continue each other, or probe fewer neurons"
        )


def _probed(program: Program) -> dict[str, dict[str, NDArray[np.int32]]]:
    """Return the probed sources, by population and variable, in the order of the recordings."""
    return {
        population: {
            variable: program.sources_of(population)[n] for variable, n in variables.items()
        }
        for population, variables in probed_neurons(program).items()
    }


def _all_of(probes: dict[str, dict[str, NDArray[np.int32]]], variable: str) -> NDArray[np.int32]:
    return np.concatenate(
        [np.empty(0, np.int32), *(v[variable] for v in probes.values() if variable in v)]
    )


def _recordings(
    probes: dict[str, dict[str, NDArray[np.int32]]],
    columns: dict[str, tuple[NDArray[np.int32], NDArray[np.int32]]],
    execution: Execution,
) -> dict[str, dict[str, NDArray[Any]]]:
    recordings: dict[str, dict[str, NDArray[Any]]] = {}
    for population, variables in probes.items():
        recordings[population] = {}
        for variable, sources in variables.items():
            if variable == "spikes":
                recordings[population][variable] = _raster(execution, sources)
            else:
                order, rows = columns[variable]
                recordings[population][variable] = rows[:, np.searchsorted(order, sources)]
    return recordings


def _raster(execution: Execution, sources: NDArray[np.int32]) -> NDArray[np.bool_]:
    raster = np.zeros((execution.n_steps, len(sources)), bool)
    order = np.argsort(sources)
    at = np.searchsorted(sources[order], execution.spike_source)
    hit = at < len(sources)
    hit[hit] = sources[order][at[hit]] == execution.spike_source[hit]
    raster[execution.spike_step[hit], order[at[hit]]] = True
    return raster


def _cross_check(run: Run, execution: Execution) -> None:
    """Hold the events that the kernels counted against those that the program's tables predict from the spikes."""
    predicted = run.counters.total("synaptic_event")
    assert predicted == execution.n_synaptic_events, (
        f"{execution.n_synaptic_events} synaptic events were made, {predicted} follow from the spikes"
    )
