"""Learning against recorded vectors of a public model of the fixed-point engine, to the bit."""

from ast import literal_eval

import numpy as np
import pytest

from emulator import Emulator, Network, Rule, Trace, compile_network, load_chip

ROUNDING = {"trunc": "down", "half": "nearest"}
SIGNS = {1: "mixed", 2: "exc", 3: "inh"}


def rule_of(text):
    """Return the rule that a constructor text describes."""
    given = literal_eval(str(text))
    traces = {
        name: Trace(given[f"{name}_impulse"], given[f"{name}_tau"])
        for name in ("x1", "x2", "y1", "y2", "y3")
        if f"{name}_tau" in given
    }
    rules = {key: given[key] for key in ("dw", "dt", "dd") if key in given}
    return Rule(**rules, **traces, epoch=given["t_epoch"])


def run_case(vectors, name, mode, threads=1):
    """Run a recorded rule over clamped spikes, and keep everything after every step."""
    pre, post, start = vectors["pre"], vectors["post"], vectors[f"{name}__w0"]
    chip = load_chip("loihi2", {"learning.rounding": ROUNDING[mode]})
    net = Network(name)
    a, b = net.input("a", len(pre)), net.input("b", len(post))
    net.connect(
        a, b, weights=start, sign_mode=SIGNS[int(vectors[f"{name}__sign"])],
        learning=rule_of(vectors[f"{name}__rule"]),
    )  # fmt: skip
    emulator = Emulator(chip, compile_network(net, chip), threads=threads)
    return emulator.run(pre.shape[1], inputs={"a": pre.T, "b": post.T}, weights_every=1)


def cases(vectors):
    """Return the names of all recorded rules."""
    return [key.removesuffix("__rule") for key in vectors if key.endswith("__rule")]


@pytest.mark.parametrize("mode", ROUNDING)
def test_every_rule_equals_the_recorded_model(reference, mode):
    vectors = np.load(reference / "loihi" / "learn_lava.npz")
    for name in cases(vectors):
        recorded = run_case(vectors, name, mode).recordings["a->b"]
        assert set(recorded) >= {"weights", "delays"}
        for ours, theirs in (
            ("weights", "weights"), ("tags", "tag_1"), ("delays", "tag_2"), ("x1", "x1"), ("x2", "x2"),
            ("y1", "y1"), ("y2", "y2"), ("y3", "y3"),
        ):  # fmt: skip
            if ours in recorded:
                np.testing.assert_array_equal(
                    recorded[ours], vectors[f"{name}__{mode}__{theirs}"], err_msg=f"{name} {ours}"
                )
