"""Cycle timing: equal to the oracle in every step, never below the analytic bound, the same for any workers."""

import signal
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Network, compile_network, load_chip
from emulator.errors import RunError
from emulator.noc.mesh import mesh_settings
from emulator.timing import CORE_ARRAYS, CycleTimer, start_timing, time_run
from tests.oracle import pipeline as oracle
from tests.strategies import cases
from tests.test_contracts import scattered

MESHES = [{"mesh.virtual_channels": n} for n in (1, 1, 2, 4)] + [
    {"mesh.topology": topology, "mesh.routing": order, "mesh.virtual_channels": n}
    for topology in ("mesh", "torus")
    for order in ("xy", "yx")
    for n in (2, 4)
]


@st.composite
def chips(draw):
    """Draw a mesh and costs that get into each other's way; what is computed stays that of `tiny`."""
    kind = draw(st.sampled_from(["none", "tree"]))
    width, height = draw(st.sampled_from([(2, 2), (4, 1), (1, 4), (3, 2)]))
    changes = {
        "mesh.width": width,
        "mesh.height": height,
        "mesh.multicast": kind,
        **draw(st.sampled_from(MESHES)),
        "mesh.buffer_flits": draw(st.integers(1, 4)),
        "mesh.routing_delay_cycles": draw(st.integers(0, 1)),
        "mesh.speculative": draw(st.booleans()),
        "mesh.allocator": draw(st.sampled_from(["islip", "separable_input_first"])),
        "mesh.allocator_iterations": draw(st.integers(1, 2)),
        "mesh.wait_for_tail_credit": draw(st.booleans()),
        "mesh.credit_delay_cycles": draw(st.integers(0, 2)),
        "mesh.link_latency_cycles.east_west": draw(st.integers(1, 3)),
        "mesh.link_latency_cycles.north_south": draw(st.integers(1, 3)),
        "mesh.input_queue_packets": draw(st.integers(1, 3)),
        "mesh.header_bits": 32 if kind == "tree" else draw(st.sampled_from([32, 64, 96])),
        "host.ports": draw(st.sampled_from([[0], [0, width * height - 1]])),
    }
    for event in (
        "neuron_idle",
        "neuron_active",
        "neuron_spike",
        "axon_out",
        "host",
        "packet",
        "axon_in",
    ):
        changes[f"costs.{event}.time_ns"] = draw(st.sampled_from([0, 10, 20, 70]))
    for event in ("synapse_word", "synaptic_event"):
        changes[f"costs.{event}.time_ns"] = draw(st.sampled_from([0, 10, 130]))
    return load_chip("tiny", set=changes)


@given(cases(), chips())
def test_flits_on_links_are_the_hops_that_are_counted(case, chip):
    run = Emulator(chip, compile_network(case.network, chip)).run(case.steps, inputs=case.inputs)
    hops = [run.counters.total("hop_ew"), run.counters.total("hop_ns")]
    for timing in (run.timing, run.retimed(chip, "analytic").timing):
        assert [timing.link_flits[:, :2].sum(), timing.link_flits[:, 2:].sum()] == hops


@given(cases(), chips(), st.data())
def test_every_step_equals_the_oracle(case, chip, data):
    program = compile_network(case.network, chip, data.draw(st.none() | scattered(case)))
    run = Emulator(chip, program).run(case.steps, inputs=case.inputs)
    bound = run.retimed(chip, "analytic").timing
    all_latencies, busy = [], np.zeros(chip.mesh.n_cores, np.int64)
    for step in range(case.steps):
        spiking = run.spike_source[run.spike_step == step].tolist()
        cycles, latencies, busy_now = oracle.step_cycles(
            program, chip, spiking, run.active[step].tolist(), run.timing.barrier_cycles
        )
        assert run.timing.step_cycles[step] == cycles
        assert bound.step_cycles[step] <= cycles
        all_latencies += latencies.values()
        for core, n in busy_now.items():
            busy[core] += n
    assert run.timing.core_receive_cycles.tolist() == busy.tolist()
    histogram = np.bincount(np.array(all_latencies, np.int64))
    assert run.timing.latency_packets.tolist() == np.trim_zeros(histogram, "b").tolist()
    for name in (*CORE_ARRAYS[:3], "link_flits"):
        assert np.array_equal(getattr(run.timing, name), getattr(bound, name))


@given(cases(), chips(), st.integers(2, 4), st.data())
def test_the_number_of_workers_and_pieces_changes_nothing(case, chip, workers, data):
    program = compile_network(case.network, chip)
    run = Emulator(chip, program).run(case.steps, inputs=case.inputs)
    recorded = (run.n_steps, run.spike_step, run.spike_source, run.active)
    assert time_run(program, chip, *recorded, mode="cycle", workers=workers) == run.timing
    start = np.searchsorted(run.spike_step, np.arange(case.steps + 1)).astype(np.int64)
    cut = data.draw(st.integers(0, case.steps))
    with CycleTimer(program, chip, workers) as timer:
        for first, stop in ((0, cut), (cut, case.steps)):
            spikes = run.spike_source[start[first] : start[stop]]
            timer.submit(start[first : stop + 1] - start[first], spikes, run.active[first:stop])
        assert timer.take() == run.timing


@given(cases(), chips(), st.sampled_from(["cycle", "analytic"]), st.data())
def test_a_run_timed_in_two_halves_is_the_run_timed_at_once(case, chip, mode, data):
    program = compile_network(case.network, chip)
    run = Emulator(chip, program).run(case.steps, inputs=case.inputs, timing=mode)
    start = np.searchsorted(run.spike_step, np.arange(case.steps + 1)).astype(np.int64)
    cut = data.draw(st.integers(0, case.steps))
    with start_timing(program, chip, mode) as timer:
        timer.submit(start[: cut + 1], run.spike_source, run.active[:cut])
        first = timer.take()
        timer.submit(start[cut:], run.spike_source, run.active[cut:])
        second = timer.take()
        assert timer.take().n_steps == 0
    assert (first.n_steps, second.n_steps) == (cut, case.steps - cut)
    assert first.then(second) == run.timing
    alone = (case.steps - cut, run.spike_step[start[cut] :] - cut, run.spike_source[start[cut] :])
    assert second == time_run(program, chip, *alone, run.active[cut:], mode=mode)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "analytic"}, "mode is cycle and then analytic"),
        ({"clock_mhz": 1.5}, r"clock_mhz is [\d.]+ and then 1.5"),
        ({"barrier_cycles": 1}, r"barrier_cycles is \d+ and then 1"),
        ({"bottleneck_names": ("a", "b")}, "bottleneck_names is "),
    ],
)
def test_timings_of_different_runs_do_not_follow_each_other(changes, message):
    chip = load_chip("tiny")
    timing = Emulator(chip, compile_network(spiking(), chip)).run(3).timing
    with pytest.raises(ValueError, match=message):
        timing.then(replace(timing, **changes))


def test_trees_that_a_flit_cannot_tell_apart_are_an_error_of_their_step(monkeypatch):
    chip = load_chip("tiny", {"mesh.multicast": "tree"})
    net = Network("late")
    source, cells = net.input("in", 2), net.population("cells", 2, vth_mant=1)
    net.connect(source, cells, weights=[[2, 0], [0, 2]])
    program = compile_network(net, chip)
    run = Emulator(chip, program).run(9, {"in": [[7, 0]]})
    start = np.searchsorted(run.spike_step, np.arange(10)).astype(np.int64)
    monkeypatch.setattr("emulator.timing.cycle.MOST_BRANCHES", 1)

    def time(timer, first, stop):
        # Whichever of the two comes after the worker's error raises it.
        timer.submit(start[first : stop + 1], run.spike_source, run.active[first:stop])
        return timer.take()

    message = "step 7: its multicast trees have more than 1 branches"
    with start_timing(program, chip, "cycle") as timer:
        assert time(timer, 0, 5).n_steps == 5
        with pytest.raises(RunError, match=message):
            time(timer, 5, 9)
    with (
        start_timing(program, chip, "cycle", first_step=5) as timer,
        pytest.raises(RunError, match=message),
    ):
        time(timer, 5, 9)


def test_a_stuck_mesh_is_an_error_with_its_state(monkeypatch):
    chip = load_chip("tiny")
    net = Network("line")
    source, cells = net.input("in", 20), net.population("cells", 40, vth_mant=1)
    net.connect(source, cells, weights=np.full((40, 20), 2))
    program = compile_network(net, chip)
    assert program.n_cores > 2  # tile 1 is in use
    monkeypatch.setattr(
        "emulator.timing.cycle.mesh_settings", lambda chip: mesh_settings(chip, blocked_tile=1)
    )
    with pytest.raises(RunError) as error:
        Emulator(chip, program).run(60, {"in": np.ones((60, 20), bool)})
    assert (
        "the mesh is stuck: packets are left and nothing can move\n  router at x 0, y 0: input local"
        in str(error.value)
    )
    assert str(error.value).startswith("step ")


def test_ctrl_c_keeps_the_steps_that_were_timed():
    chip, program = load_chip("tiny"), compile_network(spiking(), load_chip("tiny"))
    calls = []

    def interrupt(done):
        calls.append(done)
        signal.raise_signal(signal.SIGINT)

    run = Emulator(chip, program).run(10**7, progress=interrupt, keep_partial=True)
    assert run.status == "interrupted"
    assert run.timing.n_steps == run.n_steps == calls[-1] < 10**7
    assert run.timing == run.retimed(chip).timing


def spiking(fan_out: int = 20) -> Network:
    """Return neurons that spike in every step, each to the last ones."""
    net = Network("all")
    cells = net.population("cells", 20, vth_mant=0, bias_mant=1)
    net.connect(cells, cells, weights=2 * (np.arange(20)[:, None] >= np.full(20, 20 - fan_out)))
    return net


@pytest.mark.parametrize(
    ("changes", "bottleneck"),
    [
        ({}, "synapse memory"),
        ({"costs.neuron_active.time_ns": 5000}, "neuron updates"),
        ({"costs.axon_out.time_ns": 5000}, "axon out"),
        ({"barrier.one_tile_ns": 9e5, "barrier.all_tiles_ns": 9e5}, "barrier"),
        (
            {
                "mesh.link_latency_cycles.east_west": 64,
                "mesh.width": 8,
                "mesh.height": 1,
                "mesh.cores_per_tile": 1,
            },
            "link",
        ),
        (
            {
                "mesh.input_queue_packets": 1,
                "mesh.buffer_flits": 1,
                "costs.synaptic_event.time_ns": 30,
                "mesh.width": 1,
            }
            | {"mesh.height": 4},
            "back-pressure",
        ),
    ],
)
def test_the_bottleneck_is_named(changes, bottleneck):
    chip = load_chip("tiny", set=changes)
    program = compile_network(spiking(1 if bottleneck == "link" else 20), chip, neurons_per_core=3)
    timing = Emulator(chip, program).run(20).timing
    steps = timing.bottleneck_steps()
    assert max(steps, key=steps.get) == bottleneck, steps
