"""What management programs did: lines from which their time and energy follow, on any chip."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

CALL: Final = 0
"""The program ran once."""
INSTRUCTIONS: Final = 1
READ: Final = 2
"""Words read from a neuron core, the peer."""
WRITE: Final = 3
SEND: Final = 4
"""Messages sent to a management core or the host, the peer."""
RECEIVE: Final = 5
SEND_WORDS: Final = 6
"""Words of the messages sent."""
KINDS = ("call", "instructions", "read", "write", "send", "receive", "send_words")
COLUMNS = ("step", "phase", "core", "kind", "peer", "count")
MESSAGE_COLUMNS = ("step", "channel", "message", "word", "value")


class Managed(NamedTuple):
    """What management cores did in some steps, and the messages that the host got.

    Attributes
    ----------
    lines : (n, 6) int64
        Of `COLUMNS`: step, phase, management core (-1: the host), kind, peer, count.
    messages : (m, 5) int64
        Of `MESSAGE_COLUMNS`: a line for each word.
    """

    lines: NDArray[np.int64] = np.empty((0, len(COLUMNS)), np.int64)
    messages: NDArray[np.int64] = np.empty((0, len(MESSAGE_COLUMNS)), np.int64)

    def later(self, steps: int) -> "Managed":
        """Return it with other step numbers."""
        if not self:
            return self
        moved = [table.copy() for table in self]
        for table in moved:
            table[:, 0] += steps
        return Managed(*moved)

    def __bool__(self) -> bool:
        return bool(len(self.lines) or len(self.messages))


NO_LINES = Managed()
"""Of a run without management cores."""


def joined(parts: Sequence[Managed]) -> Managed:
    """Return parts that follow each other as one."""
    if not any(parts):
        return NO_LINES
    return Managed(*(np.concatenate(tables) for tables in zip(Managed(), *parts, strict=True)))


class Account:
    """Lines (step, phase, core, kind, peer, count), in the order in which things happened."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, int, int, int, int, int]] = []

    def add(self, where: tuple[int, int, int], kind: int, count: int, peer: int = -1) -> None:
        """Add a line; `where` is step, phase and management core."""
        if count:
            self._lines.append((*where, kind, peer, count))

    def add_words(self, where: tuple[int, int, int], kind: int, by_core: NDArray[np.int64]) -> None:
        """Add a line for each neuron core whose words were read or written, and set its count to zero."""
        for core in np.flatnonzero(by_core).tolist():
            self._lines.append((*where, kind, core, int(by_core[core])))
            by_core[core] = 0

    def take(self) -> NDArray[np.int64]:
        """Return the lines since they were taken last, (n, 6), equal ones added up, sorted."""
        if not self._lines:
            return Managed().lines
        lines = np.array(self._lines, np.int64)
        self._lines.clear()
        keys, place = np.unique(lines[:, :5], axis=0, return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        np.add.at(counts, place.reshape(-1), lines[:, 5])
        return np.column_stack([keys, counts])
