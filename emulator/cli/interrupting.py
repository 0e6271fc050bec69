"""How Ctrl-C and SIGTERM end a command: whatever it was doing, what was begun is cleared away or kept whole."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType

from emulator.interrupts import received

WORDS: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
STATUS = 128
"""What shells add to the number of a signal that ended a command."""


@contextmanager
def noting_signals(*, ends_process: bool) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt on Ctrl-C and on SIGTERM, and note their numbers in what is yielded.

    Who wants to end at a better moment has a handler of SIGINT for a while, as runs do; SIGTERM then goes there too.

    Parameters
    ----------
    ends_process : bool
        Whether nothing but the end of the process follows: a signal then ends it at once.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    def terminate(number: int, frame: FrameType | None) -> None:
        received.append(number)
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # a job in the background, which Ctrl-C is not meant for
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    _leave_children_alone()
    received.clear()
    before = {
        number: signal.getsignal(number)
        for number, usual, handler in (
            (signal.SIGINT, signal.default_int_handler, interrupt),
            (signal.SIGTERM, signal.SIG_DFL, terminate),
        )
        if signal.getsignal(number) == usual and _set(number, handler)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            _set(number, (lambda n, _: os._exit(STATUS + n)) if ends_process else handler)


@cache
def _leave_children_alone() -> None:
    """Let SIGTERM end processes that a network's file forks, as pools of workers do, in the usual way.

    It is so from before the fork on: a signal that reaches a child at once would be lost.
    """
    before: list[object] = []

    def usual() -> None:
        before[:] = [signal.getsignal(signal.SIGTERM)]
        _set(signal.SIGTERM, signal.SIG_DFL)

    if hasattr(os, "register_at_fork"):  # not on every system
        os.register_at_fork(before=usual, after_in_parent=lambda: _set(signal.SIGTERM, before[0]))


def _set(number: int, handler: object) -> bool:
    """Set a handler; return False where no handler can be set: outside of the main thread."""
    try:
        signal.signal(number, handler)  # type: ignore[arg-type]
    except (ValueError, TypeError):  # TypeError: a handler that is none of Python's
        return False
    return True
