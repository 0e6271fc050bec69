"""From spikes of motor neurons to words, on a management core, and from these to an action, on the host."""

from math import isfinite
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import NoArrayError, as_array, frozen, is_number, is_whole, shown
from emulator.errors import WorldError

MOST = 2**20
"""Actions, and neurons of each."""


class Motors(Protocol):
    """What a `World` asks of a decoder.

    Attributes
    ----------
    size : int
        Motor neurons.
    n_words : int
        Words of 32 bits in the message that tells the host what to do.
    instructions : int
        What `words` would take of the management core.
    """

    size: int
    n_words: int
    instructions: int

    def words(self, counts: NDArray[np.int64], last: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return what to do: on the management core.

        Parameters
        ----------
        counts : (size,) array
            Spikes of each motor neuron since the sensors spoke.
        last : array or None
            What was done last in this episode.
        """
        ...

    def action(self, words: NDArray[Any]) -> Any:
        """Return words as the environment takes them: on the host."""
        ...

    def misfit(self, space: Any) -> str:
        """Say why actions are none of an environment's action space; nothing if they are."""
        ...


class Majority:
    """Discrete actions: that of the motor neurons which fired most.

    Parameters
    ----------
    n_actions : int
        Actions 0 to n_actions - 1.
    neurons : int
        Motor neurons of each action, those of action 0 first.
    silent : int, optional
        What is done when none fires: by default, as where several fired equally, what was done last, or the
        first of them.

    Examples
    --------
    >>> motors = Majority(2)
    >>> motors.action(motors.words(np.array([3, 5]), None))
    1
    """

    def __init__(self, n_actions: int, *, neurons: int = 1, silent: int | None = None) -> None:
        for name, value, least in (("n_actions", n_actions, 2), ("neurons", neurons, 1)):
            if not is_whole(value) or not least <= value <= MOST:
                raise WorldError(
                    f"{name} is {shown(value)}; it must be a whole number from {least} to {MOST:,}"
                )
        if silent is not None and not (is_whole(silent) and 0 <= silent < n_actions):
            raise WorldError(f"silent is {shown(silent)}; allowed: 0 to {n_actions - 1}")
        self.n_actions, self.neurons = int(n_actions), int(neurons)
        self.silent = None if silent is None else int(silent)
        self.size, self.n_words = self.n_actions * self.neurons, 1
        self.instructions = 4 * self.size

    def words(self, counts: NDArray[np.int64], last: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return the number of the action."""
        votes = counts.reshape(self.n_actions, self.neurons).sum(axis=1)
        most = votes.max()
        if not most and self.silent is not None:
            return np.array([self.silent])
        if last is not None and votes[last[0]] == most:
            return last
        return np.array([votes.argmax()])

    def action(self, words: NDArray[Any]) -> int:
        """Return the number of the action."""
        return int(words[0])

    def misfit(self, space: Any) -> str:
        """Say what is wrong if the space has not as many actions."""
        n = getattr(space, "n", None)
        if n is None:
            return f"it takes {space}; a majority needs numbered actions"
        return "" if n == self.n_actions else f"it has {n} actions, the decoder {self.n_actions}"


class Weighted:
    """Continuous actions: sums of spike counts times weights.

    Parameters
    ----------
    weights : int array (n_values, n_neurons)
        What a spike of each motor neuron adds to each value of the action.
    scale : float
        What 1 is worth to the environment.
    low, high : float, optional
        The action is kept within.

    Examples
    --------
    >>> motors = Weighted([[1, 1, -1, -1]], scale=0.5)
    >>> motors.action(motors.words(np.array([3, 2, 0, 1]), None)).tolist()
    [2.0]
    """

    def __init__(
        self, weights: ArrayLike, scale: float, *, low: float = -np.inf, high: float = np.inf
    ) -> None:
        wanted = "they must be whole numbers, (values of an action, motor neurons)"
        try:
            table = as_array(weights)
        except NoArrayError as error:
            raise WorldError(f"weights have {error}; {wanted}") from None
        if table.dtype.kind not in "iu" or table.ndim != 2 or not table.size:
            raise WorldError("weights must be whole numbers, (values of an action, motor neurons)")
        are_numbers = all(map(is_number, (scale, low, high)))
        if not (
            are_numbers and isfinite(float(scale)) and float(scale) and float(low) < float(high)
        ):
            raise WorldError(
                f"scale is {shown(scale)}, low {shown(low)} and high {shown(high)}; scale is not 0, and low below high"
            )
        self.weights = frozen(table.astype(np.int64))
        self.scale, self.low, self.high = float(scale), float(low), float(high)
        self.n_words, self.size = table.shape
        self.instructions = 2 * table.size

    def words(self, counts: NDArray[np.int64], last: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return the sums."""
        del last
        return self.weights @ counts

    def action(self, words: NDArray[Any]) -> NDArray[np.float32]:
        """Return the values."""
        return np.clip(words * self.scale, self.low, self.high).astype(np.float32)

    def misfit(self, space: Any) -> str:
        """Say what is wrong if the space has not as many values."""
        shape = getattr(space, "shape", None)
        if shape == (self.n_words,) and not hasattr(space, "n"):
            return ""
        return f"it takes {space}; the decoder makes {self.n_words} real values"
