"""The command line: each command wraps a few calls of the Python interface, nothing more."""

import sys
from collections.abc import Sequence
from signal import SIGINT

from emulator.cli.interrupting import STATUS, WORDS, noting_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        What was typed after `emulator`; by default what really was.

    Returns
    -------
    int
        The exit status: 0, or 2 after a message on the standard error; 130 after Ctrl-C and 143 after SIGTERM.
    """
    status = None
    with noting_signals(ends_process=arguments is None) as received:
        try:
            # Imports take some tenths of a second, in which Ctrl-C may come as well.
            from emulator.cli.app import run_command

            status = run_command(arguments)
        except KeyboardInterrupt:
            if not received:  # raised without a signal
                received.append(SIGINT)
        except Exception:  # what a library has made of an interruption
            if not received:
                raise
    if not received:
        assert status is not None, "without a signal a command has a status"
        return status
    # Where Ctrl-C came while Python ran a text of code, it would end by the signal after all; another text undoes that.
    eval("None")
    number = received[0]
    if status is None:
        print(f"emulator: {WORDS[number]}", file=sys.stderr)  # noqa: T201
    elif status == 0:
        print(f"emulator: {WORDS[number]} when all was done: nothing is missing", file=sys.stderr)  # noqa: T201
    return STATUS + number
