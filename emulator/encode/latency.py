"""Latency code: the larger a value, the earlier its one spike."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.encode.checks import real_number, train_of, unit_values


def latency(values: ArrayLike, n_steps: int, *, threshold: float = 0.0) -> NDArray[np.bool_]:
    """Return spikes in which a value x fires once, in step floor((1 - x) * n_steps).

    Parameters
    ----------
    values : array_like (..., n)
        Real numbers from 0 to 1, or bool; 1 fires in step 0. A number alone is one value.
    n_steps : int
        Steps in which to fire; the smallest values fire in the last of them.
    threshold : float
        Values up to this one are silent.

    Returns
    -------
    bool array (..., n_steps, n)
        At most one spike for each value.

    Raises
    ------
    NetworkError
        If a value lies outside 0 to 1 or is no number, or there are no steps.
    """
    x, n_steps = unit_values(values, n_steps)
    threshold = real_number("threshold", threshold)
    step = np.minimum(np.floor((1 - x) * n_steps), n_steps - 1)
    step[x <= threshold] = -1
    return train_of(x, n_steps, lambda steps: step[..., None, :] == steps)
