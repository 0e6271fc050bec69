"""NETWORK on the command line: a .py or .nir file, or a compiled program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.cli.kinds import reading
from emulator.errors import NetworkError

if TYPE_CHECKING:
    from emulator.chip import Chip
    from emulator.importers.python_file import PythonFile
    from emulator.program import Program

NETWORK_SUFFIXES = (".py", ".nir")


@dataclass(frozen=True)
class Source:
    """What to make a program from, as given on the command line."""

    path: Path
    parameters: Mapping[str, object]
    dt_seconds: float | None = None
    mapping: Path | None = None
    neurons_per_core: int | None = None


@dataclass(frozen=True)
class Loaded:
    """A program, and the Python file that can make its inputs."""

    program: Program
    file: PythonFile | None = None

    def inputs(self, steps: int, seed: int) -> Mapping[str, Any] | None:
        """Return the inputs that the network's own file makes, if any."""
        return None if self.file is None else self.file.inputs(steps, seed)

    def rewards(self, steps: int, seed: int) -> Mapping[str, Any] | None:
        """Return the rewards that the network's own file makes, if any."""
        return None if self.file is None else self.file.rewards(steps, seed)


def load(source: Source, chip: Chip, seed: int) -> Loaded:
    """Compile a network for a chip, or load a program.

    Raises
    ------
    NetworkError, RunError
        When the file is none of these, or an option does not apply to it.
    """
    with reading(source.path, "program", "python", "nir"):
        return _load(source, chip, seed)


def load_program(path: Path) -> Program:
    """Return a compiled program."""
    from emulator.program import Program

    with reading(path, "program"):
        return Program.load(path)


def depth_steps(program: Program) -> int:
    """Return the steps that a spike needs to the last population: the longest way, delays included, loops once."""
    from emulator.program.paths import steps_after

    return max(steps_after(program).values())


def _load(source: Source, chip: Chip, seed: int) -> Loaded:
    from emulator.compiler import compile_network
    from emulator.mapping import Mapping as Placement
    from emulator.program import Program

    suffix = source.path.suffix.lower()
    _refuse_what_does_not_apply(source, suffix)
    file = placement = None
    if source.mapping is not None:
        with reading(source.mapping, "mapping"):
            placement = Placement.load(source.mapping)
    if suffix == ".py":
        from emulator.importers.python_file import PythonFile

        file = PythonFile(source.path)
        network = file.network(source.parameters)
    elif suffix == ".nir":
        from emulator.importers.nir import load_nir

        if not source.path.exists():
            raise NetworkError(f"{source.path}: no such file")
        if source.dt_seconds is None:
            raise NetworkError(
                f"{source.path}: a .nir file does not say how long a step is; give --dt, in its unit of time: "
                "what it was trained with, well below its time constants (often 1e-4 or 1e-3 seconds)"
            )
        network = load_nir(source.path, source.dt_seconds)
    else:
        return Loaded(Program.load(source.path))
    program = compile_network(
        network, chip, placement, neurons_per_core=source.neurons_per_core, seed=seed
    )
    return Loaded(program, file)


def _refuse_what_does_not_apply(source: Source, suffix: str) -> None:
    if source.parameters and suffix != ".py":
        raise NetworkError(f"{source.path}: --param is for .py files")
    if source.dt_seconds is not None and suffix != ".nir":
        raise NetworkError(f"{source.path}: --dt is for .nir files")
    for option, value in (
        ("--mapping", source.mapping),
        ("--neurons-per-core", source.neurons_per_core),
    ):
        if value is not None and suffix not in NETWORK_SUFFIXES:
            raise NetworkError(
                f"{source.path}: {option} is for networks; this is a compiled program"
            )
