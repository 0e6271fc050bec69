"""Rate codes: the larger a value, the more spikes; evenly spaced, or at random."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.encode.checks import unit_values
from emulator.errors import NetworkError
from emulator.streams import RATE_ENCODER, random_words

_ONE = 2**32


def rate(values: ArrayLike, n_steps: int) -> NDArray[np.bool_]:
    """Return evenly spaced spikes: a value x has fired floor(x * t) times within t steps.

    Parameters
    ----------
    values : array_like (..., n)
        Spikes per step, from 0 to 1, rounded to multiples of 2**-32.
    n_steps : int
        Length of the spike trains.

    Returns
    -------
    bool array (..., n_steps, n)
        The same for the same values: there is no chance in it.

    Raises
    ------
    NetworkError
        If a value lies outside 0 to 1, or there are no steps.
    """
    x = _fixed(unit_values(values, n_steps))[..., None, :]
    step = np.arange(n_steps, dtype=np.uint64)[:, None]
    spikes: NDArray[np.bool_] = (x * (step + np.uint64(1))) // _ONE > (x * step) // _ONE
    return spikes


def poisson(values: ArrayLike, n_steps: int, *, seed: int = 0) -> NDArray[np.bool_]:
    """Return spikes that are drawn in each step, with the value as the probability.

    The draw depends on the seed, the step and the position in `values`, and on nothing else: a
    longer train begins with the shorter one.

    Parameters
    ----------
    values : array_like (..., n)
        Probabilities of a spike in a step, from 0 to 1, rounded to multiples of 2**-32.
    n_steps : int
        Length of the spike trains.
    seed : int
        0 to 2**64 - 1.

    Returns
    -------
    bool array (..., n_steps, n)
        Independent draws.

    Raises
    ------
    NetworkError
        If a value lies outside 0 to 1, there are no steps, or the seed has more than 64 bits.
    """
    x = unit_values(values, n_steps)
    if not 0 <= seed < 2**64:
        raise NetworkError(f"seed is {seed}; it must be from 0 to 2**64 - 1")
    position = np.arange(x.size, dtype=np.uint32).reshape(x.shape)[..., None, :]
    draw = random_words(seed, RATE_ENCODER, np.arange(n_steps, dtype=np.uint32)[:, None], position)
    spikes: NDArray[np.bool_] = draw < _fixed(x)[..., None, :]
    return spikes


def _fixed(x: NDArray[np.float64]) -> NDArray[np.uint64]:
    return np.rint(x * _ONE).astype(np.uint64)
