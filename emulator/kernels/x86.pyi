from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FAULTS: tuple[str, ...]
OUTCOMES: tuple[str, ...]
LAYOUT: dict[str, int]
"""Addresses and sizes: registers, channels, channel_bytes, channel_data, everything, wait_interrupt."""
REGISTERS: dict[str, int]
"""Offset of each register."""
CHANNEL_REGISTERS: dict[str, int]
"""Offset of each register of a channel."""

class Processor:
    """A management core: memory, devices, and the code that runs on it."""

    n_instructions: int
    rewards: tuple[int, int]
    waits: tuple[int, bool]
    spikes: NDArray[np.int64]
    fault: tuple[str, int, int, int, int, BaseException | None]
    registers: dict[str, int]

    def __init__(
        self,
        library: str,
        memory: Sequence[tuple[int, NDArray[np.uint8], int]],
        stack_top: int,
        regions: Sequence[Any],
        channels: Sequence[tuple[Any, int]],
        sources: NDArray[np.int64],
        core: int,
        n_populations: int,
        on_reset: Callable[[int | None], None],
    ) -> None: ...
    def begin(
        self, entry: int, step: int, phase: int, earliest_spike: int, budget: int
    ) -> None: ...
    def advance(self) -> Literal["returned", "waits", "failed"]: ...
