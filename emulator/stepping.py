"""One neuron of a neuron program, instruction by instruction: what a debugger shows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import is_one_of, is_whole, quoted, shown
from emulator.engine import Chunk, Engine, Probed, Schedule
from emulator.errors import RunError
from emulator.microcode import PROBE, Model, Op, Step, instruction_text, labels_of, operand_text
from emulator.program import Program


@dataclass(frozen=True)
class Executed:
    """An instruction in one step of one neuron.

    Attributes
    ----------
    index : int
        Its place in the program.
    text : str
        As it is written.
    executed : bool
        False: the neuron was on another way.
    target : str
        What it wrote, or opened; empty for comparisons and jumps.
    value : int
        What is there now.
    flag : bool or None
        The flag after it; None before the first comparison.
    """

    index: int
    text: str
    executed: bool
    target: str
    value: int
    flag: bool | None


@dataclass(frozen=True)
class NeuronStep:
    """A step of one neuron: its words before and after, the instructions between, and whether it spiked."""

    step: int
    input: int
    before: dict[str, int]
    instructions: tuple[Executed, ...]
    after: dict[str, int]
    spiked: bool
    payload: int | None


def watch(
    engine: Engine, population: str, neuron: int, n_steps: int, schedule: Schedule, seed: int
) -> Iterator[NeuronStep]:
    """Advance all neurons and yield each step of one.

    Raises
    ------
    RunError
        When there is no such neuron, or its model is no microcode.
    """
    model = _model(engine.program, population, neuron)
    compartment = int(engine.program.sources_of(population)[neuron])
    places = {w.name: engine.program.word_places(population, w.name)[neuron] for w in model.words}
    rows = np.zeros((len(model.steps), 3), np.int32)
    nothing = Probed(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))

    def words() -> dict[str, int]:
        return {name: int(engine.state["words"][place]) for name, place in places.items()}

    engine.machine.look_at(compartment, rows)
    try:
        for step in range(n_steps):
            rows[:] = 0
            before, arrived, chunks = words(), _arrived(engine, compartment), list[Chunk]()
            engine.run(step + 1, schedule, nothing, chunks.append, first_step=step, seed=seed)
            spiked, payload = _spike(chunks[0], compartment)
            graded = spiked and model.payload is not None
            lines = tuple(_lines(model, rows))
            yield NeuronStep(
                step, arrived, before, lines, words(), spiked, payload if graded else None
            )
    finally:
        engine.machine.look_at(-1, rows)


def _model(program: Program, population: str, neuron: int) -> Model:
    if not is_one_of(population, program.population_index):
        known = ", ".join(program.population_index)
        raise RunError(f"no population {quoted(population)}; there are: {known}")
    entry = program.manifest["populations"][program.population_index[population]]
    model = program.model_of(population)
    if model is None:
        what = "is an input" if entry["is_input"] else f"runs the native model '{entry['model']}'"
        raise RunError(
            f"population '{population}' {what}; only microcode has instructions: 'microcode:lif' is 'lif' in it"
        )
    if not is_whole(neuron) or not 0 <= neuron < entry["size"]:
        raise RunError(
            f"population '{population}' has neurons 0 to {entry['size'] - 1}, no {shown(neuron)}"
        )
    return model


def _arrived(engine: Engine, compartment: int) -> int:
    accumulators = engine.state["accumulators"]
    return int(accumulators[engine.machine.step % len(accumulators), compartment])


def _spike(chunk: Chunk, compartment: int) -> tuple[bool, int]:
    mine = np.flatnonzero(chunk.spike_source == compartment)
    if not len(mine):
        return False, 0
    return True, int(chunk.spike_payload[mine[0]]) if len(chunk.spike_payload) else 1


def _lines(model: Model, rows: NDArray[np.int32]) -> Iterator[Executed]:
    labels, flag = labels_of(model), None
    for index, (row, step) in enumerate(zip(rows.tolist(), model.steps, strict=True)):
        executed, now, value = row
        if executed and step.op in (Op.LT, Op.GE, Op.EQ):
            flag = bool(now)
        text = instruction_text(model, step, labels)
        yield Executed(index, text, bool(executed), _target(model, step), value, flag)


def _target(model: Model, step: Step) -> str:
    """Return the name of what an instruction writes or opens."""
    if step.op == Op.RMW:
        return operand_text(model, step.a)
    if step.op == Op.SPIKE:
        return "" if step.a is None else "payload"
    if step.op == Op.PROBE:
        return PROBE
    return "" if step.d is None else operand_text(model, step.d)
