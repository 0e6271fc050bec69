"""What a chip, a network, a program file or a run folder may not ask of learning, and how it is said."""

import hashlib
import json
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest

from emulator import Emulator, Mapping, Network, Program, Rule, Trace, compile_network, load_chip
from emulator.errors import CapacityError, EmulatorError, NetworkError, ProgramError, RunError
from emulator.observe.run import Run

X1, Y1 = Trace(16, 10), Trace(16, 10)
STDP = Rule(dw="2^-2*x1*y0 - 2^-2*y1*x0", dt="x1*y0", x1=X1, y1=Y1, epoch=4)


def network(rule=STDP, weights=None, size=3, model="lif", parameters=None, **options):
    net = Network("net")
    a = net.input("a", 2)
    parameters = {"vth_mant": 100} if parameters is None else parameters
    b = net.population("b", size, model=model, **parameters)
    given = np.full((size, 2), 10) if weights is None else weights
    net.connect(a, b, weights=given, learning=rule, **options)
    return net


def refused(net, changes=None, chip="loihi2", error=NetworkError, mapping=None):
    with pytest.raises(error) as caught:
        compile_network(net, load_chip(chip, changes or {}), mapping)
    return str(caught.value)


@pytest.mark.parametrize("chip", ["noc_d", "noc_l", "noc_s"])
def test_a_chip_without_an_engine_learns_nothing(chip):
    assert refused(network(), chip=chip) == (
        f"projection 'a->b': chip '{chip}' has no learning engine (learning.instructions is 0)"
    )


@pytest.mark.parametrize(
    ("rule", "changes", "message"),
    [
        (
            STDP,
            {"learning.instructions": 6},
            "the rule has 7 micro-instructions; the chip's learning engine holds 6",
        ),
        (
            Rule(dw="x0", epoch=5),
            {"learning.epoch_steps_max": 4},
            "the epoch is 5 steps; chip 'loihi2' allows 1 to 4 (learning.epoch_steps_max)",
        ),
        (
            Rule(dw="r1*u0", dt="r0*x0"),
            {"learning.rewards": False},
            "the rule reads r0 and r1; chip 'loihi2' has no rewards (learning.rewards)",
        ),
        (
            Rule(dd="x0"),
            {"synapses.max_delay_steps": 0},
            "the rule changes delays; chip 'loihi2' has no room for any (synapses.max_delay_steps is 0)",
        ),
        (
            Rule(dw="y2*y0", y2="count"),
            {"learning.post_factors": False},
            "a neuron program supplies y2; chip 'loihi2' does not allow it (learning.post_factors)",
        ),
        (
            Rule(dw="7*x0"),
            {"learning.mantissa_bits": 3},
            "dw: column 1: the constant is 7 * 2^0; the engine has mantissas -4 to 3 and exponents -7 to 8\n  7*x0\n  ^",
        ),
    ],
)
def test_what_the_engine_of_a_chip_cannot_do(rule, changes, message):
    model, parameters = ("if", {"threshold": 5}) if rule.supplied else ("lif", None)
    net = network(rule, model=model, parameters=parameters)
    assert refused(net, changes) == f"projection 'a->b': {message}"


def test_all_that_a_chip_cannot_do_comes_at_once():
    rule = Rule(dw="9*x0 + r0*u0", dd="2^-9*x0", epoch=60)
    changes = {"learning.epoch_steps_max": 4, "learning.rewards": False, "learning.instructions": 2}
    lines = refused(network(rule), changes).splitlines()
    assert [line.removeprefix("projection 'a->b': ")[:20] for line in lines] == [
        "dw: column 1: the co", "  9*x0 + r0*u0", "  ^",
        "dd: column 1: the co", "  2^-9*x0", "  ^",
        "the rule has 7 micro",
        "the epoch is 60 step",
        "the rule reads r0; c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ("nothing", "y2 is 'nothing'; state words of 'b' are: wide, small"),
        ("wide", "y2 is the word 'wide' of -128 to 127; a factor has 0 to 127: declare it u7"),
    ],
)
def test_words_that_supply_nothing(tmp_path, trace, message):
    model = tmp_path / "m.nasm"
    model.write_text(".state wide s8\n.state small u7\nRMW wide\nRMW small\nSPIKE\n")
    net = network(Rule(dw="y2*y0", y2=trace), model=str(model), parameters={})
    assert refused(net) == f"projection 'a->b': {message}"
    compile_network(network(Rule(dw="y2*y0", y2="small"), model=str(model), parameters={}), load_chip("loihi2"))  # fmt: skip


def test_a_population_without_microcode_supplies_nothing():
    assert refused(network(Rule(dw="y1*y0", y1="v"))) == (
        "projection 'a->b': y1 is 'v'; state words of 'b' are: none: it runs no microcode"
    )


def test_delays_take_accumulator_entries():
    changes, mapping = {"core.accumulator_entries": 130}, Mapping([("b", 0, 3, 0)])
    message = refused(network(Rule(dd="x0")), changes, error=CapacityError, mapping=mapping)
    assert (
        "accumulator entries: 195 (65 slots of 3) needed, 130 on a core of chip 'loihi2'" in message
    )
    compile_network(network(Rule(dw="x0")), load_chip("loihi2", changes), mapping)


def test_weights_outside_the_range_of_the_engine():
    changes = {"learning.mixed_weight_limits.minimum": -64, "learning.mixed_weight_limits.maximum": 63}  # fmt: skip
    assert refused(network(weights=np.full((3, 2), 64)), changes) == (
        "projection 'a->b': weights are 64 to 64; chip 'loihi2' lets them learn from -64 to 63"
    )
    assert refused(network(weight_exp=-7)) == (
        "projection 'a->b': weight_exp is -7; weights that learn allow -6 to 7"
    )


def test_rules_of_one_core_have_one_epoch():
    net = Network("two")
    a, b, c = net.input("a", 2), net.population("b", 2, vth_mant=9), None
    c = net.population("c", 2, vth_mant=9, pack=True)
    net.connect(a, b, weights=np.ones((2, 2), int) * 2, learning=Rule(dw="x0", epoch=4))
    net.connect(a, c, weights=np.ones((2, 2), int) * 2, learning=Rule(dw="x0", epoch=2))
    assert refused(net) == (
        "core 0: its projections learn with epochs of different length ('a->b' 4, 'a->c' 2 steps); "
        "a core of chip 'loihi2' has one"
    )
    compile_network(net, load_chip("loihi2"), Mapping([("b", 0, 2, 0), ("c", 0, 2, 1)]))


def connect_refused(**options):
    net = Network("net")
    a, b, cells = net.input("a", 2), net.input("b", 2), net.population("cells", 2, vth_mant=9)
    target = options.pop("target", "b")
    with pytest.raises(NetworkError) as caught:
        net.connect(a, b if target == "b" else cells, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [[2, 2]] * 2}, "'b' is an input; it can be the target of learning synapses only"),
        (
            {"weights": [[0.5, 0.5]] * 2, "learning": STDP},
            "weights are real values, but the input 'b' has no threshold; give integers",
        ),
        ({"weights": [[2, 2]] * 2, "learning": "x0", "target": "cells"}, "learning is 'x0'; it must be a Rule"),
        (
            {"weights": [[-2, 2]] * 2, "learning": STDP, "sign_mode": "exc"},
            "weights are -2 to 2; sign_mode 'exc' allows 0 to 255",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_connected(options, message):
    assert connect_refused(**options).splitlines()[0].split(": ", 1)[1] == message


def test_the_name_of_the_compartments_of_a_clamped_input_is_taken():
    net = Network("net")
    a, b = net.input("a", 2), net.input("b", 2)
    net.population("b.clamped", 2, vth_mant=9)
    net.connect(a, b, weights=[[2, 2]] * 2, learning=STDP)
    assert refused(net) == (
        "population 'b.clamped': the compartments of a clamped input would have this name; rename one"
    )


def emulator(rule=STDP, **changes):
    chip = load_chip("loihi2", changes)
    return Emulator(chip, compile_network(network(rule), chip))


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ([1] * 5, "rewards is [1, 1, 1, 1, 1]; it must be a mapping from 'r0' or 'r1' to an array"),
        ({"r2": 1}, "rewards: there is no 'r2'; there are: r0, r1"),
        ({"r1": 1}, "rewards: no learning rule of program 'net' uses r1"),
        ({"r0": [1] * 4}, "rewards: 'r0' is int64 of shape (4,); it must be whole numbers, one or (5,)"),
        ({"r0": 0.5}, "rewards: 'r0' is float64 of shape (); it must be whole numbers, one or (5,)"),
        ({"r0": [128] * 5}, "rewards: 'r0' is 128 to 128; allowed: -128 to 127"),
    ],
)  # fmt: skip
def test_wrong_rewards(rewards, message):
    with pytest.raises(NetworkError) as caught:
        emulator(Rule(dw="r0*x0")).run(5, rewards=rewards)
    assert str(caught.value) == message


def test_weights_of_a_program_that_does_not_learn_are_not_kept():
    chip = load_chip("loihi2")
    fixed = Emulator(chip, compile_network(network(None), chip))
    with pytest.raises(RunError, match="weights_every: no synapse of program 'net' learns"):
        fixed.run(5, weights_every=2)


HOSTILE = [
    ({"dw": "x0*"}, "dw: column 4: a factor is expected, not the end"),
    ({"dw": "x" * 10**6}, "dw has 1000000 characters; at most 1000 are allowed"),
    ({"dw": None, "dt": None}, "a rule needs dw, dt or dd"),
    ({"epoch": 0}, "epoch is 0; it must be a whole number"),
    ({"epoch": 2**70}, "epoch is 11805"),
    ({"epoch": "4"}, "Input should be a valid integer"),
    ({"x1": None}, "dw and dt read x1, which has no trace"),
    ({"x1": {"impulse": float("nan"), "tau": 1.0}}, "impulse is nan"),
    ({"x1": {"impulse": 1e300, "tau": 1.0}}, "impulse is 1e+300; allowed: 0 to 127"),
    ({"x1": {"impulse": 1.0, "tau": -1.0}}, "tau is -1.0; allowed: 0 to inf"),
    ({"x1": {"impulse": 1.0}}, "Field required"),
    ({"y1": "v"}, "y1 is 'v', no state word of 0 to 127"),
    ({"extra": 1}, "Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_a_hostile_rule_in_a_program_file_is_refused(tmp_path, change, message):
    program = compile_network(network(), load_chip("loihi2"))
    manifest = deepcopy(program.manifest)
    manifest["projections"][0]["learning"] |= change

    def load():
        Program(manifest, program.tensors()).save(tmp_path / "hostile.program")
        return Program.load(tmp_path / "hostile.program")

    with pytest.raises(ProgramError) as caught:
        load()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dw": "+".join(["x0"] * 40)}, "the rule has 45 micro-instructions; the chip's learning engine holds 32"),
        ({"dw": "9*x0"}, "dw: column 1: the constant is 9 * 2^0; the engine has mantissas -8 to 7"),
    ],
)  # fmt: skip
def test_a_program_with_a_rule_beyond_its_chip_does_not_run(change, message):
    chip = load_chip("loihi2")
    program = compile_network(network(), chip)
    manifest = deepcopy(program.manifest)
    manifest["projections"][0]["learning"] |= change
    with pytest.raises(ProgramError, match="program 'net', projection 'a->b': ") as caught:
        Emulator(chip, Program(manifest, program.tensors()))
    assert message in str(caught.value)


@pytest.fixture
def saved(tmp_path):
    inputs = {"a": np.random.default_rng(1).random((20, 2)) < 0.4}
    emulator().run(20, inputs, save_to=tmp_path / "run", weights_every=6)
    return tmp_path / "run"


def rewritten(folder, name, change):
    """Replace a table and its checksum, as a hostile or careless writer would."""
    path = folder / name
    change(pd.read_parquet(path, dtype_backend="pyarrow")).to_parquet(path, index=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["files"][name] = {"n_bytes": path.stat().st_size, "sha256": digest}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def put(column, value, row=0):
    def change(table):
        table.loc[row, column] = value
        return table

    return change


TAMPERED = [
    ("learned.parquet", put("weight", 300), "a weight or a delay of 'a->b' is outside what its synapses hold"),
    ("learned.parquet", put("delay", 63), "a weight or a delay of 'a->b' is outside what its synapses hold"),
    ("learned.parquet", put("pre", 1), "these are not the synapses of 'a->b' in their order"),
    ("learned.parquet", put("post", 9), "these are not the synapses of 'a->b' in their order"),
    ("learned.parquet", put("step", 7), "these are not the synapses of 'a->b' in their order"),
    ("learned.parquet", lambda t: t.iloc[:-1], "it has 23 lines of 'a->b', which has 6 synapses"),
    ("learned.parquet", lambda t: t.iloc[:-6], "of 'a->b' after 20 steps there is no tags, words"),
    ("learned.parquet", lambda t: t.iloc[6:], "of 'a->b' after 6 steps there is no tags, words"),
    (
        "learned.parquet",
        lambda t: t.assign(step=(t["step"] + 1).astype("uint32[pyarrow]")),
        "it holds what was learned after 6, 7, 12, 13, 18, and more steps; the run kept 6, 12, 18, 20",
    ),
    ("traces.parquet", put("value", 128), "x1 of 'a->b' is above 127"),
    ("traces.parquet", lambda t: t[t["trace"] != "y1"], "of 'a->b' after 6 steps there is no y1"),
    ("traces.parquet", lambda t: t.iloc[1:], "it has 7 lines of x1 of 'a->b'; 2 make one"),
    ("visits.parquet", put("visits", 99), "it holds a line outside the run's 20 steps and its synapses"),
    ("visits.parquet", put("block", 7), "it holds a line outside the run's 20 steps and its synapses"),
    ("visits.parquet", lambda t: t.iloc[1:], "these are not the counters of this run's spikes"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "message"), TAMPERED)
def test_tampered_tables_of_a_run_are_refused(saved, name, change, message):
    before = Run.load(saved).weights("a->b")
    assert before.shape == (3, 2)
    rewritten(saved, name, change)
    with pytest.raises(RunError) as caught:
        Run.load(saved)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["learned.parquet", "traces.parquet", "visits.parquet"])
def test_a_missing_table_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(RunError, match=f"{name}: this file of the run is missing"):
        Run.load(saved)


def test_runs_of_no_steps_and_projections_of_no_synapses_can_be_read(tmp_path):
    chip = load_chip("loihi2")
    empty = (np.empty(0, int), np.empty(0, int), np.empty(0, int))
    for k, (weights, steps) in enumerate([(None, 0), (empty, 5), (empty, 0)]):
        net = network(weights=weights)
        program = compile_network(net, chip)
        run = Emulator(chip, program).run(steps, save_to=tmp_path / str(k))
        again = Run.load(tmp_path / str(k))
        assert again.weights("a->b").tolist() == run.weights("a->b").tolist()


def test_errors_of_learning_are_errors_of_the_emulator():
    with pytest.raises(EmulatorError):
        Rule(dw="nonsense")
