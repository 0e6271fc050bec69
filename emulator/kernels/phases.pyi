from typing import Any

import numpy as np
from numpy.typing import NDArray

class Phases:
    """What a run loop shares with management cores."""

    n_workers: int
    step: int

    def manage(self, manager: Any, guards: NDArray[np.int64]) -> None:
        """Call manager.phase(step, place in the chunk, phase) where a guard (phase, every, first) may hold."""
    def expect_spikes(self, step: int) -> None:
        """Set the step in which spikes of management cores come next, -1: there are none."""
    def raise_failure(self) -> None:
        """Raise what a management program raised in the last chunk, if any did."""
