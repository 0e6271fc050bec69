"""Plastic synapses: visits a second of pairwise STDP, beside a bare loop with the same arithmetic on the same rows.

The bare loop must end with the same weights to the bit. Epochs are of one step; what delivers the spikes is not timed.
"""

import os
from statistics import median

import numpy as np
import pytest

from emulator import Emulator, Network, Program, Rule, Trace, compile_network, load_chip
from emulator.engine import Probed, spike_schedule
from tests.benchmarks.bare import BareLearning

CHIPS = {
    rounding: load_chip("loihi2_full", {"learning.rounding": rounding})
    for rounding in ("stochastic", "down")
}
N_SOURCES = int(os.environ.get("BENCH_SOURCES", "200000"))
STDP = Rule(dw="2^-2*x1*y0 - 2^-2*y1*x0", x1=Trace(16, 10), y1=Trace(16, 10))
NO_PROBE = Probed(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))
CORE, N_CORES = 8192, 16  # neurons of a core
SEED = 5
BLOCKS = 6  # of steps, in which the engine and the bare loop take turns


def dense(n_pre: int, n_post: int) -> Network:
    """Return inputs onto clamped targets, all to all."""
    net, rng = Network("dense"), np.random.default_rng(0)
    source, target = net.input("in", n_pre), net.input("out", n_post)
    weights = 2 * rng.integers(-50, 50, (n_post, n_pre))
    net.connect(source, target, weights=weights, sign_mode="mixed", learning=STDP)
    return net


def scattered(n_pre: int, n_cores: int, n_rows: int, length: int) -> Network:
    """Return inputs onto clamped targets: each source has rows of so many different targets on some cores."""
    net, rng = Network("scattered"), np.random.default_rng(0)
    source, target = net.input("in", n_pre), net.input("out", n_cores * CORE)
    pre = np.repeat(np.arange(n_pre, dtype=np.int32), n_rows * length)
    core = (rng.integers(0, n_cores, (n_pre, 1, 1)) + np.arange(n_rows)[:, None]) % n_cores
    first, gap = rng.integers(0, CORE, (2, n_pre, n_rows, 1))
    within = (first + (2 * gap + 1) * np.arange(length)) % CORE
    post = (core * CORE + within).astype(np.int32).ravel()
    weights = (pre, post, 2 * rng.integers(-50, 50, len(pre), np.int32))
    net.connect(source, target, weights=weights, sign_mode="mixed", learning=STDP)
    return net


def spikes(n_steps: int, size: int, rate: float, seed: int) -> np.ndarray:
    """Return pairs of step and neuron."""
    rng = np.random.default_rng(seed)
    n = rng.binomial(size, rate, n_steps)
    step = np.repeat(np.arange(n_steps), n)
    return np.unique(np.stack((step, rng.integers(0, size, len(step))), axis=1), axis=0)


def bytes_a_synapse(engine) -> float:
    """Return the bytes of everything that learning and delivery keep, for each plastic synapse."""
    tables, plastic = engine.tables, engine.plastic
    arrays = [tables[name] for name in ("synapses", "rows", "row_start", "blocks")]
    arrays += [plastic.tables[name] for name in ("block_core", "mark_start", "marks")]
    for rule in plastic.rules:
        arrays += [value for value in rule.values() if isinstance(value, np.ndarray)]
    return sum(array.nbytes for array in arrays) / len(tables["synapses"])


def measure(benchmark, bare, line, what, chip, program: Program, n_steps, inputs) -> None:
    """Time what learns in turns with the bare loop, and compare the weights."""
    engine = Emulator(chip, program)._engine
    loop, machine = BareLearning(bare, engine, SEED), engine.machine
    schedule = spike_schedule(program, inputs, n_steps)
    n_counts = len(program.segments)
    block, visits, ours, theirs = n_steps // BLOCKS, 0, [], []
    machine.clocked = True

    def take(chunk) -> None:
        nonlocal visits
        loop.note(chunk.first_step)
        visits += int(chunk.active[:, n_counts:].sum())

    def run() -> None:
        first, before = len(ours) * block, machine.learning_ns
        engine.run(
            first + block, schedule, NO_PROBE, take, seed=SEED, first_step=first, pause_every=(1,)
        )
        ours.append((machine.learning_ns - before, visits))
        theirs.append(loop.learn())

    benchmark.pedantic(run, rounds=BLOCKS)
    assert visits == sum(n for _, n in theirs) > 0
    assert np.array_equal(engine.plastic.synapses, loop.synapses)
    assert np.any(engine.plastic.synapses[: len(program.synapses)] != program.synapses)
    per_block = np.diff([0, *(n for _, n in ours)])
    speed = median(1e3 * n / max(1, ns) for n, (ns, _) in zip(per_block, ours, strict=True))
    loop_speed = median(n / s / 1e6 for s, n in theirs if n)
    line(
        f"{what}, {chip.learning.rounding}, {visits / n_steps:,.0f} visits a step",
        f"{speed:.0f} M visits/s",
        f"{loop_speed:.0f} M visits/s",
        speed / loop_speed,
        bytes_a_synapse(engine),
    )


@pytest.mark.parametrize("rounding", CHIPS)
@pytest.mark.parametrize(
    ("n_pre", "n_post", "rate"), [(784, 400, 0.05), (1000, 1000, 0.1), (1000, 1000, 0.9)]
)
def test_dense_rows(benchmark, bare, line, n_pre, n_post, rate, rounding):
    chip, n_steps = CHIPS[rounding], 300
    program = compile_network(dense(n_pre, n_post), chip)
    inputs = {"in": spikes(n_steps, n_pre, rate, 1), "out": spikes(n_steps, n_post, rate, 2)}
    what = f"STDP, {n_pre:,} x {n_post:,}, {rate:.0%}"
    measure(benchmark, bare, line, what, chip, program, n_steps, inputs)


@pytest.fixture(scope="module")
def rows_of_15():
    """Return the program of many sources, each with ten rows of 15."""
    return compile_network(scattered(N_SOURCES, N_CORES, 10, 15), CHIPS["stochastic"])


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_scattered_rows(benchmark, bare, line, rows_of_15, rate):
    chip, n_steps = CHIPS["stochastic"], 12
    inputs = {
        "in": spikes(n_steps, N_SOURCES, rate, 1),
        "out": spikes(n_steps, N_CORES * CORE, rate, 2),
    }
    what = f"STDP, {N_SOURCES:,} sources, rows of 15, {rate:.0%}"
    measure(benchmark, bare, line, what, chip, rows_of_15, n_steps, inputs)
