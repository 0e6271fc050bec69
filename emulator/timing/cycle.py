"""Cycle timing: each step on an empty mesh, flit by flit, with the cores as servers on it.

Steps do not know each other, so a pool of workers times those that are done while the engine computes the next; the
result does not depend on the number of workers.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from emulator.account import NO_LINES, Managed
from emulator.chip import Chip
from emulator.errors import RunError
from emulator.growing import Growing
from emulator.kernels import pipeline
from emulator.kernels.router import BRANCH
from emulator.kernels.trees import Trees
from emulator.noc.mesh import mesh_settings, stuck_message
from emulator.program import Program
from emulator.timing.analytic import (
    barrier_cycles,
    segment_table,
    tiles_used,
)
from emulator.timing.learning import LEARNING, LearningTimer
from emulator.timing.managing import MANAGEMENT, ManagementTimer
from emulator.timing.result import Timing
from emulator.timing.traffic import Traffic, flits_per_packet, traffic

PIECE_SPIKES = 20_000
"""Spikes that a worker times in one go: about a tenth of a second."""
PIECE_STEPS = 2_000
AHEAD = 4
"""Pieces for each worker that may wait; `submit` waits until there are no more."""
MOST_BRANCHES = 1 << 24
"""Branches of multicast trees that a flit can tell apart."""

HELD_STEPS, HELD_SPIKES = 16, 1_000
"""A piece of no more is timed when it is asked for, without a thread, where it is the only one."""

Piece = tuple[NDArray[np.int64], NDArray[np.uint8]]
Work = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint32], int, int, int]
"""Where the spikes of each step begin, sources, active compartments; first and last step in them; steps before."""


class Held(NamedTuple):
    """A piece that is timed when its result is asked for."""

    time: Callable[..., Piece]
    piece: Work

    def done(self) -> bool:
        """Return False: it waits until it is asked for."""
        return False

    def result(self) -> Piece:
        """Time it."""
        return self.time(*self.piece)


class _Worker:
    """What times steps in one thread: a mesh with its cores, and the trees that packets follow."""

    def __init__(
        self, program: Program, chip: Chip, sent: Traffic, costs: NDArray[np.int64]
    ) -> None:
        mesh = chip.mesh
        self.chip, self.trees = chip, None
        root, branches = np.empty(0, np.uint32), np.empty(0, BRANCH)
        if mesh.multicast == "tree":
            sources = (sent.entry_start, sent.entries, sent.source_tile)
            self.trees = Trees(*sources, mesh.routes.packed, mesh.cores_per_tile, MOST_BRANCHES)
            root, branches = self.trees.root, self.trees.branches  # rewritten in place
        self.timer = pipeline.Timer(
            mesh_settings(chip),
            mesh.routes.packed,
            costs,
            program.n_cores,
            mesh.cores_per_tile,
            flits_per_packet(chip),
            sent.entry_start,
            sent.entries,
            segment_table(program, chip),
            sent.source_tile,
            sent.source_flits,
            root,
            branches,
        )

    def time(
        self,
        spike_start: NDArray[np.int64],
        spike_source: NDArray[np.uint32],
        active: NDArray[np.uint32],
        steps: range,
        before: int,
    ) -> Piece:
        """Return cycles and bottleneck of some steps, the first of which is step `before` of the run."""
        cycles, bottleneck = np.zeros(len(steps), np.int64), np.zeros(len(steps), np.uint8)
        number = before - steps.start  # of a step in the run
        first = steps.start
        while first < steps.stop:
            stop = steps.stop
            if self.trees is not None:
                stop = self.trees.plant(spike_start, spike_source, first, stop)
            if stop == first:
                raise RunError(
                    f"step {number + first}: its multicast trees have more than {MOST_BRANCHES:,} branches, which is "
                    "all that a flit can tell apart; mesh.multicast 'none' or analytic timing has no such limit"
                )
            done = slice(first - steps.start, stop - steps.start)
            stuck = self.timer.time_steps(
                first, stop, spike_start, spike_source, active, cycles[done], bottleneck[done]
            )
            if stuck >= 0:
                where = stuck_message(self.chip, self.timer.occupied())
                raise RunError(f"step {number + stuck}: {where}")
            first = stop
        return cycles, bottleneck


class CycleTimer:
    """Times steps while later ones are still computed.

    Parameters
    ----------
    program : Program
        What runs.
    chip : Chip
        The chip to time it on: any with enough cores.
    workers : int
        Threads.
    progress : callable, optional
        Called with the number of steps timed.
    first_step : int
        Number of the first step that will be submitted, for messages: not 0 in a run that is resumed.
    """

    def __init__(
        self,
        program: Program,
        chip: Chip,
        workers: int = 1,
        progress: Callable[[int], None] | None = None,
        first_step: int = 0,
    ) -> None:
        self.program, self.chip, self.progress = program, chip, progress
        self.barrier = barrier_cycles(chip, tiles_used(program, chip))
        cycles = chip.service_cycles
        costs = [
            cycles("neuron_spike"), cycles("axon_out"), cycles("host"), cycles("packet"), self.barrier,
            chip.mesh.input_queue_packets,
        ]  # fmt: skip
        sent = traffic(program, chip)
        self._learning = LearningTimer(program, chip, self.barrier)
        self._managed = ManagementTimer(chip, self.barrier, exact=True)
        self._workers = [
            _Worker(program, chip, sent, np.asarray(costs, np.int64))
            for _ in range(max(1, workers))
        ]
        self._timers = [worker.timer for worker in self._workers]
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[Piece] | Held] = deque()
        self._counts: deque[NDArray[np.uint32]] = deque()
        self._step_cycles, self._bottleneck = Growing(np.int64), Growing(np.uint8)
        self._next_step, self._n_timed = first_step, 0
        self._taken: dict[str, NDArray[np.int64]] = {}

    def begin(self, first_step: int = 0) -> None:
        """Time another run; everything of the one before was taken."""
        self._next_step, self._n_timed = first_step, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def submit(
        self,
        spike_start: NDArray[np.int64],
        spike_source: NDArray[np.uint32],
        active: NDArray[np.uint32],
        managed: Managed = NO_LINES,
    ) -> None:
        """Time the steps that follow those submitted before; return while the last of them are still being timed.

        Parameters
        ----------
        spike_start : (n_steps + 1,) ndarray
            Where the spikes of each step begin.
        spike_source : (n_spikes,) ndarray
            Sources, ascending in each step.
        active : (n_steps, n_segments) ndarray
            Active compartments.
        managed : Managed
            What management cores did; its steps count from the first of these.
        """
        self._managed.submit(managed.lines, len(active))
        counts, active = active, self._learning.spiking(active)
        first = 0
        while first < len(active):
            enough = (
                np.searchsorted(spike_start, spike_start[first] + PIECE_SPIKES, side="right") - 1
            )
            stop = int(min(max(enough, first + 1), first + PIECE_STEPS, len(active)))
            piece = (spike_start, spike_source, active, first, stop, self._next_step)
            self._counts.append(counts[first:stop])
            self._waiting.append(self._send(piece))
            self._next_step += stop - first
            first = stop
            self._collect(AHEAD * len(self._timers))

    def _send(self, piece: Work) -> "Future[Piece] | Held":
        """Have a piece timed by a thread; a small one that comes first is kept: a short run needs no thread."""
        first, stop = piece[3:5]
        is_small = stop - first <= HELD_STEPS and piece[0][stop] - piece[0][first] <= HELD_SPIKES
        if self._pool is None and is_small and not self._waiting:
            return Held(self._time, piece)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(len(self._timers))
            for k, held in enumerate(self._waiting):
                if isinstance(held, Held):
                    self._waiting[k] = self._pool.submit(held.time, *held.piece)
        return self._pool.submit(self._time, *piece)

    def take(self) -> Timing:
        """Wait for all steps and return the timing of those submitted since it was taken last.

        Raises
        ------
        RunError
            When the mesh is stuck.
        """
        self._collect(0)
        timing = self._since_the_start()
        part = timing.since(self._taken)
        part = replace(part, latency_packets=np.trim_zeros(part.latency_packets, "b"))
        self._taken = timing.sums()
        return part

    def _since_the_start(self) -> Timing:
        """Return the timing of all steps but for the cycles of those that were taken."""
        chip = self.chip
        step_cycles, bottleneck = self._step_cycles.take(), self._bottleneck.take()
        names = (*pipeline.BOTTLENECKS, LEARNING, MANAGEMENT)
        self._managed.take(step_cycles, bottleneck, names.index(MANAGEMENT))
        busy = self._all_cores([timer.busy for timer in self._timers])
        waited = self._all_cores([timer.waited for timer in self._timers])
        links = sum(
            (t.link_flits for t in self._timers), np.zeros((chip.mesh.n_tiles, 5), np.int64)
        )
        latency = sum(
            (t.latency for t in self._timers), np.zeros(len(self._timers[0].latency), np.int64)
        )
        return Timing(
            mode="cycle",
            clock_mhz=chip.clock.mhz,
            step_cycles=step_cycles,
            bottleneck=bottleneck,
            bottleneck_names=names,
            core_neuron_cycles=busy[0],
            core_axon_cycles=busy[1],
            core_receive_cycles=busy[2],
            core_learning_cycles=self._learning.core_cycles.copy(),
            core_axon_waited_cycles=waited[0],
            core_receive_waited_cycles=waited[1],
            link_flits=np.ascontiguousarray(links[:, :4]),
            latency_packets=np.trim_zeros(latency, "b"),
            barrier_cycles=self.barrier,
        )

    def _all_cores(self, parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return the sum over workers, for all cores of the chip."""
        total = np.sum(parts, axis=0)
        return np.pad(total, ((0, 0), (0, self.chip.mesh.n_cores - total.shape[1])))

    @property
    def n_moves(self) -> int:
        """Flits that crossed a switch so far: the flit-routers of the run."""
        return sum(timer.n_moves for timer in self._timers)

    def _time(
        self,
        spike_start: NDArray[np.int64],
        spike_source: NDArray[np.uint32],
        active: NDArray[np.uint32],
        first: int,
        stop: int,
        before: int,
    ) -> Piece:
        worker = self._free.get()
        try:
            return worker.time(spike_start, spike_source, active, range(first, stop), before)
        finally:
            self._free.put(worker)

    def _collect(self, n_left: int) -> None:
        """Take pieces in order until at most `n_left` are not done; report how many steps that is."""
        while self._waiting and (len(self._waiting) > n_left or self._waiting[0].done()):
            cycles, bottleneck = self._waiting.popleft().result()
            self._learning.core_cycles += self._learning.extend(
                self._counts.popleft(), cycles, bottleneck, len(pipeline.BOTTLENECKS)
            )
            self._step_cycles.add(cycles)
            self._bottleneck.add(bottleneck)
            self._n_timed += len(cycles)
            if self.progress is not None:
                self.progress(self._n_timed)
