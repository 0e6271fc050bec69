"""Whether what a user gives can be a population or a projection."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import NetworkError
from emulator.learning import Rule
from emulator.network.parts import Population, Projection
from emulator.network.synapses import WEIGHT_RANGE, sign_mistakes


def is_int(value: object) -> bool:
    """Return whether a value is a whole number."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_yes_no_or_none(value: object) -> bool:
    """Return whether a value is True, False or None."""
    return value is None or isinstance(value, bool | np.bool_)


def checked_size(name: str, size: object) -> int:
    """Return a number of neurons.

    Raises
    ------
    NetworkError
        When it is none.
    """
    if not is_int(size) or not 1 <= size <= 2**31 - 1:  # type: ignore[operator]
        raise NetworkError(
            f"population '{name}': size is {size!r}; it must be a whole number from 1"
        )
    return int(size)  # type: ignore[call-overload,no-any-return]


def connection_mistakes(
    populations: Mapping[str, Population],
    others: Iterable[Projection],
    name: str,
    source: Population,
    target: Population,
    values: NDArray[Any],
    weight_exp: object,
    sign_mode: str,
    weight_bits: object,
    learning: object,
) -> list[str]:
    """Return what is wrong with synapses from one population to another."""
    mistakes = [
        f"'{end.name}' belongs to another network"
        for end in (source, target)
        if populations.get(end.name) is not end
    ]
    if any(p.name == name for p in others):
        mistakes.append("the network has one of this name already")
    mistakes += _learning_mistakes(target, values, weight_bits, learning)
    if not isinstance(sign_mode, str) or sign_mode not in WEIGHT_RANGE:
        return [*mistakes, f"sign_mode is {sign_mode!r:.60}; allowed: {', '.join(WEIGHT_RANGE)}"]
    is_real = values.dtype.kind == "f"
    if weight_exp is not None and (is_real or not (is_int(weight_exp) and -8 <= weight_exp <= 7)):  # type: ignore[operator]
        mistakes.append(
            "weight_exp cannot be given with real weights: the compiler chooses it"
            if is_real
            else f"weight_exp is {weight_exp!r}; allowed: -8 to 7"
        )
    if not target.takes_lif_parameters and is_real and values.size:
        mistakes.append(
            f"weights are real values, but '{target.name}' runs '{target.model}', whose words are registers; "
            "give integers"
        )
    elif not target.is_input and is_real != target.is_real and values.size:
        kind, unit = ("real", "vth_mant") if is_real else ("mantissas", "threshold")
        mistakes.append(
            f"weights are {kind} but the threshold of '{target.name}' is {unit}; "
            "give both as registers (integers, vth_mant) or both in real units (floats, threshold)"
        )
    return mistakes + sign_mistakes(values, sign_mode, weight_bits, is_real, learning is not None)


def _learning_mistakes(
    target: Population, values: NDArray[Any], weight_bits: object, learning: object
) -> list[str]:
    """Return what is wrong with a rule, or with an input as a target, and with the bits of weights."""
    mistakes = []
    if not isinstance(learning, Rule | None):
        mistakes.append(f"learning is {learning!r:.60}; it must be a Rule")
    elif target.is_input and learning is None:
        mistakes.append(
            f"'{target.name}' is an input; it can be the target of learning synapses only"
        )
    elif target.is_input and values.dtype.kind == "f" and values.size:
        mistakes.append(
            f"weights are real values, but the input '{target.name}' has no threshold; give integers"
        )
    if learning is not None and weight_bits != 8:
        mistakes.append(
            f"weight_bits is {weight_bits!r}; weights that learn have 9 bits with their sign"
        )
    elif not (is_int(weight_bits) and 1 <= weight_bits <= 8):  # type: ignore[operator]
        mistakes.append(f"weight_bits is {weight_bits!r}; allowed: 1 to 8")
    return mistakes
