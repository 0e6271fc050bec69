"""Around the kernels: reading inputs, short runs, run folders. The work is asserted; shares are of the same run.

Seconds are those of the processor, as one thread does all the work and machines are shared.
"""

from statistics import median
from time import process_time

import numpy as np
import pytest

from emulator import Emulator, Network, Run, compile_network, load_chip
from emulator.engine import spike_schedule

CHIP = load_chip("loihi2_full")
FAN_OUT, ACTIVITY = 100, 0.02


def driven(n: int):
    """Return inputs that reach 100 neurons each, which never fire."""
    rng = np.random.default_rng(3)
    net = Network("driven")
    source, cells = net.input("in", n), net.population("cells", n, vth_mant=2**17 - 1)
    pre = np.repeat(np.arange(n, dtype=np.int32), FAN_OUT)
    post = rng.integers(0, n, len(pre), dtype=np.int32)
    net.connect(source, cells, weights=(pre, post, 2 * rng.integers(1, 100, len(pre))))
    return compile_network(net, CHIP)


@pytest.fixture(scope="module")
def emulators():
    """Return emulators by size, made once and run once."""
    return {}


def seconds(work, repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        began = process_time()
        work()
        times.append(process_time() - began)
    return median(times)


def forms(raster):
    pairs = np.argwhere(raster)
    return {
        "bool raster": raster,
        "bool raster by columns": np.asfortranarray(raster),
        "uint8 raster": raster.astype(np.uint8),
        "pairs in order": pairs,
        "pairs in any order": np.random.default_rng(1).permutation(pairs),
    }


@pytest.mark.parametrize("form", forms(np.zeros((1, 1), bool)))
@pytest.mark.parametrize(("n_neurons", "n_steps"), [(10_000, 1_000), (100_000, 100)])
def test_reading_inputs(benchmark, line, emulators, n_neurons, n_steps, form):
    if n_neurons not in emulators:
        emulators[n_neurons] = Emulator(CHIP, driven(n_neurons))
    emulator = emulators[n_neurons]
    raster = np.random.default_rng(2).random((n_steps, n_neurons)) < ACTIVITY
    inputs = {"in": forms(raster)[form]}
    result = emulator.run(n_steps, inputs, timing="off")
    assert result.counters.total("synaptic_event") == FAN_OUT * raster.sum()
    assert result.spikes["in"].tolist() == np.argwhere(raster).tolist()
    whole, reading = [], []

    def timed():
        whole.append(seconds(lambda: emulator.run(n_steps, inputs, timing="off"), 1))
        reading.append(seconds(lambda: spike_schedule(emulator.program, inputs, n_steps), 1))

    benchmark.pedantic(timed, rounds=9, warmup_rounds=1)
    read, all_of_it = (1e6 * median(times) / n_steps for times in (reading, whole))
    line(
        f"{n_neurons:,} x {FAN_OUT}, 2 %, {form} read",
        f"{read:.2f} us a step",
        f"{all_of_it:.1f} us, the whole run",
        read / all_of_it,
    )


@pytest.mark.parametrize("given", ["no inputs", "a raster", "a pair"])
def test_runs_of_one_step(benchmark, line, given):
    net = Network("ten")
    source, cells = net.input("in", 5), net.population("cells", 10, vth_mant=1000, du=4095, dv=4095)
    net.connect(source, cells, weights=np.full((10, 5), 2))
    emulator = Emulator(load_chip("loihi"), compile_network(net, load_chip("loihi")))
    forms = {"a raster": {"in": np.ones((1, 5), bool)}, "a pair": {"in": [[0, 2]]}}
    inputs, n_steps = forms.get(given), 1_000
    emulator.run(1, inputs, timing="off")
    counted, times = [], []

    def loop():
        began = process_time()
        n_spikes = 0
        for _ in range(n_steps):
            n_spikes += len(emulator.run(1, inputs, timing="off").spike_source)
        times.append(process_time() - began)
        counted.append(n_spikes)

    benchmark.pedantic(loop, rounds=7, warmup_rounds=1)
    assert set(counted) == {n_steps * {"no inputs": 0, "a raster": 5, "a pair": 1}[given]}
    alone = seconds(lambda: emulator.run(n_steps, timing="off")) / n_steps
    one = median(times) / n_steps
    line(
        f"10 neurons, run(1), {given}",
        f"{1e6 * one:.1f} us (limit 60)",
        f"{1e6 * alone:.2f} us, a step of a long run",
    )


def test_reading_a_run_folder(benchmark, line, tmp_path):
    n_steps = 5_000
    raster = np.random.default_rng(2).random((n_steps, 10_000)) < ACTIVITY
    run = Emulator(CHIP, driven(10_000)).run(
        n_steps, {"in": raster}, timing="off", save_to=tmp_path / "run"
    )
    whole, n_spikes = [], len(run.spike_source)
    assert n_spikes >= raster.sum()

    def read():
        lazy = Run.load(tmp_path / "run", lazy=True)
        assert lazy.counters.total("synaptic_event") == FAN_OUT * raster.sum()
        began = process_time()
        assert len(Run.load(tmp_path / "run").spike_source) == n_spikes
        whole.append(process_time() - began)

    read()
    counted = []

    def timed():
        began = process_time()
        counted.append(Run.load(tmp_path / "run", lazy=True).counters)
        times.append(process_time() - began)
        read()

    times: list[float] = []
    benchmark.pedantic(timed, rounds=7)
    assert all(counters == run.counters for counters in counted)
    line(
        f"a run folder of {n_spikes:,} spikes, lazy, its counters",
        f"{1e3 * median(times):.1f} ms",
        f"{1e3 * median(whole):.0f} ms, all verified and read",
        median(times) / median(whole),
    )
