"""Neuron models by name: those shipped here, and a user's by the path of its file."""

from functools import cache
from importlib.resources import files

from emulator.errors import MicrocodeError
from emulator.microcode.assembler import assemble, assemble_file
from emulator.microcode.model import Model

ENDING = ".nasm"
PREFIX = "microcode:"
"""Before a library model's name: the microcode, where a native kernel has the plain name."""


def shipped_models() -> list[str]:
    """Return the names of the models in the library."""
    return sorted(
        path.name.removesuffix(ENDING)
        for path in files("emulator.microcode").joinpath("library").iterdir()
        if path.name.endswith(ENDING)
    )


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
    if name not in shipped_models():
        raise MicrocodeError(
            f"no neuron model '{name}'; there are: {', '.join(shipped_models())}, or the path of a file *{ENDING}"
        )
    return files("emulator.microcode").joinpath("library", f"{name}{ENDING}").read_text("utf-8")


@cache
def _shipped(name: str) -> Model:
    return assemble(model_text(name), name, f"{name}{ENDING}")
