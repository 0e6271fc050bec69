"""Learning on the whole path, network to run, against the plain-Python oracle: to the bit, after every step."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Emulator, Network, compile_network
from tests import learning_cases
from tests.learning_cases import cases
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
        np.stack([synapses.values(state[name], what)[order] for what in ("weights", "delays", "tags")], axis=1)
        for state in states
    ]
    return [[tuple(row) for row in one.tolist()] for one in rows]


def in_order(learner):
    """Return the oracle's synapses in the same order."""
    return sorted(range(len(learner.synapses)), key=lambda k: (learner.synapses[k].pre, learner.synapses[k].post))


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
