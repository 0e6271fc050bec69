"""The whole path against recorded vectors of public models of Loihi, and of a real Loihi 2, to the bit."""

import numpy as np
import pytest

from emulator import Emulator, Network, compile_network, load_chip


def run_case(case, chip="loihi", model="lif"):
    """Run the 20 neurons x 200 steps that two public models were recorded with."""
    chip = load_chip(chip)
    net = Network("golden")
    source = net.input("in", case["w"].shape[1])
    cells = net.population(
        "cells", len(case["du"]), model=model, du=case["du"], dv=case["dv"], vth_mant=case["vth"],
        bias_mant=case["bias_mant"], bias_exp=case["bias_exp"],
    )  # fmt: skip
    net.connect(source, cells, weights=case["w"], weight_exp=int(case["weight_exp"]))
    net.probe(cells, "u", "v", "spikes")
    emulator = Emulator(chip, compile_network(net, chip))
    return emulator.run(len(case["in_spikes"]), inputs={"in": case["in_spikes"]}, strict=True)


@pytest.mark.parametrize(
    ("chip", "model"), [("loihi", "lif"), ("loihi2", "lif"), ("loihi2", "microcode:lif")]
)
@pytest.mark.parametrize("name", ["lif_lava", "lif_nengo"])
def test_lif_equals_the_recorded_models(reference, name, chip, model):
    case = np.load(reference / "loihi" / f"{name}.npz")
    recorded = run_case(case, chip, model).recordings["cells"]
    for variable in ("u", "v", "spikes"):
        np.testing.assert_array_equal(recorded[variable], case[variable])


@pytest.mark.parametrize("model", ["lif", "microcode:lif"])
def test_delays_equal_the_recorded_model(reference, model):
    case = np.load(reference / "loihi" / "delay_lava.npz")
    n, steps = len(case["delays"]), len(case["u"])
    chip = load_chip("loihi2")
    net = Network("delays")
    source = net.input("in", 1)
    cells = net.population("cells", n, model=model, du=4095, dv=0, vth_mant=2**17 - 1)
    net.connect(
        source, cells, weights=np.full((n, 1), int(case["w"])), delay=case["delays"][:, None]
    )
    net.probe(cells, "u", "v")
    spikes = np.stack([case["in_spike_times"], 0 * case["in_spike_times"]], axis=1)
    recorded = (
        Emulator(chip, compile_network(net, chip))
        .run(steps, inputs={"in": spikes})
        .recordings["cells"]
    )
    np.testing.assert_array_equal(recorded["u"], case["u"])
    np.testing.assert_array_equal(recorded["v"], case["v"])


@pytest.mark.parametrize("model", ["lif", "microcode:lif"])
def test_refractory_register_equals_nengo(reference, model):
    case = np.load(reference / "loihi" / "refract_nengo.npz")
    chip = load_chip("loihi2")
    net = Network("refractory")
    cells = net.population(
        "cells", len(case["refract_delay"]), model=model, du=int(case["du"]), dv=int(case["dv"]), vth_mant=int(case["vth"]),
        bias_mant=int(case["bias"]), refractory=case["refract_delay"],
    )  # fmt: skip
    net.probe(cells, "u", "v", "spikes")
    recorded = Emulator(chip, compile_network(net, chip)).run(len(case["v"])).recordings["cells"]
    for variable in ("u", "v", "spikes"):
        np.testing.assert_array_equal(recorded[variable], case[variable])


def test_refractory_intervals_equal_brian(reference):
    case = np.load(reference / "loihi" / "refract_brian.npz")
    chip = load_chip("loihi")
    net = Network("intervals")
    net.population(
        "cells", len(case["refractory"]), vth_mant=1, bias_mant=100, refractory=case["refractory"]
    )
    spikes = Emulator(chip, compile_network(net, chip)).run(60).spikes["cells"]
    for cell, interval in enumerate(case["isi"]):
        assert np.diff(spikes[spikes[:, 1] == cell, 0]).tolist() == [interval] * (
            60 // interval - (60 % interval == 0)
        )


def test_a_real_loihi_2_is_reproduced(reference):
    rows = np.loadtxt(reference / "nir" / "paper" / "lif_lava_loihi_fixed.csv", delimiter=",")
    chip = load_chip("loihi2")
    net = Network("loihi2")
    source = net.input("in", 1)
    cell = net.population("cell", 1, du=4095, dv=163, vth_mant=25)
    net.connect(source, cell, weights=[[10]])
    net.probe(cell, "v", "spikes")
    spikes = rows[:, 0].astype(bool)
    run = Emulator(chip, compile_network(net, chip)).run(len(rows), inputs={"in": spikes[:, None]})
    v, fired = run.recordings["cell"]["v"][:, 0], run.recordings["cell"]["spikes"][:, 0]
    np.testing.assert_array_equal(fired, rows[:, 2].astype(bool))
    # After a spike the chip shows its refractory counter (1 x 128) in the voltage register.
    shown = np.where(fired, 128, v)
    np.testing.assert_array_equal(shown, rows[:, 1].astype(np.int64))
    assert fired.sum() == 4
