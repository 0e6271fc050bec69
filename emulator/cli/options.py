"""Options that several commands share, and how `key=value` is read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.cli.completing import chip_names
from emulator.cli.kinds import reading
from emulator.errors import EmulatorError, RunError

if TYPE_CHECKING:
    from emulator.chip import Chip
    from emulator.program import Program

TIMING = ("off", "analytic", "cycle")
"""The timing models, which importing them would take half a second to tell."""
CHIP_HELP = "Chip file, or the name of a shipped one."
ChipOption = Annotated[
    str,
    typer.Option("--chip", "-c", metavar="CHIP", help=CHIP_HELP, autocompletion=chip_names),
]
OptionalChipOption = Annotated[
    str | None,
    typer.Option("--chip", "-c", metavar="CHIP", help=CHIP_HELP, autocompletion=chip_names),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the chip: mesh.width=4."),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="Argument of network() in a .py file."),
]
DtOption = Annotated[
    float | None,
    typer.Option("--dt", metavar="SECONDS", help="Step of a .nir file, in its unit of time."),
]
MappingOption = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE", help="Which neurons sit on which core.")
]
PerCoreOption = Annotated[
    int | None,
    typer.Option("--neurons-per-core", metavar="N", min=1, help="Spread: at most N on a core."),
]
TimingOption = Annotated[
    str,
    typer.Option(
        "--timing",
        metavar="|".join(TIMING),
        help="Timing model.",
        autocompletion=lambda: list(TIMING),
    ),
]
ThreadsOption = Annotated[int, typer.Option("--threads", metavar="N", min=1, help="Workers.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of all randomness.")]


def described(chip: str, changes: Iterable[str] | None = None) -> "Chip":
    """Return the chip of `--chip`, with what `--set` changes."""
    from emulator.chip import load_chip

    changed = pairs("--set", changes)
    if chip in chip_names(""):  # whatever file of this name is here
        return load_chip(chip, changed)
    with reading(chip, "chip"):
        return load_chip(chip, changed)


def timing_mode(given: str) -> str:
    """Return `--timing`, when there is such a model."""
    if given not in TIMING:
        raise RunError(f"--timing {given}: allowed: {', '.join(TIMING)}")
    return given


def pairs(option: str, given: Iterable[str] | None) -> dict[str, str]:
    """Read `key=value` options.

    Raises
    ------
    RunError
        When there is no `=`, or a key comes twice.
    """
    values: dict[str, str] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise RunError(f"{option} {text}: it must be KEY=VALUE")
        if key in values:
            raise RunError(f"{option} {key}: given twice")
        values[key] = value
    return values


def chip_of(program: "Program", chip: str | None, changes: Iterable[str] | None = None) -> "Chip":
    """Return the chip that was named, or the shipped one for which a program was compiled."""
    name = str(program.manifest["chip"]["name"])
    if chip is None and name not in chip_names(""):
        raise RunError(
            f"the program was compiled for chip '{name}', which is no shipped one: give --chip"
        )
    return described(chip or name, changes)


def parameters(given: Iterable[str] | None) -> dict[str, object]:
    """Read `--param` options; a value is JSON if it can be (4, 1e-3, true, null), else text."""
    return {key: _value(text) for key, text in pairs("--param", given).items()}


def _value(text: str) -> object:
    try:
        return json.loads(text, parse_constant=lambda constant: constant)
    except ValueError:
        return text


def collected(errors: list[EmulatorError]) -> None:
    """Raise the errors that were found as one, if there are any."""
    if errors:
        raise type(errors[0])("\n".join(str(error) for error in errors))
