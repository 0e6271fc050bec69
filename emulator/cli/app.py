"""The application: its commands, and how it ends. A command's module is imported when the command is typed."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from emulator.cli.completing import (
    COMPLETING,
    InstallOption,
    ShowOption,
    asks_for_completion,
    complete,
    knows_shells,
)
from emulator.cli.groups import QuickGroup
from emulator.errors import EmulatorError, printable

COMMANDS = {
    "chips": ("chips", "List the shipped chips."),
    "check": (
        "chips",
        "Validate chip files and show what they say: sizes, and each cost in pJ, ns and cycles.",
    ),
    "programs": (
        "programs",
        "List the programs that come with the emulator, and say how they are run.",
    ),
    "compile": ("compiling", "Compile a network for a chip into one program file."),
    "run": ("running", "Run a program or network on a chip; Ctrl-C keeps what was run so far."),
    "report": (
        "reporting",
        "Report a run: spikes, cycles, energy by event, map of the cores, populations, bottlenecks.",
    ),
    "retime": (
        "retiming",
        "Time and price a recorded run on another chip; spikes and state stay what they are.",
    ),
    "noc": (
        "noc",
        "Study the mesh of a chip on its own: packets of a trace, or synthetic traffic.",
    ),
    "models": (
        "microcode",
        "List the library of neuron models; docs/microcode.md has their equations and parameters.",
    ),
    "asm": (
        "microcode",
        "Check neuron programs, with --chip against its limits, and list them: encoding, memory, ways in cycles.",
    ),
    "disasm": (
        "microcode",
        "Print the neuron programs in a compiled program, as text that `asm` reads; --chip holds them to its limits.",
    ),
    "step": (
        "microcode",
        "Run a program and show one neuron, instruction by instruction: what each writes, and the flag.",
    ),
    "learn": ("learning", "Learning: rules as micro-instructions, and programs that have learned."),
    "build-management": (
        "management",
        "Compile a C file for the management cores of a program: its memory map and channels are in management.h.",
    ),
}
"""Each command: its module here, and the first line of its help, so that the list of all needs none of them."""


@cache
def command_of(name: str) -> Any:
    """Import a command, or a group of commands."""
    own = typer.Typer(rich_markup_mode="rich")
    import_module(f"emulator.cli.{COMMANDS[name][0]}").register(own)
    return get_group(own).commands[name]


def all_commands() -> Iterator[tuple[str, Any]]:
    """Yield each command as it is typed, with the command itself."""
    for name in COMMANDS:
        command = command_of(name)
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {own}", one) for own, one in command.commands.items())
        else:
            yield name, command


class Commands(QuickGroup):
    """The commands by name and help; the one that is typed is imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=text) for name, (_, text) in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and its arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and command_of(str(name)), rest


app = typer.Typer(
    name="emulator",
    cls=Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: emulator run digits --chip loihi --steps 140 --reset-every 14",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from emulator.versions import package_version

        typer.echo(package_version("neurochip-emulator"))
        raise typer.Exit


@app.callback()
def _emulator(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show version.")
    ] = False,
    install_completion: InstallOption = False,
    show_completion: ShowOption = False,
) -> None:
    """Run spiking networks on described neuromorphic chips: bit-exact spikes, cycles and energy."""


def run_command(arguments: Sequence[str] | None) -> int:
    """Run one command and return the exit status; what else comes out of here is a mistake in this program."""
    given = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    try:
        status = _status_of(given)
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
    return status


def _status_of(given: list[str]) -> int:
    """Let typer run a command; or do what is for shells."""
    if asks_for_completion(given):
        complete(given)
        return 0
    if COMPLETING in os.environ:  # a shell asks
        knows_shells()
    try:
        status = app(given, prog_name="emulator", standalone_mode=False)
    except SystemExit as end:  # typer's word to a shell
        return int(end.code or 0)
    except typer.Abort:
        raise KeyboardInterrupt from None
    if status == 130:  # typer's word for Ctrl-C outside of a run
        raise KeyboardInterrupt
    return 2 if status else 0


def _forget_output() -> None:
    """Let nothing be written any more: at the end of the process that would fail once again."""
    with suppress(OSError, ValueError):  # ValueError: standard output is no file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> int:
    for line in message.splitlines() or [""]:
        print(f"emulator: {printable(line)}", file=sys.stderr)  # noqa: T201  # no markup, no wrapping
    return 2
