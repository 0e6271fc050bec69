"""`emulator build-management`: a C file becomes a program of a management core."""

from pathlib import Path
from typing import Annotated

import typer

from emulator.atomic import atomic_file
from emulator.cli import options
from emulator.cli.networks import chip_of
from emulator.errors import ManagementError, RunError
from emulator.management.build import build_management, header_of
from emulator.program import Program


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
) -> None:
    """Compile a C file for the management cores of a program: its memory map and channels are in management.h."""
    if (source is None) != header_only:
        raise ManagementError("either a C file or --header-only must be given")
    loaded = Program.load(program)
    header = header_of(loaded, chip_of(loaded, chip, options.pairs("--set", changes)))
    if source is None:
        try:
            with atomic_file(output) as file:
                file.write(header.encode())
        except OSError as error:
            raise RunError(f"{output}: cannot be written: {error.strerror or error}") from None
    else:
        warnings = build_management(source, header, output, cc=cc)
        if warnings:
            typer.echo(warnings.rstrip(), err=True)
    typer.echo(f"written to {output}: {output.stat().st_size:,} bytes")
