"""The command line: each command wraps a few calls of the Python interface, nothing more."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        What was typed after `emulator`; by default what really was.

    Returns
    -------
    int
        The exit status: 0, or 2 after a message on the standard error.
    """
    try:
        # Imports take some tenths of a second, in which Ctrl-C may come as well.
        from emulator.cli.app import run_command  # noqa: PLC0415

        return run_command(arguments)
    except KeyboardInterrupt:
        print("emulator: interrupted", file=sys.stderr)  # noqa: T201
        return 2
