"""The interpreter of neuron microcode against the plain-Python one, bit for bit, over random legal programs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Emulator, Network, compile_network, load_chip
from emulator.chip import Chip
from emulator.compiler.words import bound_model
from emulator.microcode import assemble
from emulator.network import network as networks
from emulator.streams import NEURONS, random_words
from tests.microcode_programs import numbers, programs
from tests.microcode_tools import oracle_neuron

CHIPS = [
    load_chip("tiny", {"microcode.instructions": 1024} | changes)
    for changes in (
        {},
        {"arithmetic.accumulator_bits": 12, "arithmetic.u_bits": 9},
        {"arithmetic.u_overflow": "saturate", "arithmetic.u_bits": 30},
    )
]
LARGE = load_chip("loihi2")


def signed(word: int) -> int:
    return word - 2**32 if word >= 2**31 else word


def expected(model, chip: Chip, values, arrived, seed: int, first_id: int):
    """Return spikes, payloads, final words, instructions of each step and overflows."""
    spikes, payloads, n_overflows = [], [], 0
    executed = np.zeros(len(arrived), int)
    final = []
    sent = [[] for _ in arrived]
    for neuron, own in enumerate(values):
        cell = oracle_neuron(model, chip, **own)
        for step, currents in enumerate(arrived):

            def random(draw, step=step, number=first_id + neuron):
                return signed(int(random_words(seed, NEURONS, step, number, draw)))

            spiked, payload, n, lost = cell.step(int(currents[neuron]), random)
            executed[step] += n
            n_overflows += lost
            if spiked:
                sent[step].append((neuron, payload if model.payload is not None else 1))
        final.append(cell.memory)
    for step, those in enumerate(sent):
        spikes += [[step, neuron] for neuron, _ in sorted(those)]
        payloads += [payload for _, payload in sorted(those)]
    return spikes, payloads, final, executed.tolist(), n_overflows


def run(monkeypatch, model, chip: Chip, values, arrived, seed: int, threads: int = 1):
    """Run the same on the emulator: currents are graded spikes with a weight of one unit."""
    n_steps, n = arrived.shape
    monkeypatch.setattr(networks, "load", lambda *_: model)
    net = Network("fuzz")
    source = net.input("in", n, payload_bits=31)
    words = {name: np.array([own[name] for own in values]) for name in values[0]} if values else {}
    cells = net.population("cells", n, model="drawn", **words)
    one = (np.arange(n), np.arange(n), np.ones(n, np.int64))
    net.connect(source, cells, weights=one, weight_exp=-6, sign_mode="exc")
    net.probe(cells, *(word.name for word in model.states))
    step, neuron = np.nonzero(arrived[1:])
    inputs = {"in": np.stack([step, neuron, arrived[1:][step, neuron]], axis=1).astype(np.int64)}
    emulator = Emulator(chip, compile_network(net, chip), threads=threads)
    result = emulator.run(n_steps, inputs=inputs, timing="off", seed=seed)
    cells_at = 1
    final = result.recordings["cells"]
    found = [{w.name: int(final[w.name][-1, k]) for w in model.states} for k in range(n)]
    mine = result.program.segments[:, 0] == cells_at
    executed = result.active[:, mine].sum(axis=1).tolist()
    spikes = result.spikes["cells"]
    return (
        spikes.tolist(), result.spikes.payloads("cells").tolist(), found, executed, result.n_overflows,
    )  # fmt: skip


@st.composite
def cases(draw):
    """Draw a program, a chip, values of its words for some neurons, and what arrives in each step."""
    model = assemble(draw(programs()), "drawn")
    chip = draw(st.sampled_from(CHIPS))
    bound = bound_model(model, chip)
    n, n_steps = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    words = [w for w in bound.words if w.name != "probe"]

    def value(word):
        near = st.sampled_from([word.low, word.high, min(max(0, word.low), word.high)])
        return draw(near | st.integers(word.low, word.high))

    values = [{w.name: value(w) for w in words} for _ in range(n)]
    currents = st.sampled_from([0, 0, 1, -1, 2**30 - 1, -(2**30)]) | st.integers(-5000, 5000)
    arrived = np.array(
        [[draw(currents) if step else 0 for _ in range(n)] for step in range(n_steps)], np.int64
    )
    return model, chip, values, arrived, draw(st.integers(0, 2**63 - 1))


def compare(monkeypatch, case, threads=1):
    model, chip, values, arrived, seed = case
    n = arrived.shape[1]
    wanted = expected(model, chip, values, arrived, seed, first_id=n)
    found = run(monkeypatch, model, chip, values, arrived, seed, threads)
    states = [w.name for w in model.states]
    finals = [{name: memory[name] for name in states} for memory in wanted[2]]
    assert found == (*wanted[:2], finals, *wanted[3:])


def check(case, threads=1):
    with pytest.MonkeyPatch.context() as monkeypatch:
        compare(monkeypatch, case, threads)


@settings(max_examples=2000)
@given(cases())
def test_programs_are_bit_exact(case):
    check(case)


@pytest.mark.slow
@settings(max_examples=20_000)
@given(cases())
def test_many_programs_are_bit_exact(case):
    check(case)


@settings(max_examples=30)
@given(cases(), st.integers(1, 2000), st.integers(1, 3))
def test_blocks_and_threads_change_nothing(case, n, threads):
    # More compartments than lanes, on several cores: each as it is alone.
    model, _, values, arrived, seed = case
    rng = np.random.default_rng(n)
    some = rng.integers(0, len(values), n)
    many = (model, LARGE, [fitting(model, values[k]) for k in some], arrived[:, some], seed)
    check(many, threads)


def fitting(model, own):
    """Return values held to the ranges of the large chip."""
    words = {w.name: w for w in bound_model(model, LARGE).words}
    return {name: min(max(v, words[name].low), words[name].high) for name, v in own.items()}


@given(numbers, numbers, st.integers(0, 62))
def test_products_are_rounded_toward_zero(a, b, n):
    from tests.oracle.microcode import toward_zero  # noqa: PLC0415

    exact = toward_zero(a * b, n)
    model = assemble(f".state out s32 saturate\nRMW out\nMUL_SHR out, {a}, {b}, {n}\n", "drawn")
    with pytest.MonkeyPatch.context() as monkeypatch:
        found = run(monkeypatch, model, CHIPS[0], [{}], np.zeros((1, 1), np.int64), 0)
    assert found[2] == [{"out": min(max(exact, -(2**31)), 2**31 - 1)}]
    assert found[4] == (not -(2**31) <= exact < 2**31)
