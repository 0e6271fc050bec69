import re

import numpy as np
import pytest
from scipy import sparse

from emulator import Network, compile_network, load_chip
from emulator.errors import NetworkError
from emulator.microcode import shipped_models
from emulator.network import REAL, REGISTERS
from tests.odd_objects import FakeSparse, HalfSparse, Refuses

KNOWN = ", ".join([*REGISTERS, *REAL])
LIF = {"vth_mant": 1}

MODELS = (
    ", ".join(dict.fromkeys(["lif", "microcode:lif", *shipped_models()]))
    + ", or the path of a file *.nasm"
)


def build():
    net = Network("n")
    return net, net.input("a", 3), net.population("b", 2, **LIF)


def message_of(call, *args, **keywords):
    with pytest.raises(NetworkError) as error:
        call(*args, **keywords)
    return str(error.value)


POPULATIONS = [
    ({"vth_mant": 1, "tau_mem": 2}, f"unknown parameter 'tau_mem'; did you mean 'tau_mem_ms'? there are: {KNOWN}"),
    ({"vth_mant": 1, "qqq": 2}, f"unknown parameter 'qqq'; there are: {KNOWN}"),
    ({"vth_mant": 1, "du": 4096}, "du is 4096; allowed: 0 to 4095"),
    ({"vth_mant": 1, "dv": [0, -1, 3]}, "dv is -1; allowed: 0 to 4095"),
    ({"vth_mant": -1}, "vth_mant is -1; allowed: 0 to 8388607"),
    ({"vth_mant": 1, "refractory": 0}, "refractory is 0; allowed: 1 to 255"),
    ({"vth_mant": 1, "bias_exp": 8}, "bias_exp is 8; allowed: 0 to 7"),
    ({"vth_mant": 1, "v_init": 2**29 + 1}, "v_init is 536870913; allowed: -536870912 to 536870912"),
    ({"vth_mant": 1.5}, "vth_mant is a register and holds 1.5; whole numbers only"),
    ({"vth_mant": [1, 2.25, 3]}, "vth_mant is a register and holds 2.25; whole numbers only"),
    ({"vth_mant": np.nan}, "vth_mant holds NaN or infinity"),
    ({"threshold": [1.0, np.inf, 2.0]}, "threshold holds NaN or infinity"),
    ({"threshold": -0.5}, "threshold is -0.5; it must not be negative"),
    ({"threshold": 1.0, "tau_mem_ms": 0}, "tau_mem_ms is 0; it must be positive"),
    ({"threshold": 1.0, "refractory_ms": [1.0, -2.0, 1.0]}, "refractory_ms is -2.0; it must be positive"),
    ({"vth_mant": [1, 2]}, "vth_mant has shape (2,); it must be a scalar or (3,)"),
    ({"vth_mant": [[1, 2, 3]]}, "vth_mant has shape (1, 3); it must be a scalar or (3,)"),
    ({"vth_mant": "high"}, "vth_mant is 'high'; it must be a number or an array of them"),
    ({"vth_mant": True}, "vth_mant is True; it must be a number or an array of them"),
    ({"vth_mant": [[1, 2], [3]]}, "vth_mant has rows of different lengths; it must be a scalar or (3,)"),
    ({"vth_mant": 1, "model": "hh"}, "model 'hh' does not exist; there are: " + MODELS),
    ({"vth_mant": 1, "neurons_per_core": 0}, "neurons_per_core is 0; it must be a whole number from 1"),
    ({"vth_mant": 1, "neurons_per_core": 2.0}, "neurons_per_core is 2.0; it must be a whole number from 1"),
    ({"vth_mant": 1, "neurons_per_core": True}, "neurons_per_core is True; it must be a whole number from 1"),
    ({"vth_mant": 1, "tau_mem_ms": 5.0, "dv": 1}, "tau_mem_ms and dv both set the same register; give one of them"),
    ({"vth_mant": 1, "bias": 5.0, "bias_exp": 1}, "bias and bias_exp both set the same register; give one of them"),
    ({}, "a threshold is required: vth_mant (register) or threshold (real)"),
    ({"vth_mant": 1, "pack": 1}, "pack is 1; it must be True, False or None"),
    ({"vth_mant": 1, "model": 3}, "model is 3; it must be a name or the path of a file *.nasm"),
    (
        {"vth_mant": np.ma.masked_array([1, 2, 3], [0, 1, 0])},
        "vth_mant has a masked entry (x.filled(...) gives it a value); it must be a scalar or (3,)",
    ),
    (
        {"vth_mant": Refuses()},
        ("vth_mant has the type Refuses, which does not become an array (RuntimeError: cannot be made dense by itself); "
        "it must be a scalar or (3,)"),
    ),
    ({"vth_mant": 1, "bias_mant": [True] * 3}, "bias_mant is [True, True, True]; it must be a number or an array of them"),
    ({"threshold": np.longdouble("1e4000")}, "threshold holds NaN or infinity"),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "message"), POPULATIONS)
def test_a_mistake_in_a_population_is_named(parameters, message):
    net = Network()
    assert message_of(net.population, "b", 3, **parameters) == f"population 'b': {message}"
    assert not net.populations


def test_every_mistake_of_a_population_comes_at_once():
    found = message_of(
        Network().population, "b", 3, model="hh", neurons_per_core=-1, du=9999, dv=0.5
    )
    assert found.splitlines() == [
        "population 'b': model 'hh' does not exist; there are: " + MODELS,
        "population 'b': neurons_per_core is -1; it must be a whole number from 1",
        "population 'b': du is 9999; allowed: 0 to 4095",
        "population 'b': dv is a register and holds 0.5; whole numbers only",
        "population 'b': a threshold is required: vth_mant (register) or threshold (real)",
    ]


@pytest.mark.parametrize("size", [0, -1, 1.0, "3", True, 2**31])
def test_a_size_is_a_whole_number(size):
    expected = f"population 'b': size is {size!r}; it must be a whole number from 1"
    assert message_of(Network().population, "b", size, **LIF) == expected
    assert message_of(Network().input, "b", size) == expected


@pytest.mark.parametrize("name", ["", "two words", "-a", ".a", "a[0]", "ü", "x" * 201, "a\n", 7])
def test_a_name_is_one_word(name):
    expected = (
        f"population {name!r}: a name is made of letters, digits, '_', '-' and '.', 200 at most"
    )
    assert message_of(Network().input, name, 1) == expected


def test_a_name_is_given_once():
    net, _, _ = build()
    expected = "population 'a': the network has one of this name already"
    assert message_of(net.input, "a", 1) == expected
    assert message_of(net.population, "a", 1, **LIF) == expected
    assert net.populations["a"].size == 3


@pytest.mark.parametrize("dt_ms", [0, -1.0, np.nan, np.inf])
def test_a_step_lasts_a_positive_time(dt_ms):
    assert (
        message_of(Network, "n", dt_ms=dt_ms)
        == f"network 'n': dt_ms is {dt_ms}; it must be a positive number of milliseconds"
    )


ONES = np.full((2, 3), 2)
CONNECTIONS = [
    ({"weights": ONES[:1]}, "weights have shape (1, 3); expected (post, pre) = (2, 3)"),
    ({"weights": ONES.T}, "weights have shape (3, 2); expected (post, pre) = (2, 3), so it looks transposed"),
    ({"weights": sparse.csr_array(ONES.T)}, "weights have shape (3, 2); expected (post, pre) = (2, 3), so it looks transposed"),
    ({"weights": 2}, "weights have shape (); expected (post, pre) = (2, 3)"),
    (
        {"weights": ([0, 1], [0], [2])},
        "weights are (pre, post, weight) arrays of shapes (2,), (1,), (1,); they must be vectors of one length",
    ),
    ({"weights": ([0, 3], [0, 1], [2, 2])}, "pre indices are 0 to 3; allowed: 0 to 2"),
    ({"weights": ([-1, 2], [0, 1], [2, 2])}, "pre indices are -1 to 2; allowed: 0 to 2"),
    ({"weights": ([0, 2], [0, 2], [2, 2])}, "post indices are 0 to 2; allowed: 0 to 1"),
    ({"weights": ([0.0, 1.0], [0, 1], [2, 2])}, "pre indices are float64; they must be whole numbers"),
    ({"weights": ONES > 0}, "weights are bool; they must be integers (mantissas) or floats (real values)"),
    ({"weights": ONES * 1j}, "weights are complex128; they must be integers (mantissas) or floats (real values)"),
    ({"weights": ONES * np.nan}, "weights hold NaN or infinity"),
    ({"weights": ONES * 2**40}, f"weights are {2**41} to {2**41}; mantissas have at most 8 bits"),
    ({"weights": ONES * 128}, "weights are 256 to 256; sign_mode 'mixed' allows -256 to 254"),
    ({"weights": ONES * -129}, "weights are -258 to -258; sign_mode 'mixed' allows -256 to 254"),
    ({"weights": [[2, 0, 0], [0, 3, 0]]}, "weight 3 is odd; mixed weights keep 7 bits and a sign: even values -256 to 254"),
    ({"weights": -ONES, "sign_mode": "exc"}, "weights are -2 to -2; sign_mode 'exc' allows 0 to 255"),
    ({"weights": ONES * 128, "sign_mode": "exc"}, "weights are 256 to 256; sign_mode 'exc' allows 0 to 255"),
    ({"weights": ONES, "sign_mode": "inh"}, "weights are 2 to 2; sign_mode 'inh' allows -255 to 0"),
    ({"weights": ONES, "sign_mode": "both"}, "sign_mode is 'both'; allowed: mixed, exc, inh"),
    ({"weights": ONES, "weight_bits": 9}, "weight_bits is 9; allowed: 1 to 8"),
    ({"weights": ONES, "weight_bits": 0}, "weight_bits is 0; allowed: 1 to 8"),
    ({"weights": ONES, "weight_exp": 8}, "weight_exp is 8; allowed: -8 to 7"),
    ({"weights": ONES, "weight_exp": 1.0}, "weight_exp is 1.0; allowed: -8 to 7"),
    ({"weights": ONES, "delay": 64}, "delay is 64 to 64 steps; allowed: 0 to 63"),
    ({"weights": ONES, "delay": -1}, "delay is -1 to -1 steps; allowed: 0 to 63"),
    ({"weights": ONES, "delay": 1.0}, "delay is float64; it must be whole steps"),
    ({"weights": ([0], [0], [2]), "delay": [1, 2]}, "delay has shape (2,); it must be a scalar or one for each of the 1 synapses"),
    (
        {"weights": ONES * 0.5},
        ("weights are real but the threshold of 'b' is vth_mant; "
        "give both as registers (integers, vth_mant) or both in real units (floats, threshold)"),
    ),
    ({"weights": ONES, "name": "first"}, "the network has one of this name already"),
    (
        {"weights": ((0, 1), (0, 1), (2, 4))},
        ("weights are three tuples, which may be the rows of a matrix or (pre, post, weight); write np.array(...) for a "
        "matrix, and (pre, post, weight) as three arrays or lists"),
    ),
    (
        {"weights": tuple(np.arange(8).reshape(4, 2)), "delay": 1},
        ("weights are a tuple of 4 arrays; three are (pre, post, weight), delays are given as delay=, and a matrix is one "
        "array"),
    ),
    (
        {"weights": [[0, 1], [0, 1], [2, 4]]},
        "weights have shape (3, 2); expected (post, pre) = (2, 3), so it looks transposed",
    ),
    (
        {"weights": [[0, 1, 0, 1], [0, 1, 1, 0], [2, 4, 2, 2]]},
        ("weights have shape (3, 4); expected (post, pre) = (2, 3); (pre, post, weight) is a tuple of three arrays or "
        "lists, and delays are given as delay="),
    ),
    (
        {"weights": ONES, "delay": [1, 2, 3]},
        ("delay has shape (3,); beside a matrix of weights it is one number, or a matrix (post, pre) = (2, 3): "
        "np.array(delay)[None, :] gives one to each source, [:, None] one to each target"),
    ),
    (
        {"weights": sparse.csr_array(ONES), "delay": [1] * 6},
        ("delay has shape (6,); beside a matrix of weights it is one number, or a matrix (post, pre) = (2, 3): "
        "np.array(delay)[None, :] gives one to each source, [:, None] one to each target"),
    ),
    (
        {"weights": ([0], [0], [2]), "delay": sparse.csr_array(ONES)},
        "delay is a sparse matrix; beside (pre, post, weight) it is one number, or a vector of 1",
    ),
    ({"weights": ONES, "delay": sparse.csr_array(ONES * 1.0)}, "delay is float64; it must be whole steps"),
    ({"weights": sparse.csr_array(ONES > 0)}, "weights are bool; they must be integers (mantissas) or floats (real values)"),
    ({"weights": ONES.astype(object)}, "weights are object; they must be integers (mantissas) or floats (real values)"),
    (
        {"weights": np.ma.masked_array(ONES, ONES * [1, 0, 1] > 0)},
        "weights have 4 masked entries (x.filled(...) gives them a value); they must form an array",
    ),
    (
        {"weights": ([0, 1], [0, np.ma.masked], [2, 2])},
        "weights have a masked entry (x.filled(...) gives it a value); they must form an array",
    ),
    (
        {"weights": ONES, "delay": np.ma.masked_array(ONES, ONES * [1, 0, 1] > 0)},
        "delays have 4 masked entries (x.filled(...) gives them a value); they must form an array",
    ),
    (
        {"weights": Refuses()},
        ("weights have the type Refuses, which does not become an array (RuntimeError: cannot be made dense by itself); "
        "they must form an array"),
    ),
    (
        {"weights": FakeSparse(None)},
        ("weights have the type FakeSparse, which cannot be read as a matrix of scipy.sparse (AttributeError: 'NoneType' "
        "object has no attribute 'shape')"),
    ),
    (
        {"weights": HalfSparse()},
        "weights have the type HalfSparse, which cannot be read as a matrix of scipy.sparse",
    ),
    (
        {"weights": {"pre": [0], "post": [0], "weight": [2]}},
        ("weights are a table with columns 'pre' and 'post'; give its columns: weights=(table['pre'], table['post'], "
        "table['weight']), delay=table['delay']"),
    ),
    (
        {"weights": iter([([0], [0], [2]), ([1], [0], [0.5])])},
        ("chunk 1: its weights are real, and those before are not; all must be integers (mantissas), or all floats "
        "(real values)"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("keywords", "message"), CONNECTIONS)
def test_a_mistake_in_a_projection_is_named(keywords, message):
    net, a, b = build()
    net.connect(a, b, weights=ONES, name="first")
    name = keywords.get("name", "a->b")
    assert message_of(net.connect, a, b, **keywords) == f"projection '{name}': {message}"
    assert len(net.projections) == 1


def test_mistakes_between_real_weights_and_registers():
    net, a, _ = build()
    real = net.population("r", 2, threshold=1.0)
    where = "projection 'a->r': "
    assert message_of(net.connect, a, real, weights=ONES) == (
        f"{where}weights are mantissas but the threshold of 'r' is threshold; "
        "give both as registers (integers, vth_mant) or both in real units (floats, threshold)"
    )
    assert message_of(net.connect, a, real, weights=ONES * 0.5, weight_exp=1) == (
        f"{where}weight_exp cannot be given with real weights: the compiler chooses it"
    )
    for mode, sign, shown in (("exc", -1, "-1 to -1"), ("inh", 1, "1 to 1")):
        assert message_of(net.connect, a, real, weights=ONES * 0.5 * sign, sign_mode=mode) == (
            f"{where}weights are {shown}; sign_mode '{mode}' allows one sign"
        )


def test_several_mistakes_of_a_projection_come_at_once():
    net, _a, b = build()
    other = Network().input("other", 3)
    found = message_of(net.connect, b, other, weights=ONES.T, weight_bits=True, weight_exp=-9)
    assert found.splitlines() == [
        "projection 'b->other': 'other' belongs to another network",
        "projection 'b->other': 'other' is an input; it can be the target of learning synapses only",
        "projection 'b->other': weight_bits is True; allowed: 1 to 8",
        "projection 'b->other': weight_exp is -9; allowed: -8 to 7",
    ]


def test_a_population_of_the_same_name_in_another_network_is_another():
    net, a, _ = build()
    _, _, stranger = build()
    assert (
        message_of(net.connect, a, stranger, weights=ONES)
        == "projection 'a->b': 'b' belongs to another network"
    )


@pytest.mark.parametrize(
    ("which", "variables", "neurons", "message"),
    [
        ("b", ["w"], None, "'w' cannot be recorded; allowed: spikes, u, v"),
        ("b", [], None, "no variable was given; allowed: spikes, u, v"),
        ("a", ["spikes"], None, "it is an input; its spikes are what you give it"),
        ("b", ["u"], [0, 2], "neurons holds 0 to 2; allowed: 0 to 1"),
        ("b", ["u"], -1, "neurons holds -1 to -1; allowed: 0 to 1"),
        ("b", ["u"], [0.0], "neurons is float64 of shape (1,); it must be whole numbers (n,)"),
        ("b", ["u"], [[0]], "neurons is int64 of shape (1, 1); it must be whole numbers (n,)"),
        (
            "b",
            ["u"],
            [True, False],
            "neurons is bool of shape (2,); it must be whole numbers (n,); np.flatnonzero(neurons) are those of a mask",
        ),
        (
            "b",
            ["u"],
            np.ma.masked_array([0, 1], [0, 1]),
            "neurons have a masked entry (x.filled(...) gives it a value); they must be whole numbers (n,)",
        ),
        ("b", [3], None, "3 cannot be recorded; allowed: spikes, u, v"),
    ],
)
def test_a_mistake_in_a_probe_is_named(which, variables, neurons, message):
    net, _, _ = build()
    found = message_of(net.probe, net.populations[which], *variables, neurons=neurons)
    assert found == f"probe of '{which}': {message}"
    assert not net.probes


def test_a_probe_of_another_network_and_every_other_mistake():
    net, _, _ = build()
    stranger = build()[2]
    assert message_of(net.probe, stranger, "u", "x", neurons=5).splitlines() == [
        "probe of 'b': it belongs to another network",
        "probe of 'b': 'x' cannot be recorded; allowed: spikes, u, v",
        "probe of 'b': neurons holds 5 to 5; allowed: 0 to 1",
    ]


def test_limits_themselves_are_allowed():
    net, a, _ = build()
    lowest = {key: low for key, (low, _) in REGISTERS.items()}
    highest = {key: high for key, (_, high) in REGISTERS.items()}
    net.population("low", 1, **lowest)
    high = net.population("high", 1, neurons_per_core=1, **highest)
    for k, (mode, values) in enumerate(
        {"mixed": [-256, 254, 2], "exc": [0, 255, 1], "inh": [-255, 0, -1]}.items()
    ):
        net.connect(a, high, weights=([0, 1, 2], [0, 0, 0], values), sign_mode=mode)
        assert net.projections[k].weights.tolist() == values
    assert [p.name for p in net.projections] == ["a->high", "a->high#2", "a->high#3"]
    net.connect(a, high, weights=[[2, 2, 2]], delay=[[0, 63, 1]], weight_exp=-8, weight_bits=1)
    assert net.projections[-1].delays.tolist() == [0, 63, 1]
    net.probe(high, "spikes", "u", "v", neurons=0)
    assert [p.variable for p in net.probes] == ["spikes", "u", "v"]
    assert repr(net) == "<Network 'n': 4 populations, 12 synapses>"


def test_every_form_of_the_weights_gives_the_same_program():
    rng = np.random.default_rng(1)
    dense = rng.integers(-9, 9, (12, 7)) * 2 * (rng.random((12, 7)) < 0.6)
    delay = rng.integers(0, 5, dense.shape)
    post, pre = np.nonzero(dense)
    late = sparse.csr_array((delay[post, pre], (post, pre)), dense.shape)
    shuffled = rng.permutation(len(pre))
    i, j = pre[shuffled], post[shuffled]
    forms = {
        "dense": (dense, delay),
        "lists": (dense.tolist(), delay.tolist()),
        "small": (dense.astype(np.int8), delay.astype(np.uint8)),
        "csr": (sparse.csr_array(dense), delay),
        "csc": (sparse.csc_matrix(dense), late),
        "coo": (sparse.coo_array(dense), late),
        "triples": ((i, j, dense[j, i]), delay[j, i]),
    }
    tables = {}
    for name, (weights, delays) in forms.items():
        net = Network("n")
        source, cells = net.input("a", 7), net.population("b", 12, **LIF)
        net.connect(source, cells, weights=weights, delay=delays)
        tables[name] = compile_network(net, load_chip("tiny")).sha256
    assert len(post) > 30
    assert set(tables.values()) == {tables["dense"]}, tables


def test_zeros_of_a_matrix_are_no_synapse_and_columns_of_delays_spread():
    net, a, b = build()
    stored = sparse.coo_array(([0, 4], ([0, 1], [0, 2])), (2, 3))
    assert net.connect(a, b, weights=stored).pre.tolist() == [2]
    assert net.connect(a, b, weights=ONES * 0).pre.tolist() == []
    late = net.connect(a, b, weights=ONES, delay=[[1], [4]])
    assert list(zip(late.post.tolist(), late.delays.tolist(), strict=True)) == [
        (0, 1), (0, 1), (0, 1), (1, 4), (1, 4), (1, 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("weights", "delay", "message"),
    [
        ([[1, 2], [3]], 0, "weights have rows of different lengths; they must form an array"),
        (
            ([1, 2], [[0], [0, 1]], [2, 2]),
            0,
            "weights have rows of different lengths; they must form an array",
        ),
        (
            np.ones((2, 3), int),
            [[1], [1, 2]],
            "delays have rows of different lengths; they must form an array",
        ),
        (
            np.ones((2, 3), int),
            np.ones((4, 5), int),
            "delays have shape (4, 5); expected (post, pre) = (2, 3)",
        ),
        (
            sparse.eye(2, 3, dtype=int),
            np.ones((4, 5), int),
            "delays have shape (4, 5); expected (post, pre) = (2, 3)",
        ),
        (
            sparse.eye(2, 3, dtype=int),
            sparse.eye(3, 2, dtype=int),
            "delays have shape (3, 2); expected (post, pre) = (2, 3), so it looks transposed",
        ),
    ],
)
def test_a_misshapen_array_is_named(weights, delay, message):
    net, a, b = build()
    assert (
        message_of(net.connect, a, b, weights=weights, delay=delay)
        == f"projection 'a->b': {message}"
    )


def test_delays_of_a_sparse_matrix_may_be_sparse_or_dense():
    weights = sparse.csr_array(np.array([[2, 0, 4], [0, 6, 0]]))
    delays = np.array([[1, 9, 2], [9, 3, 9]])
    for delay in (delays, sparse.csr_array(delays)):
        net, a, b = build()
        made = net.connect(a, b, weights=weights, delay=delay)
        found = sorted(
            zip(made.pre.tolist(), made.post.tolist(), made.delays.tolist(), strict=True)
        )
        assert found == [(0, 0, 1), (1, 1, 3), (2, 0, 2)]


def test_what_is_no_population_is_named():
    net, a, _ = build()
    what = "'a' is no population; give what `input` and `population` return"
    assert message_of(net.connect, "a", a, weights=[[2]]) == what
    assert message_of(net.probe, "a", "u") == what


# Chunks


def chunks_of(pre, post, weights, delays=None, size=7):
    for first in range(0, len(pre), size):
        part = slice(first, first + size)
        chunk = (pre[part], post[part], weights[part])
        yield chunk if delays is None else (*chunk, delays[part])


def test_an_iterator_of_chunks_is_the_same_as_whole_arrays():
    rng = np.random.default_rng(4)
    pre, post = rng.integers(0, 5, 40), rng.integers(0, 6, 40)
    delays = rng.integers(0, 9, 40)
    for weights in (2 * rng.integers(-127, 127, 40), rng.normal(size=40)):
        real = weights.dtype.kind == "f"
        for late in (None, delays):
            nets = [Network("n"), Network("n")]
            for net, whole in zip(nets, (True, False), strict=True):
                a = net.population("a", 5, **({"threshold": 1.0} if real else {"vth_mant": 5}))
                b = net.population("b", 6, **({"threshold": 1.0} if real else {"vth_mant": 5}))
                if whole:
                    net.connect(
                        a, b, weights=(pre, post, weights), delay=3 if late is None else late
                    )
                else:
                    net.connect(
                        a,
                        b,
                        weights=chunks_of(pre, post, weights, late),
                        delay=3 if late is None else 0,
                    )
            one, two = (net.projections[0] for net in nets)
            for name in ("pre", "post", "weights", "delays"):
                assert np.array_equal(getattr(one, name), getattr(two, name)), name
                assert np.asarray(getattr(one, name)).dtype == np.asarray(getattr(two, name)).dtype


def test_no_chunks_are_no_synapses():
    net = Network("n")
    a = net.population("a", 5, vth_mant=5)
    assert len(net.connect(a, a, weights=iter(())).pre) == 0


@pytest.mark.parametrize(
    ("chunks", "delay", "message"),
    [
        ([(np.array([0]), np.array([9]), np.array([2]))], 0, "chunk 0: post indices are 9 to 9; allowed: 0 to 4"),
        ([(np.array([0]), np.array([1]), np.array([2])), (1, 2)], 0, "chunk 1 of the weights is a tuple of 2"),
        ([np.zeros(3)], 0, "chunk 0 of the weights is ndarray"),
        ([(np.array([0]), np.array([1]), np.array([2]))], np.array([1]), "delay is an array; with chunks"),
        ([(np.array([0]), np.array([1]), np.array([2]), np.array([99]))], 0, "chunk 0: delay is 99 to 99 steps"),
        ([(np.array([0]), np.array([1]), np.array([3]))], 0, "weight 3 is odd"),
    ],
)  # fmt: skip
def test_mistakes_in_chunks(chunks, delay, message):
    net = Network("n")
    a = net.population("a", 5, vth_mant=5)
    with pytest.raises(NetworkError, match=re.escape(message)):
        net.connect(a, a, weights=iter(chunks), delay=delay)


def test_a_broken_model_file_brings_no_mistakes_of_its_parameters(tmp_path):
    path = tmp_path / "typo.nasm"
    path.write_text("    MOVE r0, 1\n")
    with pytest.raises(NetworkError) as caught:
        Network("n").population("b", 2, model=str(path), th=5)
    assert "unknown parameter" not in str(caught.value)
    assert "threshold" not in str(caught.value)
    assert "typo.nasm:1" in str(caught.value)


# Names


def test_the_name_of_a_projection_that_has_none_gives_way():
    net, a, b = build()
    names = ["a->b#2", None, None, "a->b#4", None, None]
    made = [net.connect(a, b, weights=ONES, name=name).name for name in names]
    assert made == ["a->b#2", "a->b", "a->b#3", "a->b#4", "a->b#5", "a->b#6"]
    expected = "projection 'a->b#3': the network has one of this name already"
    assert message_of(net.connect, a, b, weights=ONES, name="a->b#3") == expected


def test_projections_between_populations_of_the_longest_names():
    net = Network("n")
    a, b = net.input("a" * 200, 1), net.population("b" * 200, 1, **LIF)
    for _ in range(2):
        net.connect(a, b, weights=[[2]])
    program = compile_network(net, load_chip("tiny"))
    names = [p["name"] for p in program.manifest["projections"]]
    assert names == [f"{a.name}->{b.name}", f"{a.name}->{b.name}#2"]


@pytest.mark.parametrize("name", ["", "two\nlines", "x" * 501, "\ud800", 3, None])
def test_the_name_of_a_projection_is_any_text_on_a_line(name):
    net, a, b = build()
    if name is None:
        assert (
            net.connect(a, b, weights=ONES, name="any text: λ (1), 'a b' -> c").name
            == "any text: λ (1), 'a b' -> c"
        )
        return
    what = (
        "a name is a string"
        if name == 3
        else "a name is made of 1 to 500 characters that can be printed on a line"
    )
    shown = "a str" if len(str(name)) > 60 else repr(name)
    assert message_of(net.connect, a, b, weights=ONES, name=name) == f"projection {shown}: {what}"


def test_a_model_may_be_a_path(tmp_path):
    path = tmp_path / "mine.nasm"
    path.write_text("    .state v s24\n    RMW v\n")
    cells = Network("n").population("b", 2, model=path)
    assert (cells.model, cells.program.name) == (str(path), "mine")


def test_chunks_without_synapses_have_no_kind():
    net, a, b = build()
    chunks = [([], [], []), ([0, 2], [0, 1], [2, 4]), (np.empty(0, int), [], np.empty(0, "f4"))]
    assert net.connect(a, b, weights=iter(chunks)).weights.tolist() == [2, 4]
    real = net.population("r", 2, threshold=1.0)
    for none in (([], [], []), ONES * 0, iter(()), sparse.csr_array((2, 3), dtype=int)):
        assert net.connect(a, b, weights=none, weight_exp=1).weights.dtype == np.int16
        assert net.connect(a, real, weights=none).weights.dtype == np.float64
