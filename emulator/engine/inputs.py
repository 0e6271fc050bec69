"""Input spikes, in the forms users give them, as the schedule that the run loop reads."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import shown
from emulator.errors import NetworkError
from emulator.program import Program

NO_REWARDS = np.empty((0, 2), np.int32)
REWARDS = ("r0", "r1")
REWARD_RANGE = range(-128, 128)


class Schedule(NamedTuple):
    """Input spikes: those of step t are source[start[t]:start[t + 1]], ascending, likewise their payload."""

    start: NDArray[np.int64]
    source: NDArray[np.uint32]
    payload: NDArray[np.int32]  # empty where the program has none
    rewards: NDArray[np.int32] = NO_REWARDS  # (n_steps, 2), or empty where there are none


def spike_schedule(
    program: Program, inputs: Mapping[str, ArrayLike] | None, n_steps: int
) -> Schedule:
    """Return the input spikes of a run by step and source.

    Parameters
    ----------
    inputs : mapping of population name to array, or None
        Either bool or 0/1, (steps, size) with at most `n_steps` rows, or integer pairs (step, neuron), (n_spikes, 2);
        of an input with payloads, triples (step, neuron, payload), (n_spikes, 3).

    Raises
    ------
    NetworkError
        With every mistake: unknown populations, wrong shapes, spikes outside the run or the population.
    """
    steps, sources, payloads, mistakes = [], [], [], []
    if inputs is not None and not isinstance(inputs, Mapping):
        raise NetworkError(
            f"inputs is {shown(inputs)}; it must be a mapping from the name of an input population to its spikes"
        )
    for name, values in (inputs or {}).items():
        try:
            step, neuron, payload = _spikes(program, name, _array(name, values), n_steps)
        except NetworkError as error:
            mistakes.append(str(error))
        else:
            steps.append(step)
            payloads.append(payload)
            sources.append(program.input_start[program.population_index[name]] + neuron)
    if mistakes:
        raise NetworkError("\n".join(mistakes))
    step = np.concatenate([np.empty(0, np.int64), *steps])
    source = np.concatenate([np.empty(0, np.int64), *sources])
    payload = np.concatenate([np.empty(0, np.int64), *payloads])
    order = np.lexsort((source, step))
    start = np.searchsorted(step[order], np.arange(n_steps + 1)).astype(np.int64)
    graded = order if program.is_graded else order[:0]
    return Schedule(start, source[order].astype(np.uint32), payload[graded].astype(np.int32))


def reward_schedule(
    program: Program, rewards: Mapping[str, ArrayLike] | None, n_steps: int
) -> NDArray[np.int32]:
    """Return the rewards r0 and r1 of each step, (n_steps, 2); empty where none are given.

    Raises
    ------
    NetworkError
        With every mistake.
    """
    if rewards is None:
        return NO_REWARDS
    if not isinstance(rewards, Mapping):
        raise NetworkError(
            f"rewards is {shown(rewards)}; it must be a mapping from 'r0' or 'r1' to an array"
        )
    used = set().union(*(rule.variables for rule in program.rules.values()))
    table, mistakes = np.zeros((n_steps, 2), np.int32), []
    for name, given in rewards.items():
        values = _array(str(name), given)
        if name not in REWARDS:
            mistakes.append(f"rewards: there is no '{name}'; there are: r0, r1")
        elif name not in used:
            mistakes.append(f"rewards: no learning rule of program '{program.name}' uses {name}")
        elif (
            values.dtype.kind not in "iub"
            or values.ndim > 1
            or values.shape not in ((), (n_steps,))
        ):
            mistakes.append(
                f"rewards: '{name}' is {values.dtype} of shape {values.shape}; it must be whole numbers, one or "
                f"({n_steps},)"
            )
        elif values.size and not (values.min() in REWARD_RANGE and values.max() in REWARD_RANGE):
            mistakes.append(
                f"rewards: '{name}' is {values.min()} to {values.max()}; allowed: {REWARD_RANGE[0]} to "
                f"{REWARD_RANGE[-1]}"
            )
        else:
            table[:, REWARDS.index(name)] = values
    if mistakes:
        raise NetworkError("\n".join(mistakes))
    return table


def _array(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:
        raise NetworkError(
            f"inputs: '{name}' has rows of different lengths; they must form an array"
        ) from None


def _spikes(
    program: Program, name: str, values: NDArray[Any], n_steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return step, neuron and payload of each spike; a payload is 1 where there is none."""
    populations = program.manifest["populations"]
    names = [p["name"] for p in populations if p["is_input"]]
    if name not in names:
        what = "is not an input" if name in program.population_index else "does not exist"
        raise NetworkError(f"inputs: '{name}' {what}; inputs are: {', '.join(names) or 'none'}")
    population = populations[program.population_index[name]]
    if population["sent_by"] is not None:
        sender = population["sent_by"]
        raise NetworkError(f"inputs: '{name}': its spikes are sent by management core {sender}")
    size, payload = population["size"], population["payload"]
    if values.size == 0 and values.ndim < 2:
        return (np.empty(0, np.int64),) * 3
    if payload is not None:
        return _triples(name, values, n_steps, size, payload)
    if values.ndim == 2 and values.dtype == bool:
        step, neuron = _dense(name, values, n_steps, size)
    elif values.ndim == 2 and values.shape[1] == 2 and np.issubdtype(values.dtype, np.integer):
        step, neuron = _pairs(name, values.astype(np.int64), n_steps, size)
    elif values.size == 0:
        step = neuron = np.empty(0, np.int64)
    elif values.ndim == 2 and values.shape[1] == 3 and np.issubdtype(values.dtype, np.integer):
        raise NetworkError(
            f"inputs: '{name}' has triples, but no payload: it is made by input('{name}', {size}, payload_bits=...)"
        )
    else:
        raise NetworkError(
            f"inputs: '{name}' is {values.dtype} of shape {values.shape}; "
            f"it must be bool (steps, {size}) or integer pairs (n_spikes, 2) of step and neuron"
        )
    return step, neuron, np.ones(len(step), np.int64)


def _triples(
    name: str, values: NDArray[Any], n_steps: int, size: int, payload: dict[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    if values.ndim != 2 or values.shape[1] != 3 or not np.issubdtype(values.dtype, np.integer):
        raise NetworkError(
            f"inputs: '{name}' is {values.dtype} of shape {values.shape}; its spikes have payloads: "
            "it must be integer triples (n_spikes, 3) of step, neuron and payload"
        )
    table = values.astype(np.int64)
    step, neuron = _pairs(name, table[:, :2], n_steps, size)
    outside = (table[:, 2] < payload["low"]) | (table[:, 2] > payload["high"])
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        raise NetworkError(
            f"inputs: '{name}' row {k} has payload {table[k, 2]}; allowed: {payload['low']} to {payload['high']}"
        )
    return step, neuron, table[:, 2]


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
