"""Memristive devices against their oracle to the bit, and what the model promises."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Memristor, Network, Rule, Trace, compile_network, load_chip
from emulator.errors import LearningError, NetworkError
from emulator.kernels.devices import Devices
from tests.oracle import devices as oracle

LIMITS = {"mixed": (-256, 255), "exc": (0, 255), "inh": (-255, 0)}
N_PRE, N_POST, STEPS = 4, 5, 8

share = st.sampled_from([0.0, 0.01, 0.5, 1.0]) | st.floats(0, 1)
bend = st.sampled_from([0.0, 3.0, 20.0]) | st.floats(0, 20)
constants = st.tuples(st.integers(-8, 7).filter(bool), st.integers(-7, 8))


@st.composite
def memristors(draw, mode):
    low, high = LIMITS[mode]
    ends = draw(st.lists(st.integers(low, high), min_size=2, max_size=2, unique=True))
    stuck = draw(share)
    return Memristor(
        min(ends), max(ends), draw(bend), draw(bend), draw(share), draw(share), draw(share),
        stuck / 2, draw(st.sampled_from([0.0, stuck / 2])), draw(st.integers(0, 2**63 - 1)),
    )  # fmt: skip


def clipped(value):
    return min(max(value, -32769), 32767)


def pulse_of(rule, pre, post):
    """Return what the rule of a case adds up in an epoch for a synapse: constants for both spikes, and for the pair."""
    total = 0
    for (mantissa, exponent), acts in zip(rule, (pre, post, pre and post), strict=True):
        total = clipped(total + acts * clipped(mantissa * 2 ** (exponent + 7)))
    return total


def network(device, mode, rule, epoch, synapses):
    net = Network("devices")
    a, b = net.input("a", N_PRE), net.input("b", N_POST)
    # A projection before it, so that its number is not 0.
    net.connect(
        a,
        b,
        weights=np.zeros((N_POST, N_PRE), int),
        learning=Rule(dw="x0*y0", epoch=epoch),
        name="other",
    )
    text = " + ".join(
        f"({m})*2^{e}*{gate}" for (m, e), gate in zip(rule, ("x0", "y0", "x0*y0"), strict=True)
    )
    pre, post, weight = np.array(synapses).T
    net.connect(
        a, b, weights=(pre, post, weight), sign_mode=mode, name="own",
        learning=Rule(dw=text.replace("+ (-", "- (").replace("+ (", "+ ("), epoch=epoch, device=device),
    )  # fmt: skip
    return net


@st.composite
def cases(draw):
    mode = draw(st.sampled_from(list(LIMITS)))
    weight = st.integers(*LIMITS[mode]).filter(lambda w: mode != "mixed" or w % 2 == 0)
    synapse = st.tuples(st.integers(0, N_PRE - 1), st.integers(0, N_POST - 1), weight)
    synapses = draw(st.lists(synapse, min_size=1, max_size=40))
    return (
        mode,
        draw(memristors(mode)),
        draw(st.tuples(constants, constants, constants)),
        draw(st.sampled_from([1, 2, 4])),
        synapses,
        draw(st.sampled_from(["down", "nearest", "stochastic"])),
        draw(st.integers(0, 2**63 - 1)),
    )


def repeats(pre, post):
    seen = {}
    for pair in zip(pre.tolist(), post.tolist(), strict=True):
        seen[pair] = seen.get(pair, -1) + 1
        yield seen[pair]


@given(cases(), st.integers(0, 2**32 - 1))
def test_every_update_is_bit_exact(case, spikes):
    mode, device, rule, epoch, synapses, rounding, seed = case
    rng = np.random.default_rng(spikes)
    pre, post = rng.random((STEPS, N_PRE)) < 0.4, rng.random((STEPS, N_POST)) < 0.4
    chip = load_chip("loihi2", {"learning.rounding": rounding})
    net = network(device, mode, rule, epoch, synapses)
    program = compile_network(net, chip)
    run = Emulator(chip, program).run(
        STEPS, {"a": pre, "b": post}, timing="off", seed=seed, weights_every=epoch
    )
    own = run.learned.synapses_of("own")
    number = len(net.projections) - 1
    keys = list(zip(own.pre.tolist(), own.post.tolist(), repeats(own.pre, own.post), strict=True))
    made = [oracle.device(device, LIMITS[mode], number, *key) for key in keys]
    before = own.values({"words": own.words}, "weights").tolist()
    for weight, one in zip(before, made, strict=True):
        assert one.low <= weight <= one.high
        assert one.stuck == "no" or weight == {"low": one.low, "high": one.high}[one.stuck]
    for step, state in run.learned.states[: STEPS // epoch]:
        after = own.values(state["own"], "weights").tolist()
        for key, one, old, new in zip(keys, made, before, after, strict=True):
            span = slice(step - epoch, step)
            pulse = pulse_of(rule, pre[span, key[0]].any(), post[span, key[1]].any())
            bits = oracle.cycle_bits(number, step - 1, seed, *key)
            sum_ = oracle.answer(device, one, old, pulse, bits)
            if rounding == "stochastic":
                assert new in (sum_ >> 7, -(-sum_ >> 7))
            else:
                above = 64 if rounding == "nearest" else 127
                assert new == (sum_ >> 7) + (sum_ % 128 > above)
        before = after


def settings(device, n=100_000, mode="exc"):
    pre, post = np.arange(n, dtype=np.int32) // 100, np.arange(n, dtype=np.int32) % 100
    fields = device.registers(0, LIMITS[mode])
    return Devices(fields).settings(pre, post, np.zeros(n, np.int32))


def test_devices_deviate_as_much_as_they_should():
    device = Memristor(40, 120, range_spread=0.2, step_spread=0.2, stuck_low=0.02, stuck_high=0.03)
    low, high, up, down, stuck = settings(device)
    n = len(low)
    for values, mean in ((low, 40), (high, 120), (up, 4096), (down, 4096)):
        assert abs(values.mean() / mean - 1) < 4 * 0.2 / np.sqrt(n) + 0.5 / mean**2
        assert (
            abs(values.std() / mean / 0.2 - 1) < 4 / np.sqrt(2 * n) + 0.003
        )  # 1,024 quantiles have 0.3 % less
    for which, expected in ((1, 0.02), (2, 0.03)):
        assert abs((stuck == which).mean() - expected) < 4 * np.sqrt(expected / n) + 2**-16
    table = np.corrcoef(np.stack([low, high, up, down, stuck]))
    assert np.abs(table - np.eye(5)).max() < 5 / np.sqrt(n)


def test_ranges_end_where_weights_do():
    low, high, up, _, _ = settings(Memristor(10, 250, range_spread=1.0, step_spread=1.0))
    assert low.min() == 0
    assert high.max() == 255
    assert (low <= high).all()
    assert up.min() == 0
    assert abs((up == 0).mean() - 0.1587) < 0.005  # a normal number below -1


def run_pulses(device, n_pulses, rule="2^2*x0", start=0, n=400, **options):
    """Return the weights (n_pulses + 1, n) of devices that get the same pulse again and again."""
    chip, net = load_chip("loihi2"), Network("pulses")
    a, b = net.input("a", 20), net.input("b", n // 20)
    net.connect(
        a, b, weights=np.full((n // 20, 20), start), sign_mode="exc",
        learning=Rule(dw=rule, device=device),
    )  # fmt: skip
    emulator = Emulator(chip, compile_network(net, chip, **options.pop("mapping", {})), **options)
    run = emulator.run(
        n_pulses, {"a": np.ones((n_pulses, 20), bool)}, timing="off", weights_every=1
    )
    first = emulator.program.synapses.view(np.int32) >> 23
    return np.vstack([first, run.recordings["a->b"]["weights"].reshape(n_pulses, -1)])


def test_pulses_deviate_as_much_as_they_should():
    steps = np.diff(run_pulses(Memristor(0, 255, cycle_spread=0.3), 10, rule="2^4*x0"), axis=0)
    n = steps.size
    # A weight is rounded at random: up to 1/4 more variance, and the steps of a device lean against each other by that.
    assert abs(steps.mean() - 16) < 4 * 5 / np.sqrt(n)
    assert 4.8**2 * (1 - 0.006) - 2 < steps.var() < 4.8**2 + 0.25 + 2
    assert abs(np.corrcoef(steps[:-1].ravel(), steps[1:].ravel())[0, 1]) < 0.01 + 4 / np.sqrt(n)


@pytest.mark.parametrize("bend", [0.0, 3.0])
def test_pulses_follow_the_exponential(bend):
    device = Memristor(0, 200, nonlinearity_up=bend, nonlinearity_down=bend)
    up = run_pulses(device, 80).mean(axis=1)
    down = run_pulses(device, 80, rule="-2^2*x0", start=200).mean(axis=1)
    # dG/dn = a exp(-b G / range), solved: G(n) = range / b log(1 + a b n / range)
    n = np.arange(81)
    expected = np.minimum(200, 4 * n) if not bend else 200 / bend * np.log1p(4 * bend * n / 200)
    assert np.abs(up - expected).max() < (0.001 if not bend else 2)
    assert np.abs(down - (200 - expected)).max() < (0.001 if not bend else 2)


def test_without_any_deviation_it_is_plain_memory():
    # Far from 255, where an accumulator that begins with the weight would saturate.
    rule = Rule(dw="2^-2*x1*y0 - 2^-2*y1*x0", x1=Trace(60, 20), y1=Trace(63, 20))
    rng = np.random.default_rng(3)
    inputs = {"a": rng.random((40, 20)) < 0.1, "b": rng.random((40, 20)) < 0.1}
    chip, weights = load_chip("loihi2"), rng.integers(0, 100, (20, 20))
    results = []
    for own in (rule, replace(rule, device=Memristor(0, 255))):
        net = Network("plain")
        net.connect(
            net.input("a", 20), net.input("b", 20), weights=weights, sign_mode="exc", learning=own
        )
        run = Emulator(chip, compile_network(net, chip)).run(40, inputs, timing="off")
        results.append(run.weights("a->b"))
    assert (results[0] != weights).any()
    np.testing.assert_array_equal(*results)


def test_results_do_not_depend_on_mapping_nor_threads():
    device = Memristor(0, 200, 3, 3, 0.3, 0.3, 0.3, 0.05, 0.05, seed=7)
    whole = run_pulses(device, 30)
    for options in ({"threads": 2}, {"mapping": {"neurons_per_core": 3}, "threads": 2}):
        other = run_pulses(device, 30, **options)
        np.testing.assert_array_equal(whole[1:], other[1:])
    assert (whole[-1] != run_pulses(replace(device, seed=8), 30)[-1]).any()


def test_stuck_devices_never_move_and_initial_weights_are_held():
    chip, net = load_chip("loihi2"), Network("stuck")
    a, b = net.input("a", 30), net.input("b", 30)
    device = Memristor(20, 100, range_spread=0.2, stuck_low=0.25, stuck_high=0.25)
    net.connect(
        a,
        b,
        weights=np.full((30, 30), 250),
        sign_mode="exc",
        learning=Rule(dw="-x0", device=device),
    )
    program = compile_network(net, chip)
    assert program.manifest["warnings"] == [
        "projection 'a->b': 900 of 900 initial weights are not what their devices can hold, and were changed"
    ]
    pre, post, start, _ = program.projection_synapses("a->b")
    low, high, _, _, stuck = Devices(device.registers(0, LIMITS["exc"])).settings(
        pre, post, 0 * pre
    )
    assert (start // 64 == np.where(stuck == 1, low, high)).all()
    run = Emulator(chip, program).run(200, {"a": np.ones((200, 30), bool)}, timing="off")
    end = run.learned.table("a->b")
    np.testing.assert_array_equal(end["weight"], np.where(stuck == 2, high, low))


def test_a_program_file_keeps_its_devices(tmp_path):
    net = Network("kept")
    device = Memristor(0, 200, 3, 2, 0.3, 0.2, 0.1, 0.05, 0, seed=9)
    net.connect(
        net.input("a", 5), net.input("b", 5), weights=np.full((5, 5), 100), sign_mode="exc",
        learning=Rule(dw="x0", device=device),
    )  # fmt: skip
    chip = load_chip("loihi2")
    program = compile_network(net, chip)
    program.save(tmp_path / "kept.program")
    loaded = type(program).load(tmp_path / "kept.program")
    assert loaded.rules[0].device == device
    spikes = {"a": np.ones((20, 5), bool)}
    runs = [Emulator(chip, p).run(20, spikes, timing="off") for p in (program, loaded)]
    np.testing.assert_array_equal(*(run.weights("a->b") for run in runs))
    assert (runs[0].weights("a->b") != program.synapses.view(np.int32).reshape(5, 5) >> 23).any()
    assert runs[0].trained().rules == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"minimum": 1.5}, "device: minimum is 1.5; it must be a whole number"),
        ({"maximum": 256}, "device: maximum is 256; allowed: -256 to 255"),
        ({"minimum": 9, "maximum": 9}, "device: minimum is 9; it must be below maximum, 9"),
        ({"step_spread": 1.5}, "device: step_spread is 1.5; allowed: 0 to 1"),
        ({"cycle_spread": float("nan")}, "device: cycle_spread is nan; allowed: 0 to 1"),
        ({"range_spread": "0.1"}, "device: range_spread is '0.1'; it must be a number"),
        ({"nonlinearity_up": -1, "seed": True}, "nonlinearity_up is -1.*\n.*seed is True; it must be a whole number"),
        ({"stuck_low": 0.6, "stuck_high": 0.6}, "stuck_low 0.6 and stuck_high 0.6 are more than all devices"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused(given, message):
    with pytest.raises(LearningError, match=message):
        Memristor(**given)


def test_wrong_uses_are_refused():
    with pytest.raises(LearningError, match=r"device is 0\.5; it must be a Memristor"):
        Rule(dw="x0", device=0.5)
    with pytest.raises(LearningError, match="a rule with a device needs dw"):
        Rule(dt="x0", device=Memristor())
    chip, net = load_chip("loihi2"), Network("wrong")
    a, b = net.input("a", 2), net.population("b", 2, threshold=1.0)
    rule = Rule(dw="x0", device=Memristor(-10, 10))
    net.connect(a, b, weights=np.zeros((2, 2)), sign_mode="exc", learning=rule)
    with pytest.raises(
        NetworkError,
        match="its devices hold -10 to 10; sign_mode 'exc' of chip 'loihi2' allows 0 to 255",
    ) as error:
        compile_network(net, chip)
    assert "its weights are real numbers" in str(error.value)
