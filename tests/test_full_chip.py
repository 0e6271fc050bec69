"""The whole chip against a slow reference that shares nothing with it but the numbers of its synapses.

The full million neurons is marked slow (`make slow`, about three minutes and 5 GB); each variant runs at an eighth
of the size, or less, every time.
"""

import importlib.util

import numpy as np
import pytest
import scipy.sparse

from emulator import Emulator, Program, compile_network, load_chip
from emulator.errors import NetworkError
from tests.conftest import ROOT

CHIP = load_chip("loihi2_full")
SPEC = importlib.util.spec_from_file_location("full_chip", ROOT / "programs" / "full_chip.py")
full_chip = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(full_chip)


def reference(net, n_steps):
    """Return the spikes (n, 2) of every population: numpy integers and one sparse matrix for each projection."""
    state = {}
    for name, population in net.populations.items():
        given, n = population.parameters, population.size
        state[name] = {
            "u": np.zeros(n, np.int64),
            "v": np.broadcast_to(given["v_init"], n).astype(np.int64),
            "input": np.zeros(n, np.int64),
            "bias": int(given["bias_mant"]) << int(given["bias_exp"]),
            "threshold": int(given["vth_mant"]) << 6,
            "keep": 4096 - 1 - int(given["du"]),
        }
    matrices = [
        scipy.sparse.coo_array(
            (p.weights.astype(np.int32), (p.pre, p.post)), (p.source.size, p.target.size)
        ).tocsr()
        for p in net.projections
    ]
    spikes = {name: [] for name in state}
    for t in range(n_steps):
        fired = {}
        for name, cells in state.items():
            cells["u"] = (
                np.sign(cells["u"]) * (np.abs(cells["u"]) * cells["keep"] // 4096) + cells["input"]
            )
            cells["v"] = cells["v"] + cells["u"] + cells["bias"]
            fired[name] = np.flatnonzero(cells["v"] > cells["threshold"])
            cells["v"][fired[name]] = 0
            cells["input"] = np.zeros(len(cells["v"]), np.int64)
            spikes[name].append(np.stack([np.full(len(fired[name]), t), fired[name]], axis=1))
        for projection, matrix in zip(net.projections, matrices, strict=True):
            mine = matrix[fired[projection.source.name]].sum(axis=0)
            state[projection.target.name]["input"] += 64 * np.asarray(mine, np.int64)
    return {name: np.concatenate(rows) for name, rows in spikes.items()}


def assert_whole_chip(tmp_path, n_steps, activity, **parameters):
    net = full_chip.network(activity=activity, **parameters)
    n_neurons = sum(p.size for p in net.populations.values())
    compile_network(net, CHIP).save(tmp_path / "full.program")
    expected = reference(net, n_steps)
    del net
    program = Program.load(tmp_path / "full.program")
    run = Emulator(CHIP, program, threads=2).run(
        n_steps, timing="analytic", save_to=tmp_path / "run"
    )
    n_spikes = 0
    for name, spikes in expected.items():
        assert np.array_equal(run.spikes[name], spikes), name
        n_spikes += len(spikes)
    assert n_spikes == pytest.approx(activity * n_neurons * n_steps, rel=0.1)
    count = run.counters.total
    fan_out = program.n_synapses // n_neurons
    assert count("neuron_spike") == n_spikes
    assert count("neuron_active") + count("neuron_idle") == n_neurons * n_steps
    assert count("synaptic_event") == fan_out * n_spikes
    assert count("packet") == count("axon_in") == count("axon_out")
    # A packet a core: every row of a source is on another core.
    assert count("packet") == int(
        (np.diff(program.row_start) * run.records.spikes_per_source).sum()
    )
    assert run.timing.n_steps == n_steps
    halves = run.count(0, n_steps // 2) + run.count(n_steps // 2, n_steps)
    assert halves == run.counters


@pytest.mark.parametrize("variant", ["random", "layered", "local"])
def test_a_part_of_the_chip_equals_the_reference(tmp_path, variant):
    assert_whole_chip(tmp_path, 40, 0.02, neurons=100_000, synapses=60, variant=variant, layers=3)


def test_the_activity_is_what_was_asked_for_in_the_long_run(tmp_path):
    assert_whole_chip(tmp_path, 300, 0.1, neurons=5_000, synapses=40)


@pytest.mark.slow
def test_the_full_chip_equals_the_reference(tmp_path):
    assert_whole_chip(tmp_path, 100, 0.01)


def test_the_network_comes_from_its_seed():
    def synapses(**parameters):
        (projection,) = full_chip.network(neurons=20_000, synapses=16, **parameters).projections
        return projection.pre.tobytes() + projection.post.tobytes() + projection.weights.tobytes()

    assert synapses(seed=3) == synapses(seed=3)
    assert synapses(seed=3) != synapses(seed=4)


def test_a_neuron_reaches_as_many_cores_as_asked():
    (projection,) = full_chip.network(neurons=100_000, synapses=60, cores=5).projections
    core = projection.post // 8192
    pairs = np.unique(projection.pre.astype(np.int64) * 64 + core)
    assert (np.bincount(pairs // 64) == 5).all()


def test_a_local_network_stays_near():
    (projection,) = full_chip.network(neurons=1 << 17, synapses=40, variant="local").projections
    pre, post = projection.pre, projection.post

    def place(neuron):
        patch, inside = np.divmod(neuron, 8192)
        across = 3
        return patch % across * 128 + inside % 128, patch // across * 64 + inside // 128

    away = [np.abs(a - b).max() for a, b in zip(place(pre), place(post), strict=True)]
    assert max(away) <= 4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"variant": "ring"}, "variant is 'ring'; allowed: random, layered, local"),
        ({"neurons": 0}, "neurons is 0; it must be a whole number from 1"),
        ({"activity": 2}, "activity is 2; allowed: 0.001 to 0.5"),
        ({"variant": "layered", "neurons": 3}, "layers is 16; there are only 3 neurons"),
    ],
)
def test_parameters_that_make_no_chip(parameters, message):
    with pytest.raises(NetworkError, match=message):
        full_chip.network(**parameters)
