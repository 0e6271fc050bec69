"""What every encoder asks of its arguments."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import NetworkError


def unit_values(values: ArrayLike, n_steps: int) -> NDArray[np.float64]:
    """Return the values as a real array of at least one axis; refuse what lies outside 0 to 1."""
    if n_steps < 1:
        raise NetworkError(f"n_steps is {n_steps}; it must be at least 1")
    x = np.atleast_1d(np.asarray(values, np.float64))
    outside = ~((x >= 0) & (x <= 1))
    if outside.any():
        raise NetworkError(
            f"{np.count_nonzero(outside)} of {x.size} values lie outside 0 to 1, "
            f"the first is {x[outside][0]:g}"
        )
    return x
