"""The application: its commands, and how it ends."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from emulator.cli import (
    chips,
    compiling,
    learning,
    management,
    microcode,
    noc,
    reporting,
    retiming,
    running,
)
from emulator.errors import EmulatorError, printable
from emulator.observe.folder import package_version

app = typer.Typer(
    name="emulator",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: emulator run programs/digits.py --chip loihi --steps 140 --reset-every 14 -o digits_run",
)
for module in (
    chips,
    compiling,
    running,
    reporting,
    retiming,
    noc,
    microcode,
    learning,
    management,
):
    module.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(package_version("neurochip-emulator"))
        raise typer.Exit


@app.callback()
def _emulator(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show version.")
    ] = False,
) -> None:
    """Run spiking networks on described neuromorphic chips: bit-exact spikes, cycles and energy."""


def run_command(arguments: Sequence[str] | None) -> int:
    """Run one command and return the exit status; what else comes out of here is a mistake in this program."""
    given = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    try:
        status = app(given, prog_name="emulator", standalone_mode=False)
        sys.stdout.flush()
    except EmulatorError as error:
        return _fail(str(error))
    except BrokenPipeError:  # the reader of our output has seen enough
        _forget_output()
        return 2
    except OSError as error:
        _forget_output()
        return _fail(f"{error.filename or 'the output'}: {error.strerror or error}")
    except Exception as error:
        message = getattr(error, "format_message", None)  # typer's own: a mistake in the arguments
        if message is None:
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "emulator"
        return _fail(f"{message().rstrip('.') or 'a command is needed'} (see {command} --help)")
    if status == 130:  # typer's word for Ctrl-C outside of a run
        return _fail("interrupted")
    return 2 if status else 0


def _forget_output() -> None:
    """Let nothing be written any more: at the end of the process that would fail once again."""
    with suppress(OSError, ValueError):  # ValueError: standard output is no file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> int:
    for line in message.splitlines() or [""]:
        print(f"emulator: {printable(line)}", file=sys.stderr)  # noqa: T201  # no markup, no wrapping
    return 2
