"""Input spikes, in the forms users give them, as the schedule that the run loop reads."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import shown
from emulator.engine.forms import Input, Listed, as_array, form_of, refusal
from emulator.errors import NetworkError
from emulator.kernels import schedule as kernel
from emulator.program import Program

NO_REWARDS = np.empty((0, 2), np.int32)
NO_SOURCES = np.empty(0, np.uint32)
NO_PAYLOADS = np.empty(0, np.int32)
REWARDS = ("r0", "r1")
REWARD_RANGE = range(-128, 128)
READ = {"i4", "i8", "u4", "u8"}
"""Integers that the kernel reads as they are."""


class Schedule(NamedTuple):
    """Input spikes: those of step t are source[start[t]:start[t + 1]], ascending, likewise their payload."""

    start: NDArray[np.int64]
    source: NDArray[np.uint32]
    payload: NDArray[np.int32]  # empty where the program has none
    rewards: NDArray[np.int32] = NO_REWARDS  # (n_steps, 2), or empty where there are none


def spike_schedule(program: Program, inputs: Mapping[str, Any] | None, n_steps: int) -> Schedule:
    """Return the input spikes of a run by step and source; they are copies.

    Parameters
    ----------
    inputs : mapping of population name to spikes, or None
        In the forms that `Emulator.run` takes.

    Raises
    ------
    NetworkError
        With every mistake: unknown populations, wrong shapes, spikes outside the run or the population.
    """
    if inputs is None:
        return Schedule(np.zeros(n_steps + 1, np.int64), NO_SOURCES, NO_PAYLOADS)
    parts: dict[int, Schedule] = {}
    mistakes: list[str] = []
    if not isinstance(inputs, Mapping):
        raise NetworkError(
            f"inputs is {shown(inputs)}; it must be a mapping from the name of an input population to its spikes"
        )
    for name, values in inputs.items():
        try:
            given = _input(program, name, n_steps)
            first = program.input_start[program.population_index[name]]
            parts[first] = _part(given, values, first, graded=program.is_graded)
        except NetworkError as error:
            mistakes.append(str(error))
    if mistakes:
        raise NetworkError("\n".join(mistakes))
    if len(parts) == 1:
        return next(iter(parts.values()))
    # Inputs are numbered in the order of their populations.
    return _merged([parts[first] for first in sorted(parts)], n_steps)


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
        values = as_array(f"rewards: '{name}'", given)
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


def _input(program: Program, name: str, n_steps: int) -> Input:
    """Return an input population that spikes may be given for."""
    populations, index = program.manifest["populations"], program.population_index.get(name)
    if index is None or not populations[index]["is_input"]:
        names = [p["name"] for p in populations if p["is_input"]]
        what = "does not exist" if index is None else "is not an input"
        raise NetworkError(f"inputs: '{name}' {what}; inputs are: {', '.join(names) or 'none'}")
    population = populations[index]
    if population["sent_by"] is not None:
        sender = population["sent_by"]
        raise NetworkError(f"inputs: '{name}': its spikes are sent by management core {sender}")
    return Input(name, population["size"], population["payload"], n_steps)


def _part(given: Input, values: Any, first: int, *, graded: bool) -> Schedule:
    """Return the spikes of one population; `first` is the source of its first neuron."""
    form = form_of(given, values)
    if isinstance(form, Listed):
        start, source, payload = _listed(given, form.rows, first)
    else:
        by_row = form.cells.strides[1] == 1 or form.cells.size <= 1
        read = kernel.from_rows if by_row else kernel.from_columns
        start, source, bits = read(form.cells, first, given.n_steps)
        if form.given is not None and bits > 1:
            raise NetworkError(refusal(given, form.given))
        payload = NO_PAYLOADS
    if graded and not len(payload):
        payload = np.ones(len(source), np.int32)
    return Schedule(start, source, payload)


def _listed(
    given: Input, rows: NDArray[np.integer], first: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int32]]:
    """Return start, source and payload of spikes that are listed; no payload where the population has none."""
    size, n_steps = given.size, given.n_steps
    if rows.dtype.str[1:] not in READ or not rows.dtype.isnative:
        rows = rows.astype(np.uint64 if rows.dtype.str[1:] == "u8" else np.int64)
    start, source, ordered, outside, twice = kernel.from_pairs(rows[:, :2], size, first, n_steps)
    if outside >= 0:
        raise NetworkError(
            f"inputs: '{given.name}' row {outside} is step {rows[outside, 0]}, neuron {rows[outside, 1]}; "
            f"allowed: steps 0 to {n_steps - 1}, neurons 0 to {size - 1}"
        )
    if twice >= 0:
        step = int(np.searchsorted(start, twice, side="right")) - 1
        raise NetworkError(
            f"inputs: '{given.name}' has neuron {source[twice] - first} twice in step {step}; a neuron spikes once a "
            "step"
        )
    payload = _payloads(given, rows)
    if len(payload) and not ordered:
        payload = payload[np.lexsort((rows[:, 1], rows[:, 0]))]
    return start, source, payload


def _payloads(given: Input, rows: NDArray[np.integer]) -> NDArray[np.int32]:
    if given.payload is None:
        return NO_PAYLOADS
    payload, low, high = rows[:, 2], given.payload["low"], given.payload["high"]
    outside = (payload < low) | (payload > high)
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        raise NetworkError(
            f"inputs: '{given.name}' row {k} has payload {payload[k]}; allowed: {low} to {high}"
        )
    return payload.astype(np.int32)


def _merged(parts: Sequence[Schedule], n_steps: int) -> Schedule:
    """Return the spikes of several populations, whose sources ascend, as one schedule."""
    start = np.zeros(n_steps + 1, np.int64)
    for part in parts:
        start += part.start
    merged = []
    for column in ("source", "payload"):
        values = [getattr(part, column) for part in parts]
        out = np.empty(sum(map(len, values)), np.uint32)
        if len(out):
            begin = start[:-1].copy()
            for part, own in zip(parts, values, strict=True):
                kernel.place(part.start, own.view(np.uint32), begin, out)
        merged.append(out)
    return Schedule(start, merged[0], merged[1].view(np.int32))
