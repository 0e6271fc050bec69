"""What is read back of a program in which several projections learn, behind others that do not."""

import numpy as np

from emulator import Emulator, Network, Rule, Trace, compile_network, load_chip


def test_each_projection_reads_its_own_synapses():
    chip, net = load_chip("loihi2"), Network("several")
    source = net.input("in", 3)
    cells = net.population("cells", 2, vth_mant=5)
    rest = net.population("rest", 4, vth_mant=1000)
    fixed = net.connect(source, rest, weights=np.full((4, 3), 6), name="fixed")
    rule = Rule(dw="2^1*x1*x0", dt="x1*x0", x1=Trace(impulse=4, tau=0))
    first, second = np.full((2, 3), 10), np.array([[20, 30], [40, 50], [60, 70], [80, 90]])
    net.connect(source, cells, weights=first, learning=rule, name="first")
    net.connect(cells, rest, weights=second, learning=rule, name="second")
    emulator = Emulator(chip, compile_network(net, chip))
    run = emulator.run(4, {"in": [[0, 1]]}, timing="off", weights_every=2)
    # Input 1 spikes once, which makes both cells spike once.
    assert run.spikes["cells"][:, 1].tolist() == [0, 1]
    assert np.array_equal(run.weights("first"), first + np.array([0, 8, 0]))
    assert np.array_equal(run.weights("second"), second + 8)
    assert np.array_equal(run.tags("second"), np.full((4, 2), 4))
    assert np.array_equal(run.weights("fixed"), np.full((4, 3), 6))
    assert np.array_equal(emulator.weights("second"), second + 8)
    assert np.array_equal(run.recordings["second"]["weights"][-1], second + 8)
    table = run.learned.table("second")
    assert np.array_equal(table["weight"], (second + 8)[table["post"], table["pre"]])
    # The program that is written back has all of them in their places.
    trained = Emulator(chip, run.trained())
    for name in ("first", "second", fixed.name):
        assert np.array_equal(trained.weights(name), run.weights(name))
