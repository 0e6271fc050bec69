"""Files of public NIR exporters, end to end on the chip, against what those libraries recorded."""

import json

import h5py
import numpy as np
import pytest

from emulator import Emulator, compile_network, load_chip
from emulator.errors import NetworkError
from emulator.importers.nir import load_nir
from tests.oracle.nir_float import Simulation

DT_SECONDS = 1e-4
SUPPORTED = "Input, Output, Linear, Affine, LIF, IF, CubaLIF"
TWO_LAYERS = {"b_mlp_rate": ("1", "3"), "b_mlp_latency": ("1", "3"), "c_cuba_rnn": ("1.lif", "3")}


def read_case(reference, name):
    """Return the recorded arrays of a case and its network."""
    folder = reference / "nir"
    return np.load(folder / f"{name}.npz"), load_nir(folder / f"{name}.nir", DT_SECONDS)


def run_samples(net, samples):
    """Run samples (sample, step, neuron) one after the other; return the run and its spikes in NIR steps."""
    n_samples, n_steps, n_inputs = samples.shape
    steps = n_steps + max(net.depth_steps.values())
    shown = np.zeros((n_samples, steps, n_inputs), bool)
    shown[:, :n_steps] = samples
    chip = load_chip("loihi")
    run = Emulator(chip, compile_network(net, chip)).run(
        n_samples * steps, {"input": shown.reshape(-1, n_inputs)}, reset_every=steps, timing="off"
    )
    rasters = {}
    for name, depth in net.depth_steps.items():
        raster = np.zeros((n_samples * steps, net.populations[name].size), bool)
        raster[tuple(run.spikes[name].T)] = True
        rasters[name] = raster.reshape(n_samples, steps, -1)[:, depth : depth + n_steps]
    return run, rasters


def accuracy(raster, labels) -> float:
    return float(np.mean(raster.sum(axis=1).argmax(axis=1) == labels))


def oracle_of(path, **options) -> Simulation:
    """Return the float oracle of a file, read here without the importer."""
    nodes = {}
    with h5py.File(path) as file:
        edges = [tuple(end.decode() for end in edge) for edge in file["node/edges"][()]]
        for name, group in file["node/nodes"].items():
            nodes[name] = {key: group[key][()].tolist() for key in group if key != "type"}
            nodes[name]["type"] = group["type"][()].decode()
    return Simulation(nodes, edges, DT_SECONDS, **options)


@pytest.mark.parametrize("name", TWO_LAYERS)
def test_the_float_oracle_equals_the_library(reference, name):
    """In floats; c_cuba_rnn was trained with one step of rest after a spike, which NIR cannot say."""
    case = np.load(reference / "nir" / f"{name}.npz")
    hidden, output = TWO_LAYERS[name]
    for sample in (0, 449):
        oracle = oracle_of(reference / "nir" / f"{name}.nir", hold=name == "c_cuba_rnn")
        spikes = oracle.run({"input": case["input_spikes"][sample].tolist()}).spikes
        assert np.array_equal(spikes[hidden], case["hidden_spikes"][sample])
        assert np.array_equal(spikes[output], case["output_spikes"][sample])


@pytest.mark.parametrize("name", ["b_mlp_rate", "b_mlp_latency"])
def test_trained_layers_keep_accuracy_and_activity(reference, name):
    case, net = read_case(reference, name)
    golden = json.loads((reference / "nir" / "neurobench_golden.json").read_text())[name]
    run, rasters = run_samples(net, case["input_spikes"])
    hidden, output = TWO_LAYERS[name]
    assert net.depth_steps == {"input": 0, hidden: 1, output: 2}
    assert net.outputs == [output]
    assert run.n_overflows == 0
    assert accuracy(rasters[output], case["labels"]) == pytest.approx(
        float(case["accuracy"]), abs=0.015
    )
    assert rasters[hidden].sum() == pytest.approx(case["hidden_spikes"].sum(), rel=0.02)
    assert rasters[output].sum() == pytest.approx(case["output_spikes"].sum(), rel=0.02)
    # NeuroBench counts spikes times fan-out; its spikes are those of the float network.
    operations = 96 * rasters["input"].sum() + 10 * rasters[hidden].sum()
    assert operations / len(case["labels"]) == pytest.approx(
        golden["SynapticOperations"]["Effective_ACs"], rel=0.002
    )


def test_a_recurrent_net_is_read_by_the_letter(reference):
    """Reset at once, as NIR says, and not with the step of rest that it was trained with."""
    case, net = read_case(reference, "c_cuba_rnn")
    assert [p.name for p in net.projections] == ["input->1.lif", "1.lif->1.lif", "1.lif->3"]
    _, rasters = run_samples(net, case["input_spikes"])
    assert accuracy(rasters["3"], case["labels"]) == pytest.approx(0.304, abs=0.015)
    few = case["input_spikes"][:8].tolist()
    path = reference / "nir" / "c_cuba_rnn.nir"
    floats = [oracle_of(path).run({"input": sample}).spikes for sample in few]
    for name in ("1.lif", "3"):
        expected = sum(np.sum(spikes[name]) for spikes in floats)
        assert rasters[name][: len(few)].sum() == pytest.approx(expected, rel=0.02)


def test_a_recurrent_net_as_trained(reference):
    """With one step of rest after a spike, set by hand, accuracy and activity are the library's."""
    case, net = read_case(reference, "c_cuba_rnn")
    for name in ("1.lif", "3"):
        net.populations[name].parameters["refractory"] = 2
    run, rasters = run_samples(net, case["input_spikes"])
    assert run.n_overflows == 0
    assert accuracy(rasters["3"], case["labels"]) == pytest.approx(
        float(case["accuracy"]), abs=0.015
    )
    assert rasters["1.lif"].sum() == pytest.approx(case["hidden_spikes"].sum(), rel=0.02)
    assert rasters["3"].sum() == pytest.approx(case["output_spikes"].sum(), rel=0.02)


@pytest.mark.parametrize(("name", "n_spikes"), [("a1_lif", 20), ("a2_lif_r1", 33)])
def test_one_neuron_spikes_as_recorded(reference, name, n_spikes):
    case, net = read_case(reference, name)
    _, rasters = run_samples(net, case["input_spikes"][None, :, None])
    for recorded in ("formula_euler_zero_spikes", "snntorch_spikes"):
        assert np.array_equal(rasters["lif"][0, :, 0], case[recorded])
    assert rasters["lif"].sum() == n_spikes


def test_the_neuron_of_the_paper(reference):
    paper = reference / "nir" / "paper"
    recorded = np.loadtxt(paper / "lif_norse.csv", delimiter=",")
    net = load_nir(paper / "lif_norse.nir", DT_SECONDS)
    _, rasters = run_samples(net, recorded[None, :, :1] > 0)
    assert np.array_equal(rasters["1"][0, :, 0], recorded[:, 2] > 0)
    assert np.flatnonzero(rasters["1"]).tolist() == [460, 510, 710, 760]
    assert "'1' has no v_reset: 0 is assumed." in net.assumptions


@pytest.mark.parametrize("name", ["lif_rockpool", "two_lif_neurons"])
def test_files_of_older_versions_are_read(reference, name):
    net = load_nir(reference / "nir" / "paper" / f"{name}.nir", DT_SECONDS)
    last, neurons = net.outputs[-1], [p for p in net.populations.values() if not p.is_input]
    assert net.depth_steps[last] == len(neurons)
    assert all(f"'{p.name}' has no v_reset: 0 is assumed." in net.assumptions for p in neurons)
    assert ("The shape [1, 1, 1] of 'output' is read as 1 neurons." in net.assumptions) == (
        name == "lif_rockpool"
    )


def unsupported(node: str, kind: str) -> str:
    return f"node '{node}': type '{kind}' is not supported; allowed are {SUPPORTED}"


REFUSED = {
    "a3_lif_leak_reset": ["node 'lif' (LIF): v_reset is -0.3; only a reset to 0 is supported"],
    "d_conv_snntorch": [
        unsupported("0", "Conv2d"),
        "node '1' (LIF): field 'v_threshold' has shape (8, 8, 8); it must be (n,), one value per neuron",
        unsupported("2", "AvgPool2d"),
        unsupported("3", "Flatten"),
        "node 'input' (Input): shape is [1, 8, 8]; only the last axis may be longer than 1",
    ],
    "paper/braille_noDelay_bias_zero_subgraph": [unsupported("lif1", "NIRGraph")],
    "paper/braille_noDelay_noBias_subtract_subgraph": [unsupported("lif1", "NIRGraph")],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_chip_cannot_do_is_named(reference, name):
    path = reference / "nir" / f"{name}.nir"
    with pytest.raises(NetworkError) as error:
        load_nir(path, DT_SECONDS)
    assert str(error.value).splitlines() == [f"{path}: {problem}" for problem in REFUSED[name]]
