"""`emulator build-management`: a C file becomes a program of a management core."""

from pathlib import Path
from typing import Annotated

import typer

from emulator.cli import options
from emulator.cli.kinds import expect
from emulator.cli.networks import load_program
from emulator.cli.printing import JsonOption, only_document, print_document
from emulator.errors import ManagementError, RunError


def register(app: typer.Typer) -> None:
    """Add the command."""
    epilog = "Example: emulator build-management readout.c --program net.program -o readout.elf"
    app.command(name="build-management", epilog=epilog)(build)


def build(
    program: Annotated[
        Path, typer.Option("--program", metavar="PROGRAM", help="The program to be managed.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="ELF file, or header, to write."),
    ],
    source: Annotated[
        Path | None, typer.Argument(metavar="FILE.c", help="A C file with void run(void).")
    ] = None,
    header_only: Annotated[
        bool, typer.Option("--header-only", help="Write management.h, and compile nothing.")
    ] = False,
    chip: options.OptionalChipOption = None,
    changes: options.SetOption = None,
    cc: Annotated[
        str | None, typer.Option("--cc", metavar="COMPILER", help="A gcc that knows -m32.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compile a C file for the management cores of a program: its memory map and channels are in management.h."""
    from emulator.atomic import atomic_file
    from emulator.management.build import build_management, header_of

    if (source is None) != header_only:
        raise ManagementError("either a C file or --header-only must be given")
    if source is not None:
        expect(source, "c")
    loaded = load_program(program)
    header = header_of(loaded, options.chip_of(loaded, chip, changes))
    warnings = ""
    if source is None:
        try:
            with atomic_file(output) as file:
                file.write(header.encode())
        except OSError as error:
            raise RunError(f"{output}: cannot be written: {error.strerror or error}") from None
    else:
        with only_document(as_json):
            warnings = build_management(source, header, output, cc=cc).rstrip()
    if warnings:
        typer.echo(warnings, err=True)
    n_bytes = output.stat().st_size
    if as_json:
        print_document(
            "build-management",
            {"warnings": warnings.splitlines(), "written": {"path": str(output), "bytes": n_bytes}},
        )
    else:
        typer.echo(f"written to {output}: {n_bytes:,} bytes")
