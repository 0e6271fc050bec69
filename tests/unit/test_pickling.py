"""What a user holds can be sent to another process, and copied: it is the same there."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from emulator import (
    Emulator,
    Mapping,
    Memristor,
    Network,
    Program,
    Rule,
    Run,
    Trace,
    compile_network,
    load_chip,
)
from emulator.errors import RunError
from emulator.program.program import TENSORS

CHIP = load_chip("loihi2")
STEPS = 40
COPIES = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "oldest pickle": lambda thing: pickle.loads(pickle.dumps(thing, 2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
copies = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


def network() -> Network:
    """Make synapses that learn and others with delays, microcode, noise and probes."""
    net = Network("mixed")
    source = net.input("in", 4)
    cells = net.population("cells", 5, vth_mant=50, du=2000, dv=300)
    odd = net.population("odd", 3, model="izhikevich")
    rule = Rule(dw="2^-1*x1*y0 - 2^-2*y1*x0", x1=Trace(16, 10), y1=Trace(16, 10))
    net.connect(source, cells, weights=np.full((5, 4), 40), learning=rule, name="plastic")
    net.connect(cells, cells, weights=np.full((5, 5), -6), delay=7)
    net.connect(cells, odd, weights=np.full((3, 5), 60), delay=3)
    net.probe(cells, "v", "spikes")
    net.probe(odd, "v", neurons=[2, 0])
    return net


PROGRAM = compile_network(network(), CHIP)
INPUTS = {"in": np.random.default_rng(3).random((STEPS, 4)) < 0.4}


def run(emulator: Emulator, timing: str = "off", **options) -> Run:
    return emulator.run(STEPS, INPUTS, timing=timing, seed=5, weights_every=10, **options)


def assert_same_run(one: Run, other: Run) -> None:
    for name in ("n_steps", "seed", "status", "steps_asked", "n_overflows", "wall_seconds"):
        assert getattr(one, name) == getattr(other, name)
    assert one.chip == other.chip
    assert one.program.sha256 == other.program.sha256
    assert one.timing == other.timing
    assert one.counters == other.counters
    assert one.energy() == other.energy()
    for name in ("spike_step", "spike_source", "active"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert list(one.spikes) == list(other.spikes)
    for name in one.spikes:
        np.testing.assert_array_equal(one.spikes[name], other.spikes[name])
    assert one.recordings.keys() == other.recordings.keys()
    for name, rows in one.recordings.items():
        assert rows.keys() == other.recordings[name].keys()
        for variable in rows:
            np.testing.assert_array_equal(rows[variable], other.recordings[name][variable])
    np.testing.assert_array_equal(one.weights("plastic"), other.weights("plastic"))
    assert one.trained().sha256 == other.trained().sha256


@copies
def test_descriptions_are_the_same(copied):
    assert copied(CHIP) == CHIP
    assert copied(CHIP).fingerprint(learns=True) == CHIP.fingerprint(learns=True)
    mapping = Mapping([("cells", 0, 5, 1)])
    assert vars(copied(mapping)) == vars(mapping)
    device = Memristor(minimum=4, maximum=100, nonlinearity_up=3)
    assert copied(device) == device
    rule = Rule(dw="2^-1*x1*y0", x1=Trace(16, 10), epoch=4)
    assert copied(rule) == rule
    model = PROGRAM.models["izhikevich"]
    assert copied(model) == model
    assert compile_network(copied(network()), CHIP).sha256 == PROGRAM.sha256


@copies
@pytest.mark.parametrize("from_file", [False, True])
def test_a_program_is_the_same_and_read_only(tmp_path, copied, from_file):
    program = PROGRAM
    if from_file:
        PROGRAM.save(tmp_path / "a.program")
        program = Program.load(tmp_path / "a.program")
    program.source_population, program.rules  # noqa: B018  # made, and not to be sent
    other = copied(program)
    assert other.sha256 == program.sha256
    for name in TENSORS:
        np.testing.assert_array_equal(getattr(other, name), getattr(program, name))
        assert not getattr(other, name).flags.writeable
    assert "source_population" not in vars(other)
    other.save(tmp_path / "b.program")
    assert Program.load(tmp_path / "b.program").sha256 == PROGRAM.sha256


@copies
@pytest.mark.parametrize("timing", ["off", "cycle"])
@pytest.mark.parametrize("kind", ["in memory", "looked into", "saved to", "loaded"])
def test_a_run_is_the_same(tmp_path, copied, kind, timing):
    there = {"save_to": tmp_path / "run"} if kind == "saved to" else {}
    result = run(Emulator(CHIP, PROGRAM), timing, **there)
    if kind == "loaded":
        result.save(tmp_path / "run")
        result = Run.load(tmp_path / "run")
    if kind != "in memory":
        assert_same_run(result, result)  # makes all that is made on demand
    assert_same_run(copied(result), result)
    assert_read_only(copied(result))


def assert_read_only(result: Run) -> None:
    timing = result.timing
    arrays = [
        result.spike_step, result.spike_source, result.active, result.counters.count, result.counters.core,
        *result.spikes.values(), *result.recordings["cells"].values(), *result.recordings["plastic"].values(),
        *result.learned.final("plastic").values(), *result.records.managed,
        *((timing.step_cycles, timing.bottleneck, timing.link_flits) if timing is not None else ()),
    ]  # fmt: skip
    assert not [array for array in arrays if array.size and array.flags.writeable]


def test_what_a_run_makes_on_demand_is_not_sent():
    result = run(Emulator(CHIP, PROGRAM))
    before = len(pickle.dumps(result))
    assert_same_run(result, result)
    assert len(pickle.dumps(result)) == before


def test_a_run_in_a_folder_is_sent_as_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(Emulator(CHIP, PROGRAM), save_to="run")
    sent = pickle.dumps(result)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    received = pickle.loads(sent)
    assert len(received.spikes["cells"])
    monkeypatch.chdir(tmp_path)
    assert_same_run(received, result)


@copies
@pytest.mark.parametrize("threads", [1, 2])
def test_an_emulator_goes_on_from_where_it_was(copied, threads):
    emulator = Emulator(CHIP, PROGRAM, threads=threads)
    first = copied(emulator)
    assert_equal_but_for_the_clock(run(first), run(emulator))
    emulator.write("cells", "v", [1, 2, 3, 4, 5])
    second = copied(emulator)
    third = copied(copied(emulator))  # one that has not run itself
    expected = run(emulator)
    assert expected.spikes["cells"].tolist()
    for other in (second, third):
        assert_equal_but_for_the_clock(run(other), expected)
        assert other.threads == threads
    assert_equal_but_for_the_clock(run(second), run(emulator))
    second.reset()
    assert_equal_but_for_the_clock(run(second), run(Emulator(CHIP, PROGRAM)))


def assert_equal_but_for_the_clock(one: Run, other: Run) -> None:
    for result in (one, other):
        vars(result)["wall_seconds"] = 0.0
    assert_same_run(one, other)


def managed_program(seen):
    net = Network("managed")
    source, cells = net.input("in", 4), net.population("cells", 2, vth_mant=50)
    net.connect(source, cells, weights=np.full((2, 4), 40))
    net.manage(0, "post", lambda core: seen.append(core.step))
    return compile_network(net, CHIP)


def test_a_run_leaves_management_functions_behind(tmp_path):
    seen = []
    program = managed_program(seen)
    emulator = Emulator(CHIP, program)
    result = emulator.run(STEPS, INPUTS, save_to=tmp_path / "run")
    assert len(seen) == STEPS
    for one in (result, Emulator(CHIP, program).run(STEPS, INPUTS)):
        received = pickle.loads(pickle.dumps(one))
        assert received.counters == one.counters
        assert received.energy() == one.energy()
        assert received.program.managed == ()
        assert one.program.managed
        with pytest.raises(RunError, match="was made with management functions, which no file hol"):
            Emulator(CHIP, received.program).run(1)
    with pytest.raises(RunError) as error:
        copy.deepcopy(emulator)
    assert str(error.value) == (
        "an emulator with management programs is copied before its first run: they keep state of their own, which no "
        "copy can hold"
    )
    fresh = copy.deepcopy(Emulator(CHIP, program))
    assert fresh.run(STEPS, INPUTS).counters == result.counters


@pytest.mark.parametrize("in_folder", [False, True])
def test_processes_run_emulators_and_send_runs_back(tmp_path, in_folder):
    spawn = multiprocessing.get_context("spawn")
    emulator = Emulator(CHIP, PROGRAM)
    run(emulator)
    expected = run(copy.deepcopy(emulator))
    options = {"timing": "off", "seed": 5, "weights_every": 10}
    if in_folder:
        options["save_to"] = tmp_path / "run"
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        result = pool.submit(emulator.run, STEPS, INPUTS, **options).result()
        assert_equal_but_for_the_clock(result, expected)
        counters = pool.submit(result.count, 0, STEPS).result()
    assert counters == expected.counters
