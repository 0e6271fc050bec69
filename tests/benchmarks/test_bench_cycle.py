"""How fast cycle timing runs: the flit-routers are asserted, the time is only printed (`make bench`).

Compared with the mesh alone (`emulator noc replay`) on the same packets, step by step, in the same run.
"""

import sys
from time import process_time

import numpy as np
import pytest

from emulator import Emulator, Network, compile_network, load_chip
from emulator.kernels.router import Replay
from emulator.noc.mesh import mesh_settings
from emulator.timing import CycleTimer
from tests.conftest import ROOT

DIGITS = ROOT / "programs" / "digits.py"


def spread_network(n: int, fan_out: int) -> Network:
    """Make neurons that spike in most steps, each to a few others anywhere."""
    rng = np.random.default_rng(3)
    net = Network("spread")
    cells = net.population(
        "cells", n, vth_mant=100, bias_mant=rng.integers(2000, 4000, n), neurons_per_core=n // 128
    )
    pre = np.repeat(np.arange(n, dtype=np.int32), fan_out)
    net.connect(
        cells,
        cells,
        weights=(pre, rng.integers(0, n, len(pre)).astype(np.int32), np.full(len(pre), 2)),
    )
    return net


@pytest.mark.parametrize("n_neurons", [1_280, 12_800])
@pytest.mark.parametrize("chip_name", ["loihi", "loihi2"])
def test_cycle_timing_beside_the_mesh_alone(benchmark, chip_name, n_neurons):
    chip, steps = load_chip(chip_name), 30
    program = compile_network(spread_network(n_neurons, 4), chip)
    run = Emulator(chip, program).run(steps, timing="off")
    start = np.searchsorted(run.spike_step, np.arange(steps + 1)).astype(np.int64)

    def time_all():
        with CycleTimer(program, chip) as timer:
            timer.submit(start, run.spike_source, run.active)
            return timer.take(), timer.n_moves

    timed, n_moves = benchmark(time_all)
    bare_moves, bare_seconds = mesh_alone(program, chip, run, start)
    assert n_moves == bare_moves
    assert timed.latency_packets.sum() == run.counters.total("packet")
    if benchmark.stats is None:  # --benchmark-disable
        return
    ours, bare = n_moves / benchmark.stats.stats.median, bare_moves / bare_seconds
    print(
        f"\n{chip_name}, {n_neurons} neurons, {run.counters.total('packet') / steps:,.0f} packets a step: "
        f"{ours / 1e6:.1f} M flit-routers/s with cores, {ours / bare:.2f} of the mesh alone on the same packets"
    )


def mesh_alone(program, chip, run, start) -> tuple[int, float]:
    """Return flit-routers and seconds of the mesh without cores, each step a trace."""
    with CycleTimer(program, chip) as timer:
        kernel = timer._timers[0]
        cycles, bottleneck = np.zeros(1, np.int64), np.zeros(1, np.uint8)
        meshes = []
        for t in range(run.n_steps):
            kernel.time_steps(t, t + 1, start, run.spike_source, run.active, cycles, bottleneck)
            cycle, source, target = kernel.packets()
            one = np.ones(len(cycle), np.int32)
            places = source.astype(np.int32), target.astype(np.int32)
            meshes.append(
                Replay(
                    mesh_settings(chip),
                    chip.mesh.routes.packed,
                    np.ascontiguousarray(cycle),
                    *places,
                    one,
                )
            )
    begin = process_time()
    for mesh in meshes:
        assert mesh.advance(2**60)
    return sum(mesh.n_moves for mesh in meshes), process_time() - begin


def test_digits_stay_interactive(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(str(DIGITS.parent))
    digits = __import__(DIGITS.stem)
    chip, steps = load_chip("loihi"), 2_800
    program = compile_network(digits.network(), chip)
    inputs = digits.inputs(steps, 0)

    def run_all():
        return Emulator(chip, program).run(steps, inputs, reset_every=digits.IMAGE_STEPS)

    run = benchmark(run_all)
    assert run.n_steps == run.timing.n_steps == steps
    assert run.timing.latency_packets.sum() == run.counters.total("packet")
    sys.modules.pop(DIGITS.stem)
    if benchmark.stats is not None:
        print(f"\ndigits with cycle timing: {steps / benchmark.stats.stats.median:,.0f} steps/s")
