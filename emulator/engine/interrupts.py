"""Ctrl-C while the engine runs."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from emulator.interrupts import received


@contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event that is looked at where nothing is half done; a second one raises."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, _frame: object) -> None:
        received.append(number)
        if event.is_set():  # a second Ctrl-C: the user means it
            raise KeyboardInterrupt
        event.set()

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
