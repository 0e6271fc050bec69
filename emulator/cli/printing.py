"""What every command prints: a JSON document where asked for, warnings before a result, assumptions after it."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from emulator.observe.run import Run

OUTPUT, ERRORS = 1, 2
"""What other programs write to, whatever `sys.stdout` is here."""
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document, and nothing else (docs/commands.md)."),
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print everything that was assumed.")
]


@contextmanager
def only_document(wanted: bool) -> Iterator[None]:
    """Send what is printed in the block to the standard error, if a document is to be alone on the standard output.

    Networks and management functions are programs of the user, which may print, or start others that do.
    """
    if not wanted:
        yield
        return
    sys.stdout.flush()
    with redirect_stdout(sys.stderr):
        try:
            kept = os.dup(OUTPUT)
        except OSError:  # it is closed
            yield
            return
        try:
            with suppress(OSError):
                os.dup2(ERRORS, OUTPUT)
            yield
        finally:
            os.dup2(kept, OUTPUT)
            os.close(kept)


def print_document(command: str, content: Mapping[str, Any]) -> None:
    """Print the one JSON document of a command: its format and version, then its own keys."""
    document = {"format": f"emulator-{command}", "version": 1} | dict(content)
    typer.echo(json.dumps(document, indent=1, allow_nan=False))


def print_report_document(run: "Run", folder: Path) -> None:
    """Print the document of `emulator report --json`, and where the run is."""
    from emulator.observe.report import figures

    typer.echo(
        json.dumps(figures(run) | {"written": {"path": str(folder)}}, indent=1, allow_nan=False)
    )


def warn(text: str) -> None:
    """Print a warning on the standard error."""
    typer.echo(f"emulator: warning: {text}", err=True)


def print_assumptions(assumptions: Sequence[str], *, verbose: bool) -> None:
    """Print what a result rests on: at most five lines, or everything."""
    from rich.console import Console

    from emulator.observe.render import notes_lines

    console = Console()
    notes = [f"assumption: {text}" for text in assumptions]
    # Nothing is cut in a file or a pipe.
    for line in notes_lines(notes, verbose, width=console.width if console.is_terminal else None):
        typer.echo(line)
