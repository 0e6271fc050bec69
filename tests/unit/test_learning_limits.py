"""What a rule asks beyond the engine's tables and its 32 bits, and weights and tags beyond a chip's range: refused."""

import re

import numpy as np
import pytest

from emulator import Emulator, Network, Rule, Trace, compile_network, load_chip
from emulator.errors import ChipError, NetworkError


def compiled(rule, changes=None, **connection):
    chip, net = load_chip("loihi2", changes or {}), Network("net")
    ends = net.input("a", 2), net.input("b", 2)
    net.connect(*ends, **{"weights": [[2, 4], [6, 8]]} | connection, learning=rule)
    return Emulator(chip, compile_network(net, chip))


@pytest.mark.parametrize(
    ("rule", "changes", "connection", "message"),
    [
        (
            Rule(dw="+".join(["u0"] * 65)), {"learning.instructions": 256}, {},
            "projection 'a->b': the rule has 65 products; at most 64 can be",
        ),
        (
            Rule(dw="2^8*u0*w*t"), {"learning.product_bits": 24}, {},
            "projection 'a->b': dw: column 1: the product can reach 6.58e+04, and times 2^15 it leaves",
        ),
        (
            Rule(dw="u0"), {"learning.mixed_weight_limits.maximum": 100}, {"weights": [[-101, 0], [0, 0]], "sign_mode": "inh"},
            "projection 'a->b': weights are -101 to 0; chip 'loihi2' lets them learn from -100 to 0",
        ),
        (
            Rule(dw="u0"), {"learning.mixed_weight_limits.maximum": 100}, {"weights": [[101, 0], [0, 0]], "sign_mode": "exc"},
            "projection 'a->b': weights are 0 to 101; chip 'loihi2' lets them learn from 0 to 100",
        ),
    ],
)  # fmt: skip
def test_what_the_engine_cannot_do_is_refused(rule, changes, connection, message):
    with pytest.raises(NetworkError) as error:
        compiled(rule, changes, **connection)
    assert message in str(error.value)


def test_tags_fit_a_factor():
    message = "learning.tag_limits: -513 to 255 does not fit a factor of 9 bits and a sign; allowed: -512 to 511"
    with pytest.raises(ChipError, match=re.escape(message.partition(": ")[2])):
        load_chip("loihi2", {"learning.tag_limits.minimum": -513})


def test_64_products_run_and_the_last_counts():
    emulator = compiled(
        Rule(dw="+".join(["2^-1*u0"] * 62 + ["3*u0", "4*u0"])), {"learning.instructions": 66}
    )
    emulator.run(1)
    assert emulator.weights("a->b").tolist() == [[40, 42], [44, 46]]


def test_a_projection_without_synapses_learns_nothing():
    none = np.empty(0, int)
    emulator = compiled(Rule(dw="u0 + x1*y0", x1=Trace(9, 9)), weights=(none, none, none))
    run = emulator.run(5, {"a": np.ones((5, 2), bool), "b": np.ones((5, 2), bool)}, weights_every=2)
    assert run.visits("a->b").tolist() == [0] * 5
    assert run.recordings["a->b"]["weights"].tolist() == [[[0, 0], [0, 0]]] * 2
    assert run.weights("a->b").tolist() == [[0, 0], [0, 0]]


def test_the_second_of_two_projections_is_found():
    chip, net = load_chip("loihi2"), Network("two")
    a, b = net.input("a", 3), net.input("b", 2)
    for name, change in (("first", "u0"), ("second", "-3*u0"), ("third", "2*u0")):
        net.connect(a, b, weights=np.full((2, 3), 10), learning=Rule(dw=change), name=name)
    run = Emulator(chip, compile_network(net, chip)).run(2)
    trained = Emulator(chip, run.trained())
    for name, weight in (("first", 12), ("second", 4), ("third", 14)):
        assert run.weights(name).tolist() == [[weight] * 3] * 2
        assert trained.weights(name).tolist() == [[weight] * 3] * 2
