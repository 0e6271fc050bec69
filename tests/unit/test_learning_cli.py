"""`emulator learn`, and what other commands say of learning, as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest

from emulator import Emulator, Program, load_chip
from emulator.cli import main
from emulator.observe.run import Run

NETWORK = """
import numpy as np
from emulator import Network, Rule, Trace

def network():
    net = Network("learner")
    a, b = net.input("in", 8), net.population("cells", 6, vth_mant=60, du=4095, dv=400)
    stdp = Rule(dw="2^-2*x1*y0 - 2^-2*y1*x0", x1=Trace(16, 10), y1=Trace(20, float("inf")), epoch=4)
    net.connect(a, b, weights=np.full((6, 8), 40), sign_mode="exc", learning=stdp)
    net.connect(a, b, weights=np.full((6, 8), 20), learning=Rule(dw="2^5*u0*r1*w", epoch=4), name="rewarded")
    net.connect(a, b, weights=np.full((6, 8), 2), name="static")
    return net

def inputs(steps, seed):
    return {"in": np.random.default_rng(seed).random((steps, 8)) < 0.3}

def rewards(steps, seed):
    return {"r1": np.arange(steps) % 3}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    Path("net.py").write_text(NETWORK)
    return tmp_path


@pytest.fixture
def done(capsys):
    def run(*arguments):
        assert main(list(arguments)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys):
    def run(*arguments):
        assert main(list(arguments)) == 2
        return "\n".join(x.removeprefix("emulator: ") for x in capsys.readouterr().err.splitlines())

    return run


RULE = "dw = 2^-2*x1*y0 - 2^-2*y1*x0"


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize("columns", ["80", "132"])
def test_a_rule_is_listed_with_time_and_energy(done, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out = done("learn", "show", RULE, "--trace", "x1=16,10", "--epoch", "4", "--chip", "loihi")
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "4 micro-instructions for each synapse; the engine holds rules of 32" in words(out)
    assert "energy 120 pJ a visit: 4 x 30 pJ" in words(out)  # Davies 2018, table 2
    assert "at the end of every epoch of 4 steps" in words(out)
    assert "x1 + 16 at each spike, tau 10 steps" in words(out)
    assert "y1 not given: --trace y1=IMPULSE,TAU; the micro-instructions are the same" in words(out)


def test_the_chip_decides_time_energy_and_the_rest(done):
    changes = ("--set", "costs.learning_instruction.time_ns=3", "--set", "learning.rounding=down")
    out = words(done("learn", "show", RULE, "--chip", "tiny", *changes))
    assert "time 12 ns a visit: 4 x 3 ns;" in out
    assert "rounding down" in out
    assert "energy 16 pJ a visit: 4 x 4 pJ" in out


@pytest.mark.parametrize(
    "given", [("dw=t*u0", "dt=x0*y2"), ("dw = t*u0; dt = x0*y2",), ("dt=x0*y2\ndw=t*u0",)]
)
def test_several_rules_are_arguments_or_parts_of_one(done, given):
    out = words(done("learn", "show", *given, "--trace", "y2=count"))
    assert "dw = t*u0" in out
    assert "dt = x0*y2" in out
    assert "6 micro-instructions" in out
    assert "y2 the state word 'count' of the target's neuron program" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dw = x0*q",), "dw: column 4: 'q' is no variable; there are: x0, x1, x2, y0, y1, y2, y3, r0, r1, w, d, t, u0 to u9\n  x0*q\n     ^"),
        (("dw = 9*x0",), "dw: column 1: the constant is 9 * 2^0; the engine has mantissas -8 to 7 and exponents -7 to 8\n  9*x0\n  ^"),
        (("dw=x0; dw=y0",), "dw is given twice"),
        (("dw=x0", "y0"), "'y0': a rule begins with 'dw =', 'dt =' or 'dd ='"),
        (("x1*y0",), "x1*y0: neither a rule, which begins with 'dw =', 'dt =' or 'dd =', nor a compiled program"),
        (("dw=x0", "--epoch", "64"), "epoch is 64; it must be a whole number of steps, 1 to 63"),
        (("dw=x0", "--trace", "z=1,2"), "--trace z: there is no such trace; there are: x1, x2, y1, y2, y3"),
        (("dw=x0", "--trace", "x1=word"), "--trace x1: 'word'; it must be IMPULSE,TAU like 16,10"),
        (("dw=x0", "--trace", "y1=1"), "--trace y1: '1'; it must be IMPULSE,TAU like 16,10, or the name of a state word"),
        (("dw=x0", "--trace", "x1=nan,-3"), "--trace x1: trace: impulse is nan; it must be a number\n--trace x1: trace: tau is -3.0; allowed: 0 to inf"),
        (("dw=x0", "--chip", "noc_d"), "chip 'noc_d' has no learning engine (learning.instructions is 0)"),
        (("dw=x0*r0", "--set", "learning.rewards=false"), "the rule reads r0; chip 'loihi2' has no rewards (learning.rewards)"),
        (("net.program", "--epoch", "4"), "net.program: --trace and --epoch are for rules; a program has its own"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(done, refused, arguments, message):
    done("compile", "net.py", "--chip", "loihi2", "-o", "net.program")
    assert refused("learn", "show", *arguments) == message


def test_the_rules_of_a_program_are_listed(done, refused, capsys):
    done("compile", "net.py", "--chip", "loihi2", "-o", "net.program")
    out = words(done("learn", "show", "net.program"))
    assert "in->cells: 48 synapses, sign_mode exc dw = 2^-2*x1*y0 - 2^-2*y1*x0" in out
    assert "rewarded: 48 synapses, sign_mode mixed dw = 2^5*u0*r1*w" in out
    assert "y1 + 20 at each spike, tau inf steps" in out
    assert "static" not in out
    assert refused("learn", "show", "net.program", "--chip", "noc_d") == (
        "projection 'in->cells': chip 'noc_d' has no learning engine (learning.instructions is 0)"
    )
    assert "0 steps" in done("run", "net.program", "--chip", "loihi2", "--steps", "0", "-o", "none")
    done("learn", "save", "none", "-o", "fixed.program")
    assert main(["learn", "show", "fixed.program"]) == 0
    assert "no synapse of program 'learner' learns" in capsys.readouterr().err


def test_a_run_learns_and_its_program_is_saved(done, refused):
    done("run", "net.py", "--chip", "loihi2", "--steps", "60", "--weights-every", "20", "-o", "out")
    run = Run.load("out")
    kept = run.recordings["in->cells"]["weights"]
    assert kept.shape == (3, 6, 8)
    assert (kept[-1] == run.weights("in->cells")).all()
    assert (run.weights("in->cells") != 40).any()
    assert (run.weights("rewarded") == 255).all()
    out = done("learn", "save", "out", "-o", "trained.program")
    assert out.startswith("written to trained.program: ")
    trained = Program.load("trained.program")
    assert not trained.learns
    again = Emulator(load_chip("loihi2"), trained).run(5)
    for name in ("in->cells", "rewarded", "static"):
        assert (again.weights(name) == run.weights(name)).all()
    done("run", "trained.program", "--chip", "loihi2", "--steps", "5", "-o", "fixed")
    assert refused("learn", "save", "fixed", "-o", "x.program") == (
        "fixed: no synapse of program 'learner' learns"
    )
    assert refused("learn", "save", "out", "-o", "net.py") == (
        "net.py: exists and is no program; it is not replaced: choose another name"
    )
    assert refused("learn", "save", "nothing", "-o", "x.program") == (
        "nothing: there is no such folder"
    )
    assert refused(
        "run", "trained.program", "--chip", "loihi2", "--weights-every", "2", "-o", "y"
    ).endswith("weights_every: no synapse of program 'learner' learns")


def test_rewards_come_from_the_input_file(done, refused):
    spikes = {"in_step": [0, 1, 2], "in_neuron": [0, 1, 2]}
    np.savez("in.npz", **spikes, r1=np.array([1, -5, 2, 0, 0, 0, 3]))
    done("run", "net.py", "--chip", "loihi2", "--input", "in.npz", "-o", "out")
    run = Run.load("out")
    assert run.n_steps == 7
    # Sums over epochs: -2 in the first; the second is not complete.
    expected = Emulator(load_chip("loihi2"), run.program).run(
        7, {"in": [[0, 0], [1, 1], [2, 2]]}, rewards={"r1": [1, -5, 2, 0, 0, 0, 3]}
    )
    assert (run.weights("rewarded") == expected.weights("rewarded")).all()
    assert (run.weights("rewarded") < 20).all()
    done("run", "net.py", "--chip", "loihi2", "--input", "in.npz", "--steps", "40", "-o", "longer")
    assert (Run.load("longer").weights("rewarded") != run.weights("rewarded")).all()
    assert "'r1' is int64 of shape (7,); it must be whole numbers, one or (5,)" in refused(
        "run", "net.py", "--chip", "loihi2", "--input", "in.npz", "--steps", "5", "-o", "short"
    )
    np.savez("wrong.npz", r1=[0.5], **spikes)
    assert refused("run", "net.py", "--chip", "loihi2", "--input", "wrong.npz", "-o", "w") == (
        "wrong.npz: 'r1' is float64 of shape (1,); it must be one row of whole numbers"
    )
    np.savez("r0.npz", r0=[1], **spikes)
    assert refused("run", "net.py", "--chip", "loihi2", "--input", "r0.npz", "-o", "w") == (
        "rewards: no learning rule of program 'learner' uses r0"
    )


def test_a_neuron_is_stepped_through_with_its_rewards(done):
    Path("net.py").write_text(
        NETWORK.replace("vth_mant=60, du=4095, dv=400", 'model="if", threshold=10**6')
    )
    done("compile", "net.py", "--chip", "loihi2", "-o", "net.program")
    spikes = {"in_step": np.arange(12), "in_neuron": np.zeros(12, int)}
    np.savez("none.npz", **spikes)
    np.savez("some.npz", r1=[100], **spikes)
    arguments = ("step", "net.program", "--neuron", "cells[0]", "--steps", "1", "--skip", "11")
    inputs = [
        int(done(*arguments, "--input", name).split("input ")[1].split(":")[0].replace(",", ""))
        for name in ("none.npz", "some.npz")
    ]
    # The rewarded synapse went from 20 to its limit of 255 at the end of the first epoch; weights count 64.
    assert inputs[1] - inputs[0] == 64 * (255 - 20)


def test_a_file_whose_rewards_are_none_is_told(refused):
    Path("net.py").write_text(NETWORK.replace('{"r1": np.arange(steps) % 3}', "[1]"))
    assert refused("run", "net.py", "--chip", "loihi2", "-o", "out") == (
        "net.py: rewards() returned list; it must return a dictionary from 'r0' or 'r1' to a whole number for each step"
    )


@pytest.mark.parametrize("columns", ["80", "132"])
def test_the_report_says_what_was_learned(done, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out = done("run", "net.py", "--chip", "loihi2", "--steps", "60", "-o", "out")
    run = Run.load("out")
    visits = {name: int(run.visits(name).sum()) for name in ("in->cells", "rewarded")}
    assert f"visits {sum(visits.values()):,} of synapses by learning rules" in words(out)
    data = json.loads(done("report", "out", "--json"))
    first, second = data["learning"]
    assert first["visits"] == visits["in->cells"]
    assert second["visits"] == visits["rewarded"]
    assert first["instructions"] == 4 * first["visits"]
    assert first["instructions"] + second["instructions"] == data["events"]["learning_instruction"]
    priced = first["energy_pj"] + second["energy_pj"]
    assert priced == pytest.approx(data["energy"]["by_event_pj"]["learning_instruction"])
    weights = run.weights("in->cells")
    assert first["weights_before"] == {
        "mean": 40, "min": 40, "max": 40, "share_at_minimum": 0, "share_at_maximum": 0
    }  # fmt: skip
    assert first["weights_after"] == {
        "mean": weights.mean(),
        "min": weights.min(),
        "max": weights.max(),
        "share_at_minimum": (weights == 0).mean(),
        "share_at_maximum": (weights == 255).mean(),
    }
    assert second["weights_after"]["share_at_maximum"] == 1
    assert (first["cores"], first["synapses"], first["epoch"]) == (1, 48, 4)
    text = done("report", "out")
    assert max(map(len, text.splitlines())) <= max(int(columns), 100) + 2
    assert "in->cells: epoch 4, 4 instructions a visit" in text
    assert "dw = 2^-2*x1*y0 - 2^-2*y1*x0" in text
    assert "100.0 %" in text


def test_a_report_of_what_does_not_learn_says_nothing_of_it(done):
    Path("net.py").write_text(NETWORK.replace(", learning=stdp", "").replace(', learning=Rule(dw="2^5*u0*r1*w", epoch=4)', "").split("def rewards")[0])  # fmt: skip
    done("run", "net.py", "--chip", "loihi2", "--steps", "5", "-o", "out")
    assert json.loads(done("report", "out", "--json"))["learning"] == []
    assert "Learning" not in done("report", "out")


def test_the_learning_phase_can_bound_a_step(done):
    slow = ("--set", "costs.learning_instruction.time_ns=100000")
    done("run", "net.py", "--chip", "loihi2", "--steps", "20", *slow, "-o", "out")
    out = done("report", "out")
    assert "learning: visits of plastic synapses, at the end of an epoch, took longer" in out


def test_check_says_what_an_engine_can_do(done):
    out = words(done("check", "loihi2", "loihi", "noc_d"))
    assert (
        "rules of 32 micro-instructions, epochs of up to 63 steps, rewards r0 and r1, y1 to y3 also from neuron programs, "
        "rounding stochastic; weights -256 to 255, tags -257 to 255 in 9 bits"
    ) in out
    assert "rewards r0 and r1, rounding stochastic" in out
    assert "none: synapses cannot learn" in out
