"""Stochastic rounding of weights, tags and traces: without bias, and independent, by 4 standard deviations."""

from math import inf

import numpy as np
import pytest

from emulator import Emulator, Network, Rule, Trace, compile_network, load_chip

SIDE = 1000  # synapses: its square, a million


def matrix_after(rule, n_steps=1, seed=1, **given):
    """Return what a million synapses of weight 0 learned from a rule of u0 alone."""
    chip = load_chip("loihi2", {"core.synapse_memory_bits": None})
    net = Network("dice")
    ends = net.input("a", SIDE), net.input("b", SIDE)
    net.connect(*ends, weights=np.zeros((SIDE, SIDE), np.int16), learning=rule, name="learns")
    program = compile_network(net, chip)
    run = Emulator(chip, program).run(n_steps, seed=seed, weights_every=1, timing="off", **given)
    return run.recordings["learns"]


def assert_fair(drawn, chance, n_pairs_at=((0, 1), (1, 0), (1, 1), (0, 7))):
    """Hold ones and zeros to a chance, and their neighbours to independence, by 4 standard deviations."""
    variance = chance * (1 - chance)
    assert set(np.unique(drawn).tolist()) <= {0, 1}
    assert abs(drawn.mean() - chance) <= 4 * np.sqrt(variance / drawn.size)
    apart = drawn - chance
    for rows, columns in n_pairs_at:
        pairs = apart[rows:, columns:] * apart[: SIDE - rows, : SIDE - columns]
        assert abs(pairs.mean()) <= 4 * variance / np.sqrt(pairs.size)


@pytest.mark.statistical
@pytest.mark.parametrize("part", [1, 40, 64, 127])
def test_a_part_of_a_weight_is_rounded_without_bias(part):
    recorded = matrix_after(
        Rule(dw="2^-7*r0*u0", dt="2^-7*r0*u0"), rewards={"r0": np.array([part, -part])}, n_steps=2
    )
    once, back = (
        recorded["weights"][0].astype(int),
        np.diff(recorded["weights"], axis=0)[0].astype(int),
    )
    tags, chance = recorded["tags"][0].astype(int), part / 128
    assert_fair(once, chance)
    assert_fair(tags, chance)
    assert_fair(-back, chance)
    variance = chance * (1 - chance)
    for other in (tags, -back):  # of the same synapses, in the same epoch and in the next
        together = ((once - chance) * (other - chance)).mean()
        assert abs(together) < 4 * variance / SIDE


@pytest.mark.statistical
@pytest.mark.parametrize(("impulse", "tau"), [(100, 10), (10.25, inf), (77.7, 3.3)])
def test_traces_are_rounded_without_bias(impulse, tau):
    chip, net = load_chip("loihi2"), Network("dice")
    source, target = net.input("a", SIDE * SIDE), net.input("b", 1)
    rule = Rule(dw="2^-7*x1*y0", x1=Trace(impulse, tau), x2=Trace(impulse, tau))
    net.connect(source, target, weights=([0], [0], [2]), learning=rule, name="learns")
    program = compile_network(net, chip)
    run = Emulator(chip, program).run(
        2, {"a": np.ones((1, SIDE * SIDE), bool)}, seed=4, weights_every=1, timing="off"
    )
    first, second = run.recordings["learns"]["x1"].astype(int).reshape(2, SIDE, SIDE)
    whole = int(impulse)
    assert_fair(first - whole, impulse - whole)
    keep = np.exp(-1 / tau)
    for start in {whole, int(np.ceil(impulse))}:
        these = second[first == start]
        left = start * keep
        chance = left - int(left)
        sigma = np.sqrt(chance * (1 - chance) / these.size)
        assert abs(these.mean() - left) <= 4 * sigma + 2.0**-17  # chances are multiples of 2**-16
    other = run.recordings["learns"]["x2"][1].astype(int).reshape(SIDE, SIDE)
    together = ((second - second.mean()) * (other - other.mean())).mean()
    assert abs(together) < 4 * second.std() * other.std() / SIDE + 1e-12
