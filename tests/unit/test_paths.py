"""How long spikes are on their way, and that `emulator run` without --steps waits for the last one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Network, Rule, Run, Trace, compile_network, load_chip
from emulator.cli import main
from emulator.cli.networks import depth_steps
from emulator.importers.nir import load_nir
from emulator.program.paths import fewest_steps, steps_after
from tests.conftest import ROOT

CHIP = load_chip("loihi2")
RELAY = {"vth_mant": 1, "du": 4095, "dv": 4095}
"""A neuron that fires whenever anything arrives."""


@st.composite
def forward_networks(draw):
    """Return a network without loops, and its connections: from, to, a delay for each synapse (post, pre)."""
    net, rng = Network("forward"), np.random.default_rng(draw(st.integers(0, 2**16)))
    n_inputs = draw(st.integers(1, 2))
    sizes = draw(st.lists(st.integers(1, 3), min_size=n_inputs + 1, max_size=7))
    populations = [
        net.input(f"p{k}", size) if k < n_inputs else net.population(f"p{k}", size, **RELAY)
        for k, size in enumerate(sizes)
    ]
    edges = []
    for target in range(n_inputs, len(sizes)):
        for source in draw(st.sets(st.integers(0, target - 1), max_size=3)):
            delays = rng.integers(0, draw(st.integers(1, 20)), (sizes[target], sizes[source]))
            net.connect(populations[source], populations[target], weights=np.full(delays.shape, 2), delay=delays)  # fmt: skip
            edges.append((source, target, delays))
    return net, n_inputs, sizes, edges


def every_way(edges, start, steps=0):
    """Yield when a spike of a population leads to others, way by way."""
    yield steps
    for source, target, delays in edges:
        if source == start:
            yield from every_way(edges, target, steps + 1 + int(delays.max()))


@given(forward_networks())
def test_the_longest_way_is_the_longest_of_all_ways(case):
    net, _, sizes, edges = case
    found = steps_after(compile_network(net, CHIP))
    assert found == {f"p{k}": max(every_way(edges, k)) for k in range(len(sizes))}


@given(forward_networks(), st.data())
def test_a_run_without_steps_ends_with_the_last_spike(tmp_path_factory, case, data):
    net, n_inputs, sizes, edges = case
    folder = tmp_path_factory.mktemp("run")
    program = compile_network(net, CHIP)
    program.save(folder / "p.program")
    given_ = {}
    for k in range(n_inputs):
        steps = sorted(data.draw(st.sets(st.integers(0, 30), max_size=3)))
        # Every neuron of an input fires, so that the longest way is gone.
        given_ |= {f"p{k}_step": np.repeat(np.array(steps, int), sizes[k]),
                   f"p{k}_neuron": np.tile(np.arange(sizes[k]), len(steps))}  # fmt: skip
    np.savez(folder / "in.npz", **given_)
    line = (
        f"run {folder}/p.program --chip loihi2 --timing off --input {folder}/in.npz -o {folder}/out"
    )
    assert main(line.split()) == 0
    run = Run.load(folder / "out")
    if not sum(len(steps) for name, steps in given_.items() if name.endswith("_step")):
        assert run.n_steps == 100
        return
    inputs = {f"p{k}": np.stack([given_[f"p{k}_step"], given_[f"p{k}_neuron"]], axis=1) for k in range(n_inputs)}  # fmt: skip
    longer = Emulator(CHIP, program).run(500, inputs, timing="off")
    after = steps_after(program)
    is_exact = all(len(np.unique(delays)) == 1 for *_, delays in edges)
    if n_inputs == 1 and is_exact and after["p0"] == max(after.values()):
        assert run.n_steps == longer.spike_step.max() + 1
    assert np.array_equal(run.spike_step, longer.spike_step)
    assert np.array_equal(run.spike_source, longer.spike_source)


def chain(*connections, sizes=1):
    """Return a program of populations a, b, c and so on, of which a is an input."""
    net = Network("chain")
    names = sorted({name for source, target, _ in connections for name in (source, target)})
    known = {n: net.input(n, sizes) if n == "a" else net.population(n, sizes, **RELAY) for n in names}  # fmt: skip
    for source, target, options in connections:
        weights = np.full((sizes, sizes), 2)
        net.connect(known[source], known[target], weights=weights, name=f"{source}{target}{len(net.projections)}", **options)  # fmt: skip
    return compile_network(net, CHIP)


def test_delays_count():
    program = chain(("a", "b", {"delay": 7}), ("b", "c", {"delay": 3}), ("a", "c", {}))
    assert steps_after(program) == {"a": 12, "b": 4, "c": 0}
    assert fewest_steps(program, "a", "c") == 1
    assert fewest_steps(program, "a", "b") == 8
    assert fewest_steps(program, "c", "a") is None


def test_of_several_projections_the_slowest_counts_and_the_fastest():
    program = chain(("a", "b", {"delay": 7}), ("a", "b", {"delay": 2}))
    assert (steps_after(program)["a"], fewest_steps(program, "a", "b")) == (8, 3)


def test_a_loop_is_gone_round_once():
    assert steps_after(chain(("a", "b", {}), ("b", "b", {"delay": 2}))) == {"a": 4, "b": 3}
    program = chain(
        ("a", "b", {"delay": 5}), ("b", "c", {"delay": 1}), ("c", "b", {"delay": 4}), ("c", "d", {"delay": 9}),
    )  # fmt: skip
    round_once = 2 + 5
    assert steps_after(program) == {
        "a": 6 + round_once + 10, "b": round_once + 10, "c": round_once + 10, "d": 0
    }  # fmt: skip


def test_a_learned_delay_may_become_the_longest_there_is():
    rule = Rule(dd="x0*y0", x1=Trace(1, 1))
    program = chain(("a", "b", {"delay": 3, "learning": rule}))
    assert steps_after(program)["a"] == 1 + CHIP.synapses.max_delay_steps
    assert fewest_steps(program, "a", "b") == 1
    fixed = chain(("a", "b", {"delay": 3, "learning": Rule(dw="x0*y0")}))
    assert steps_after(fixed)["a"] == 4


def test_a_projection_without_synapses_is_no_way():
    net = Network("nothing")
    source, cells = net.input("a", 2), net.population("b", 2, **RELAY)
    net.connect(source, cells, weights=np.zeros((2, 2), int))
    program = compile_network(net, CHIP)
    assert steps_after(program) == {"a": 0, "b": 0}
    assert fewest_steps(program, "a", "b") is None


def test_a_join_takes_no_time_and_leads_on():
    net = Network("joined")
    source = net.input("a", 1)
    dendrite = net.population("dendrite", 1, model="sigma_delta", threshold=1)
    soma, out = net.population("soma", 1, model="sigma_delta", threshold=1), net.population("out", 1, **RELAY)  # fmt: skip
    net.connect(source, dendrite, weights=[[2]], delay=4)
    net.join(dendrite, soma, "add", "sigma")
    net.connect(soma, out, weights=[[2]], delay=2)
    assert steps_after(compile_network(net, CHIP))["a"] == 5 + 0 + 3


def test_what_teaches_a_clamped_input_is_no_way():
    net = Network("clamped")
    a, b = net.input("a", 2), net.input("b", 2)
    net.connect(a, b, weights=np.ones((2, 2), int) * 2, delay=9, learning=Rule(dw="x0*y0"))
    assert steps_after(compile_network(net, CHIP))["a"] == 0


def test_a_nir_network_needs_its_depth_in_steps():
    net = load_nir(ROOT / "programs" / "digits.nir", 1e-3)
    after = steps_after(compile_network(net, load_chip("loihi")))
    assert depth_steps(compile_network(net, load_chip("loihi"))) == max(after.values()) == 2
    assert max(net.depth_steps.values()) == 2


@pytest.mark.parametrize("rewards", [0, 9])
def test_rewards_alone_say_how_long_a_run_is(tmp_path, monkeypatch, rewards):
    monkeypatch.chdir(tmp_path)
    rule = Rule(dw="u0*r1*x1", x1=Trace(16, 10))
    chain(("a", "b", {"learning": rule})).save("p.program")
    np.savez("in.npz", r1=np.ones(rewards, int))
    assert main(["run", "p.program", "--chip", "loihi2", "--input", "in.npz", "-o", "out"]) == 0
    assert Run.load("out").n_steps == (rewards or 100)
    np.savez("in.npz", r1=np.ones(rewards, int), a_step=[20], a_neuron=[0])
    assert main(["run", "p.program", "--chip", "loihi2", "--input", "in.npz", "-o", "both"]) == 0
    assert Run.load(Path("both")).n_steps == 22


def test_graded_spikes_are_waited_for_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = Network("graded")
    source, cells = net.input("a", 1, payload_bits=8), net.population("b", 1, **RELAY)
    net.connect(source, cells, weights=[[2]], delay=11)
    compile_network(net, CHIP).save("p.program")
    np.savez("in.npz", a_step=[3], a_neuron=[0], a_payload=[5])
    assert main(["run", "p.program", "--chip", "loihi2", "--input", "in.npz", "-o", "out"]) == 0
    assert Run.load("out").spikes["b"].tolist() == [[15, 0]]
