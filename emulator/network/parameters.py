"""Parameters of populations: registers and real units, each checked when it is given."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import NoArrayError, as_array, doubles, frozen, shown
from emulator.microcode import PROBE, Model

REGISTERS: dict[str, tuple[int, int]] = {
    "du": (0, 4095),
    "dv": (0, 4095),
    "vth_mant": (0, 2**23 - 1),
    "bias_mant": (-(2**23), 2**23 - 1),
    "bias_exp": (0, 7),
    "refractory": (1, 255),
    "u_init": (-(2**29), 2**29),
    "v_init": (-(2**29), 2**29),
    "refractory_init": (0, 255),
}
"""Integer parameters and the widest range any chip allows; the compiler holds them to the chip's own."""
REAL = {
    "tau_syn_ms": "du", "tau_mem_ms": "dv", "threshold": "vth_mant", "bias": "bias_mant",
    "refractory_ms": "refractory", "u_start": "u_init", "v_start": "v_init",
}  # fmt: skip
"""Real-valued parameters, and the register each of them sets."""
POSITIVE = ("tau_syn_ms", "tau_mem_ms", "refractory_ms")


def parameter(key: str, value: ArrayLike, size: int, mistakes: list[str]) -> Any:
    """Return a checked scalar or (size,) array; append what is wrong with it."""
    known = [*REGISTERS, *REAL]
    if key not in known:
        close = get_close_matches(key, known, 1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        mistakes.append(f"unknown parameter '{key}'; {hint}there are: {', '.join(known)}")
        return None
    array = _numbers(key, value, size, mistakes)
    if array is None:
        return None
    wrong = _out_of_range(key, array)
    if wrong:
        mistakes.append(wrong)
        return None
    kind = np.int64 if key in REGISTERS else np.float64
    return _own(array, kind)


def lif_parameters(
    parameters: Mapping[str, ArrayLike], size: int, mistakes: list[str]
) -> dict[str, Any]:
    """Return the parameters of "lif", checked; append what is wrong with them."""
    values = {key: parameter(key, value, size, mistakes) for key, value in parameters.items()}
    for real, register in REAL.items():
        if real in values and register in values:
            mistakes.append(f"{real} and {register} both set the same register; give one of them")
    if "bias" in values and "bias_exp" in values:
        mistakes.append("bias and bias_exp both set the same register; give one of them")
    if not {"threshold", "vth_mant"} & set(values):
        mistakes.append("a threshold is required: vth_mant (register) or threshold (real)")
    return values


def _numbers(key: str, value: ArrayLike, size: int, mistakes: list[str]) -> NDArray[Any] | None:
    """Return a number or (size,) numbers; append what is wrong with them."""
    wanted = f"it must be a scalar or ({size},)"
    try:
        array = as_array(value)
    except NoArrayError as error:
        mistakes.append(f"{key} has {error}; {wanted}")
        return None
    if array.dtype.kind not in "iuf":
        mistakes.append(f"{key} is {shown(value)}; it must be a number or an array of them")
        return None
    if array.ndim > 1 or (array.ndim == 1 and len(array) != size):
        mistakes.append(f"{key} has shape {array.shape}; {wanted}")
        return None
    return doubles(array) if array.dtype.kind == "f" else array


def _own(array: NDArray[Any], dtype: Any) -> Any:
    """Return checked numbers as a number, or as an array that nobody can change."""
    return frozen(array.astype(dtype)) if array.ndim else array.astype(dtype).item()


def word_value(model: Model, key: str, value: ArrayLike, size: int, mistakes: list[str]) -> Any:
    """Return a checked scalar or (size,) array for a word of a neuron program; append what is wrong with it."""
    if key not in model.index or key == PROBE:
        known = [name for name in model.index if name != PROBE]
        close = get_close_matches(key, known, 1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        there = ", ".join(known) or "no words"
        mistakes.append(f"unknown parameter '{key}'; {hint}model '{model.name}' has: {there}")
        return None
    array = _numbers(key, value, size, mistakes)
    if array is None:
        return None
    word = model.words[model.index[key]]
    if not np.all(np.isfinite(array)):
        mistakes.append(f"{key} holds NaN or infinity")
    elif np.any(broken := array != np.floor(array)):
        mistakes.append(
            f"{key} is a register and holds {_first(array, broken)}; whole numbers only"
        )
    elif np.any(outside := (array < word.low) | (array > word.high)):
        mistakes.append(f"{key} is {_first(array, outside)}; allowed: {word.low} to {word.high}")
    else:
        return _own(array, np.int64)
    return None


def _out_of_range(key: str, array: NDArray[Any]) -> str:
    """Say what is wrong with the values of a parameter; nothing if nothing is."""
    if not np.all(np.isfinite(array)):
        return f"{key} holds NaN or infinity"
    if key in REGISTERS:
        low, high = REGISTERS[key]
        outside, broken = (array < low) | (array > high), array != np.floor(array)
        if np.any(broken):
            return f"{key} is a register and holds {_first(array, broken)}; whole numbers only"
        if np.any(outside):
            return f"{key} is {_first(array, outside)}; allowed: {low} to {high}"
    elif key in POSITIVE and np.any(array <= 0):
        return f"{key} is {_first(array, array <= 0)}; it must be positive"
    elif key == "threshold" and np.any(array < 0):
        return f"threshold is {_first(array, array < 0)}; it must not be negative"
    return ""


def _first(array: NDArray[Any], wrong: NDArray[np.bool_]) -> Any:
    return array[wrong].flat[0] if array.ndim else array[()]
