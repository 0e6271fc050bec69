"""Rate codes: the larger a value, the more spikes; evenly spaced, or at random."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import is_whole, shown
from emulator.encode.checks import train_of, unit_values
from emulator.errors import NetworkError
from emulator.streams import RATE_ENCODER, random_words

_ONE = 2**32


def rate(values: ArrayLike, n_steps: int) -> NDArray[np.bool_]:
    """Return evenly spaced spikes: a value x has fired floor(x * t) times within t steps.

    Parameters
    ----------
    values : array_like (..., n)
        Spikes per step, from 0 to 1, or bool, rounded to multiples of 2**-32. A number alone is one value.
    n_steps : int
        Length of the spike trains.

    Returns
    -------
    bool array (..., n_steps, n)
        The same for the same values: there is no chance in it.

    Raises
    ------
    NetworkError
        If a value lies outside 0 to 1 or is no number, or there are no steps.
    """
    given, n_steps = unit_values(values, n_steps)
    x = _fixed(given)[..., None, :]

    def fired(steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        step = steps.astype(np.uint64)
        spikes: NDArray[np.bool_] = (x * (step + np.uint64(1))) // _ONE > (x * step) // _ONE
        return spikes

    return train_of(given, n_steps, fired)


def poisson(values: ArrayLike, n_steps: int, *, seed: int = 0) -> NDArray[np.bool_]:
    """Return spikes that are drawn in each step, with the value as the probability.

    The draw depends on the seed, the step and the position in `values`, and on nothing else: a
    longer train begins with the shorter one.

    Parameters
    ----------
    values : array_like (..., n)
        Probabilities of a spike in a step, from 0 to 1, or bool, rounded to multiples of 2**-32. A number alone is one
        value.
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
        If a value lies outside 0 to 1 or is no number, there are no steps, or the seed has more than 64 bits.
    """
    x, n_steps = unit_values(values, n_steps)
    if not is_whole(seed) or not 0 <= seed < 2**64:
        raise NetworkError(f"seed is {shown(seed)}; it must be from 0 to 2**64 - 1")
    seed = int(seed)
    position = np.arange(x.size, dtype=np.uint32).reshape(x.shape)[..., None, :]
    chance = _fixed(x)[..., None, :]

    def fired(steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        spikes: NDArray[np.bool_] = random_words(seed, RATE_ENCODER, steps, position) < chance
        return spikes

    return train_of(x, n_steps, fired)


def _fixed(x: NDArray[np.float64]) -> NDArray[np.uint64]:
    return np.rint(x * _ONE).astype(np.uint64)
