"""Programs and networks at their edges: no words, no synapses, one neuron, as many as a core can ever hold."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emulator import (
    Emulator,
    Mapping,
    Network,
    Program,
    Run,
    compile_network,
    load_chip,
    resume_run,
)
from emulator.microcode import assemble
from tests.microcode_programs import programs

CHIP = load_chip("loihi2", set={"microcode.instructions": 1024})
TEXTS = {
    "no words": "RDC r0, input\nGE 300, r0\nJMP_C end\nSPIKE\nend:\n",
    "one instruction": "SPIKE\n",
    "only a parameter": ".param t s16 = 3\nRDC r0, input\nGE t, r0\nJMP_C end\nSPIKE\nend:\n",
    "only a state": ".state v s24\nRDC r0, input\nRMW v\nADD v, v, r0\n",
    "only a probe": "RDC r0, input\nPROBE r0\n",
    "a payload": ".payload s16\nRDC r0, input\nSPIKE r0\n",
}
STEPS = 6


def written(folder, text):
    """Return the path of a file that holds a neuron program."""
    path = folder / "drawn.nasm"
    path.write_text(text, encoding="utf-8")
    return str(path)


def network(folder, text, n, shape):
    """Return a network of a model with an input before and a native population behind it, and what it is given."""
    net = Network("edge")
    source = net.input("in", 2)
    cells = net.population("cells", n, model=written(folder, text))
    after = net.population("after", 2, vth_mant=1)
    if shape in ("onto", "through"):
        net.connect(source, cells, weights=np.full((n, 2), 4))
    if shape in ("from", "through"):
        net.connect(cells, after, weights=np.full((2, n), 2), weight_exp=-6 if cells.payload else 0)
    if shape == "zeros":
        net.connect(source, cells, weights=np.zeros((n, 2), int))
        none = np.empty(0, int)
        net.connect(cells, after, weights=(none, none, none))
    net.probe(cells, *cells.variables)
    net.probe(after, "v")
    return net, {"in": np.arange(2 * STEPS).reshape(STEPS, 2) % 3 > 0}


def stop_after(steps):
    def progress(done):
        if done >= steps:
            raise KeyboardInterrupt

    return progress


def same(run, other):
    for name in run.spikes:
        assert np.array_equal(run.spikes[name], other.spikes[name])
        assert np.array_equal(run.spikes.payloads(name), other.spikes.payloads(name))
    for name, variables in run.recordings.items():
        for variable, rows in variables.items():
            assert np.array_equal(rows, other.recordings[name][variable])


def whole_path(folder, net, inputs):
    """Compile, save, load, map, run in each way, save, load, resume, watch, read and write; all must agree."""
    program = compile_network(net, CHIP)
    program.save(folder / "edge.program")
    loaded = Program.load(folder / "edge.program")
    assert loaded.sha256 == program.sha256
    run = Emulator(CHIP, loaded).run(STEPS, inputs, timing="off")
    assert set(run.recordings["cells"]) == set(net.populations["cells"].variables)
    size = net.populations["cells"].size
    apart = Mapping([("after", 0, 2, 0), *(("cells", k, k + 1, 1 + k) for k in range(size))])
    for other, threads, timing in (
        (program, 1, "cycle"),
        (program, 2, "analytic"),
        (compile_network(net, CHIP, apart), 2, "cycle"),
    ):
        again = Emulator(CHIP, other, threads=threads).run(STEPS, inputs, timing=timing)
        same(run, again)
        assert sum(again.energy().by("name").values()) == again.energy().total_pj
    run.save(folder / "run")
    same(run, Run.load(folder / "run"))
    emulator = Emulator(CHIP, program)
    with pytest.raises(KeyboardInterrupt):
        emulator.run(
            STEPS, inputs, save_to=folder / "kept", checkpoint_every=2, progress=stop_after(2)
        )
    same(run, resume_run(folder / "kept"))
    emulator.reset()
    steps = list(emulator.watch("cells", size - 1, STEPS, inputs))
    assert [s.step for s in steps if s.spiked] == [
        t for t, neuron in run.spikes["cells"].tolist() if neuron == size - 1
    ]
    for variable in set(net.populations["cells"].variables) - {"spikes"}:
        emulator.write("cells", variable, emulator.read("cells", variable))


@pytest.mark.parametrize(("shape", "n"), [("none", 1), ("through", 3)])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_small_program_goes_the_whole_path(tmp_path, text, shape, n):
    whole_path(tmp_path, *network(tmp_path, text, n, shape))


@settings(max_examples=25)
@given(programs(), st.integers(1, 4), st.sampled_from(["none", "zeros", "onto", "from", "through"]))
def test_any_legal_program_goes_the_whole_path(tmp_path_factory, text, n, shape):
    model = assemble(text, "drawn")
    assume(model.payload_bits < 24 or shape not in ("from", "through"))  # sums beyond 32 bits
    folder = tmp_path_factory.mktemp("edge")
    whole_path(folder, *network(folder, text, n, shape))


def test_what_a_program_without_words_does(tmp_path):
    net, _ = network(tmp_path, TEXTS["no words"], 2, "onto")
    run = Emulator(CHIP, compile_network(net, CHIP)).run(3, {"in": [[0, 0], [0, 1], [1, 0]]})
    assert run.spikes["cells"].tolist() == [[1, 0], [1, 1]]  # 512 is above 300, 256 is not


def test_inputs_alone_go_the_whole_path(tmp_path):
    net = Network("inputs")
    net.input("a", 3)
    net.input("b", 1, payload_bits=8)
    program = compile_network(net, CHIP)
    program.save(tmp_path / "inputs.program")
    for timing in ("off", "analytic", "cycle"):
        emulator = Emulator(CHIP, Program.load(tmp_path / "inputs.program"))
        run = emulator.run(4, {"a": np.ones((4, 3), bool), "b": [[1, 0, -5]]}, timing=timing)
        assert run.spikes.counts() == {"a": 12, "b": 1}
    run.save(tmp_path / "run")
    assert Run.load(tmp_path / "run").spikes.counts() == {"a": 12, "b": 1}


@pytest.mark.parametrize("model", ["lif", "drawn"])
def test_a_core_of_65536_neurons_is_full(tmp_path, model):
    large = load_chip("loihi2_full", set={"core.neurons": 65_536, "synapses.index_bits": [0, 16]})
    net = Network("large")
    words = {"vth_mant": 0} if model == "lif" else {}
    path = model if model == "lif" else written(tmp_path, TEXTS["one instruction"])
    cells = net.population("cells", 65_536, model=path, **words)
    ends = np.arange(65_536)
    net.connect(net.input("in", 1), cells, weights=(0 * ends, ends, 0 * ends + 2))
    after = net.population("after", 1, vth_mant=2**17 - 1)
    net.connect(cells, after, weights=(ends[::4096], 0 * ends[::4096], ends[::4096] * 0 + 2))
    net.probe(after, "v")
    run = Emulator(large, compile_network(net, large)).run(3, {"in": [[0, 0]]})
    steps = [1] if model == "lif" else [0, 1, 2]
    assert run.program.n_cores == 2
    assert np.array_equal(
        run.spikes["cells"], np.stack(np.meshgrid(steps, ends, indexing="ij"), -1).reshape(-1, 2)
    )
    assert run.recordings["after"]["v"][2, 0] == 16 * 2 * 64 * (len(steps) - (model != "lif"))
