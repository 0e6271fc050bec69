import numpy as np
from numpy.typing import NDArray

BOTTLENECKS: tuple[str, ...]

def time_steps(
    entry_start: NDArray[np.int64],
    entries: NDArray[np.void],
    segments: NDArray[np.int32],
    source_core: NDArray[np.int32],
    source_tile: NDArray[np.int32],
    source_flits: NDArray[np.int32],
    packet_flits: int,
    spike_start: NDArray[np.int64],
    spike_source: NDArray[np.uint32],
    active: NDArray[np.uint32],
    costs_table: NDArray[np.int64],
    width: int,
    cores_per_tile: int,
    tree: bool,
    step_cycles: NDArray[np.int64],
    bottleneck: NDArray[np.uint8],
    core_cycles: NDArray[np.int64],
    tile_loads: NDArray[np.int64],
) -> None:
    """Time every step; fills the last four arrays."""

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
        width: int,
        height: int,
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
