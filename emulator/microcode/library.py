"""Neuron models by name: those shipped here, and a user's by the path of its file."""

from functools import cache
from pathlib import Path

from emulator.errors import MicrocodeError
from emulator.microcode.assembler import assemble, assemble_file
from emulator.microcode.model import Model
from emulator.shipped import shipped_files

ENDING = ".nasm"
PREFIX = "microcode:"
"""Before a library model's name: the microcode, where a native kernel has the plain name."""


def shipped_models() -> list[str]:
    """Return the names of the models in the library.

    Raises
    ------
    MicrocodeError
        When there is none; says where they were looked for.
    """
    return list(_library())


def load_model(name: str) -> Model:
    """Return a model: of the library by its name, `microcode:NAME` or `NAME`, or of a file by a path ending in .nasm.

    Raises
    ------
    MicrocodeError
        When there is none, or with every mistake in its file.
    """
    return assemble_file(name) if name.endswith(ENDING) else _shipped(name.removeprefix(PREFIX))


def model_text(name: str) -> str:
    """Return the text of a model of the library."""
    library = _library()
    if name not in library:
        raise MicrocodeError(
            f"no neuron model '{name}'; there are: {', '.join(library)}, or the path of a file *{ENDING}"
        )
    return library[name].read_text("utf-8")


def _library() -> dict[str, Path]:
    files = shipped_files("microcode/library", f"*{ENDING}", MicrocodeError)
    return {file.stem: file for file in files}


@cache
def _shipped(name: str) -> Model:
    return assemble(model_text(name), name, f"{name}{ENDING}")
