"""What happens to a synapse follows from its own source, target and values: no other neuron's spikes change it.

Values stand at the edges of their ranges, where the accumulator does not hold them, and beyond their limits.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from emulator import Emulator, Network, Program, Rule, Trace, compile_network, load_chip
from tests import learning_cases
from tests.kernels.test_learning import expect, in_order, inputs_of, learned_of, network_of
from tests.oracle import learning as oracle

TAG = {"learning.rounding": "nearest"}
START = -257


def after_a_visit(rule: Rule, post: list[list[int]], chip=None) -> list[int]:
    """Return the tags, which a management program put to -257, of one source's synapses onto two targets."""
    chip = chip or load_chip("loihi2", TAG)
    net = Network("tags")
    a, b = net.input("a", 1), net.input("b", 2)
    net.connect(a, b, weights=[[0], [0]], learning=rule, name="s")
    net.manage(0, "pre", lambda core: core.write("s.tags", START) if core.step == 0 else None)
    run = Emulator(chip, compile_network(net, chip)).run(4, {"a": [[0, 0], [1, 0]], "b": post})
    return run.tags("s")[:, 0].tolist()


def test_a_tag_at_its_end_waits_for_its_own_target():
    waits = Rule(dt="x1*y0", x1=Trace(0, 10), epoch=4)  # a product of zero, whoever fires
    assert after_a_visit(waits, []) == [START, START]
    assert after_a_visit(waits, [[2, 1]]) == [START, START]
    also = Rule(dt="2^-7*x0*y1 + x1*y0", x1=Trace(1, 10), y1=Trace(0, 10), epoch=4)
    alone = after_a_visit(also, [])
    assert alone == [START, START]
    beside = after_a_visit(also, [[2, 1]])
    assert beside[0] == START
    assert beside[1] > START


@st.composite
def at_the_edges(draw) -> tuple[learning_cases.Case, list[tuple[int, str, list[int]]]]:
    """Draw a case whose weights may start beyond their limits, and what programs write: step, what, values."""
    case = draw(learning_cases.cases(st.integers(1, 3), st.integers(2, 5), n_epochs=6))
    if draw(st.integers(0, 3)):  # ranges that the accumulator does not hold
        engine = replace(
            case.engine,
            accumulator=draw(st.sampled_from([(-32769, 32767), (-3000, 2000), (-128, 1)])),
            tags=draw(st.sampled_from([(-257, 255), (-512, 511)])),
        )
        case = replace(case, engine=engine, chip=learning_cases.chip_of(engine, case.sign_mode))
    if draw(st.integers(0, 3)):
        far = st.sampled_from([-256, -130, -1, 1, 254, 255])
        synapses = [replace(s, w=draw(far)) if draw(st.booleans()) else s for s in case.synapses]
        case = replace(case, synapses=synapses)
    limits = {"w": case.engine.weights}
    if "t" in case.plain.products or any(
        f.name == "t" for some in case.plain.products.values() for p in some for f in p.factors
    ):
        limits["t"] = case.engine.tags
    written = []
    for what in draw(st.lists(st.sampled_from(sorted(limits)), max_size=3, unique=True)):
        low, high = limits[what]
        value = st.sampled_from([low, low, high, low + 1, high - 1, 0]).map(
            lambda v, low=low, high=high: max(low, min(high, v))
        )
        values = draw(st.lists(value, min_size=len(case.synapses), max_size=len(case.synapses)))
        if values:
            written.append((draw(st.integers(0, len(case.pre) - 1)), what, values))
    return case, written


def started(program: Program, weights: list[int]) -> Program:
    """Return a program with other initial weights, which the compiler would refuse; sorted by source and target."""
    pre, post, place, _ = program.synapse_places("learns")
    words = program.synapses.copy()
    at = place[np.lexsort((post, pre))]
    words[at] = words[at] & 0x7FFFFF | (np.array(weights, np.int64) << 23).astype(np.uint32)
    other = Program(program.manifest, program.tensors() | {"synapses": words})
    other.managed = program.managed
    return other


def ran(case, written, **options):
    """Return w, d, t of each synapse after each step, sorted by source, target and the order of repeats."""
    weights = [case.synapses[k].w for k in in_order(case)]
    net = network_of(replace(case, synapses=[replace(s, w=0) for s in case.synapses]))

    def write(core):
        for step, what, values in written:
            if core.step == step:
                core.write({"w": "learns.weights", "t": "learns.tags"}[what], values)

    if written:
        net.manage(0, "pre", write)
    program = started(compile_network(net, case.chip, **options), weights)
    emulator = Emulator(case.chip, program)
    steps = len(case.pre)
    run = emulator.run(
        steps, inputs_of(case), weights_every=1, seed=case.seed, timing="off", rewards=case.given()
    )
    return learned_of(run, "learns", steps)


class Written(oracle.Learner):
    """An oracle whose synapses programs write to."""

    def step(self, step, *spikes):
        """Write, then take in a step."""
        order = in_order(self)
        for at, what, values in self.written:
            if at == step:
                for k, value in zip(order, values, strict=True):
                    setattr(self.synapses[k], what, value)
        return super().step(step, *spikes)


def expected(case, written):
    """Return what the oracle learns, and the oracle."""
    make = case.learner

    class Case(learning_cases.Case):
        def learner(self, number=0):
            learner = make(number)
            learner.__class__, learner.written = Written, written
            return learner

    learner, learned, _, _ = expect(Case(**vars(case)))
    return learner, learned


@given(at_the_edges(), st.sampled_from([None, 1, 3]))
def test_values_at_the_edges_equal_the_oracle(drawn, neurons_per_core):
    case, written = drawn
    assert ran(case, written, neurons_per_core=neurons_per_core) == expected(case, written)[1]


PRODUCTS = [
    "x1*y0",
    "x2*y0",
    "x0*y1",
    "2^-7*x0*y2",
    "y2*u0",
    "x1*y0*t",
    "w*x0*y0",
    "2^-6*t*u1",
    "2^-7*w*x1*y0",
]
"""Of which some are zero for some synapses: x2 and y2 are zero, and most wait for a spike."""


@st.composite
def neighbours(draw):
    """Draw an engine, a rule, values at edges and spikes; and other spikes of all but one source and one target."""
    accumulator = draw(st.sampled_from([(-32769, 32767), (-3000, 2000), (-128, 1)]))
    chip = learning_cases.chip_of(
        oracle.Engine(
            draw(st.sampled_from(["nearest", "down", "stochastic"])), accumulator=accumulator
        )
    )
    some = st.lists(st.sampled_from(PRODUCTS), min_size=1, max_size=3)
    texts = [" + ".join(draw(some)) for _ in range(2)]
    zero, small = Trace(0, 10), Trace(draw(st.integers(1, 20)), 10)
    rule = Rule(
        dw=texts[0],
        dt=texts[1],
        x1=small,
        x2=zero,
        y1=small,
        y2=zero,
        epoch=draw(st.integers(1, 3)),
    )
    tags = draw(st.lists(st.sampled_from([-257, -257, -256, 0, 255]), min_size=12, max_size=12))
    weights = draw(st.lists(st.sampled_from([-256, 0, 254]), min_size=12, max_size=12))
    i, j = draw(st.integers(0, 2)), draw(st.integers(0, 3))
    steps = draw(st.integers(1, 3)) * rule.epoch
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    rates = draw(st.lists(learning_cases.rates, min_size=4, max_size=4))
    pre, others = (rng.random((steps, 3)) < rate for rate in rates[:2])
    post, beside = (rng.random((steps, 4)) < rate for rate in rates[2:])
    if draw(st.booleans()):
        post[:, j] = False
    if draw(st.booleans()):
        others = pre.copy()
    others[:, i], beside[:, j] = pre[:, i], post[:, j]
    return chip, rule, np.reshape(weights, (4, 3)), tags, ((pre, post), (others, beside)), (i, j)


@settings(max_examples=3 * settings().max_examples)
@given(neighbours())
def test_no_other_neuron_changes_a_synapse(drawn):
    chip, rule, weights, tags, spikes, (i, j) = drawn
    net = Network("neighbours")
    a, b = net.input("a", 3), net.input("b", 4)
    net.connect(a, b, weights=weights, learning=rule, name="s")
    net.manage(0, "pre", lambda core: core.write("s.tags", tags) if core.step == 0 else None)
    emulator = Emulator(chip, compile_network(net, chip))
    found = []
    for pre, post in spikes:
        emulator.reset()
        run = emulator.run(len(pre), {"a": pre, "b": post}, weights_every=1, timing="off")
        found.append([run.recordings["s"][what][:, j, i].tolist() for what in ("weights", "tags")])
    assert found[0] == found[1]


def test_the_edges_are_reached():
    seen = Counter()

    @settings(max_examples=200, derandomize=True, database=None, phases=[Phase.generate])
    @given(at_the_edges())
    def collect(drawn):
        learner, _ = expected(*drawn)
        seen.update(what for what, n in learner.seen.items() if n)

    collect()
    assert seen["stays outside"] > 3, seen
    assert seen["zero onto more than the accumulator"] > 3
