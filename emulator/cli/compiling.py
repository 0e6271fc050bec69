"""`emulator compile`: a network becomes a program for a chip."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from emulator.chip import Chip, load_chip
from emulator.cli import options
from emulator.cli.networks import NETWORK_SUFFIXES, Source, load
from emulator.errors import NetworkError, ProgramError, RunError
from emulator.observe.tabulated import TextTable
from emulator.program import Program


def register(app: typer.Typer) -> None:
    """Add the command."""
    epilog = (
        "Example: emulator compile programs/digits.nir --dt 1e-3 --chip loihi -o digits.program"
    )
    app.command(name="compile", epilog=epilog)(compile_)


def compile_(
    network: Annotated[Path, typer.Argument(metavar="NETWORK", help="A .py or .nir file.")],
    chip: options.ChipOption,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PROGRAM", help="File to write.")
    ],
    mapping: options.MappingOption = None,
    neurons_per_core: options.PerCoreOption = None,
    seed: options.SeedOption = 0,
    dt: options.DtOption = None,
    param: options.ParamOption = None,
    changes: options.SetOption = None,
) -> None:
    """Compile a network for a chip into one program file."""
    if network.suffix.lower() not in NETWORK_SUFFIXES:
        raise NetworkError(f"{network}: a network is a {' or a '.join(NETWORK_SUFFIXES)} file")
    check_output(network, output)
    described = load_chip(chip, options.pairs("--set", changes))
    source = Source(network, options.parameters(param), dt, mapping, neurons_per_core)
    program = load(source, described, seed).program
    save_program(program, output)
    print_program(program, described, Console())
    print_written(program, output)


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


def check_output(network: Path | None, output: Path) -> None:
    """Refuse to replace anything but a program."""
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


def print_program(program: Program, chip: Chip, console: Console) -> None:
    """Print what a program needs of a chip, how weights were quantised, and what was assumed."""
    n_used = int(np.count_nonzero(np.diff(program.core_start)))
    console.print(
        f"[bold]{program.name}[/] on {chip.name}: {program.n_compartments:,} neurons and "
        f"{program.n_synapses:,} synapses on {n_used:,} of {chip.mesh.n_cores:,} cores",
        highlight=False,
    )
    projections = program.manifest["projections"]
    if projections:
        console.print(_projections(projections))
    print_notes(program, console)
    for managed in program.manifest["managed"]:
        console.print(
            f"warning: the file does not hold management function '{managed['name']}': run the .py file itself, or add "
            "it with Emulator.manage",
            highlight=False, markup=False,
        )  # fmt: skip


def print_notes(program: Program, console: Console) -> None:
    """Print what was assumed to compile a program, and what to be warned of."""
    for title in ("assumptions", "warnings"):
        for text in program.manifest.get(title, []):
            console.print(f"{title[:-1]}: {text}", highlight=False, markup=False)


def _projections(projections: list[dict[str, Any]]) -> TextTable:
    table = TextTable(
        None, [("projection", "name"), ("synapses", "right"), ("weight bits", "right")]
    )
    table.add_column("exponent", "right")
    table.add_column("weights", "text")
    for line in projections:
        quantisation = line["quantisation"]
        table.add_row(
            str(line["name"]),
            f"{line['n_synapses']:,}",
            str(line["weight_bits"]),
            str(line["weight_exp"]),
            _quantised(quantisation) if isinstance(quantisation, dict) else "given as integers",
        )
    return table


def _quantised(figures: dict[str, Any]) -> str:
    """Say what was lost when real weights became integers; errors are in the weights' unit."""
    return (
        f"1 became {figures['scale']:.4g}; error at most {figures['max_abs_error']:.2g}, "
        f"rms {figures['rms_error']:.2g}; {figures['n_zero']:,} became 0, "
        f"{figures['n_clipped']:,} clipped"
    )
