"""The whole chip, and smaller networks: synaptic events, neuron updates, recording, checkpoints, analytic time.

Work is asserted, times are printed beside those of bare loops over the same arrays in the same run. The full chip takes
two minutes and 4 GB; `BENCH_NEURONS=100000 make bench` takes a part of it.
"""

import importlib.util
import os
from statistics import median
from time import perf_counter

import numpy as np
import pytest

from emulator import Emulator, Network, Program, compile_network, load_chip
from emulator.engine import Probed, spike_schedule
from emulator.observe.checkpoint import CHECKPOINT, Plan, Standing
from emulator.observe.records import Part
from emulator.observe.writing import new_run_folder, new_unfinished_folder
from emulator.timing import start_timing
from tests.benchmarks.bare import seconds_a_step_to_walk, seconds_to_update
from tests.conftest import ROOT

CHIP = load_chip("loihi2_full")
N_NEURONS = int(os.environ.get("BENCH_NEURONS", "1048576"))
THRESHOLD = 8192 * 64
NO_PROBE = Probed(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))
SPEC = importlib.util.spec_from_file_location("full_chip", ROOT / "programs" / "full_chip.py")
full_chip = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(full_chip)


def at_activity(program: Program, activity: float) -> Program:
    """Return the program with another bias, so that another part of the neurons fires in a step."""
    tensors = program.tensors()
    tensors["bias"] = np.full(program.n_compartments, int(THRESHOLD * activity), np.int32)
    if not activity:
        tensors["v_init"] = np.zeros(program.n_compartments, np.int32)
    return Program(program.manifest, tensors)


class Steps:
    """Steps of an emulator, without time and reports: what the engine does."""

    def __init__(self, program: Program, n_steps: int) -> None:
        self.engine = Emulator(CHIP, program)._engine
        self.n_steps = n_steps
        self.schedule = spike_schedule(program, None, n_steps)
        self.chunks = []

    def run(self, on_chunk=None) -> None:
        self.chunks.clear()
        self.engine.run(self.n_steps, self.schedule, NO_PROBE, on_chunk or self.chunks.append)

    def spikes(self) -> list[np.ndarray]:
        """Return the sources of each step of the last run."""
        return [
            chunk.spike_source[first:stop].astype(np.int64)
            for chunk in self.chunks
            for first, stop in zip(chunk.spike_start[:-1], chunk.spike_start[1:], strict=True)
        ]

    @property
    def n_events(self) -> int:
        return sum(chunk.n_synaptic_events for chunk in self.chunks)


def resident_bytes(engine) -> float:
    """Return the bytes of everything that delivery reads, for each synapse: synapses, rows and axons."""
    tables = engine.tables
    return sum(tables[name].nbytes for name in ("synapses", "rows", "row_start", "blocks")) / len(
        tables["synapses"]
    )


def seconds(work, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return median(times)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the program of the full chip, from its file."""
    path = tmp_path_factory.mktemp("full") / "full.program"
    compile_network(full_chip.network(neurons=N_NEURONS), CHIP).save(path)
    return Program.load(path)


def small(n: int, fan_out: int = 100) -> Program:
    """Return n neurons onto random ones, at an activity that `at_activity` sets."""
    rng = np.random.default_rng(3)
    net = Network("random")
    cells = net.population(
        "cells", n, vth_mant=8192, bias_mant=1, v_init=rng.integers(0, THRESHOLD, n)
    )
    pre = np.repeat(np.arange(n, dtype=np.int32), fan_out)
    post = rng.integers(0, n, len(pre), dtype=np.int32)
    net.connect(cells, cells, weights=(pre, post, 2 * rng.integers(-15, 16, len(pre), np.int32)))
    return compile_network(net, CHIP)


def measure_events(
    benchmark, bare, line, what: str, program: Program, activity: float, n_steps: int
) -> None:
    """Time steps, and what of them is delivery; compare this with the bare walk of the same rows."""
    steps = Steps(at_activity(program, activity), n_steps)
    machine, delivered = steps.engine.machine, []
    machine.clocked = True

    def run() -> None:
        before = machine.delivery_ns
        steps.run()
        delivered.append(1e-9 * (machine.delivery_ns - before) / n_steps)

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    walked, n_walked = seconds_a_step_to_walk(bare, steps.engine, steps.spikes())
    assert n_walked == steps.n_events
    assert steps.n_events > 0
    events, ours = n_walked / n_steps, median(delivered)
    line(
        f"{what}, {activity:.0%}: {1e3 * benchmark.stats.stats.median / n_steps:.3g} ms a step",
        f"{events / ours / 1e6:.0f} M events/s",
        f"{events / walked / 1e6:.0f} M events/s",
        walked / ours,
        resident_bytes(steps.engine),
    )


@pytest.mark.parametrize("activity", [0.01, 0.03, 0.1])
def test_events_of_the_full_chip(benchmark, bare, line, whole, activity):
    measure_events(benchmark, bare, line, f"{N_NEURONS:,} x 120", whole, activity, 20)


@pytest.mark.parametrize("n_neurons", [1_000, 10_000, 100_000])
def test_events_of_a_network(benchmark, bare, line, n_neurons):
    n_steps = max(50, 1_000_000 // n_neurons)
    measure_events(benchmark, bare, line, f"{n_neurons:,} x 100", small(n_neurons), 0.02, n_steps)


@pytest.mark.parametrize("n_neurons", [8_000, 100_000, 1_000_000])
def test_neuron_updates(benchmark, bare, line, n_neurons):
    net, n_steps = Network("silent"), max(20, 4_000_000 // n_neurons)
    net.population("cells", n_neurons, du=400, dv=128, vth_mant=100_000, v_init=1000)
    steps = Steps(compile_network(net, CHIP), n_steps)
    benchmark.pedantic(steps.run, rounds=5, warmup_rounds=1)
    assert sum(len(chunk.active) for chunk in steps.chunks) == n_steps
    ours = benchmark.stats.stats.median / n_steps
    loop = seconds_to_update(bare, steps.engine, 4 * n_steps)
    figures = [f"{n_neurons / s / 1e6:.0f} M updates/s" for s in (ours, loop)]
    line(f"{n_neurons:,} neurons", *figures, loop / ours)


def test_a_step_of_a_hundred_neurons(benchmark, line):
    steps = Steps(at_activity(small(100, 10), 0.02), 50_000)
    benchmark.pedantic(steps.run, rounds=5, warmup_rounds=1)
    assert steps.n_events > 0
    per_step = benchmark.stats.stats.median / steps.n_steps
    line("100 x 10, 2 %", f"{1e6 * per_step:.2f} us a step")


@pytest.mark.parametrize("threads", [2])
def test_two_threads(benchmark, line, whole, threads):
    program = at_activity(whole, 0.03)
    one, two = Steps(program, 20), Steps(program, 20)
    two.engine = Emulator(CHIP, program, threads=threads)._engine
    benchmark.pedantic(two.run, rounds=5, warmup_rounds=1)
    alone = seconds(one.run)
    assert one.n_events > 0
    ours = benchmark.stats.stats.median
    line(f"{N_NEURONS:,} x 120, 3 %, {threads} threads", f"{1e3 * ours / 20:.3g} ms a step",
         f"{1e3 * alone / 20:.3g} ms, one thread", alone / ours)  # fmt: skip


def test_recording_to_files(benchmark, line, whole, tmp_path):
    steps, n_steps = Steps(at_activity(whole, 0.03), 60), 60
    plain = seconds(steps.run, 3)
    n_spikes = sum(len(chunk.spike_source) for chunk in steps.chunks)
    program, count = steps.engine.program, iter(range(100))

    def record():
        with new_run_folder(tmp_path / str(next(count)), program, CHIP) as writer:
            began = perf_counter()
            steps.run(
                lambda c: writer.add(
                    Part(c.first_step, c.spike_start, c.spike_source, c.active, {})
                )
            )
            writer.tables.finish()
            times.append(perf_counter() - began)

    times: list[float] = []
    program.source_population, program.source_neuron, program.sha256  # noqa: B018  # made once
    benchmark.pedantic(record, rounds=3)
    assert n_spikes > 0
    line(f"{N_NEURONS:,} x 120, 3 %, spikes to Parquet", f"{1e3 * median(times) / n_steps:.3g} ms a step",
         f"{1e3 * plain / n_steps:.3g} ms, not recorded", plain / median(times))  # fmt: skip


def test_analytic_time(benchmark, line, whole):
    steps = Steps(at_activity(whole, 0.01), 40)
    timer = start_timing(steps.engine.program, CHIP, "analytic")
    plain, timed = [], []

    def both():
        plain.append(seconds(steps.run, 1))
        timed.append(
            seconds(
                lambda: steps.run(lambda c: timer.submit(c.spike_start, c.spike_source, c.active)),
                1,
            )
        )

    benchmark.pedantic(both, rounds=7, warmup_rounds=1)
    assert timer.take().n_steps == 40 * len(timed)
    off, on = median(plain) / 40, median(timed) / 40
    line(
        f"{N_NEURONS:,} x 120, 1 %, analytic time",
        f"{1e3 * on:.3g} ms a step",
        f"{1e3 * off:.3g} ms, timing off",
        off / on,
    )


def test_cycle_time(benchmark, line, whole):
    steps = Steps(at_activity(whole, 0.01), 5)
    rates = []

    def timed():
        with start_timing(steps.engine.program, CHIP, "cycle") as timer:
            began = perf_counter()
            steps.run(lambda c: timer.submit(c.spike_start, c.spike_source, c.active))
            timer.take()
            rates.append(timer.n_moves / (perf_counter() - began))

    benchmark.pedantic(timed, rounds=3)
    line(f"{N_NEURONS:,} x 120, 1 %, cycle time", f"{median(rates) / 1e6:.1f} M flit-routers/s")


def test_a_checkpoint(benchmark, line, whole, tmp_path):
    steps = Steps(at_activity(whole, 0.01), 10)
    engine, standing = steps.engine, Standing()
    standing.state = engine.snapshot()
    plan = Plan(steps=10, timing="off", seed=0, strict=False, checkpoint_every=1)
    with new_unfinished_folder(
        tmp_path / "run", engine.program, CHIP, plan, steps.schedule, standing
    ) as writer:

        def checkpoint() -> None:
            standing.state = engine.snapshot()
            writer.checkpoint(plan, standing, None)

        benchmark.pedantic(checkpoint, rounds=5)
        n_bytes = (writer.folder / CHECKPOINT).stat().st_size
    assert n_bytes > 17 * engine.program.n_compartments
    line(
        f"{N_NEURONS:,} neurons, a checkpoint of {n_bytes / 1e6:.0f} MB",
        f"{1e3 * benchmark.stats.stats.median:.0f} ms",
    )
