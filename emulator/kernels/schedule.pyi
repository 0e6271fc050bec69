import numpy as np
from numpy.typing import NDArray

def from_rows(
    raster: NDArray[np.uint8], first_source: int, n_steps: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32], int]: ...
def from_columns(
    raster: NDArray[np.uint8], first_source: int, n_steps: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32], int]: ...
def from_pairs(
    pairs: NDArray[np.integer], size: int, first_source: int, n_steps: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32], bool, int, int]: ...
def place(
    start: NDArray[np.int64],
    values: NDArray[np.uint32],
    begin: NDArray[np.int64],
    out: NDArray[np.uint32],
) -> None: ...
