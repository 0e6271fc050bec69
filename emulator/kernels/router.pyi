from typing import Final

import numpy as np
from numpy.typing import NDArray

SETTINGS: Final[tuple[str, ...]]
BRANCH: Final[np.dtype[np.void]]

class Replay:
    inject: NDArray[np.int64]
    arrive: NDArray[np.int64]
    def __init__(
        self,
        settings: NDArray[np.int64],
        routes: NDArray[np.int32],
        cycle: NDArray[np.int64],
        source: NDArray[np.int32],
        target: NDArray[np.int32],
        size: NDArray[np.int32],
        *,
        root: NDArray[np.uint32] | None = None,
        branches: NDArray[np.void] | None = None,
        first_delivery: NDArray[np.uint32] | None = None,
        n_deliveries: int = -1,
    ) -> None: ...
    def advance(self, n_cycles: int, patience: int = 100_000) -> bool: ...
    @property
    def now(self) -> int: ...
    @property
    def n_left(self) -> int: ...
    @property
    def n_moves(self) -> int: ...
    @property
    def link_flits(self) -> NDArray[np.int64]: ...
    def occupied(self) -> list[tuple[int, int, int, int, int, bool, int]]: ...
