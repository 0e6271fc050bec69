from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.kernels.learning import Learning
from emulator.kernels.phases import Phases

BLOCK: np.dtype[Any]
SEGMENT: np.dtype[Any]
INSTRUCTION: np.dtype[Any]
"""Of neuron microcode: action, d, a, b, n, fit, unused_bits, counts, low, high, joins."""
JOIN: np.dtype[Any]
"""segment, source, target, n, op, word: what compartments pass to others of their core."""

class Machine(Phases):
    """The state of a loaded program, and the workers that advance it."""

    steps_done: int
    n_events: int
    n_overflows: int
    overflow_segment: int
    clocked: bool
    delivery_ns: int
    learning_ns: int

    def __init__(
        self,
        tables: dict[str, NDArray[Any]],
        rules: dict[str, int],
        core_start: NDArray[np.int32],
        core_ranges: Sequence[tuple[int, int]],
        cached_synapses: int = ...,
        sorted_rows: int = ...,
        microcode: Sequence[tuple[Any, ...] | None] | None = ...,
        graded: bool = ...,
        learning: Learning | None = ...,
    ) -> None: ...
    def seed_with(self, seed: int) -> None:
        """Set the seed of the random bits."""

    def fired_now(self, t: int) -> NDArray[np.uint32]:
        """Return the sources that fired in a step of this chunk."""
    def look_at(self, compartment: int, rows: NDArray[np.int32]) -> None:
        """Note every instruction of one compartment in rows (n_instructions, 3); -1: of none."""

    def divide(self, core_ranges: Sequence[tuple[int, int]]) -> None:
        """Give ranges of cores to workers, at most as many as there were first; between chunks."""

    def begin(
        self,
        n_steps: int,
        input_start: NDArray[np.int64],
        input_source: NDArray[np.uint32],
        spike_source: NDArray[np.uint32],
        spike_start: NDArray[np.int64],
        input_payload: NDArray[np.int32],
        spike_payload: NDArray[np.int32],
        active: NDArray[np.uint32],
        u_probe: NDArray[np.int32],
        u_rows: NDArray[np.int32],
        v_probe: NDArray[np.int32],
        v_rows: NDArray[np.int32],
        word_probe: NDArray[np.int64],
        word_rows: NDArray[np.int32],
        rewards: NDArray[np.int32],
        strict: bool,
    ) -> None: ...
    def work(self, k: int) -> None: ...
