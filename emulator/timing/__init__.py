"""Timing models: recorded steps on a chip, in cycles. They never see how spikes were computed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from emulator.account import NO_LINES, Managed
from emulator.chip import Chip
from emulator.program import Program
from emulator.timing.analytic import AnalyticTimer
from emulator.timing.cycle import CycleTimer
from emulator.timing.managing import MANAGEMENT, ManagementTraffic, managed_cycles
from emulator.timing.result import CORE_ARRAYS, LINKS, SUMS, Timing

TimingMode = Literal["off", "analytic", "cycle"]
TIMING_MODES: tuple[str, ...] = get_args(TimingMode)
Timer = AnalyticTimer | CycleTimer

__all__ = [
    "CORE_ARRAYS",
    "LINKS",
    "MANAGEMENT",
    "SUMS",
    "TIMING_MODES",
    "AnalyticTimer",
    "CycleTimer",
    "ManagementTraffic",
    "Timer",
    "Timers",
    "Timing",
    "TimingMode",
    "managed_cycles",
    "start_timing",
    "time_run",
]


def start_timing(
    program: Program,
    chip: Chip,
    mode: TimingMode,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    first_step: int = 0,
) -> Timer | None:
    """Return what steps are submitted to as they are computed; use it in a `with` statement.

    Parameters
    ----------
    program : Program
        What runs.
    chip : Chip
        The chip to time it on: any with enough cores.
    mode : {"off", "analytic", "cycle"}
        The timing model; nothing is returned when it is off.
    workers : int
        Threads of cycle timing; the result does not depend on them.
    progress : callable, optional
        Called with the number of steps timed.
    first_step : int
        Number of the first step that will be submitted, for messages: not 0 in a run that is resumed.
    """
    if mode == "cycle":
        return CycleTimer(program, chip, workers, progress, first_step)
    return AnalyticTimer(program, chip, progress) if mode == "analytic" else None


class Timers:
    """The timers of a program on a chip, kept from run to run: making one takes longer than a short run.

    Parameters
    ----------
    program, chip, workers
        As `start_timing` takes them.
    """

    def __init__(self, program: Program, chip: Chip, workers: int = 1) -> None:
        self._program, self._chip, self._workers = program, chip, workers
        self._kept: dict[TimingMode, Timer] = {}

    def timer(self, mode: TimingMode, first_step: int = 0) -> AbstractContextManager[Timer | None]:
        """Have a timer for a run, unless timing is off; one in which a run fails is not used again."""
        return nullcontext() if mode == "off" else self._timer(mode, first_step)

    @contextmanager
    def _timer(self, mode: TimingMode, first_step: int) -> Iterator[Timer]:
        timer = self._kept.pop(mode, None)
        if timer is None:
            timer = start_timing(
                self._program, self._chip, mode, self._workers, first_step=first_step
            )
            assert timer is not None
        else:
            timer.begin(first_step)
        with timer:
            yield timer
        self._kept[mode] = timer


def time_run(
    program: Program,
    chip: Chip,
    n_steps: int,
    spike_step: NDArray[np.uint32],
    spike_source: NDArray[np.uint32],
    active: NDArray[np.uint32],
    managed: Managed = NO_LINES,
    *,
    mode: TimingMode,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Timing | None:
    """Time a recorded run on a chip.

    Parameters
    ----------
    program, chip, mode, workers, progress
        As `start_timing` takes them.
    n_steps : int
        Steps recorded.
    spike_step, spike_source : (n_spikes,) ndarray
        Step and source of each spike, by step, then source.
    active : (n_steps, n_segments) ndarray of uint32
        Active compartments of each segment in each step.
    managed : Managed
        What management cores did.

    Returns
    -------
    Timing or None
        Cycles and bottleneck of each step; None when the mode is off.
    """
    timer = start_timing(program, chip, mode, workers, progress)
    if timer is None:
        return None
    spike_start = np.searchsorted(spike_step, np.arange(n_steps + 1)).astype(np.int64)
    with timer:
        timer.submit(spike_start, spike_source, active, managed)
        return timer.take()
