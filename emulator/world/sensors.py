"""From what an environment shows to words for the chip, on the host, and from these to spikes, on a management core.

Both halves are small and whole-numbered on the side of the chip, as a program for its embedded processor would be; the
instructions it takes are an estimate that each code states.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import (
    NoArrayError,
    as_array,
    callable_or_none,
    doubles,
    frozen,
    is_whole,
    shown,
)
from emulator.errors import WorldError

ONE = 1 << 16
"""A place is a word with so many parts between two neighbours."""
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


class Sensors(Protocol):
    """What a `World` asks of a code.

    Attributes
    ----------
    size : int
        Neurons of the input that it makes fire.
    n_words : int
        Words of 32 bits in the message that tells the management core what the sensors say.
    instructions : int
        What `spikes` would take of the management core for one message.
    """

    size: int
    n_words: int
    instructions: int

    def words(self, observation: Any) -> NDArray[np.int64]:
        """Return an observation as words: on the host."""
        ...

    def spikes(self, words: NDArray[Any], n_steps: int) -> list[NDArray[np.int64]]:
        """Return the neurons that fire in each of the next steps, at most `n_steps`: on the management core."""
        ...


class Places:
    """Each sensor has a row of neurons with triangular receptive fields; in each step one of them fires.

    A value between the places of two neurons makes both fire in turn, the nearer one more often: in n steps each in
    proportion to its field, rounded to 1 / n. So whatever weights the neurons have, their mean input is the linear
    interpolation of these weights at the value. Sensors take turns in different orders (ranks of the Halton
    sequence, Halton 1960), so that coincidences of theirs come in proportion to the product of their fields. There is
    no chance in it.

    Parameters
    ----------
    low, high : sequence of float
        Places of the first and the last neuron of each sensor; values beyond are taken to be there.
    n : int or sequence of int
        Neurons of each sensor, at least 2.
    of : callable, optional
        Makes values of an observation; by default the observation is the values.

    Attributes
    ----------
    places : list of array
        The value for which each neuron of a sensor stands.
    first : array
        The first neuron of each sensor.

    Examples
    --------
    >>> code = Places(low=[0.0], high=[4.0], n=5)
    >>> [fired.tolist() for fired in code.spikes(code.words([1.25]), 4)]
    [[1], [1], [1], [2]]
    """

    def __init__(
        self,
        low: Sequence[float],
        high: Sequence[float],
        n: int | Sequence[int],
        of: Callable[[Any], ArrayLike] | None = None,
    ) -> None:
        self.low, self.high = (_reals(name, x, "iuf") for name, x in (("low", low), ("high", high)))
        if not (self.low.ndim == 1 and self.low.shape == self.high.shape and len(self.low)):
            raise WorldError(
                f"low and high are {shown(low)} and {shown(high)}; each sensor has one"
            )
        if len(self.low) > len(PRIMES):
            raise WorldError(f"there are {len(self.low)} sensors; allowed: {len(PRIMES)}")
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all()):
            raise WorldError("low and high must be finite")
        if (self.low >= self.high).any():
            worst = int(np.argmax(self.low >= self.high))
            raise WorldError(
                f"sensor {worst}: low is {self.low[worst]:g} and high {self.high[worst]:g}; it must be larger"
            )
        self.n = frozen(_neurons(n, len(self.low)))
        callable_or_none("of", of, WorldError)
        self.of = of
        self.places = [
            frozen(np.linspace(a, b, k))
            for a, b, k in zip(self.low, self.high, self.n, strict=True)
        ]
        self.first = frozen(np.concatenate([[0], np.cumsum(self.n)[:-1]]))
        self.size, self.n_words = int(self.n.sum()), len(self.low)
        self.instructions = 12 * self.n_words
        self._turns: dict[int, NDArray[np.int64]] = {}

    def words(self, observation: Any) -> NDArray[np.int64]:
        """Return the place of each value, in 1 / 65536 of the distance between neighbours."""
        values = _reals("the observation", observation if self.of is None else self.of(observation))
        if values.shape != self.low.shape:
            raise WorldError(
                f"the observation has {values.shape} values; the code has {self.low.shape} sensors"
            )
        if not np.isfinite(values).all():
            raise WorldError(f"the observation holds {values.tolist()}; it must be finite")
        part = (np.clip(values, self.low, self.high) - self.low) / (self.high - self.low)
        words: NDArray[np.int64] = np.rint(part * (self.n - 1) * ONE).astype(np.int64)
        return words

    def spikes(self, words: NDArray[Any], n_steps: int) -> list[NDArray[np.int64]]:
        """Return the neurons that fire in each step: one of each sensor."""
        if n_steps not in self._turns:
            self._turns[n_steps] = _turns(n_steps, self.n_words)
        nearest = self.first + (words >> 16)
        return list(nearest + ((words & (ONE - 1)) > self._turns[n_steps]))


def _array(name: str, values: Any) -> NDArray[Any]:
    try:
        return as_array(values)
    except NoArrayError as error:
        raise WorldError(f"{name} has {error}; it must be numbers") from None


def _reals(name: str, values: Any, kinds: str = "biuf") -> NDArray[np.float64]:
    """Return real numbers in an array of their own, of at least one axis where they are given as numbers."""
    array = _array(name, values)
    if array.dtype.kind not in kinds:
        raise WorldError(f"{name} is {shown(values)}; it must be numbers")
    return frozen(doubles(np.atleast_1d(array)))


def _neurons(n: Any, n_sensors: int) -> NDArray[np.int64]:
    """Return the neurons of each sensor."""
    array = _array("n", n)
    is_whole_numbers = array.dtype.kind in "iu" and array.shape in ((), (n_sensors,))
    if not (is_whole_numbers and array.size and 2 <= array.min() <= array.max() <= 2**14):
        raise WorldError(f"n is {shown(n)}; each sensor has 2 to {2**14:,} neurons")
    return np.broadcast_to(array, n_sensors).astype(np.int64)


def _turns(n_steps: int, n_sensors: int) -> NDArray[np.int64]:
    """Return above which part the upper of two neighbours fires, (n_steps, n_sensors)."""
    columns = []
    for prime in PRIMES[:n_sensors]:
        numbers = [_mirrored(k + 1, prime) for k in range(n_steps)]
        columns.append((np.argsort(np.argsort(numbers)) * 2 + 1) * ONE // (2 * n_steps))
    return np.stack(columns, axis=1)


def _mirrored(number: int, base: int) -> float:
    """Return the digits of a number behind the point, in reverse."""
    value, scale = 0.0, 1.0
    while number:
        scale /= base
        number, digit = divmod(number, base)
        value += digit * scale
    return value


class Frames:
    """Pictures of yes and no: each pixel with an event makes its neuron fire in the first step.

    Parameters
    ----------
    shape : (height, width)
        Of a picture; neuron `y * width + x` is pixel (y, x).

    Examples
    --------
    >>> code = Frames((2, 3))
    >>> code.spikes(code.words([[0, 0, 1], [1, 0, 0]]), 4)
    [array([2, 3])]
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        if not (
            isinstance(shape, tuple | list)
            and len(shape) == 2
            and all(is_whole(n) and 1 <= n <= 2**14 for n in shape)
        ):
            raise WorldError(
                f"shape is {shown(shape)}; it must be (height, width), each 1 to {2**14:,}"
            )
        self.shape = (int(shape[0]), int(shape[1]))
        self.size = self.shape[0] * self.shape[1]
        self.n_words = -(-self.size // 32)
        self.instructions = 40 * self.n_words  # for each word: load, find each bit, send

    def words(self, observation: Any) -> NDArray[np.int64]:
        """Return the pixels as bits, 32 in a word."""
        picture = _array("the observation", observation)
        if picture.dtype.kind not in "biuf":
            raise WorldError(f"the observation is {picture.dtype}; it must be numbers")
        if picture.shape != self.shape:
            raise WorldError(f"the observation is {picture.shape}; the code has {self.shape}")
        bits = np.zeros(32 * self.n_words, np.uint8)
        bits[: self.size] = picture.reshape(-1) != 0
        return np.packbits(bits, bitorder="little").view("<i4").astype(np.int64)

    def spikes(self, words: NDArray[Any], n_steps: int) -> list[NDArray[np.int64]]:
        """Return the neurons of the pixels with an event; they fire at once."""
        assert n_steps >= 1
        octets = words.astype("<i4").view(np.uint8)
        return [np.flatnonzero(np.unpackbits(octets, bitorder="little"))]
