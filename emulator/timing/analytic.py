"""Analytic timing: for each step the busiest core, link or port bounds the time from below.

T = max over cores of max(neuron loop, axon out, receive path), over links and ports of their flits, plus the
barrier. It never exceeds what the cycle-level model of the same chip says.
"""

from collections.abc import Callable
from math import ceil
from typing import Self

import numpy as np
from numpy.typing import NDArray

from emulator.account import NO_LINES, Managed
from emulator.chip import Chip
from emulator.growing import Growing
from emulator.kernels import analytic
from emulator.program import Program
from emulator.timing.learning import LEARNING, LearningTimer
from emulator.timing.managing import MANAGEMENT, ManagementTimer
from emulator.timing.result import Timing
from emulator.timing.traffic import flits_per_packet, traffic
from emulator.units import exact

PIECE_STEPS = 100_000
"""Steps between two looks at the progress."""


def tiles_used(program: Program, chip: Chip) -> int:
    """Return how many tiles hold a core of the program."""
    return len(np.unique(program.segments[:, 3] // chip.mesh.cores_per_tile))


def barrier_cycles(chip: Chip, n_tiles_used: int) -> int:
    """Return the cycles that end a step: linear in the tiles in use between the two points of the chip file."""
    barrier = chip.barrier
    slope = (exact(barrier.all_tiles_ns) - exact(barrier.one_tile_ns)) / (barrier.tiles - 1)
    time_ns = (
        exact(barrier.one_tile_ns)
        + slope * (max(n_tiles_used, 1) - 1)
        + exact(chip.costs.barrier.time_ns)
    )
    return max(0, ceil(time_ns * exact(chip.clock.mhz) / 1000))


def segment_table(program: Program, chip: Chip) -> NDArray[np.int32]:
    """Return what the neuron loop of each segment takes, (n_segments, 5), in the order of compartments.

    Core, size, first compartment, cycles of each compartment, and cycles of each count that is recorded: a native
    model's active compartments cost what is more than idle; microcode costs its instructions alone.
    """
    segments, cycles = program.segments, chip.service_cycles
    is_microcode = np.array([p["model"] in program.models for p in program.manifest["populations"]])
    programmed = is_microcode[segments[:, 0]]
    idle, active = cycles("neuron_idle"), cycles("neuron_active")
    joins = np.bincount(program.segment_joins, minlength=len(segments))
    each = np.where(programmed, 0, idle) + joins * cycles("dendrite_join")
    count = np.where(programmed, cycles("instruction"), active - idle)
    size = segments[:, 2] - segments[:, 1]
    table = np.stack([segments[:, 3], size, segments[:, 4], each, count], axis=1)
    return np.ascontiguousarray(table, np.int32)


class AnalyticTimer:
    """Bounds the time of steps from below, as they are computed.

    Parameters
    ----------
    program : Program
        What runs.
    chip : Chip
        The chip to time it on: any with enough cores.
    progress : callable, optional
        Called with the number of steps timed.
    """

    def __init__(
        self, program: Program, chip: Chip, progress: Callable[[int], None] | None = None
    ) -> None:
        self.chip, self.progress = chip, progress
        self.barrier = barrier_cycles(chip, tiles_used(program, chip))
        cycles = chip.service_cycles
        costs = [
            cycles("neuron_spike"), cycles("axon_out"), cycles("host"), self.barrier,
        ]  # fmt: skip
        self._costs = np.asarray(costs, np.int64)
        self._sent = traffic(program, chip)
        self._segments = segment_table(program, chip)
        self._learning = LearningTimer(program, chip, self.barrier)
        self._managed = ManagementTimer(chip, self.barrier, exact=False)
        self._core_cycles = np.zeros((3, chip.mesh.n_cores), np.int64)
        self._tile_loads = np.zeros((7, chip.mesh.n_tiles), np.int64)
        self._step_cycles, self._bottleneck = Growing(np.int64), Growing(np.uint8)
        self._n_timed = 0
        self._taken: dict[str, NDArray[np.int64]] = {}

    def begin(self, _first_step: int = 0) -> None:
        """Time another run; everything of the one before was taken."""
        self._n_timed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: there are no workers to stop."""

    def submit(
        self,
        spike_start: NDArray[np.int64],
        spike_source: NDArray[np.uint32],
        active: NDArray[np.uint32],
        managed: Managed = NO_LINES,
    ) -> None:
        """Time the steps that follow those submitted before; see `CycleTimer.submit`."""
        self._managed.submit(managed.lines, len(active))
        for first in range(0, len(active), PIECE_STEPS):
            self._time(
                spike_start[first : first + PIECE_STEPS + 1],
                spike_source,
                active[first : first + PIECE_STEPS],
            )
            if self.progress is not None:
                self.progress(self._n_timed)

    def _time(
        self,
        spike_start: NDArray[np.int64],
        spike_source: NDArray[np.uint32],
        active: NDArray[np.uint32],
    ) -> None:
        sent, mesh = self._sent, self.chip.mesh
        step_cycles, bottleneck = np.zeros(len(active), np.int64), np.zeros(len(active), np.uint8)
        analytic.time_steps(
            sent.entry_start,
            sent.entries,
            self._segments,
            sent.source_core,
            sent.source_tile,
            sent.source_flits,
            flits_per_packet(self.chip),
            spike_start,
            spike_source,
            self._learning.spiking(active),
            self._costs,
            mesh.routes.packed,
            mesh.cores_per_tile,
            mesh.multicast == "tree",
            step_cycles,
            bottleneck,
            self._core_cycles,
            self._tile_loads,
        )
        self._learning.core_cycles += self._learning.extend(
            active, step_cycles, bottleneck, len(analytic.BOTTLENECKS)
        )
        self._step_cycles.add(step_cycles)
        self._bottleneck.add(bottleneck)
        self._n_timed += len(active)

    def take(self) -> Timing:
        """Return the timing of the steps submitted since it was taken last."""
        timing = self._since_the_start()
        part = timing.since(self._taken)
        self._taken = timing.sums()
        return part

    def _since_the_start(self) -> Timing:
        """Return the timing of all steps but for the cycles of those that were taken."""
        none = np.zeros(self.chip.mesh.n_cores, np.int64)
        names = (*analytic.BOTTLENECKS, LEARNING, MANAGEMENT)
        step_cycles, bottleneck = self._step_cycles.take(), self._bottleneck.take()
        self._managed.take(step_cycles, bottleneck, names.index(MANAGEMENT))
        return Timing(
            mode="analytic",
            clock_mhz=self.chip.clock.mhz,
            step_cycles=step_cycles,
            bottleneck=bottleneck,
            bottleneck_names=names,
            core_neuron_cycles=self._core_cycles[0].copy(),
            core_axon_cycles=self._core_cycles[1].copy(),
            core_receive_cycles=self._core_cycles[2].copy(),
            core_learning_cycles=self._learning.core_cycles.copy(),
            core_axon_waited_cycles=none,
            core_receive_waited_cycles=none,
            link_flits=self._tile_loads[:4].T.copy(),
            barrier_cycles=self.barrier,
            latency_packets=np.empty(0, np.int64),
        )
