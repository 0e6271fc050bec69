"""Neuron programs for tests: as the plain-Python interpreter takes them, and driven by currents on the emulator."""

from collections.abc import Mapping

import numpy as np

from emulator import Emulator, Network, compile_network, load_chip
from emulator.chip import Chip
from emulator.compiler.words import bound_model
from emulator.microcode import BY_OP, Kind, Model, Op, Read
from tests.oracle import microcode as oracle


def chip_for(**microcode: int) -> Chip:
    """Return the tiny chip with other limits of microcode."""
    changes = {f"microcode.{name}": value for name, value in microcode.items()}
    return load_chip("tiny", changes | {"mesh.input_queue_packets": 16})


def oracle_program(model: Model) -> list[tuple[str, tuple]]:
    """Return the instructions of a model as the oracle reads them."""

    def operand(place):
        if place.kind == Kind.REGISTER:
            return f"r{place.index}"
        if place.kind == Kind.NUMBER:
            return model.numbers[place.index]
        return (model.states if place.kind == Kind.STATE else model.parameters)[place.index].name

    program = []
    for step in model.steps:
        reads = [operand(place) for place in (step.a, step.b) if place is not None]
        operands = [] if step.d is None else [operand(step.d)]
        operands += reads
        if step.op == Op.RDC and step.n != Read.STATE:
            operands.append(Read(step.n).name.lower())
        if any(what in ("shift", "bits", "count", "label") for what in BY_OP[step.op].operands):
            operands.append(step.n)
        program.append((step.op.name, tuple(operands)))
    return program


def oracle_neuron(model: Model, chip: Chip, **values: int) -> oracle.Neuron:
    """Return one neuron of a model for the oracle, with some words set."""
    model = bound_model(model, chip)
    word = lambda w: oracle.Word(w.low, w.high, w.overflow)  # noqa: E731
    return oracle.Neuron(
        oracle_program(model),
        {w.name: word(w) for w in model.words},
        {w.name: values.get(w.name, w.default) for w in model.words},
        None if model.payload is None else word(model.payload),
        chip.arithmetic.accumulator_bits or 32,
    )


def drive(
    model: str, currents: np.ndarray, *record: str, seed: int = 0, chip: Chip | None = None, **words
):
    """Run neurons of a model with a current for each step and neuron, (n_steps, n); return the run.

    The current of row t arrives in step t + 1; recordings and spikes begin one step late, therefore.
    """
    chip = chip or load_chip("loihi2")
    n_steps, n = currents.shape
    net = Network("driven")
    source = net.input("in", n, payload_bits=31)
    cells = net.population("cells", n, model=model, **words)
    one = (np.arange(n), np.arange(n), np.ones(n, np.int64))
    net.connect(source, cells, weights=one, weight_exp=-6, sign_mode="exc")
    if record:
        net.probe(cells, *record)
    step, neuron = np.nonzero(currents)
    inputs = {"in": np.stack([step, neuron, currents[step, neuron]], axis=1).astype(np.int64)}
    program = compile_network(net, chip)
    return Emulator(chip, program).run(n_steps + 1, inputs=inputs, timing="off", seed=seed)


def spike_counts(run) -> np.ndarray:
    """Return how often each of the driven neurons fired."""
    size = next(p["size"] for p in run.program.manifest["populations"] if p["name"] == "cells")
    return np.bincount(run.spikes["cells"][:, 1], minlength=size)


def recorded(run, variable: str) -> np.ndarray:
    """Return a recording of the driven neurons, (n_steps, n), from the step in which the first current arrives."""
    recordings: Mapping[str, np.ndarray] = run.recordings["cells"]
    return recordings[variable][1:]
