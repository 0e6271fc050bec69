"""Plastic rows however they are laid out: long, scattered, repeated targets, on many cores, in parts, few or all firing."""

import numpy as np
import pytest

from emulator import Emulator, Network, Rule, Trace, compile_network, load_chip
from emulator.mapping import Mapping

CHIP = load_chip("loihi2_full")
STEPS, N_PRE, N_POST = 40, 30, 700
RULES = {
    "pairs": Rule(dw="2^-1*x1*y0 - 2^-2*y1*x0", x1=Trace(16, 10), y1=Trace(16.5, 10)),
    "triplets": Rule(
        dw="2^-3*x1*y0*y2 - 2^-2*y1*x0", x1=Trace(20, 10), y1=Trace(16, 8), y2=Trace(9, 40), epoch=5
    ),
    "tags": Rule(dw="u0*sgn(t)", dt="2^-2*x1*y0 - 2^-4*t*u0", dd="x0", x1=Trace(16, 10), epoch=3),
}


def network(kind: str, rule: Rule) -> Network:
    rng, net = np.random.default_rng(1), Network(kind)
    source, other = net.input("in", N_PRE), net.population("other", 50, vth_mant=1000)
    out = net.population(
        "out", N_POST, vth_mant=900, bias_mant=rng.integers(0, 40, N_POST), bias_exp=6
    )
    if kind == "dense":
        weights = 2 * rng.integers(-50, 50, (N_POST, N_PRE))
    else:
        pre, post = rng.integers(0, (N_PRE, N_POST), (4000, 2), np.int32).T
        weights = (pre, post, 2 * rng.integers(-50, 50, 4000, np.int32))
    net.connect(source, out, weights=weights, sign_mode="mixed", learning=rule)
    net.connect(source, other, weights=np.ones((50, N_PRE), np.int32) * 2)
    return net


def learned(kind: str, rule: Rule, rate: float, threads: int = 1, **mapped) -> dict:
    program = compile_network(network(kind, rule), CHIP, **mapped)
    spikes = np.random.default_rng(2).random((STEPS, N_PRE)) < rate
    run = Emulator(CHIP, program, threads=threads).run(
        STEPS, inputs={"in": spikes}, seed=9, timing="off", weights_every=20
    )
    assert np.any(run.weights("in->out") != Emulator(CHIP, program).weights("in->out"))
    return run.recordings["in->out"]


@pytest.mark.parametrize("rate", [0.02, 0.5])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["dense", "scattered"])
def test_the_layout_changes_nothing(kind, rule, rate):
    expected = learned(kind, RULES[rule], rate)
    parts = [("out", 0, 100, 0), ("other", 0, 50, 0), ("out", 100, 333, 0), ("out", 333, 700, 1)]
    for layout in (
        {"neurons_per_core": 90},
        {"neurons_per_core": 90, "threads": 2},
        {"mapping": Mapping(segments=parts)},
    ):
        found = learned(kind, RULES[rule], rate, **layout)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"{layout} {name}")
