"""Whether what a user gives can be a population or a projection."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from emulator.arguments import is_one_of, is_whole, shown
from emulator.errors import NetworkError
from emulator.learning import Rule
from emulator.network.parts import Join, Population, Projection
from emulator.network.synapses import WEIGHT_RANGE, sign_mistakes

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
MOST_TEXT = 500
JOINS = ("add", "max", "pass", "block")


def checked_name(what: str, name: object) -> str:
    """Return a name.

    Raises
    ------
    NetworkError
        When it is none.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        read = repr(name) if isinstance(name, str) else shown(name)
        raise NetworkError(
            f"{what} {read}: a name is made of letters, digits, '_', '-' and '.', 200 at most"
        )
    return str(name)


def checked_text(what: str, name: object) -> str:
    """Return a name that may be any text on one line.

    Raises
    ------
    NetworkError
        When it is none.
    """
    if not isinstance(name, str):
        raise NetworkError(f"{what} {shown(name)}: a name is a string")
    if not (0 < len(name) <= MOST_TEXT and name.isprintable()):
        raise NetworkError(
            f"{what} {shown(name)}: a name is made of 1 to {MOST_TEXT} characters that can be printed on a line"
        )
    return str(name)


def require_populations(*given: object) -> None:
    """Raise NetworkError for what is no population."""
    for one in given:
        if not isinstance(one, Population):
            raise NetworkError(
                f"{shown(one)} is no population; give what `input` and `population` return"
            )


def checked_size(name: str, size: object) -> int:
    """Return a number of neurons.

    Raises
    ------
    NetworkError
        When it is none.
    """
    if not is_whole(size) or not 1 <= size <= 2**31 - 1:
        raise NetworkError(
            f"population '{name}': size is {shown(size)}; it must be a whole number from 1"
        )
    return int(size)


def _of_another_network(populations: Mapping[str, Population], *ends: Population) -> list[str]:
    """Return a mistake for each population that is not one of these."""
    return [
        f"'{end.name}' belongs to another network"
        for end in ends
        if populations.get(end.name) is not end
    ]


def join_mistakes(
    populations: Mapping[str, Population],
    joins: Iterable[Join],
    source: Population,
    target: Population,
    op: object,
    value: object,
) -> list[str]:
    """Return what is wrong with a join of two populations."""
    mistakes = _of_another_network(populations, source, target)
    mistakes += [
        f"'{end.name}' is an input and has no compartment"
        for end in (source, target)
        if end.is_input
    ]
    if not is_one_of(op, JOINS):
        mistakes.append(f"op is {shown(op)}; allowed: {', '.join(JOINS)}")
    if source.size != target.size:
        mistakes.append(
            f"'{source.name}' has {source.size} neurons and '{target.name}' {target.size}"
        )
    if not source.is_input and not is_one_of(value, set(source.variables) - {"spikes"}):
        known = ", ".join(v for v in source.variables if v != "spikes")
        mistakes.append(f"value is {shown(value)}; '{source.name}' has {known or 'no variable'}")
    below, seen, joins = [target.name], set[str](), list(joins)
    while below:
        seen.add(name := below.pop())
        below += [j.target for j in joins if j.source == name and j.target not in seen]
    if source.name in seen:
        mistakes.append("it would be joined to itself")
    return mistakes


def connection_mistakes(
    populations: Mapping[str, Population],
    others: Iterable[Projection],
    name: str,
    source: Population,
    target: Population,
    values: NDArray[Any],
    weight_exp: object,
    sign_mode: Any,
    weight_bits: object,
    learning: object,
) -> list[str]:
    """Return what is wrong with synapses from one population to another."""
    mistakes = _of_another_network(populations, source, target)
    if any(p.name == name for p in others):
        mistakes.append("the network has one of this name already")
    mistakes += _learning_mistakes(target, values, weight_bits, learning)
    if not is_one_of(sign_mode, WEIGHT_RANGE):
        return [*mistakes, f"sign_mode is {shown(sign_mode)}; allowed: {', '.join(WEIGHT_RANGE)}"]
    is_real = values.dtype.kind == "f"
    if weight_exp is not None and (is_real or not (is_whole(weight_exp) and -8 <= weight_exp <= 7)):
        mistakes.append(
            "weight_exp cannot be given with real weights: the compiler chooses it"
            if is_real
            else f"weight_exp is {shown(weight_exp)}; allowed: -8 to 7"
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
        mistakes.append(f"learning is {shown(learning)}; it must be a Rule")
    elif target.is_input and learning is None:
        mistakes.append(
            f"'{target.name}' is an input; it can be the target of learning synapses only"
        )
    elif target.is_input and values.dtype.kind == "f" and values.size:
        mistakes.append(
            f"weights are real values, but the input '{target.name}' has no threshold; give integers"
        )
    if learning is not None and not (is_whole(weight_bits) and weight_bits == 8):
        mistakes.append(
            f"weight_bits is {shown(weight_bits)}; weights that learn have 9 bits with their sign"
        )
    elif not (is_whole(weight_bits) and 1 <= weight_bits <= 8):
        mistakes.append(f"weight_bits is {shown(weight_bits)}; allowed: 1 to 8")
    return mistakes
