"""What every encoder asks of its arguments, and how it makes trains of any length."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import NoArrayError, as_array, doubles, is_number, is_whole, shown
from emulator.errors import NetworkError

MOST_STEPS = 2**31 - 1
"""Steps of input files have so many bits."""
MOST_PLACES = 2**33
"""Values times steps: a byte of a spike train each."""
PART = 1 << 22
"""Of these, what is worked out at a time, with tens of bytes for each."""


def unit_values(values: ArrayLike, n_steps: Any) -> tuple[NDArray[np.float64], int]:
    """Return the values as a real array of at least one axis, and the steps; refuse what lies outside 0 to 1."""
    n_steps = whole_number("n_steps", n_steps, 1, MOST_STEPS)
    try:
        given = np.atleast_1d(as_array(values))
    except NoArrayError as error:
        raise NetworkError(f"values have {error}; they must be numbers from 0 to 1") from None
    if given.dtype.kind not in "biuf":
        what = shown(values) if given.ndim == 1 and given.size == 1 else str(given.dtype)
        raise NetworkError(f"values are {what}; they must be numbers from 0 to 1")
    if given.size * n_steps > MOST_PLACES:
        raise NetworkError(
            f"{given.size:,} values in {n_steps:,} steps are too many for one array; allowed: "
            f"{MOST_PLACES:,} of both multiplied"
        )
    x = doubles(given)
    outside = ~((x >= 0) & (x <= 1))
    if outside.any():
        raise NetworkError(
            f"{np.count_nonzero(outside)} of {x.size} values lie outside 0 to 1, "
            f"the first is {x[outside][0]:g}"
        )
    return x, n_steps


def whole_number(name: str, value: Any, least: int, most: int) -> int:
    """Return a whole number of a range."""
    if not is_whole(value):
        raise NetworkError(f"{name} is {shown(value)}; it must be a whole number")
    if value < least:
        raise NetworkError(f"{name} is {shown(int(value))}; it must be at least {least}")
    if value > most:
        raise NetworkError(f"{name} is {shown(int(value))}; it must be at most {most:,}")
    return int(value)


def real_number(name: str, value: Any) -> float:
    """Return a real number; NaN is none."""
    if not is_number(value) or value != value:  # noqa: PLR0124  # NaN alone differs from itself
        raise NetworkError(f"{name} is {shown(value)}; it must be a number")
    return float(value)


def train_of(
    x: NDArray[Any], n_steps: int, fired: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Return spikes (..., n_steps, n) of values (..., n).

    Parameters
    ----------
    fired : callable
        Given some steps, (m, 1), returns who fires in them, (..., m, n).
    """
    train = np.empty((*x.shape[:-1], n_steps, x.shape[-1]), np.bool_)
    part = max(1, PART // max(1, x.size))
    for first in range(0, n_steps, part):
        steps = np.arange(first, min(n_steps, first + part))[:, None]
        train[..., first : first + part, :] = fired(steps)
    return train
