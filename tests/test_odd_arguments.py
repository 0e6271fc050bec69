"""Whatever is given to a public call, it works or an error of the project says what is allowed; nothing dies later."""

import os
from contextlib import suppress
from functools import cache
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import (
    Emulator,
    EmulatorError,
    Mapping,
    Memristor,
    Network,
    Program,
    Rule,
    Run,
    Trace,
    compile_network,
    load_chip,
    resume_run,
)
from emulator.encode.latency import latency
from emulator.encode.rate import poisson, rate
from emulator.world import Frames, Majority, Places, Weighted, World
from tests.odd_objects import ODD

# A real value near the largest there is becomes infinite on its way to a register, which then refuses it.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
CHIP = load_chip("loihi2")
RULE = Rule(dw="x1*y0", dt="x0*y1", x1=Trace(4, 3), y1=Trace(4, 3))


def build():
    """Return a network in which everything can be connected to everything."""
    net = Network("n")
    source, cells = net.input("in", 3), net.population("cells", 2, vth_mant=10, du=4095)
    twins = net.population("twins", 2, model="lif", vth_mant=10)
    learner = net.population("learner", 2, model="microcode:lif", vth_mant=10)
    net.connect(source, cells, weights=np.full((2, 3), 20), name="first")
    net.connect(source, learner, weights=np.full((2, 3), 20), learning=RULE, name="plastic")
    return net, source, cells, twins


@cache
def program():
    return compile_network(build()[0], CHIP)


def running():
    return Emulator(CHIP, program())


# Each call: its arguments when all is well, and what calls it and follows it to the end.


def run_of(net):
    Emulator(CHIP, compile_network(net, CHIP)).run(2, timing="off")


def network(**given):
    Network(**given)


def add_input(**given):
    net = build()[0]
    net.input(**given)
    run_of(net)


def population(**given):
    net = build()[0]
    net.population(**given)
    run_of(net)


def connect(**given):
    net, source, cells, _ = build()
    net.connect(**({"source": source, "target": cells} | given))
    run_of(net)


def learn(**given):
    net, source, cells, _ = build()
    net.connect(source, cells, learning=RULE, **given)
    run_of(net)


def join(**given):
    net, _, cells, twins = build()
    net.join(**({"source": cells, "target": twins} | given))
    run_of(net)


def probe(variable="u", **given):
    net, _, cells, _ = build()
    net.probe(given.pop("population", cells), variable, **given)
    run_of(net)


def channel(**given):
    net = build()[0]
    net.channel(**given)
    run_of(net)


def manage(**given):
    net = build()[0]
    net.manage(**given)
    run_of(net)


def mapping(name="cells", start=0, stop=2, core=5):
    segments = [("twins", 0, 2, 0), ("learner", 0, 2, 1), (name, start, stop, core)]
    compile_network(build()[0], CHIP, Mapping(segments))


def segments(segments):
    compile_network(build()[0], CHIP, Mapping(segments))


def mapping_file(path, how):
    Mapping.load(path) if how == "load" else Mapping([]).save(path)


def rule(**given):
    net, source, cells, _ = build()
    net.connect(source, cells, weights=np.full((2, 3), 20), learning=Rule(**given))
    run_of(net)


def trace(**given):
    rule(dw="x1*y0", x1=Trace(**given))


def memristor(**given):
    rule(dw="x1*y0", x1=Trace(4, 3), device=Memristor(**given))


def compiled(**given):
    compile_network(**({"network": build()[0], "chip": CHIP} | given))


def emulator(**given):
    Emulator(**({"chip": CHIP, "program": program()} | given)).run(1, timing="off")


def run(**given):
    running().run(**given)


def watch(**given):
    list(islice(running().watch(**given), 2))


def read(**given):
    running().read(**given)


def write(**given):
    chip = running()
    chip.write(**given)
    chip.run(2, timing="off")


def attach(**given):
    chip = running()
    chip.manage(**given)
    chip.run(2, timing="off")


def resume(**given):
    resume_run(**given)


class Inside:
    """A chip whose management core does what it is told; errors that are none of the project's are kept."""

    def __init__(self):
        net = build()[0]
        net.input("sent", 3, core=0)
        net.channel("out", 0, 1)
        net.manage(0, "pre", self._act)
        self._emulator = Emulator(CHIP, compile_network(net, CHIP))
        self._task = self._error = None

    def _act(self, core):
        call, arguments = self._task
        try:
            getattr(core, call)(*arguments.pop("all", ()), **arguments)
        except EmulatorError:
            pass
        except Exception as error:  # a run would make an error of the project of it
            self._error = error

    def run(self, call, arguments):
        self._task, self._error = (call, arguments), None
        self._emulator.reset()
        self._emulator.run(1, timing="off")
        if self._error is not None:
            raise self._error


managed = cache(Inside)


def inside(call, **given):
    """Call a method of a management core, from a program that runs on it."""
    managed().run(call, given)


def reset_inside(population):
    managed().run("reset", {"all": (population,)})


class Box:
    """An environment with two values to see and two actions."""

    def reset(self, *, seed):
        return np.full(2, seed / 10), {}

    def step(self, action):
        return np.full(2, action / 2), 1.0, False, False, {}


def places(call="spikes", observation=(0.5, 0.5), **given):
    code = Places(**({"low": [0, 0], "high": [1, 1], "n": 3} | given))
    code.spikes(code.words(observation), 2)


def frames(shape=(2, 3), observation=((0, 0, 1), (1, 0, 0))):
    code = Frames(shape)
    code.spikes(code.words(observation), 2)


def majority(**given):
    motors = Majority(**given)
    motors.action(motors.words(np.zeros(motors.size, int), None))


def weighted(**given):
    motors = Weighted(**given)
    motors.action(motors.words(np.ones(motors.size, int), None))


def world(seeds=1, max_actions=2, timing="off", observations=False, **given):
    net = Network("n")
    source, cells = net.input("in", 6, core=0), net.population("cells", 2, vth_mant=10)
    net.connect(source, cells, weights=np.full((2, 6), 20))
    good = {"environment": Box(), "network": net, "chip": CHIP, "steps_per_action": 4}
    good |= {"sensors": (source, Places([0, 0], [1, 1], 3)), "motors": (cells, Majority(2))}
    made = World(**(good | given))
    made.run(seeds, max_actions=max_actions, timing=timing, observations=observations)


def result(call, **given):
    """Call a method of a run."""
    run = running().run(2, timing="off")
    getattr(run, call)(**given)


def files(kind, call, path):
    """Read or write a file."""
    kinds = {"Run": Run, "Program": Program}
    if call == "load":
        kinds[kind].load(path)
    else:
        program().save(path)


POPULATION = {
    "name": "more", "size": 2, "model": "lif", "neurons_per_core": None, "pack": False, "du": 1, "dv": [0, 1],
    "vth_mant": 3, "bias_mant": 1, "bias_exp": 0, "refractory": 1, "u_init": 0, "v_init": 0, "refractory_init": 0,
}  # fmt: skip
REAL = {
    "name": "more", "size": 2, "threshold": 1.0, "tau_syn_ms": 5.0, "tau_mem_ms": [5.0, 6.0], "bias": 0.5,
    "refractory_ms": 2.0, "u_start": 0.0, "v_start": 0.0,
}  # fmt: skip
PROGRAM = {"core": 0, "phase": "pre", "run": lambda _core: None, "every": 1, "first": None}
PROGRAM |= {"when": None, "instructions": 0}
RUN = {
    "steps": 2, "timing": "off", "seed": 0, "strict": False, "reset_every": None, "progress": None,
    "keep_partial": False, "save_to": None, "force": False, "checkpoint_every": None, "weights_every": None,
}  # fmt: skip
WEIGHTS = np.full((2, 3), 20)
CALLS = [
    (network, {"name": "n", "dt_ms": 1.0}),
    (add_input, {"name": "more", "size": 2, "payload_bits": 0, "core": None}),
    (population, POPULATION),
    (population, REAL),
    (population, {"name": "more", "size": 2, "model": "izhikevich", "a": 20, "v": 5}),
    (connect, {"source": None, "target": None, "weights": WEIGHTS, "weight_exp": 0, "delay": 1, "sign_mode": "mixed",
               "weight_bits": 8, "learning": None, "name": None}),
    (connect, {"weights": ([0, 1], [0, 1], [2, 4]), "delay": [0, 1]}),
    (learn, {"weights": WEIGHTS, "delay": 1, "weight_bits": 8, "sign_mode": "exc"}),
    (join, {"source": None, "target": None, "op": "add", "value": "v"}),
    (probe, {"population": None, "variable": "u", "neurons": [0]}),
    (channel, {"name": "c", "source": 0, "target": "host", "depth": 1, "words": 1, "dtype": "int32"}),
    (manage, PROGRAM),
    (mapping, {"name": "cells", "start": 0, "stop": 2, "core": 5}),
    (segments, {"segments": []}),
    (mapping_file, {"path": "there is no such file", "how": "load"}),
    (mapping_file, {"path": "written", "how": "save"}),
    (rule, {"dw": "x1*y0", "dt": "x0*y1", "dd": None, "x1": Trace(4, 3), "x2": None, "y1": Trace(4, 3), "y2": None,
            "y3": None, "epoch": 1, "device": None}),
    (trace, {"impulse": 4, "tau": 3}),
    (memristor, {"minimum": 0, "maximum": 9, "nonlinearity_up": 0.0, "nonlinearity_down": 0.0, "range_spread": 0.0,
                 "step_spread": 0.0, "cycle_spread": 0.0, "stuck_low": 0.0, "stuck_high": 0.0, "seed": 0}),
    (compiled, {"network": None, "chip": None, "mapping": None, "neurons_per_core": None, "seed": 0}),
    (emulator, {"chip": None, "program": None, "threads": 1}),
    (run, RUN),
    (watch, {"population": "learner", "neuron": 0, "steps": 2, "seed": 0}),
    (read, {"population": "cells", "variable": "u"}),
    (write, {"population": "cells", "variable": "u", "values": 1}),
    (write, {"population": "learner", "variable": "v", "values": [1, 2]}),
    (attach, PROGRAM),
    (resume, {"folder": "there is no such folder", "threads": 1, "progress": None}),
    (inside, {"call": "read", "name": "cells.u", "which": None}),
    (inside, {"call": "write", "name": "cells.u", "values": 1, "which": None}),
    (inside, {"call": "send_spikes", "population": "sent", "neurons": 0, "payload": 1, "at": None}),
    (inside, {"call": "reward", "r0": 0, "r1": 0}),
    (inside, {"call": "send", "channel": "out", "message": 1}),
    (inside, {"call": "waiting", "channel": "out"}),
    (inside, {"call": "spend", "instructions": 1}),
    (reset_inside, {"population": "cells"}),
    (places, {"low": [0, 0], "high": [1, 1], "n": 3, "observation": [0.5, 0.5]}),
    (frames, {"shape": (2, 3), "observation": [[0, 0, 1], [1, 0, 0]]}),
    (majority, {"n_actions": 2, "neurons": 1, "silent": None}),
    (weighted, {"weights": [[1, -1]], "scale": 1.0, "low": -1.0, "high": 1.0}),
    (world, {"environment": None, "network": None, "chip": None, "sensors": None, "motors": None, "steps_per_action": 4,
             "depth": 1, "mapping": None, "seeds": 1, "max_actions": 2, "timing": "off", "observations": False}),
    (result, {"call": "count", "start": 0, "stop": 2}),
    (result, {"call": "energy", "chip": None, "start": 0, "stop": 2}),
    (result, {"call": "retimed", "chip": CHIP, "timing": "analytic", "workers": 1, "progress": None}),
    (result, {"call": "management_cycles", "exact": None}),
    (result, {"call": "save", "folder": "there is no folder/run", "force": False}),
    (files, {"kind": "Run", "call": "load", "path": "there is no such folder"}),
    (files, {"kind": "Program", "call": "load", "path": "there is no such file"}),
    (files, {"kind": "Program", "call": "save", "path": "there is no folder/program"}),
    (latency, {"values": [0.5], "n_steps": 4, "threshold": 0.0}),
    (rate, {"values": [0.5], "n_steps": 4}),
    (poisson, {"values": [0.5], "n_steps": 4, "seed": 0}),
]  # fmt: skip
FIXED = {"call", "how", "kind"}
OWN = {
    "source",
    "target",
    "network",
    "chip",
    "program",
    "population",
    "environment",
    "sensors",
    "motors",
}
"""Arguments that a call fills in itself where they are None."""


def attempt(call, good, odd):
    """Call with odd objects in some places; errors of the project are fine, others are not."""
    given = {k: v for k, v in good.items() if not (k in OWN and v is None)} | odd
    with suppress(EmulatorError):
        call(**given)


@pytest.fixture(scope="module", autouse=True)
def _elsewhere(tmp_path_factory):
    """Files whose names are odd are made in a folder of their own."""
    here = os.getcwd()  # noqa: PTH109  # it is where the tests go back to
    os.chdir(tmp_path_factory.mktemp("odd"))
    yield
    os.chdir(here)


PLACES = [
    pytest.param(call, good, place, id=f"{call.__name__} {k} {place}")
    for k, (call, good) in enumerate(CALLS)
    for place in good
    if place not in FIXED
]


@pytest.mark.parametrize(("call", "good", "place"), PLACES)
def test_an_odd_object_is_taken_or_refused_in_words(call, good, place):
    for name, make in ODD.items():
        try:
            attempt(call, good, {place: make()})
        except Exception as error:
            raise AssertionError(f"{place}={name}") from error


@given(st.data())
def test_several_odd_objects_at_once(data):
    call, good = data.draw(st.sampled_from([(c, g) for c, g in CALLS if len(set(g) - FIXED) > 1]))
    places = st.lists(st.sampled_from(sorted(set(good) - FIXED)), unique=True, min_size=2)
    names = st.sampled_from(sorted(ODD))
    odd = {place: data.draw(names, place) for place in data.draw(places)}
    attempt(call, good, {place: ODD[name]() for place, name in odd.items()})


@pytest.mark.parametrize("name", ODD)
def test_odd_spikes_and_rewards_are_taken_or_refused_in_words(name):
    net = Network("given")
    rule = Rule(dw="x1*y0*r0", x1=Trace(4, 3))
    plain, graded = net.input("plain", 2), net.input("graded", 3, payload_bits=8)
    net.connect(
        plain, net.population("cells", 2, vth_mant=100), weights=WEIGHTS[:, :2], learning=rule
    )
    net.connect(graded, net.population("more", 2, vth_mant=100), weights=WEIGHTS)
    chip = Emulator(CHIP, compile_network(net, CHIP))
    for call in (
        lambda odd: {"inputs": odd}, lambda odd: {"inputs": {"plain": odd}}, lambda odd: {"inputs": {"graded": odd}},
        lambda odd: {"inputs": {"plain": {"step": odd, "neuron": [0]}}}, lambda odd: {"inputs": {"plain": [odd, odd]}},
        lambda odd: {"rewards": odd}, lambda odd: {"rewards": {"r0": odd}},
    ):  # fmt: skip
        with suppress(EmulatorError):
            chip.run(3, timing="off", **call(ODD[name]()))


@pytest.mark.parametrize("call", ["weights", "delays", "tags", "synapses", "visits"])
def test_a_projection_that_there_is_not_is_a_key_error(call):
    done = running().run(1)
    for name, make in ODD.items():
        with pytest.raises(KeyError, match="no projection"):
            getattr(done, call)(make())
        if call in {"weights", "synapses"}:
            with pytest.raises(KeyError, match="no projection"):
                getattr(running(), call)(make())
        assert name
