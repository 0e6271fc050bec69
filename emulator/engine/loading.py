"""Neuron programs and joins of a program as the run loop takes them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.engine.lowering import lowered, numbers
from emulator.kernels.machine import JOIN
from emulator.program import Program

JOIN_OPS = ("add", "max", "pass", "block")
NATIVE_VARIABLES = {"u": -1, "v": -2}
"""Variables of a native model, which are no words: how `Join.word` names them."""

SegmentCode = tuple[NDArray[Any], NDArray[np.int32], int, NDArray[np.int32], int, bool]


def microcode(program: Program, words: NDArray[np.int32]) -> list[SegmentCode | None]:
    """Return what runs each segment: None for a native model.

    Parameters
    ----------
    program : Program
    words : (n,) int32
        The program's words, which a run changes.
    """
    ready = {name: (lowered(model), numbers(model)) for name, model in program.models.items()}
    first_id = neuron_numbers(program)
    loaded: list[SegmentCode | None] = []
    for segment, (population, first, stop, _, _) in enumerate(program.segments.tolist()):
        model = program.model_of(population)
        if model is None:
            loaded.append(None)
            continue
        begin, end = program.word_start[segment : segment + 2]
        steps, values = ready[program.manifest["populations"][population]["model"]]
        mine = words[begin:end].reshape(len(model.words), stop - first)
        number = first_id[population] + first
        loaded.append((steps, mine, len(model.states), values, number, model.payload is not None))
    return loaded


def neuron_numbers(program: Program) -> list[int]:
    """Return the number of the first neuron of each population: what random bits depend on, and no mapping changes."""
    sizes = [p["size"] for p in program.manifest["populations"]]
    return [0, *np.cumsum(sizes).tolist()]


def joins(program: Program) -> NDArray[Any]:
    """Return what compartments pass to others of their core, (n_joins,) JOIN, by segment."""
    table = np.zeros(len(program.joins), JOIN)
    for row, (segment, index, source, target, n) in zip(table, program.joins.tolist(), strict=True):
        join = program.manifest["joins"][index]
        population, first, stop, _, compartment = program.segments[segment].tolist()
        model = program.model_of(population)
        word = NATIVE_VARIABLES.get(join["value"], 0)
        if model is not None:
            within = model.index[join["value"]] * (stop - first) + source - compartment
            word = int(program.word_start[segment]) + within
        row["segment"], row["source"], row["target"], row["n"] = segment, source, target, n
        row["op"], row["word"] = JOIN_OPS.index(join["op"]), word
    return table
