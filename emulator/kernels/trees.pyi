import numpy as np
from numpy.typing import NDArray

class Trees:
    """The multicast trees of the sources that spike."""

    root: NDArray[np.uint32]
    branches: NDArray[np.void]
    n_branches: int

    def __init__(
        self,
        entry_start: NDArray[np.int64],
        entries: NDArray[np.void],
        source_tile: NDArray[np.int32],
        routes: NDArray[np.int32],
        cores_per_tile: int,
        most_branches: int,
    ) -> None: ...
    def plant(
        self,
        spike_start: NDArray[np.int64],
        spike_source: NDArray[np.uint32],
        first: int,
        stop: int,
    ) -> int:
        """Let all sources that spike in some steps have trees; return the first step for which there is no room."""
