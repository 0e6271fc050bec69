import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator import Network, compile_network, load_chip
from emulator.compiler.weights import chip_weights, mantissa_limit, weight_step

CHIPS = {
    policy: load_chip(
        "loihi2",
        set={"arithmetic.weight_policy": policy, "synapses.weight_bits": list(range(1, 9))},
    )
    for policy in ("lava", "brian", "nengo")
}
MODES = {1: "mixed", 2: "exc", 3: "inh"}  # as the recorded vectors number them


def toward_zero(x: Fraction) -> int:
    return -math.floor(-x) if x < 0 else math.floor(x)


def lava(w: int, mode: str, bits: int, exponent: int) -> int:
    """Mixed weights lose bits to the floor, the others toward zero; a negative exponent to the floor."""
    low, high = {"mixed": (-256, 255), "exc": (0, 255), "inh": (-255, 0)}[mode]
    w = min(max(w, low), high)
    lost = 2 ** (8 - bits + (1 if mode == "mixed" else 0))
    stored = (
        math.floor(Fraction(w, lost)) if mode == "mixed" else toward_zero(Fraction(w, lost))
    ) * lost
    return math.floor(stored * Fraction(2) ** exponent) * 64


def brian(w: int, mode: str, bits: int, exponent: int) -> int:
    """Bits are lost toward zero; one weight has at most 21 bits and a sign."""
    low, high = {"mixed": (-256, 255), "exc": (0, 255), "inh": (-256, 0)}[mode]
    w = min(max(w, low), high)
    lost = 2 ** (8 - bits + (1 if mode == "mixed" else 0))
    units = math.floor(toward_zero(Fraction(w, lost)) * lost * Fraction(2) ** exponent) * 64
    return min(max(units, -(2**21) + 64), 2**21 - 64)


def nengo(w: int, mode: str, bits: int, exponent: int) -> int:
    """Bits are lost to the nearest, ties to even, before and after a shift to the right."""
    w = {"mixed": w, "exc": abs(w), "inh": -abs(w)}[mode]
    s = 8 - bits + (1 if mode == "mixed" else 0)
    most = 2 ** (8 - s) - 1
    stored = Fraction(min(max(round(Fraction(w, 2**s)), -most), most))
    shift = s + exponent
    if shift < 0:
        stored = Fraction(round(stored * Fraction(2) ** shift)) / Fraction(2) ** shift
        stored = min(max(stored, Fraction(-most)), Fraction(most))
    return math.floor(stored * Fraction(2) ** shift) * 64


ORACLES = {"lava": lava, "brian": brian, "nengo": nengo}
weights = st.sampled_from([-256, -255, -254, -1, 0, 1, 254, 255]) | st.integers(-300, 300)


@pytest.mark.parametrize("policy", ORACLES)
@given(
    values=st.lists(weights, max_size=20),
    mode=st.sampled_from(["mixed", "exc", "inh"]),
    bits=st.integers(1, 8),
    exponent=st.integers(-8, 7),
)
@example(values=[-256, -255, -1, 0, 1, 255, 300], mode="mixed", bits=1, exponent=7)
@example(values=[-256, -255, -1, 0, 1, 255, 300], mode="inh", bits=8, exponent=-8)
@example(values=[0, 51, -51, 3, 5], mode="mixed", bits=8, exponent=0)
def test_a_policy_equals_its_oracle(policy, values, mode, bits, exponent):
    got = chip_weights(np.array(values, np.int64), mode, bits, exponent, policy)
    assert got.dtype == np.int32
    assert got.tolist() == [ORACLES[policy](w, mode, bits, exponent) for w in values]


@pytest.mark.parametrize("policy", ORACLES)
@pytest.mark.parametrize("mode", ["mixed", "exc", "inh"])
def test_every_weight_at_every_width(policy, mode):
    values = list(range(-300, 301))
    for bits in range(1, 9):
        for exponent in (-8, -3, -1, 0, 7):
            got = chip_weights(np.array(values), mode, bits, exponent, policy)
            assert got.tolist() == [ORACLES[policy](w, mode, bits, exponent) for w in values]


@pytest.mark.parametrize(
    ("policy", "expected"), [("nengo", -3328), ("brian", -3200), ("lava", -3328)]
)
def test_the_published_example_where_the_models_differ(policy, expected):
    assert chip_weights(np.array([-51]), "mixed", 8, 0, policy).tolist() == [expected]


def test_a_step_and_a_limit_belong_together():
    table = {(m, b): (weight_step(m, b), mantissa_limit(m, b)) for m in MODES.values() for b in (1, 4, 8)}  # fmt: skip
    assert table == {
        ("mixed", 1): (256, 0), ("mixed", 4): (32, 224), ("mixed", 8): (2, 254),
        ("exc", 1): (128, 128), ("exc", 4): (16, 240), ("exc", 8): (1, 255),
        ("inh", 1): (128, 128), ("inh", 4): (16, 240), ("inh", 8): (1, 255),
    }  # fmt: skip


allowed = {
    "mixed": st.integers(-128, 127).map(lambda w: 2 * w),
    "exc": st.integers(0, 255),
    "inh": st.integers(-255, 0),
}


@given(
    policy=st.sampled_from(list(ORACLES)),
    mode=st.sampled_from(list(allowed)),
    bits=st.integers(1, 8),
    exponent=st.integers(-8, 7),
    data=st.data(),
)
def test_a_program_holds_what_the_policy_says(policy, mode, bits, exponent, data):
    values = data.draw(st.lists(allowed[mode], min_size=1, max_size=12))
    net = Network()
    source, cells = net.input("a", len(values)), net.population("b", 1, vth_mant=1)
    ends = np.arange(len(values))
    net.connect(
        source, cells, weights=(ends, 0 * ends, values), weight_exp=exponent, sign_mode=mode,
        weight_bits=bits,
    )  # fmt: skip
    program = compile_network(net, CHIPS[policy])
    pre, _, held, _ = program.projection_synapses("a->b")
    expected = [ORACLES[policy](w, mode, bits, exponent) for w in values]
    # A mantissa has no bit for what brian clips off -256 << 7, the one weight that 21 bits do not hold: it acts in
    # full, and the report says so.
    beyond = sum(units == 64 - 2**21 for units in expected)
    expected = [-(2**21) if units == 64 - 2**21 else units for units in expected]
    assert held[np.argsort(pre)].tolist() == expected
    asked = [w * Fraction(2) ** exponent * 64 for w in values]
    changed = sum(units != value for units, value in zip(expected, asked, strict=True))
    loss = max(abs(units - v) for units, v in zip(expected, asked, strict=True)) / (
        64 * Fraction(2) ** exponent
    )
    zeros = sum(units == 0 != value for units, value in zip(expected, asked, strict=True))
    wanted = {"policy": policy, "n_truncated": changed, "n_zero": zeros, "max_loss": float(loss)}
    wanted |= {"n_beyond": beyond} if beyond else {}
    report = program.manifest["projections"][0]["quantisation"]
    assert report == (wanted if changed or beyond else None)
    warned = (
        f"projection 'a->b': weights lose bits with weight_bits {bits} and weight_exp {exponent}: {changed} of "
        f"{len(values)}, at most {float(loss):g} in mantissas; {zeros} act as 0"
    )
    found = [w for w in program.manifest["warnings"] if "lose bits" in w]
    assert found == ([warned] if changed else [])


@pytest.mark.parametrize("bits", [1, 8])
def test_the_one_weight_that_brian_clips_acts_in_full_and_is_reported(bits):
    net = Network()
    source, cells = net.input("a", 1), net.population("b", 1, vth_mant=1)
    net.connect(source, cells, weights=[[-256]], weight_exp=7, weight_bits=bits)
    program = compile_network(net, CHIPS["brian"])
    assert program.projection_synapses("a->b")[2].tolist() == [-(2**21)]
    report = program.manifest["projections"][0]["quantisation"]
    assert report == {
        "policy": "brian", "n_truncated": 0, "n_zero": 0, "max_loss": 0.0, "n_beyond": 1,
    }  # fmt: skip


def test_lava_equals_its_recorded_vectors(reference):
    case = np.load(reference / "loihi" / "weights_lava.npz")
    n = 0
    for mode, bits, given_, stored in zip(
        case["sign_mode"], case["num_weight_bits"], case["w_in"], case["w_trunc"], strict=True
    ):
        real = stored != -9999
        got = chip_weights(given_[real], MODES[int(mode)], int(bits), 0, "lava")
        np.testing.assert_array_equal(got, stored[real] * 64)
        n += int(real.sum())
    assert n > 5000


def test_brian_equals_its_recorded_vectors(reference):
    case = np.load(reference / "loihi" / "weights_brian.npz")
    n = 0
    for mode, bits, exponent, given_, acts in zip(
        case["sign_mode"], case["num_weight_bits"], case["w_exp"], case["w_in"], case["w_act"],
        strict=True,
    ):  # fmt: skip
        real = acts != -9999
        got = chip_weights(given_[real], MODES[int(mode)], int(bits), int(exponent), "brian")
        np.testing.assert_array_equal(got, acts[real])
        n += int(real.sum())
    assert n > 10_000


def test_nengo_equals_its_recorded_vectors(reference):
    case = np.load(reference / "loihi" / "weights_nengo.npz")
    for (_, bits, mode, exponent), acts in zip(case["keys"].tolist(), case["w_chip"], strict=True):
        got = chip_weights(case["w_in"], MODES[mode], bits, exponent, "nengo")
        np.testing.assert_array_equal(got, acts)
    assert len(case["keys"]) == 294
