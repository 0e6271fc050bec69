"""Probes: which variables of which neurons are recorded."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import NoArrayError, as_array, frozen, is_one_of, quoted
from emulator.errors import NetworkError
from emulator.network.parts import Population, Probe


def checked_probes(
    populations: Mapping[str, Population],
    population: Population,
    variables: tuple[object, ...],
    neurons: Any,
) -> list[Probe]:
    """Return a probe for each variable.

    Raises
    ------
    NetworkError
        With every mistake.
    """
    mistakes, known = [], ", ".join(population.variables)
    if populations.get(population.name) is not population:
        mistakes.append("it belongs to another network")
    elif population.is_input:
        mistakes.append("it is an input; its spikes are what you give it")
    mistakes += [
        f"{quoted(variable)} cannot be recorded; allowed: {known}"
        for variable in variables
        if not is_one_of(variable, population.variables)
    ]
    if not variables:
        mistakes.append(f"no variable was given; allowed: {known}")
    chosen = None if neurons is None else _chosen(neurons, population.size, mistakes)
    if mistakes:
        raise NetworkError(
            "\n".join(f"probe of '{population.name}': {mistake}" for mistake in mistakes)
        )
    return [Probe(population.name, str(variable), chosen) for variable in variables]


def _chosen(neurons: Any, size: int, mistakes: list[str]) -> NDArray[np.int32] | None:
    """Return which neurons are recorded; append what is wrong with them."""
    try:
        chosen = np.atleast_1d(as_array(neurons))
    except NoArrayError as error:
        mistakes.append(f"neurons have {error}; they must be whole numbers (n,)")
        return None
    if chosen.ndim != 1 or (chosen.dtype.kind not in "iu" and chosen.size):
        hint = "; np.flatnonzero(neurons) are those of a mask" if chosen.dtype == bool else ""
        mistakes.append(
            f"neurons is {chosen.dtype} of shape {chosen.shape}; it must be whole numbers (n,){hint}"
        )
    elif chosen.size and not (chosen.min() >= 0 and chosen.max() < size):
        mistakes.append(f"neurons holds {chosen.min()} to {chosen.max()}; allowed: 0 to {size - 1}")
    else:
        return frozen(chosen.astype(np.int32))
    return None
