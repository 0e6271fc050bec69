"""Learning on the whole path, network to run, against the plain-Python oracle: to the bit, after every step."""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from emulator import Emulator, Network, compile_network
from tests import learning_cases
from tests.learning_cases import cases, loops
from tests.oracle import learning as oracle


def network_of(case):
    """Return a network of clamped inputs."""
    net = Network("clamped")
    ends = [net.input("a", case.sizes[0])]
    ends.append(ends[0] if case.is_recurrent else net.input("b", case.sizes[1]))
    net.connect(*ends, **case.connected(), name="learns")
    return net


def inputs_of(case):
    return {"a": case.pre} if case.is_recurrent else {"a": case.pre, "b": case.post}


def learned_of(run, name, n):
    """Return (w, d, t) of each synapse after each step, sorted by source, target and the order of repeats."""
    synapses = run.learned.synapses_of(name)
    order = np.lexsort((synapses.post, synapses.pre))
    states = [state for _, state in run.learned.states[:n]]
    rows = [
        np.stack(
            [synapses.values(state[name], what)[order] for what in ("weights", "delays", "tags")],
            axis=1,
        )
        for state in states
    ]
    return [[tuple(row) for row in one.tolist()] for one in rows]


def in_order(learner):
    """Return the oracle's synapses in the same order."""
    return sorted(
        range(len(learner.synapses)),
        key=lambda k: (learner.synapses[k].pre, learner.synapses[k].post),
    )


def expect(case):
    """Run the oracle; return it, what it learned and its visits after each step, and its traces at epochs' ends."""
    learner = case.learner()
    order, learned, visits, traces = in_order(learner), [], [], {}
    for step in range(len(case.pre)):
        fired = [set(np.flatnonzero(spikes[step]).tolist()) for spikes in (case.pre, case.post)]
        visits.append(learner.step(step, *fired, tuple(case.rewards[step].tolist())))
        learned.append([(s.w, s.d, s.t) for s in (learner.synapses[k] for k in order)])
        if (step + 1) % case.plain.epoch == 0:
            traces[step] = {name: list(values) for name, values in learner.value.items()}
    return learner, learned, visits, traces


def check(case, **options):
    steps = len(case.pre)
    program = compile_network(network_of(case), case.chip, **options)
    run = Emulator(case.chip, program).run(
        steps, inputs_of(case), weights_every=1, seed=case.seed, timing="off", rewards=case.given()
    )
    _, learned, visits, traces = expect(case)
    assert learned_of(run, "learns", steps) == learned
    assert run.visits("learns").tolist() == visits
    recorded = run.recordings["learns"]
    for step, values in traces.items():
        for name, expected in values.items():
            assert recorded[name][step].tolist() == expected, (name, step)


@given(cases())
def test_clamped_inputs(case):
    check(case)


@given(cases(), st.integers(1, 4))
def test_targets_on_several_cores(case, neurons_per_core):
    check(case, neurons_per_core=neurons_per_core)


@settings(max_examples=8)
@given(cases(st.integers(1, 3), st.sampled_from([256, 257, 300, 520]), most=600, n_epochs=3))
def test_long_rows(case):
    check(case)


@given(loops(), st.sampled_from([None, 1, 3]), st.sampled_from([1, 2]))
def test_neurons_driven_by_what_they_learn(loop, neurons_per_core, threads):
    steps, n_cells = len(loop.inputs), loop.sizes[1]
    program = compile_network(loop.network(), loop.chip, neurons_per_core=neurons_per_core)
    run = Emulator(loop.chip, program, threads=threads).run(
        steps, {"in": loop.inputs}, weights_every=1, seed=loop.seed, timing="off"
    )
    spikes, states, learned, visits, learners = loop.expected()
    assert run.spikes["cells"].tolist() == [[t, i] for t, i in spikes if i < n_cells]
    for k, variable in enumerate("uv"):
        expected = [[cell[k] for cell in row] for row in states]
        assert run.recordings["cells"][variable].tolist() == expected
    for k, name in enumerate(("in", "own")):
        order = in_order(learners[k])
        expected = [[row[k][i] for i in order] for row in learned]
        assert learned_of(run, name, steps) == expected
        assert run.visits(name).tolist() == [row[k] for row in visits]
        if steps % loop.rules[k][1].epoch == 0:
            for trace, values in learners[k].value.items():
                assert run.recordings[name][trace][-1].tolist() == values


SUPPLYING = """
.state  level  u7 saturate
.state  other  u5 wrap
.param  top    u10
    RDC     r0, input
    RMW     level
    ADD     level, level, r0
    RMW     other
    ADD     other, other, 3
    LT      level, top
    JMP_C   end
    SPIKE
    MOV     level, 5
end:
"""


@given(st.data())
def test_neuron_programs_supply_traces(tmp_path_factory, data):
    engine = data.draw(learning_cases.engines("mixed"))
    epoch = data.draw(st.integers(1, 5))
    rule, plain = data.draw(learning_cases.rules(engine, epoch))
    words = {
        name: data.draw(st.sampled_from(["level", "other"]))
        for name in ("y1", "y2")
        if name in plain.traces
    }
    rule = replace(rule, **words)
    plain = oracle.Rule(plain.products, plain.traces | words, epoch)
    n_pre, n_post, steps = 4, data.draw(st.integers(1, 5)), 6 * epoch + epoch // 2
    synapses = data.draw(learning_cases.synapses(engine, n_pre, n_post, 20))
    spikes = data.draw(learning_cases.trains(n_pre, steps, epoch))

    path = tmp_path_factory.mktemp("model") / "supplying.nasm"
    path.write_text(SUPPLYING)
    net, chip = Network("supplied"), learning_cases.chip_of(engine)
    source = net.input("in", n_pre)
    cells = net.population("cells", n_post, model=str(path), top=list(range(20, 120, 20))[:n_post])
    columns = np.array([(s.pre, s.post, s.w, s.d) for s in synapses], int).reshape(-1, 4).T
    net.connect(
        source,
        cells,
        weights=tuple(columns[:3]),
        delay=columns[3],
        weight_exp=-6,
        learning=rule,
        name="learns",
    )
    net.probe(cells, "level", "other")
    program = compile_network(net, chip, neurons_per_core=data.draw(st.sampled_from([None, 2])))
    given_rewards = {
        name: np.arange(steps) % 7 - 3 for name in ("r0", "r1") if name in rule.variables
    }
    run = Emulator(chip, program, threads=2).run(
        steps, {"in": spikes}, weights_every=1, seed=5, timing="off", rewards=given_rewards
    )

    learner = oracle.Learner(plain, engine, 0, n_pre, n_post, synapses, 5)
    order, expected, visits = in_order(learner), [], []
    for step in range(steps):
        fired = set(run.spikes["cells"][run.spikes["cells"][:, 0] == step, 1].tolist())
        supplied = {
            name: run.recordings["cells"][word][step].tolist() for name, word in words.items()
        }
        rewards = tuple(
            int(given_rewards.get(name, np.zeros(steps))[step]) for name in ("r0", "r1")
        )
        visits.append(
            learner.step(step, set(np.flatnonzero(spikes[step]).tolist()), fired, rewards, supplied)
        )
        expected.append([(s.w, s.d, s.t) for s in (learner.synapses[k] for k in order)])
    assert learned_of(run, "learns", steps) == expected
    assert run.visits("learns").tolist() == visits


def test_random_cases_reach_every_edge():
    seen = Counter()

    @settings(max_examples=150, derandomize=True, database=None, phases=[Phase.generate])
    @given(cases())
    def collect(case):
        learner, _, visits, _ = expect(case)
        seen.update(what for what, n in learner.seen.items() if n)
        seen["some rows, not all"] += any(0 < n < len(learner.synapses) for n in visits)
        seen["partial epoch"] += len(case.pre) % case.plain.epoch != 0

    collect()
    edges = [
        f"{what} {side}"
        for what in ("w", "d", "t", "accumulator", "product")
        for side in ("below", "above")
    ]
    edges += [
        "changes", "repeated", "second spike", "trace saturates", "factor clipped", "shift loses bits", "some rows, not all",
        "partial epoch",
    ]  # fmt: skip
    assert not [edge for edge in edges if seen[edge] < 3], seen
