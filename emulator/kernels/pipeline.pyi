from typing import Final

import numpy as np
from numpy.typing import NDArray

BOTTLENECKS: Final[tuple[str, ...]]
ENTRY: Final[np.dtype[np.void]]

class Timer:
    busy: NDArray[np.int64]
    waited: NDArray[np.int64]
    latency: NDArray[np.int64]
    def __init__(
        self,
        mesh_settings: NDArray[np.int64],
        routes: NDArray[np.int32],
        costs: NDArray[np.int64],
        n_cores: int,
        cores_per_tile: int,
        packet_flits: int,
        entry_start: NDArray[np.int64],
        entries: NDArray[np.void],
        segments: NDArray[np.int32],
        source_tile: NDArray[np.int32],
        source_flits: NDArray[np.int32],
        root: NDArray[np.uint32],
        branches: NDArray[np.void],
    ) -> None: ...
    @property
    def link_flits(self) -> NDArray[np.int64]: ...
    @property
    def n_moves(self) -> int: ...
    def occupied(self) -> list[tuple[int, int, int, int, int, bool, int]]: ...
    def packets(self) -> NDArray[np.int64]: ...
    def time_steps(
        self,
        first: int,
        stop: int,
        spike_start: NDArray[np.int64],
        spike_source: NDArray[np.uint32],
        active: NDArray[np.uint32],
        step_cycles: NDArray[np.int64],
        bottleneck: NDArray[np.uint8],
        patience: int = 1_000_000,
    ) -> int: ...
