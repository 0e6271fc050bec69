import numpy as np
from numpy.typing import NDArray

def stable_order(
    key: NDArray[np.int32], n_keys: int, order: NDArray[np.uint32] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]: ...
