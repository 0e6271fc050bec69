"""Neuron models by name: native ones, those of the library, and files of microcode."""

from os import PathLike
from typing import Any

from emulator.arguments import is_path, quoted, shown
from emulator.errors import MicrocodeError
from emulator.microcode import PREFIX, Model, load_model, shipped_models

MODELS = ("lif",)
"""Neuron models with a kernel of their own; those in microcode come from files."""


def model_name(model: Any) -> Any:
    """Return a model as it is named: the path of a file as text."""
    return str(model) if isinstance(model, PathLike) else model


def load(model: object, mistakes: list[str]) -> Model | None:
    """Return the microcode of a model; None for a native one, or where there is a mistake."""
    if not isinstance(model, str):
        mistakes.append(f"model is {shown(model)}; it must be a name or the path of a file *.nasm")
        return None
    if model in MODELS:
        return None
    if (
        not (model.endswith(".nasm") and is_path(model))
        and model.removeprefix(PREFIX) not in shipped_models()
    ):
        known = ", ".join(dict.fromkeys([*MODELS, f"{PREFIX}lif", *shipped_models()]))
        mistakes.append(
            f"model {quoted(model)} does not exist; there are: {known}, or the path of a file *.nasm"
        )
        return None
    try:
        return load_model(model)
    except MicrocodeError as error:
        mistakes += str(error).splitlines()
        return None
