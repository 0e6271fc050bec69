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
    routes: NDArray[np.int32],
    cores_per_tile: int,
    tree: bool,
    step_cycles: NDArray[np.int64],
    bottleneck: NDArray[np.uint8],
    core_cycles: NDArray[np.int64],
    tile_loads: NDArray[np.int64],
) -> None:
    """Time every step; fills the last four arrays."""
