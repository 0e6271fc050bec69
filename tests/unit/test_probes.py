"""What the columns of a recording are: the neurons of its probe, in their order, repeats included."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Emulator, Network, Run, compile_network, load_chip

CHIP = load_chip("loihi2")
VARIABLES = {"lif": ("spikes", "u", "v"), "microcode:lif": ("spikes", "u", "v")}
N, STEPS = 5, 7


def recorded(model, probes):
    """Return a run in which (variables, neurons) are probed one after the other."""
    net = Network("n")
    source = net.input("a", N)
    cells = net.population("b", N, model=model, vth_mant=5, du=2000, dv=100)
    net.connect(source, cells, weights=np.diag(np.arange(2, 12, 2)))
    for variables, neurons in probes:
        net.probe(cells, *variables, neurons=neurons)
    spikes = np.random.default_rng(0).random((STEPS, N)) < 0.6
    return Emulator(CHIP, compile_network(net, CHIP)).run(STEPS, {"a": spikes}, timing="off")


WHOLE = {
    model: recorded(model, [(known, None)]).recordings["b"] for model, known in VARIABLES.items()
}
neurons = st.lists(st.integers(0, N - 1), max_size=8)


@given(st.sampled_from(sorted(VARIABLES)), neurons)
def test_a_recording_has_a_column_for_each_neuron_that_was_named(model, chosen):
    found = recorded(model, [(VARIABLES[model], chosen)]).recordings["b"]
    for variable in VARIABLES[model]:
        assert found[variable].shape == (STEPS, len(chosen))
        assert found[variable].dtype == WHOLE[model][variable].dtype
        assert np.array_equal(found[variable], WHOLE[model][variable][:, chosen])


@settings(max_examples=15)  # each example is a folder that is synchronised
@given(neurons, st.lists(neurons | st.none(), max_size=2))
def test_further_probes_add_the_neurons_that_none_before_has(tmp_path_factory, first, further):
    expected = list(first)
    for chosen in further:
        earlier = set(expected)
        expected += [k for k in (range(N) if chosen is None else chosen) if k not in earlier]
    run = recorded("lif", [(("u", "spikes"), chosen) for chosen in (first, *further)])
    folder = tmp_path_factory.mktemp("runs") / "run"
    run.save(folder)
    for each in (run, Run.load(folder)):
        for variable in ("u", "spikes"):
            assert np.array_equal(
                each.recordings["b"][variable], WHOLE["lif"][variable][:, expected]
            )


def test_one_neuron_is_a_column():
    for chosen in (3, np.int8(3), np.array(3), [3], (3,), range(3, 4)):
        found = recorded("lif", [(("v",), chosen)]).recordings["b"]["v"]
        assert np.array_equal(found, WHOLE["lif"]["v"][:, [3]])
