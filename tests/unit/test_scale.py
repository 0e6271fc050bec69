"""Real values that registers hold exactly stay exact, and what rounding makes of the others is recorded."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from emulator import Emulator, Network, Program, compile_network, load_chip
from emulator.compiler.scale import common_denominator, weight_grid

CHIP = load_chip("loihi")
BITS = load_chip("loihi", set={"synapses.weight_bits": [1, 2, 3, 4, 5, 6, 7, 8]})
UNITS = (1 / 64, 0.1, 0.3, 1e-3, 7.0, 2.0**-20, 1e6, 1 / 3, math.pi)
MOST = {"mixed": lambda bits: 2 ** (bits - 1) - 1, "exc": lambda bits: 2**bits - 1}


def one(weights, threshold, **parameters):
    """Return a program of one projection onto one population."""
    net = Network()
    weights = np.atleast_2d(np.asarray(weights, float))
    cells = net.population("b", len(weights), threshold=threshold, **parameters)
    net.connect(net.input("a", weights.shape[1]), cells, weights=weights)
    return compile_network(net, CHIP)


def report(program, k=0):
    return program.manifest["projections"][k]["quantisation"]


# Exact scales


@st.composite
def on_grid(draw):
    """Draw a population whose values are all whole multiples of one unit, as few bits as registers have."""
    unit = draw(st.sampled_from(UNITS))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    n = draw(st.integers(1, 5))
    of = {"threshold": rng.integers(1, draw(st.sampled_from([9, 600, 60_000])), n)}
    for name, most in (("bias", 2000), ("u_start", 4000), ("v_start", 4000)):
        if draw(st.booleans()):
            of[name] = rng.integers(-most, most, n) if draw(st.booleans()) else rng.integers(1, 99)
    net = Network()
    cells = net.population("b", n, **{name: value * unit for name, value in of.items()})
    for k in range(draw(st.integers(0, 3))):
        mode, bits = draw(st.sampled_from(["mixed", "exc", "inh"])), draw(st.integers(4, 8))
        most = MOST["mixed" if mode == "mixed" else "exc"](bits)
        multiples = rng.integers(-most if mode == "mixed" else 1, most, (n, 3), endpoint=True)
        multiples = -multiples if mode == "inh" else multiples
        source = net.input(f"a{k}", 3)
        net.connect(source, cells, weights=multiples * unit, sign_mode=mode, weight_bits=bits)
    return net, unit, of


@given(on_grid())
def test_what_lies_on_a_common_grid_is_not_rounded(drawn):
    net, unit, of = drawn
    program = compile_network(net, BITS)
    assert program.manifest["rounding"] == []
    threshold = np.broadcast_to(of["threshold"], len(program.threshold))
    each = Fraction(int(program.threshold[0]), int(threshold[0]))  # units of u that one unit is
    assert (program.threshold * each.denominator == threshold * each.numerator).all()
    for name, table in (("bias", "bias"), ("u_start", "u_init"), ("v_start", "v_init")):
        held = getattr(program, table)
        assert (held * each.denominator == np.asarray(of.get(name, 0)) * each.numerator).all(), name
    for k, projection in enumerate(net.projections):
        pre, post, units, _ = program.projection_synapses(projection.name)
        given_ = np.zeros((3, len(threshold)))
        given_[projection.pre, projection.post] = projection.weights
        asked = np.rint(given_[pre, post] / unit).astype(int)
        assert (units * each.denominator == asked * each.numerator).all()
        if len(pre):
            assert report(program, k)["max_abs_error"] <= 1e-12 * np.abs(given_).max()


@pytest.mark.parametrize(
    ("weights", "threshold"),
    [
        ([0.5, 0.25], 1.0),
        ([2.0**-k for k in range(7)], 1.0),
        ([3.125, -0.03125, 1.53125, 0.53125], 10.0),
        ([0.1, 0.2, 0.1 + 0.2, -0.7], 0.3),
        (np.arange(-1, 1, 0.1), 1.0),  # its 0 is -2e-16
        (np.linspace(-3, 3, 61), 2.0),
        ([30.0, 10.0, -20.0], 60.0),
        ([1e-200, 3e-200], 2e-200),
        ([127.0], 127.0 * 1000),
    ],
)
def test_weights_as_people_write_them_are_exact(weights, threshold):
    program = one(weights, threshold)
    largest = np.abs(weights).max()
    assert report(program)["max_abs_error"] <= 1e-12 * largest
    assert program.threshold[0] / 64 / report(program)["scale"] == pytest.approx(threshold)
    assert program.manifest["rounding"] == []
    assert program.manifest["warnings"] == []


def test_a_sum_that_meets_the_threshold_does_not_pass_it():
    program = one([[0.5, 0.25]], 1.0)
    emulator = Emulator(CHIP, program)
    assert not len(emulator.run(5, {"a": [[0, 0], [0, 1], [1, 1]]}).spikes["b"])
    emulator.reset()
    assert emulator.run(5, {"a": [[0, 0], [1, 0], [2, 1]]}).spikes["b"].tolist() == [[3, 0]]


def test_single_precision_is_no_reason_to_round():
    weights = (np.arange(-20, 21) * np.float32(0.1)).astype(np.float32)
    program = one(weights, float(np.float32(0.7)))
    assert report(program)["max_abs_error"] < 3e-7
    assert program.manifest["rounding"] == []


def test_weights_come_first_then_the_threshold_then_the_bias():
    rough = {"bias": 0.123456789, "v_start": 0.0987654321}
    program = one([0.5, 0.25], 1.0, **rough)
    assert report(program)["max_abs_error"] == 0
    assert {line["parameter"] for line in program.manifest["rounding"]} == {"bias", "v_start"}
    program = one([0.5, 0.25], 1.0987654321)
    assert report(program)["max_abs_error"] == 0
    assert [line["parameter"] for line in program.manifest["rounding"]] == ["threshold"]
    program = one([0.5, 0.2512345], 1.0)
    assert report(program)["max_abs_error"] > 0


def test_thresholds_and_biases_alone_are_exact_too():
    net = Network()
    net.population("b", 3, threshold=[1.0, 1.5, 3.1], bias=[0.1, -0.2, 0.7])
    program = compile_network(net, CHIP)
    assert program.manifest["rounding"] == []
    assert program.threshold.max() >= 512 * 64
    ratio = program.bias / program.threshold
    assert ratio == pytest.approx(np.array([0.1, -0.2 / 1.5, 0.7 / 3.1]), rel=1e-12)


def test_one_weight_beside_a_million_that_is_off_the_grid_is_found():
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (1000, 1000)) / 64
    net = Network()
    cells = net.population("b", 1000, threshold=1.0)
    projection = net.connect(net.input("a", 1000), cells, weights=weights)
    assert weight_grid(projection).unit == 1 / 64
    weights[623, 411] = 0.3337
    off = net.connect(net.input("c", 1000), cells, weights=weights)
    assert weight_grid(off) is None


@given(st.lists(st.fractions(0, 50, max_denominator=30), min_size=1, max_size=6))
def test_a_common_denominator_is_the_least(ratios):
    expected = math.lcm(*(ratio.denominator for ratio in ratios))
    values = np.array([float(ratio) for ratio in ratios])
    assume(expected < 10_000)
    assert common_denominator(values, expected, relative=1e-13) == expected
    if expected > 1:
        assert common_denominator(values, expected - 1, relative=1e-13) is None


# What is rounded


def test_real_parameters_are_recorded_as_they_are_held(tmp_path):
    net = Network(dt_ms=0.5)
    net.population(
        "b", 2, threshold=1.0, tau_mem_ms=[20.0, 7.0], tau_syn_ms=5.0, refractory_ms=2.2, bias=1e-5 * math.pi,
        v_start=[0.1 * math.e, -math.sqrt(0.02)],
    )  # fmt: skip
    program = compile_network(net, CHIP)
    lines = {line["parameter"]: line for line in program.manifest["rounding"]}
    assert set(lines) == {"tau_mem_ms", "tau_syn_ms", "refractory_ms", "bias", "v_start"}
    retained = program.v_retain.tolist()
    held = [-0.5 / math.log(each / 4096) for each in retained]
    errors = [abs(h - asked) / asked for h, asked in zip(held, (20.0, 7.0), strict=True)]
    worst = errors.index(max(errors))
    assert lines["tau_mem_ms"] == {
        "population": "b", "parameter": "tau_mem_ms", "neuron": worst, "asked": (20.0, 7.0)[worst],
        "held": pytest.approx(held[worst]), "unit": "ms", "relative_error": pytest.approx(max(errors)),
    }  # fmt: skip
    assert program.refractory.tolist() == [5, 5]  # 4 steps of 0.5 ms at rest
    assert (lines["refractory_ms"]["asked"], lines["refractory_ms"]["held"]) == (2.2, 2.0)
    assert lines["bias"]["unit"] == ""
    program.save(tmp_path / "b.program")
    assert Program.load(tmp_path / "b.program").manifest["rounding"] == program.manifest["rounding"]
    json.dumps(program.manifest, allow_nan=False)


@pytest.mark.parametrize(
    ("parameters", "warnings"),
    [
        ({"refractory_ms": 0.4}, ["refractory_ms 0.4 ms of neuron 0 is held as 0 ms"]),
        ({"refractory_ms": 0.6}, ["refractory_ms 0.6 ms of neuron 0 is held as 1 ms"]),
        ({"refractory_ms": 10.4}, []),
        ({"tau_mem_ms": [20.0, 1e6]}, ["tau_mem_ms 1e+06 ms of neuron 1 is held as no decay"]),
        ({"tau_syn_ms": 1e6}, ["tau_syn_ms 1e+06 ms of neuron 0 is held as 4095 ms"]),
        ({"tau_mem_ms": 0.01}, []),  # all of v but a 4096th is gone in a step
        ({"v_start": 1e-7}, ["v_start 1e-07 of neuron 0 is held as 0"]),
    ],
)
def test_what_is_lost_for_the_most_part_is_warned_of(parameters, warnings):
    net = Network()
    net.population("b", 2, threshold=1.234567, **parameters)
    manifest = compile_network(net, CHIP).manifest
    assert manifest["warnings"] == [f"population 'b': {warning}" for warning in warnings]
    assert manifest["rounding"]


def test_weights_that_all_act_as_0_are_warned_of():
    net = Network()
    cells = net.population("b", 2, threshold=1.0)
    net.connect(net.input("a", 2), cells, weights=[[0.5, 0.31], [0.123, -0.1]])
    net.connect(net.input("c", 2), cells, weights=[[3.3e-4, 0.0], [1e-4, -2e-4]])
    program = compile_network(net, CHIP)
    assert program.manifest["warnings"] == [
        "projection 'c->b': all 3 weights act as 0, so small are they beside the threshold of 'b' or its other weights"
    ]
    assert [report(program, k)["n_zero"] for k in (0, 1)] == [0, 3]


def test_registers_and_what_they_hold_exactly_leave_no_line():
    net = Network()
    net.population("b", 2, vth_mant=9, du=100, dv=3)
    net.population("c", 2, threshold=1.0, refractory_ms=3.0)
    assert compile_network(net, CHIP).manifest["rounding"] == []


def test_a_program_without_the_key_opens(tmp_path):
    net = Network()
    net.population("b", 1, vth_mant=9)
    program = compile_network(net, CHIP)
    manifest = {key: value for key, value in program.manifest.items() if key != "rounding"}
    Program(manifest, program.tensors()).save(tmp_path / "old.program")
    assert Program.load(tmp_path / "old.program").manifest["rounding"] == []


def test_graded_and_plastic_sources_keep_bits_below_a_mantissa():
    """Four bits of a mixed weight stand beside eight of an excitatory one only at a negative exponent."""
    net = Network()
    cells = net.population("b", 1, threshold=100.0)
    net.connect(net.input("wide", 1), cells, weights=[[255.0]], sign_mode="exc")
    net.connect(net.input("narrow", 1, payload_bits=4), cells, weights=[[7.0]], weight_bits=4)
    net.connect(net.input("plain", 1), cells, weights=[[-5.0]], weight_bits=4)
    net.probe(cells, "v")
    program = compile_network(net, load_chip("loihi2"))
    scale = report(program)["scale"]
    assert [p["weight_exp"] for p in program.manifest["projections"]] == [3, -2, -2]
    emulator = Emulator(load_chip("loihi2"), program)
    inputs = {"narrow": [[0, 0, 3], [1, 0, -1]], "plain": [[2, 0]]}
    v = emulator.run(4, inputs).recordings["b"]["v"][:, 0]
    assert (v / 64 / scale).tolist() == [0, 21, 14, 9]
