"""`emulator compile`: a network becomes a program for a chip."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from emulator.cli import options
from emulator.cli.completing import network_names
from emulator.cli.kinds import reading
from emulator.cli.networks import NETWORK_SUFFIXES, Source, load
from emulator.cli.printing import (
    JsonOption,
    VerboseOption,
    only_document,
    print_assumptions,
    print_document,
    warn,
)
from emulator.cli.programs import network_path
from emulator.cli.targets import new_file
from emulator.errors import NetworkError, ProgramError, RunError
from emulator.observe.tabulated import TextTable

if TYPE_CHECKING:
    from emulator.chip import Chip
    from emulator.program import Program

SHOWN_ROUNDED = 5
"""Rounded parameters that are printed."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    epilog = "Example: emulator compile digits --chip loihi"
    app.command(name="compile", epilog=epilog)(compile_)


def compile_(  # noqa: PLR0913, PLR0917  # each is an option of the command
    network: Annotated[
        Path,
        typer.Argument(
            metavar="NETWORK",
            help="A .py or .nir file, or the name of a shipped network.",
            callback=network_path,
            autocompletion=network_names,
        ),
    ],
    chip: options.ChipOption,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PROGRAM",
            help="File to write; by default a new NAME.program here.",
        ),
    ] = None,
    mapping: options.MappingOption = None,
    neurons_per_core: options.PerCoreOption = None,
    seed: options.SeedOption = 0,
    dt: options.DtOption = None,
    param: options.ParamOption = None,
    changes: options.SetOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compile a network for a chip into one program file."""
    with reading(network, "python", "nir"):
        if network.suffix.lower() not in NETWORK_SUFFIXES:
            raise NetworkError(f"{network}: a network is a {' or a '.join(NETWORK_SUFFIXES)} file")
    if output is not None:
        check_output(network, output)
    described = options.described(chip, changes)
    source = Source(network, options.parameters(param), dt, mapping, neurons_per_core)
    with only_document(as_json):
        program = load(source, described, seed).program
        print_warnings(program)
        for managed in program.manifest["managed"]:
            warn(
                f"the file does not hold management function '{managed['name']}': run the .py file itself, or add it "
                "with Emulator.manage"
            )
    with program_file(output, network) as path:
        save_program(program, path)
    if as_json:
        print_document("compile", program_figures(program, described) | written(program, path))
        return
    print_program(program, described, Console())
    print_assumptions(program.manifest["assumptions"], verbose=verbose)
    print_written(program, path)


@contextmanager
def program_file(output: Path | None, source: Path) -> Iterator[Path]:
    """Give the file to write a program to: `-o`, or a new one."""
    if output is not None:
        yield output
        return
    with new_file(source, ".program") as path:
        yield path


def save_program(program: Program, output: Path) -> None:
    """Write a program, and say what hinders."""
    try:
        program.save(output)
    except OSError as error:
        raise RunError(f"{output}: cannot be written: {error.strerror or error}") from None


def print_written(program: Program, output: Path) -> None:
    """Print where a program is, and which it is."""
    typer.echo(
        f"written to {output}: {output.stat().st_size:,} bytes, sha256 {program.sha256[:16]}"
    )


def written(program: Program, output: Path) -> dict[str, Any]:
    """Return where a program is, and which it is, for a document."""
    return {
        "written": {
            "path": str(output),
            "bytes": output.stat().st_size,
            "sha256": program.sha256,
        }
    }


def check_output(network: Path | None, output: Path) -> None:
    """Refuse to replace anything but a program."""
    from emulator.program import Program

    if not output.is_file():
        return  # or it cannot be written, which is said then
    if network is not None and output.samefile(network):
        raise RunError(f"{output}: this is the network itself; choose another name")
    try:
        Program.load(output)
    except ProgramError:
        raise RunError(
            f"{output}: exists and is no program; it is not replaced: choose another name"
        ) from None


def print_warnings(program: Program) -> None:
    """Print what to be warned of in a program, on the standard error: it stands before the result."""
    for text in program.manifest["warnings"]:
        warn(text)


def program_figures(program: Program, chip: Chip) -> dict[str, Any]:
    """Return what a program needs of a chip, how weights were quantised, and what was assumed."""
    import numpy as np

    return {
        "network": program.name,
        "chip": chip.label,
        "neurons": program.n_compartments,
        "synapses": program.n_synapses,
        "cores": int(np.count_nonzero(np.diff(program.core_start))),
        "projections": [
            {
                "name": str(line["name"]),
                "synapses": line["n_synapses"],
                "weight_bits": line["weight_bits"],
                "weight_exp": line["weight_exp"],
                "quantisation": line["quantisation"],
            }
            for line in program.manifest["projections"]
        ],
        "rounding": list(program.manifest.get("rounding", [])),
        "warnings": list(program.manifest["warnings"]),
        "assumptions": list(program.manifest["assumptions"]),
    }


def print_program(program: Program, chip: Chip, console: Console) -> None:
    """Print what a program needs of a chip, and how weights were quantised."""
    figures = program_figures(program, chip)
    console.print(
        Text.assemble(
            (program.name, "bold"),
            f" on {chip.name}: {figures['neurons']:,} neurons and {figures['synapses']:,} synapses on "
            f"{figures['cores']:,} of {chip.mesh.n_cores:,} cores",
        )
    )
    if figures["projections"]:
        console.print(_projections(figures["projections"]))
    print_rounding(program, console)


def _projections(projections: list[dict[str, Any]]) -> TextTable:
    table = TextTable(
        None, [("projection", "name"), ("synapses", "right"), ("weight bits", "right")]
    )
    table.add_column("exponent", "right")
    table.add_column("weights", "text")
    for line in projections:
        table.add_row(
            line["name"],
            f"{line['synapses']:,}",
            str(line["weight_bits"]),
            str(line["weight_exp"]),
            _quantised(line["quantisation"]),
        )
    return table


def _quantised(figures: dict[str, Any] | None) -> str:
    """Say what was lost when weights became mantissas; errors of real weights are in their unit."""
    if figures is None:
        return "given as integers"
    if "scale" not in figures:  # integers that the chip does not hold as they are
        loss, zeros = figures.get("max_loss"), figures.get("n_zero")  # older programs do not say
        beyond = figures.get("n_beyond", 0)
        return (
            f"given as integers; lost bits: {figures.get('n_truncated', 0):,} ({figures.get('policy')})"
            + ("" if loss is None else f", at most {loss:g} in mantissas")
            + ("" if zeros is None else f"; act as 0: {zeros:,}")
            + (f"; {beyond:,} in full beyond its limit" if beyond else "")
        )
    return (
        f"1 became {figures['scale']:.4g}; error at most {figures['max_abs_error']:.2g}, "
        f"rms {figures['rms_error']:.2g}; {figures['n_zero']:,} became 0, "
        f"{figures['n_clipped']:,} clipped"
    )


def print_rounding(program: Program, console: Console) -> None:
    """Print the real parameters that registers do not hold as asked, those first that are furthest from it."""
    lines = program.manifest.get("rounding", [])
    errors = [
        math.inf if line["relative_error"] is None else line["relative_error"] for line in lines
    ]
    order = sorted(range(len(lines)), key=lambda k: -errors[k])
    for k in order[:SHOWN_ROUNDED]:
        line, unit = lines[k], lines[k]["unit"] and f" {lines[k]['unit']}"
        held = "no decay" if line["held"] is None else f"{line['held']:.6g}{unit}"
        part = "" if line["held"] is None else f", {100 * errors[k]:.3g} % off"
        console.print(
            f"rounding: {line['population']}: {line['parameter']} {line['asked']:.6g}{unit} is held as {held}{part}",
            highlight=False, markup=False,
        )  # fmt: skip
    if len(lines) > SHOWN_ROUNDED:
        console.print(
            f"rounding: less of {len(lines) - SHOWN_ROUNDED} more; all lines are in the program",
            highlight=False, markup=False,
        )  # fmt: skip
