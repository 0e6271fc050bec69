"""Input spikes, in the forms users give them, as the schedule that the run loop reads."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import shown
from emulator.errors import NetworkError
from emulator.program import Program

Schedule = tuple[NDArray[np.int64], NDArray[np.uint32]]


def spike_schedule(
    program: Program, inputs: Mapping[str, ArrayLike] | None, n_steps: int
) -> Schedule:
    """Return (start, source): input spikes of step t are source[start[t]:start[t + 1]], ascending.

    Parameters
    ----------
    inputs : mapping of population name to array, or None
        Either bool or 0/1, (steps, size) with at most `n_steps` rows, or integer pairs (step, neuron), (n_spikes, 2).

    Raises
    ------
    NetworkError
        With every mistake: unknown populations, wrong shapes, spikes outside the run or the population.
    """
    steps, sources, mistakes = [], [], []
    if inputs is not None and not isinstance(inputs, Mapping):
        raise NetworkError(
            f"inputs is {shown(inputs)}; it must be a mapping from the name of an input population to its spikes"
        )
    for name, values in (inputs or {}).items():
        try:
            step, neuron = _spikes(program, name, _array(name, values), n_steps)
        except NetworkError as error:
            mistakes.append(str(error))
        else:
            steps.append(step)
            sources.append(program.input_start[program.population_index[name]] + neuron)
    if mistakes:
        raise NetworkError("\n".join(mistakes))
    step = np.concatenate([np.empty(0, np.int64), *steps])
    source = np.concatenate([np.empty(0, np.int64), *sources])
    order = np.lexsort((source, step))
    start = np.searchsorted(step[order], np.arange(n_steps + 1)).astype(np.int64)
    return start, source[order].astype(np.uint32)


def _array(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:
        raise NetworkError(
            f"inputs: '{name}' has rows of different lengths; they must form an array"
        ) from None


def _spikes(
    program: Program, name: str, values: NDArray[Any], n_steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    populations = program.manifest["populations"]
    names = [p["name"] for p in populations if p["is_input"]]
    if name not in names:
        what = "is not an input" if name in program.population_index else "does not exist"
        raise NetworkError(f"inputs: '{name}' {what}; inputs are: {', '.join(names) or 'none'}")
    size = populations[program.population_index[name]]["size"]
    if values.ndim == 2 and values.dtype == bool:
        return _dense(name, values, n_steps, size)
    if values.ndim == 2 and values.shape[1] == 2 and np.issubdtype(values.dtype, np.integer):
        return _pairs(name, values.astype(np.int64), n_steps, size)
    if values.size == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    raise NetworkError(
        f"inputs: '{name}' is {values.dtype} of shape {values.shape}; "
        f"it must be bool (steps, {size}) or integer pairs (n_spikes, 2) of step and neuron"
    )


def _dense(
    name: str, values: NDArray[np.bool_], n_steps: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if values.shape[1] != size or values.shape[0] > n_steps:
        raise NetworkError(
            f"inputs: '{name}' has shape {values.shape}; the run has {n_steps} steps and the population {size} neurons"
        )
    step, neuron = np.nonzero(values)
    return step, neuron


def _pairs(
    name: str, values: NDArray[np.int64], n_steps: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    step, neuron = values[:, 0], values[:, 1]
    outside = (step < 0) | (step >= n_steps) | (neuron < 0) | (neuron >= size)
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        raise NetworkError(
            f"inputs: '{name}' row {k} is step {step[k]}, neuron {neuron[k]}; "
            f"allowed: steps 0 to {n_steps - 1}, neurons 0 to {size - 1}"
        )
    key = np.sort(step * size + neuron)
    twice = np.flatnonzero(key[1:] == key[:-1])
    if len(twice):
        at = int(key[twice[0]])
        raise NetworkError(
            f"inputs: '{name}' has neuron {at % size} twice in step {at // size}; a neuron spikes once a step"
        )
    return step, neuron
