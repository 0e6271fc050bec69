"""How fast the function runs: the work is asserted, the time is only printed (`make bench`).

Times are compared with a bare numpy pass over the same state in the same run, since machines differ.
"""

from time import process_time

import numpy as np
import pytest

from emulator import Emulator, Network, compile_network, load_chip


def silent_network(n: int) -> Network:
    net = Network("silent")
    net.population("cells", n, du=400, dv=128, vth_mant=100_000, v_init=1000)
    return net


def busy_network(n: int, fan_out: int, rate: float, steps: int) -> tuple[Network, np.ndarray]:
    """Make inputs that spike at a rate into neurons that never do: deliveries and nothing else."""
    rng = np.random.default_rng(3)
    net = Network("busy")
    source = net.input("in", n)
    cells = net.population("cells", n, vth_mant=2**17 - 1)
    pre = np.repeat(np.arange(n, dtype=np.int32), fan_out)
    post = rng.integers(0, n, len(pre)).astype(np.int32)
    net.connect(source, cells, weights=(pre, post, 2 * rng.integers(1, 100, len(pre))))
    return net, rng.random((steps, n)) < rate


@pytest.mark.parametrize("n_neurons", [100, 10_000, 100_000])
def test_neuron_updates(benchmark, n_neurons):
    chip, steps = load_chip("loihi2_full"), max(20, 2_000_000 // n_neurons)
    emulator = Emulator(chip, compile_network(silent_network(n_neurons), chip))
    run = benchmark(emulator.run, steps, timing="off")
    assert (
        run.counters.total("neuron_active") + run.counters.total("neuron_idle") == n_neurons * steps
    )
    state = np.zeros((2, n_neurons), np.int32)
    bare = _seconds(lambda: [np.add(state[0], 1, out=state[1]) for _ in range(steps)])
    _print(f"{n_neurons} neurons", n_neurons * steps, benchmark, "a numpy add over u", bare)


@pytest.mark.parametrize("n_neurons", [1_000, 10_000])
def test_synaptic_events(benchmark, n_neurons):
    chip, steps = load_chip("loihi2_full"), 100
    net, spikes = busy_network(n_neurons, 100, 0.02, steps)
    emulator = Emulator(chip, compile_network(net, chip))
    run = benchmark(emulator.run, steps, inputs={"in": spikes}, timing="off")
    n_events = run.counters.total("synaptic_event")
    assert n_events == 100 * spikes.sum()
    target, weight = np.random.default_rng(0).integers(0, n_neurons, n_events), np.ones(n_events)
    bare = _seconds(lambda: np.bincount(target, weight))
    _print(
        f"{n_neurons} neurons x 100 synapses",
        n_events,
        benchmark,
        "numpy.bincount over as many",
        bare,
    )


def _seconds(work) -> float:
    times = []
    for _ in range(3):
        start = process_time()
        work()
        times.append(process_time() - start)
    return sorted(times)[1]


def _print(what, n, benchmark, bare_name, bare_seconds):
    if benchmark.stats is None:  # --benchmark-disable
        return
    seconds = benchmark.stats.stats.median
    print(
        f"\n{what}: {n / seconds / 1e6:.0f} M/s; {bare_name} takes {bare_seconds / seconds:.2f} of the time"
    )
