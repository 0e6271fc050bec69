"""Neuron programs: instructions a second, and the speed of "lif" in microcode beside the native kernel's.

Both run in the same test, in turns, so that what else the machine does meets both.
"""

import os
from time import process_time

import numpy as np
import pytest

from emulator import Emulator, Network, compile_network, load_chip

CHIP = load_chip("loihi2_full")
N_LARGE = int(os.environ.get("BENCH_NEURONS", "1000000"))
RUNS = 5


def emulator_of(model: str, n: int, *, spiking: bool) -> Emulator:
    """Return neurons of which none or 3 % spike in a step; every parameter differs between them."""
    rng = np.random.default_rng(0)
    net = Network("bench")
    threshold = rng.integers(1000, 1600, n) if spiking else rng.integers(100_000, 120_000, n)
    net.population(
        "cells", n, model=model, du=rng.integers(0, 4095, n), dv=rng.integers(0, 4095, n), vth_mant=threshold,
        refractory=rng.integers(1, 5, n), bias_mant=rng.integers(0, 2000, n), bias_exp=4,
    )  # fmt: skip
    return Emulator(CHIP, compile_network(net, CHIP))


def seconds(emulator: Emulator, steps: int):
    start = process_time()
    run = emulator.run(steps, timing="off")
    return process_time() - start, run


@pytest.mark.parametrize("spiking", [False, True], ids=["silent", "spiking"])
@pytest.mark.parametrize("n", [8_000, N_LARGE])
def test_lif_beside_the_native_kernel(benchmark, line, n, spiking):
    steps = max(20, 20_000_000 // n)
    native, coded = (emulator_of(m, n, spiking=spiking) for m in ("lif", "microcode:lif"))
    times = []
    for _ in range(RUNS):
        (a, one), (b, other) = seconds(native, steps), seconds(coded, steps)
        times.append((a, b))
        assert np.array_equal(one.records.spikes_per_source, other.records.spikes_per_source)
    a, b = np.median(times, axis=0)
    ratio = float(np.median([x / y for x, y in times]))
    benchmark.pedantic(coded.run, (steps,), {"timing": "off"}, rounds=1)
    n_instructions = other.counters.total("instruction")
    assert n_instructions >= 14 * n * steps
    activity = (
        "none spike"
        if not spiking
        else f"{other.records.spikes_per_source.sum() / n / steps:.1%} spike"
    )
    line(
        f"lif in microcode, {n:,} neurons, {activity}",
        f"{n * steps / b / 1e6:.0f} M updates/s, {n_instructions / b / 1e9:.1f} G instructions/s",
        f"{n * steps / a / 1e6:.0f} M updates/s (native kernel)",
        ratio,
    )


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("if", {"threshold": 1000, "bias": 10}),
        ("izhikevich", {"bias": 10 << 20}),
        ("glif5", {"threshold": 2000, "bias": 100, "v_retain": 3900}),
        ("stochastic", {"bias": -3000, "temperature": 1000 * 256}),
    ],
)
def test_library_models(benchmark, line, model, words):
    n, steps, net = 8_000, 500, Network("library")
    net.population("cells", n, model=model, **words)
    emulator = Emulator(CHIP, compile_network(net, CHIP))
    run = benchmark.pedantic(emulator.run, (steps,), {"timing": "off"}, rounds=RUNS)
    n_instructions = run.counters.total("instruction")
    taken = benchmark.stats.stats.median
    assert n_instructions > 5 * n * steps
    line(
        f"{model}, {n:,} neurons",
        f"{n * steps / taken / 1e6:.0f} M updates/s, {n_instructions / taken / 1e9:.1f} G instructions/s",
    )
