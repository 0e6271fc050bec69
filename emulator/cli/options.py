"""Options that several commands share, and how `key=value` is read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from emulator.errors import EmulatorError, RunError

ChipOption = Annotated[
    str,
    typer.Option("--chip", "-c", metavar="CHIP", help="Chip file, or the name of a shipped one."),
]
OptionalChipOption = Annotated[
    str | None,
    typer.Option("--chip", "-c", metavar="CHIP", help="Chip file, or the name of a shipped one."),
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
ThreadsOption = Annotated[int, typer.Option("--threads", metavar="N", min=1, help="Workers.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of all randomness.")]


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
