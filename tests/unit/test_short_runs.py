"""Short runs one after another: what is kept between them changes nothing, and a loop over them can be ended."""

import concurrent.futures
import copy
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Network, Rule, Run, Trace, compile_network, load_chip
from emulator.engine import Engine, engine
from emulator.errors import RunError
from emulator.growing import Growing
from emulator.timing import cycle
from tests.conftest import ROOT

CHIP = load_chip("loihi2")


def network(learns=False):
    net = Network("short")
    source = net.input("in", 5)
    cells = net.population("cells", 6, vth_mant=60, du=1500, dv=200)
    odd = net.population("odd", 3, model="izhikevich")
    rule = {"learning": Rule(dw="2^-1*x1*y0", x1=Trace(16, 10))} if learns else {}
    net.connect(source, cells, weights=np.full((6, 5), 40), delay=2, name="first", **rule)
    net.connect(cells, odd, weights=np.full((3, 6), 50), delay=5)
    net.probe(cells, "v", "u", "spikes")
    net.probe(odd, "v", neurons=[2, 0])
    return compile_network(net, CHIP)


PROGRAMS = {learns: network(learns) for learns in (False, True)}
INPUTS = np.random.default_rng(4).random((400, 5)) < 0.3
lengths = st.lists(st.sampled_from([0, 1, 2, 15, 16, 17, 40]), min_size=1, max_size=5)


def parts(emulator, lengths, timing):
    """Yield the runs of some lengths one after another, of consecutive rows of the input."""
    first = 0
    for n in lengths:
        yield emulator.run(n, {"in": INPUTS[first : first + n]}, timing=timing, seed=3)
        first += n


def assert_equal(one, other):
    assert one.n_steps == other.n_steps
    assert one.timing == other.timing
    assert one.counters == other.counters
    for name in ("spike_step", "spike_source", "active"):
        first, second = getattr(one, name), getattr(other, name)
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    for name, rows in other.recordings.items():
        for variable in rows:
            np.testing.assert_array_equal(one.recordings[name][variable], rows[variable])


@given(lengths, st.sampled_from(["off", "analytic", "cycle"]), st.booleans(), st.integers(1, 2))
def test_what_is_kept_between_runs_changes_nothing(lengths, timing, learns, threads):
    emulator = Emulator(CHIP, PROGRAMS[learns], threads=threads)
    first, fresh = 0, Emulator(CHIP, PROGRAMS[learns])
    for n, part in zip(lengths, parts(emulator, lengths, timing), strict=True):
        fresh = copy.copy(fresh)  # nothing is kept but the state
        alone = fresh.run(n, {"in": INPUTS[first : first + n]}, timing=timing, seed=3)
        assert_equal(part, alone)
        if learns:
            np.testing.assert_array_equal(part.weights("first"), alone.weights("first"))
        first += n


@pytest.mark.parametrize("timing", ["off", "analytic", "cycle"])
def test_many_short_runs_are_a_long_one(timing):
    whole = Emulator(CHIP, PROGRAMS[False]).run(200, {"in": INPUTS[:200]}, timing=timing)
    found = list(parts(Emulator(CHIP, PROGRAMS[False]), [1] * 150 + [10] * 5, timing))
    first = np.cumsum([0, *(part.n_steps for part in found)])
    spikes = [
        np.add(part.spikes["cells"], [start, 0]) for part, start in zip(found, first, strict=False)
    ]
    np.testing.assert_array_equal(np.concatenate(spikes), whole.spikes["cells"])
    v = np.concatenate([part.recordings["cells"]["v"] for part in found])
    np.testing.assert_array_equal(v, whole.recordings["cells"]["v"])
    if timing != "off":
        cycles = np.concatenate([part.timing.step_cycles for part in found])
        np.testing.assert_array_equal(cycles, whole.timing.step_cycles)
        busy = sum(part.timing.core_neuron_cycles for part in found)
        np.testing.assert_array_equal(busy, whole.timing.core_neuron_cycles)
        latency = max((part.timing.latency_packets for part in found), key=len)
        assert len(latency) == len(whole.timing.latency_packets)


@pytest.mark.parametrize("timing", ["off", "analytic", "cycle"])
def test_a_short_run_of_one_thread_starts_no_other(monkeypatch, timing):
    def refuse(*_):
        raise AssertionError("a thread pool was made")

    emulator = Emulator(CHIP, PROGRAMS[False])
    for module in (engine, cycle):
        monkeypatch.setattr(module, "ThreadPoolExecutor", refuse)
    runs = list(parts(emulator, [16, 1, 0, 7], timing))
    monkeypatch.undo()
    assert engine.ThreadPoolExecutor is concurrent.futures.ThreadPoolExecutor
    for run, alone in zip(
        runs, parts(Emulator(CHIP, PROGRAMS[False]), [16, 1, 0, 7], timing), strict=True
    ):
        assert_equal(run, alone)


def test_a_timer_in_which_a_run_failed_is_not_used_again():
    emulator, n = Emulator(CHIP, PROGRAMS[False]), 60

    def fail(_done):
        raise ZeroDivisionError

    before = copy.copy(emulator)
    emulator.run(n, {"in": INPUTS[:n]}, timing="cycle")
    with pytest.raises(ZeroDivisionError):
        emulator.run(n, {"in": INPUTS[:n]}, timing="cycle", progress=fail)
    emulator.reset()
    again = emulator.run(n, {"in": INPUTS[:n]}, timing="cycle")
    assert_equal(again, before.run(n, {"in": INPUTS[:n]}, timing="cycle"))


def test_events_are_still_counted_twice(monkeypatch):
    emulator = Emulator(CHIP, PROGRAMS[False])
    monkeypatch.setattr(Engine, "fan_out", np.ones(emulator.program.n_sources, np.uint32))
    with pytest.raises(AssertionError, match=r"synaptic events were made, .* follow from the spik"):
        emulator.run(20, {"in": INPUTS[:20]})


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(1, 3))
def test_fan_out_is_the_events_of_a_spike(fan_outs, n_cells):
    net = Network("fans")
    source = net.input("in", len(fan_outs))
    cells = [net.population(f"c{k}", n_cells, vth_mant=100) for k in range(2)]
    for target in cells:
        pre = np.repeat(np.arange(len(fan_outs)), fan_outs)
        net.connect(source, target, weights=(pre, pre % n_cells, 2 + 0 * pre))
    program = compile_network(net, CHIP)
    found = Engine(program, CHIP).fan_out
    assert found.tolist() == [0] * program.n_compartments + [2 * n for n in fan_outs]


LOOP = """
import numpy as np
from emulator import Emulator, Network, compile_network, load_chip
net = Network("loop")
cells = net.population("cells", 3, vth_mant=10, bias_mant=100)
net.connect(cells, cells, weights=np.full((3, 3), 2))
chip = load_chip("loihi2")
emulator = Emulator(chip, compile_network(net, chip))
n = 0
print("ready", flush=True)
try:
    while True:
        emulator.run({steps}, timing="{timing}")
        n += 1
except KeyboardInterrupt:
    run = emulator.run(5, timing="{timing}")
    print("ended", n > 0, run.n_steps, run.counters.total("barrier"), flush=True)
"""


@pytest.mark.parametrize(("steps", "timing"), [(1, "off"), (1, "cycle"), (16, "off"), (17, "off")])
def test_ctrl_c_ends_a_loop_over_short_runs(steps, timing):
    code = LOOP.format(steps=steps, timing=timing)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=60)[0] == "ended True 5 5\n"
        finally:
            process.kill()
    assert process.returncode == 0


def test_ctrl_c_in_the_last_steps_is_not_lost(tmp_path):
    def last(done):
        if done == 40:
            signal.raise_signal(signal.SIGINT)

    emulator = Emulator(CHIP, PROGRAMS[False])
    with pytest.raises(KeyboardInterrupt):
        emulator.run(40, progress=last)
    assert emulator.run(40, progress=last, keep_partial=True).status == "complete"
    with pytest.raises(KeyboardInterrupt):
        emulator.run(40, progress=last, save_to=tmp_path / "run")
    assert Run.load(tmp_path / "run").status == "complete"


def test_a_handler_of_the_user_sees_ctrl_c_in_a_short_run():
    seen = []
    previous = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        run = Emulator(CHIP, PROGRAMS[False]).run(
            5, progress=lambda _: signal.raise_signal(signal.SIGINT)
        )
    finally:
        signal.signal(signal.SIGINT, previous)
    assert (run.n_steps, seen) == (5, [1])


@pytest.mark.parametrize("value", [1, "yes", None])
def test_strict_is_true_or_false(value):
    with pytest.raises(RunError, match=r"strict is .*; it must be True or False"):
        Emulator(CHIP, PROGRAMS[False]).run(1, strict=value)


@given(st.lists(st.lists(st.integers(0, 255), max_size=40), max_size=30))
def test_a_growing_column_is_its_parts(pieces):
    column = Growing(np.uint8)
    for _ in range(2):
        for piece in pieces:
            column.add(np.array(piece, np.uint8))
        expected = [value for piece in pieces for value in piece]
        assert len(column) == len(expected)
        assert column.take().tolist() == expected
    assert column.take().dtype == np.uint8
