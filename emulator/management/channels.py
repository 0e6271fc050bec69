"""Channels: messages between management cores, and to and from the host, in order and of finite depth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import NoArrayError, as_array
from emulator.errors import ManagementError
from emulator.network.managed import HOST

DTYPES = {"int32": np.int32, "uint32": np.uint32}


def end_text(end: int) -> str:
    """Return an end of a channel as people read it."""
    return "the host" if end == HOST else f"core {end}"


class Channel:
    """A queue of messages from one end to the other.

    Parameters
    ----------
    name : str
        Unique in a program.
    source, target : int
        Management cores, or `HOST`.
    depth : int
        Messages that can wait.
    words : int
        Words of 32 bits in a message.
    dtype : {"int32", "uint32"}
        What a word is.

    Attributes
    ----------
    data : (depth, words) int32
        A ring.
    state : (4,) int64
        First message, messages waiting, sent in all, received in all.
    """

    def __init__(
        self, name: str, source: int, target: int, depth: int, words: int, dtype: str
    ) -> None:
        self.name, self.source, self.target = name, source, target
        self.depth, self.words, self.dtype = depth, words, dtype
        self.data = np.zeros((depth, words), np.int32)
        self.state = np.zeros(4, np.int64)

    @property
    def n_waiting(self) -> int:
        """Messages that wait to be received."""
        return int(self.state[1])

    @property
    def has_room(self) -> bool:
        """Whether a message can be sent now."""
        return self.n_waiting < self.depth

    def put(self, values: Sequence[int] | int | NDArray[Any]) -> None:
        """Send a message; there must be room.

        Raises
        ------
        ManagementError
            When it is not of the channel's words.
        """
        try:
            given = np.atleast_1d(as_array(values))
        except NoArrayError as error:
            raise ManagementError(
                f"channel '{self.name}': what was sent has {error}; a message is {self.words} {self.dtype}"
            ) from None
        limits = np.iinfo(DTYPES[self.dtype])
        if given.dtype.kind not in "iub" or given.shape != (self.words,):
            raise ManagementError(
                f"channel '{self.name}': {given.dtype} of shape {given.shape} was sent; a message is {self.words} "
                f"{self.dtype}"
            )
        if int(given.min()) < limits.min or int(given.max()) > limits.max:
            raise ManagementError(
                f"channel '{self.name}': {given.min()} to {given.max()} was sent; {self.dtype} is {limits.min} to "
                f"{limits.max}"
            )
        first, n = int(self.state[0]), int(self.state[1])
        self.data[(first + n) % self.depth] = given.astype(DTYPES[self.dtype]).view(np.int32)
        self.state[1:3] += 1

    def get(self) -> NDArray[Any]:
        """Receive a message, (words,); there must be one."""
        first = int(self.state[0])
        message: NDArray[Any] = self.data[first].copy().view(DTYPES[self.dtype])
        self.state[0] = (first + 1) % self.depth
        self.state[1] -= 1
        self.state[3] += 1
        return message

    def clear(self) -> None:
        """Forget everything."""
        self.state.fill(0)
