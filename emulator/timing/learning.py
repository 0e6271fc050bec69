"""The learning phase of a step: after the spikes of an epoch's last step each core visits its plastic synapses."""

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.program import Program
from emulator.timing.traffic import instructions_per_visit
from emulator.units import exact

LEARNING = "learning"
"""The bottleneck of a step whose learning phase takes longer than all before it."""


class LearningTimer:
    """Adds the learning phase to steps that were timed without it.

    A core visits its synapses one after another; the step ends when the slowest has, and then comes the barrier.
    The time of all visits of a core in a step becomes whole cycles once, rounded up.

    Parameters
    ----------
    program : Program
        What runs.
    chip : Chip
        The chip to time it on.
    barrier_cycles : int
        Cycles of the barrier, which each step's cycles contain.
    """

    def __init__(self, program: Program, chip: Chip, barrier_cycles: int) -> None:
        self.n_segments, self.barrier_cycles = len(program.segments), barrier_cycles
        cores = program.blocks[program.learning_blocks, 0]
        each = instructions_per_visit(program, chip) if program.learns else np.empty(0, np.int64)
        cost = exact(chip.costs.learning_instruction.time_ns) * exact(chip.clock.mhz) / 1000
        self._numerator, self._denominator = cost.numerator, cost.denominator
        self._cores, place = np.unique(cores, return_inverse=True)
        self._cost = np.zeros(
            (len(cores), len(self._cores)), np.int64
        )  # of a visit, by block and core
        self._cost[np.arange(len(cores)), place.reshape(-1)] = each
        self.core_cycles = np.zeros(chip.mesh.n_cores, np.int64)

    def spiking(self, counts: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the counts of segments, as the timing kernels take them."""
        return np.ascontiguousarray(counts[:, : self.n_segments])

    def extend(
        self,
        counts: NDArray[np.uint32],
        step_cycles: NDArray[np.int64],
        bottleneck: NDArray[np.uint8],
        number: int,
    ) -> NDArray[np.int64]:
        """Add the learning phase to the cycles of some steps, in place; return what each core worked in it.

        Where it takes longer than the spiking phase, it is the bottleneck, as `number`.
        """
        if not self._cost.size:
            return np.zeros_like(self.core_cycles)
        instructions = counts[:, self.n_segments :].astype(np.int64) @ self._cost
        if int(instructions.max(initial=0)) * self._numerator >= 2**63:
            instructions = instructions.astype(object)
        work = (-(-instructions * self._numerator // self._denominator)).astype(np.int64)
        longest = work.max(axis=1, initial=0)
        bottleneck[longest > step_cycles - self.barrier_cycles] = number
        step_cycles += longest
        cycles = np.zeros_like(self.core_cycles)
        cycles[self._cores] = work.sum(axis=0)
        return cycles
