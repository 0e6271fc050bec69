"""Files of NIR: what they become, their spikes against a float oracle, and what is refused."""

from itertools import pairwise

import h5py
import nir
import numpy as np
import pytest

from emulator import Emulator, compile_network, load_chip
from emulator.errors import NetworkError
from emulator.importers.nir import load_nir
from tests.oracle.nir_float import Simulation

N_STEPS = 60
DT = 1.0  # time constants are in steps, unless a test says otherwise


def io(kind, n):
    return {"type": kind, "shape": [n]}


def linear(weight):
    return {"type": "Linear", "weight": np.asarray(weight, float).tolist()}


def affine(weight, bias):
    return {**linear(weight), "type": "Affine", "bias": bias}


def lif(n, threshold, tau=2.0, r=1.0, leak=0.0):
    fields = {"tau": tau, "r": r, "v_leak": leak, "v_threshold": threshold, "v_reset": 0.0}
    return {"type": "LIF", **{key: [value] * n for key, value in fields.items()}}


def if_(n, threshold, r=1.0):
    fields = {"r": r, "v_threshold": threshold, "v_reset": 0.0}
    return {"type": "IF", **{key: [value] * n for key, value in fields.items()}}


def cuba(n, threshold, tau_syn=2.0, tau_mem=4.0, r=1.0, leak=0.0, w_in=1.0):
    fields = {
        "tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "v_leak": leak, "v_threshold": threshold,
        "v_reset": 0.0, "w_in": w_in,
    }  # fmt: skip
    return {"type": "CubaLIF", **{key: [value] * n for key, value in fields.items()}}


def weights(n_out, n_in, seed, most=127):
    """Return whole numbers whose largest is 127: each is a mantissa as it stands."""
    matrix = np.random.default_rng(seed).integers(-most // 2, most, (n_out, n_in))
    matrix[seed % n_out, seed % n_in] = 127
    return matrix


def chain(*names):
    return list(pairwise(names))


def write_nir(path, nodes, edges, metadata=None):
    """Write a graph as the public package does."""
    made = {}
    for name, node in nodes.items():
        fields = {key: np.array(value) for key, value in node.items() if key != "type"}
        if "shape" in fields:
            kind = node["type"].lower()
            made[name] = getattr(nir, node["type"])(**{f"{kind}_type": fields["shape"]})
        else:
            made[name] = getattr(nir, node["type"])(**fields)
    nir.write(path, nir.NIRGraph(made, edges, metadata=metadata or {}))


def write_raw(path, nodes, edges):
    """Write whatever is given, also what the public package refuses."""
    with h5py.File(path, "w") as file:
        top = file.create_group("node")
        top["type"] = "NIRGraph"
        top.create_group("nodes")
        table = np.array(edges, dtype=object).reshape(-1, 2)
        top.create_dataset("edges", data=table, dtype=h5py.string_dtype())
        for name, node in nodes.items():
            for key, value in node.items():
                top[f"nodes/{name}/{key}"] = value


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.nir"


def simple(neurons=None, n_in=3, n_out=2):
    """Return input -> w -> cells -> output."""
    nodes = {
        "input": io("Input", n_in),
        "w": linear(weights(n_out, n_in, 1)),
        "cells": neurons or lif(n_out, 100.0),
        "output": io("Output", n_out),
    }
    return nodes, chain("input", "w", "cells", "output")


def feed_forward(first, second, seed=0):
    nodes = {
        "input": io("Input", 6),
        "w1": linear(weights(8, 6, seed + 1)),
        "a": first,
        "w2": linear(weights(4, 8, seed + 2)),
        "b": second,
        "output": io("Output", 4),
    }
    return nodes, chain("input", "w1", "a", "w2", "b", "output")


def with_bias(first, second):
    nodes, edges = feed_forward(first, second, 3)
    nodes["w1"] = affine(nodes["w1"]["weight"], [8.0 * k for k in range(8)])
    nodes["w2"] = affine(nodes["w2"]["weight"], [64.0, -16.0, 32.0, 0.0])
    return nodes, edges


def recurrent(first, second):
    nodes, edges = with_bias(first, second)
    nodes["rec"] = affine(weights(8, 8, 7), [-4.0 * k for k in range(8)])
    return nodes, [*edges, ("a", "rec"), ("rec", "a")]


def skipping(first, second):
    """Return the input joined to the second layer, over two ways, and that layer to itself, one to one."""
    nodes, edges = feed_forward(first, second, 5)
    nodes["skip"] = linear(weights(4, 6, 9))
    nodes["again"] = affine(weights(4, 6, 11), [2.0, 4.0, 6.0, 8.0])
    more = [("input", "skip"), ("skip", "b"), ("input", "again"), ("again", "b"), ("b", "b")]
    return nodes, edges + more


def three_deep():
    """Return a graph in which the first layer also reaches the last, and that is also an output."""
    nodes, edges = with_bias(lif(8, 120.375), lif(4, 90.375, leak=48.0))
    nodes["skip"] = linear(weights(4, 8, 13))
    nodes["c"] = if_(4, 150.5)
    nodes["w3"] = linear(weights(4, 4, 14))
    nodes["seen"] = io("Output", 8)
    edges = [e for e in edges if e != ("b", "output")] + chain("b", "w3", "c", "output")
    return nodes, [*edges, ("a", "skip"), ("skip", "c"), ("a", "seen")]


GRAPHS = {
    "LIF": feed_forward(lif(8, 60.375), lif(4, 40.375, tau=4.0, r=2.0)),
    "LIF without memory of v": feed_forward(lif(8, 100.375, tau=1.0), lif(4, 70.375)),
    "IF": feed_forward(if_(8, 200.5), if_(4, 300.5)),
    "CubaLIF": feed_forward(cuba(8, 50.375), cuba(4, 20.375, tau_syn=1.0, r=2.0, w_in=0.5)),
    "mixed": feed_forward(if_(8, 250.5), cuba(4, 40.375, tau_syn=4.0, w_in=4.0)),
    "v_leak": feed_forward(lif(8, 40.375, leak=32.0), lif(4, 40.375, tau=8.0, leak=64.0)),
    "bias": with_bias(lif(8, 90.375), if_(4, 200.5)),
    "bias of currents": with_bias(cuba(8, 60.375), cuba(4, 40.375, tau_syn=4.0, leak=16.0)),
    "bias of currents without memory": with_bias(cuba(8, 60.375, tau_syn=1.0), cuba(4, 40.375)),
    "recurrent LIF": recurrent(lif(8, 110.375), lif(4, 70.375)),
    "recurrent CubaLIF": recurrent(cuba(8, 60.375), cuba(4, 40.375)),
    "skip": skipping(lif(8, 100.375), lif(4, 80.375)),
    "skip to CubaLIF": skipping(if_(8, 150.5), cuba(4, 60.375)),
    "three deep": three_deep(),
}


def spikes_on_chip(net, inputs, steps=None):
    """Return the spikes of each population in steps of NIR: row t + depth of the run is row t."""
    n_steps = len(next(iter(inputs.values())))
    total = n_steps + max(net.depth_steps.values()) if steps is None else steps
    chip = load_chip("loihi")
    shown = {name: np.asarray(rows, bool) for name, rows in inputs.items()}
    run = Emulator(chip, compile_network(net, chip)).run(total, shown, timing="off")
    assert run.n_overflows == 0
    rasters = {}
    for name, depth in net.depth_steps.items():
        raster = np.zeros((total, net.populations[name].size), int)
        raster[tuple(run.spikes[name].T)] = 1
        assert not raster[:depth].any(), "nothing may spike before the input reaches it"
        rasters[name] = raster[depth : depth + n_steps]
    return rasters


@pytest.mark.parametrize("name", GRAPHS)
def test_spikes_equal_those_of_the_float_graph(path, name):
    nodes, edges = GRAPHS[name]
    write_nir(path, nodes, edges)
    rows = (np.random.default_rng(8).random((N_STEPS, 6)) < 0.3).astype(int).tolist()
    trace = Simulation(nodes, edges, DT).run({"input": rows})
    rasters = spikes_on_chip(load_nir(path, DT), {"input": rows})
    assert rasters["input"].tolist() == rows
    for layer, expected in trace.spikes.items():
        n_spikes = sum(map(sum, expected))
        assert 20 < n_spikes < 0.9 * N_STEPS * len(expected[0]), (layer, n_spikes)
        # Rounding on the chip is smaller than the distance of v to the threshold, in every step.
        assert trace.margin[layer] > 0.02, layer
        assert rasters[layer].tolist() == expected, layer


def test_time_constants_in_seconds(path):
    """The same graph with dt = 2^-10 s: spikes are the same, r of an IF may be per step or per second."""
    dt = 2.0**-10
    nodes, edges = feed_forward(lif(8, 60.375, tau=2 * dt), if_(4, 200.5, r=1 / dt))
    rows = (np.random.default_rng(8).random((N_STEPS, 6)) < 0.3).astype(int).tolist()
    write_nir(path, nodes, edges)
    per_second = load_nir(path, dt)
    expected = Simulation(nodes, edges, dt).run({"input": rows}).spikes
    assert sum(map(sum, expected["b"])) > 20
    assert spikes_on_chip(per_second, {"input": rows})["b"].tolist() == expected["b"]
    nodes["b"] = if_(4, 200.5)
    write_nir(path, nodes, edges)
    impulse = load_nir(path, dt)
    same = Simulation(nodes, edges, dt, if_is_impulse=True).run({"input": rows}).spikes
    assert same == expected
    assert spikes_on_chip(impulse, {"input": rows})["b"].tolist() == expected["b"]
    assert "node 'b' (IF) has r = 1/dt, so v += dt * r * input." in per_second.assumptions
    assert "node 'b' (IF) has r = 1, so each input is an impulse: v += r * input." in (
        impulse.assumptions
    )


def test_an_input_of_t_steps_needs_t_plus_depth_steps(path):
    """One step fewer, and what the last row of the input causes is not seen."""
    nodes = {"input": io("Input", 1), "a": if_(1, 0.5), "b": if_(1, 0.5), "c": if_(1, 0.5)}
    nodes["output"] = io("Output", 1)
    write_nir(path, nodes, chain(*nodes))
    net = load_nir(path, DT)
    assert net.depth_steps == {"input": 0, "a": 1, "b": 2, "c": 3}
    assert "The network has depth 3: input of T steps needs T + 3 steps." in net.assumptions
    assert "Steps behind the input: 'input' 0, 'a' 1, 'b' 2, 'c' 3." in net.assumptions
    rows = {"input": [[1], [0], [0], [1]]}
    assert spikes_on_chip(net, rows)["c"].tolist() == [[1], [0], [0], [1]]
    assert spikes_on_chip(net, rows, steps=6)["c"].tolist() == [[1], [0], [0]]


def test_a_layer_becomes_a_population(path):
    nodes, edges = simple(lif(2, 100.0, tau=4.0, r=3.0, leak=8.0))
    nodes["w"] = affine([[1.0, 0.0, 2.0], [0.0, 4.0, 0.0]], [1.0, 1.0])
    write_nir(path, nodes, edges, metadata={"accuracy": 0.5, "made": {"by": "hand"}})
    net = load_nir(str(path), 0.5)
    assert (net.name, net.dt_ms) == ("net", 500.0)
    assert [(p.name, p.size, p.model) for p in net.populations.values()] == [
        ("input", 3, "input"),
        ("cells", 2, "lif"),
    ]
    assert net.populations["cells"].parameters == {
        "threshold": 100.0, "du": 4095, "dv": 512, "refractory": 1,
        "bias": 8 / 8 + 3 / 8, "refractory_init": 1,
    }  # fmt: skip
    (projection,) = net.projections
    assert (projection.name, projection.delays) == ("input->cells", 0)
    synapses = zip(projection.pre, projection.post, projection.weights, strict=True)
    assert sorted(synapses) == [(0, 0, 3 / 8), (1, 1, 12 / 8), (2, 0, 6 / 8)]
    assert net.outputs == ["cells"]
    assert net.metadata["accuracy"] == 0.5
    assert net.metadata["made"]["by"] == "hand"
    assert net.assumptions == [
        "A step is 0.5 in the file's unit of time, taken as seconds.",
        (
            "Integrator: forward Euler: in a step v and u lose dt/tau of themselves (a population with tau_mem_ms "
            "loses 1 - exp(-dt/tau)); dt/tau and r (and w_in) are folded into the weights."
        ),
        "A neuron spikes when v > v_threshold, once in a step, and v is 0 at once; there is no refractory step.",
        "Inputs are spikes: one or none of an input neuron in a step.",
        "The network has depth 1: input of T steps needs T + 1 steps.",
        "Steps behind the input: 'input' 0, 'cells' 1.",
        (
            "The biases and v_leak of node 'cells' (LIF) are added to v in each step from step 1 on; "
            "a refractory counter holds it at 0 until then."
        ),
    ]


def test_currents_and_rounded_decays(path):
    nodes, edges = simple(cuba(2, 100.0, tau_syn=10.0, tau_mem=3.0, r=6.0, w_in=5.0))
    write_nir(path, nodes, edges)
    net = load_nir(path, DT)
    found = net.populations["cells"].parameters
    assert (found["du"], found["dv"]) == (410 - 1, 1365)
    assert "bias" not in found
    matrix = np.array(nodes["w"]["weight"])
    assert np.allclose(net.projections[0].weights, (matrix * 6 / 3 * 5 / 10)[matrix != 0])
    assert net.assumptions[-2:] == [
        "The decay of node 'cells' (CubaLIF) by dt/tau_mem = 1365.33/4096 per step is rounded to 1365/4096.",
        "The decay of node 'cells' (CubaLIF) by dt/tau_syn = 409.6/4096 per step is rounded to 410/4096.",
    ]


def test_neurons_may_differ(path):
    cells = lif(2, 0.0) | {"tau": [2.0, 8.0], "v_threshold": [10.0, 20.0], "r": [4.0, 32.0]}
    nodes, edges = simple(cells)
    nodes["w"] = linear([[1, 1, 1], [1, 1, 1]])
    write_nir(path, nodes, edges)
    net = load_nir(path, DT)
    found = net.populations["cells"].parameters
    assert found["dv"].tolist() == [2048, 512]
    assert found["threshold"].tolist() == [10.0, 20.0]
    assert net.projections[0].weights.tolist() == [2.0] * 3 + [4.0] * 3


def test_skips_recurrence_and_several_ways(path):
    nodes, edges = three_deep()
    nodes["rec"] = linear(weights(8, 8, 2))
    edges = [*edges, ("a", "rec"), ("rec", "a")]
    write_nir(path, nodes, edges)
    net = load_nir(path, DT)
    assert {(p.name, p.delays) for p in net.projections} == {
        ("input->a", 0), ("a->a", 0), ("a->b", 0), ("b->c", 0), ("a->c", 1),
    }  # fmt: skip
    assert net.depth_steps == {"input": 0, "a": 1, "b": 2, "c": 3}
    assert list(net.populations) == ["input", "a", "b", "c"]
    assert net.outputs == ["a", "c"]
    assert "'a' -> 'c' skips layers: a delay of 1 steps keeps it in time." in net.assumptions
    nodes, edges = GRAPHS["skip"]
    write_nir(path, nodes, edges)
    names = [(p.name, p.delays) for p in load_nir(path, DT).projections]
    assert sorted(names) == [
        ("a->b", 0), ("b->b", 0), ("input->a", 0), ("input->b", 1), ("input->b#2", 1),
    ]  # fmt: skip


def test_several_inputs(path):
    nodes = {"x": io("Input", 1), "y": io("Input", 1), "a": if_(1, 0.5), "b": if_(1, 1.5)}
    nodes["output"] = io("Output", 1)
    write_nir(path, nodes, [("x", "a"), ("a", "b"), ("y", "b"), ("b", "output")])
    net = load_nir(path, DT)
    assert {(p.name, p.delays) for p in net.projections} == {("x->a", 0), ("a->b", 0), ("y->b", 1)}
    inputs = {"x": [[1], [0], [1], [0]], "y": [[0], [1], [1], [0]]}
    rasters = spikes_on_chip(net, inputs)
    # b adds up 1, 2 (spike), 2 (spike), 0: each input arrives in the step in which it was given.
    assert rasters["b"].tolist() == [[0], [1], [1], [0]]


def test_fields_of_later_versions_may_be_absent(path):
    nodes, edges = simple(cuba(2, 100.0))
    del nodes["cells"]["v_reset"], nodes["cells"]["w_in"]
    write_raw(path, nodes, edges)
    assumptions = load_nir(path, DT).assumptions
    assert "'cells' has no v_reset: 0 is assumed." in assumptions
    assert "'cells' has no w_in: 1 is assumed." in assumptions
    nodes["cells"]["w_in"] = 2.0
    nodes["input"]["shape"] = [1, 1, 3]
    write_raw(path, nodes, edges)
    net = load_nir(path, DT)
    assert "'cells' has no w_in: 1 is assumed." not in net.assumptions
    assert "The shape [1, 1, 3] of 'input' is read as 3 neurons." in net.assumptions
    matrix = np.array(nodes["w"]["weight"])
    assert np.array_equal(net.projections[0].weights, (matrix / 4 / 2 * 2)[matrix != 0])


ALLOWED = "allowed are Input, Output, Linear, Affine, LIF, IF, CubaLIF"


def changed(node, **fields):
    """Return the simple graph with other fields in a node; None takes a field away."""
    nodes, edges = simple()
    merged = {**nodes[node], **fields}
    nodes[node] = {key: value for key, value in merged.items() if value is not None}
    return nodes, edges


def with_edges(*more, without=()):
    nodes, edges = simple()
    return nodes, [edge for edge in edges if edge not in without] + list(more)


def with_node(name, node, *more, without=()):
    nodes, edges = with_edges(*more, without=without)
    return {**nodes, name: node}, edges


def loop():
    nodes, edges = feed_forward(lif(8, 1.0), lif(4, 1.0))
    nodes["back"] = linear(weights(8, 4, 1))
    return nodes, [*edges, ("b", "back"), ("back", "a")]


def deep_bias(depth, leak=1.0, node=None):
    """Return a chain of neurons, the last of which has a bias."""
    nodes = {"input": io("Input", 1)}
    nodes |= {f"n{k}": if_(1, 0.5) for k in range(depth - 1)}
    nodes["last"] = node or lif(1, 1.0, leak=leak)
    nodes["output"] = io("Output", 1)
    return nodes, chain(*nodes)


def slow_current():
    nodes, edges = deep_bias(20, node=cuba(1, 1.0))
    nodes["w"] = affine([[1.0]], [1.0])
    return nodes, [*(e for e in edges if e != ("n18", "last")), ("n18", "w"), ("w", "last")]


ONE = np.ones(1)
REFUSED = {
    "unsupported type": (
        with_node("conv", {"type": "Conv2d", "weight": ONE}),
        [f"node 'conv': type 'Conv2d' is not supported; {ALLOWED}"],
    ),
    "subgraph": (
        with_node("sub", {"type": "NIRGraph", "nodes/x/type": "LIF"}),
        [f"node 'sub': type 'NIRGraph' is not supported; {ALLOWED}"],
    ),
    "no type": (with_node("x", {"weight": ONE}), ["node 'x': it has no field 'type'"]),
    "type is a number": (with_node("x", {"type": 3}), ["node 'x': it has no field 'type'"]),
    "v_reset": (
        changed("cells", v_reset=[0.0, -0.25]),
        ["node 'cells' (LIF): v_reset is -0.25 to 0; only a reset to 0 is supported"],
    ),
    "v_threshold": (
        changed("cells", v_threshold=[0.0, 0.0]),
        ["node 'cells' (LIF): v_threshold is 0; it must be above 0"],
    ),
    "tau zero": (
        changed("cells", tau=[0.0, 2.0]),
        ["node 'cells' (LIF): tau is 0 to 2; it must be above 0"],
    ),
    "tau negative": (
        changed("cells", **{**cuba(2, 1.0), "tau": None, "tau_syn": [-1.0, -1.0]}),
        ["node 'cells' (CubaLIF): tau_syn is -1; it must be above 0"],
    ),
    "tau shorter than a step": (
        changed("cells", tau=[0.5, 0.5]),
        ["node 'cells' (LIF): tau is 0.5, shorter than a step of 1; give a smaller dt"],
    ),
    "tau next to nothing": (
        changed("cells", tau=[5e-324, 2.0]),
        [
            "node 'cells' (LIF): tau is 4.94066e-324 to 2, shorter than a step of 1; give a smaller dt"
        ],
    ),
    "tau_syn beyond the register": (
        changed("cells", **{**cuba(2, 1.0, tau_syn=10000.0), "tau": None}),
        [
            (
                "node 'cells' (CubaLIF): tau_syn is 10000: in a step of 1 the current decays by 0.4096/4096; "
                "the chip's smallest decay is 1/4096"
            )
        ],
    ),
    "r of an IF": (
        changed("cells", type="IF", r=[3.0, 3.0], tau=None, v_leak=None),
        ["node 'cells' (IF): r is 3; it must be 1/dt = 1 (v += dt * r * input) or 1 (v += input)"],
    ),
    "edge to nowhere": (
        with_edges(("cells", "nobody")),
        ["edge 'cells' -> 'nobody': there is no node 'nobody'"],
    ),
    "edge from nowhere, twice": (
        with_edges(("no", "no"), ("no", "no")),
        [
            "edge 'no' -> 'no' is listed 2 times; once is allowed",
            "edge 'no' -> 'no': there is no node 'no'",
        ],
    ),
    "repeated edge": (
        with_edges(("w", "cells")),
        ["edge 'w' -> 'cells' is listed 2 times; once is allowed"],
    ),
    "sizes": (
        changed("input", shape=[4]),
        ["edge 'input' -> 'w': 'input' has 4 outputs, but 'w' has 3 inputs"],
    ),
    "size of the output": (
        changed("output", shape=[1]),
        ["edge 'cells' -> 'output': 'cells' has 2 outputs, but 'output' has 1 inputs"],
    ),
    "two weights in a row": (
        with_node("w2", affine(np.ones((2, 2)), [0.0, 0.0]), ("w", "w2"), ("w2", "cells")),
        [
            (
                "edge 'w' -> 'w2': 'w' (Linear) and 'w2' (Affine) have no neurons between them; "
                "merge them into one"
            )
        ],
    ),
    "weights to an output": (
        with_edges(("w", "output")),
        ["edge 'w' -> 'output': 'w' is Linear; only neurons may lead to an Output"],
    ),
    "after an output": (
        with_edges(("output", "cells")),
        ["edge 'output' -> 'cells': nothing may follow the Output 'output'"],
    ),
    "before an input": (
        with_edges(("cells", "input")),
        ["edge 'cells' -> 'input': nothing may lead to the Input 'input'"],
    ),
    "no input": (
        ({"a": if_(1, 1.0), "out": io("Output", 1)}, [("a", "a"), ("a", "out")]),
        ["it has no node of type Input"],
    ),
    "no output": (
        ({"in": io("Input", 1), "a": if_(1, 1.0)}, [("in", "a")]),
        ["it has no node of type Output"],
    ),
    "loop": (
        loop(),
        [
            (
                "nodes 'a', 'b' feed back to each other; "
                "only a layer's projection onto itself may be recurrent"
            )
        ],
    ),
    "unreachable": (
        with_node("lone", if_(2, 1.0), ("lone", "lone"), ("lone", "cells")),
        ["node 'lone' (IF): no Input leads to it"],
    ),
    "joined to nothing": (
        with_node("lone", linear([[1.0]])),
        ["node 'lone' (Linear): no edge leads to it", "node 'lone' (Linear): no edge leaves it"],
    ),
    "idle input": (
        with_node("lone", io("Input", 1)),
        ["node 'lone' (Input): no edge leaves it"],
    ),
    "no edges": (
        ({"in": io("Input", 1), "out": io("Output", 1)}, []),
        ["node 'in' (Input): no edge leaves it", "node 'out' (Output): no edge leads to it"],
    ),
    "missing field": (
        changed("cells", tau=None),
        ["node 'cells' (LIF): it has no field 'tau'"],
    ),
    "missing threshold": (
        changed("cells", v_threshold=None),
        ["node 'cells' (LIF): it has no field 'v_threshold'"],
    ),
    "unknown field": (
        changed("w", bias=[1.0, 1.0]),
        ["node 'w' (Linear): unknown field 'bias'; allowed are weight"],
    ),
    "NaN": (
        changed("w", weight=[[1.0, np.nan, 1.0], [1.0, 1.0, 1.0]]),
        ["node 'w' (Linear): field 'weight' holds values that are not finite"],
    ),
    "infinity": (
        changed("cells", v_leak=[np.inf, 0.0]),
        ["node 'cells' (LIF): field 'v_leak' holds values that are not finite"],
    ),
    "text in a field": (
        changed("cells", tau="fast"),
        ["node 'cells' (LIF): field 'tau' does not hold numbers"],
    ),
    "texts in a field": (
        changed("w", weight=[["a", "b", "c"]]),
        ["node 'w' (Linear): field 'weight' does not hold numbers"],
    ),
    "one threshold for all": (
        changed("cells", v_threshold=1.0),
        [
            "node 'cells' (LIF): field 'v_threshold' has shape (); it must be (n,), one value per neuron"
        ],
    ),
    "length of a field": (
        changed("cells", tau=[2.0] * 3),
        ["node 'cells' (LIF): field 'tau' has shape (3,), but v_threshold has (2,)"],
    ),
    "axes of a weight": (
        changed("w", weight=[1.0, 2.0]),
        ["node 'w' (Linear): field 'weight' has shape (2,); it must be (out, in)"],
    ),
    "length of a bias": (
        changed("w", type="Affine", bias=[1.0]),
        [
            (
                "node 'w' (Affine): field 'bias' has shape (1,); "
                "with a weight of shape (2, 3) it must be (2,)"
            )
        ],
    ),
    "real shape": (
        changed("input", shape=[3.0]),
        ["node 'input' (Input): shape is [3.0]; it must be a list of whole numbers of at least 1"],
    ),
    "shape of nothing": (
        changed("input", shape=[0]),
        ["node 'input' (Input): shape is [0]; it must be a list of whole numbers of at least 1"],
    ),
    "image": (
        changed("input", shape=[2, 3]),
        ["node 'input' (Input): shape is [2, 3]; only the last axis may be longer than 1"],
    ),
    "bias too deep": (
        deep_bias(64),
        ["node 'last' (LIF): it has a bias at depth 64; at most 63 layers are allowed before it"],
    ),
    "current that cannot wait": (
        slow_current(),
        [
            (
                "node 'last' (CubaLIF): its bias cannot wait for the first input at depth 20: "
                "the current would have to start at -262144, beyond 24 bits"
            )
        ],
    ),
    "product beyond the range of floats": (
        (
            {**changed("w", type="Affine", bias=[1e308, 1.0])[0], "cells": lif(2, 1.0, r=1e10)},
            simple()[1],
        ),
        ["node 'cells' (LIF): its weights or biases leave the range of real numbers"],
    ),
    "weights beyond the range of floats": (
        (
            {**simple()[0], "w": linear([[1e308] * 3] * 2), "cells": lif(2, 1.0, r=1e10)},
            simple()[1],
        ),
        ["projection 'input->cells': weights hold NaN or infinity"],
    ),
    "several mistakes": (
        changed("cells", v_reset=[1.0, 1.0], v_threshold=[0.0, 1.0]),
        [
            "node 'cells' (LIF): v_reset is 1; only a reset to 0 is supported",
            "node 'cells' (LIF): v_threshold is 0 to 1; it must be above 0",
        ],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(path, name):
    (nodes, edges), problems = REFUSED[name]
    write_raw(path, nodes, edges)
    with pytest.raises(NetworkError) as error:
        load_nir(path, DT)
    assert str(error.value) == "\n".join(f"{path}: {problem}" for problem in problems)


def test_what_the_refused_graphs_come_from_is_read(path):
    """The graphs above are refused for what was changed in them."""
    for nodes, edges in (simple(), deep_bias(63), feed_forward(if_(8, 1.0), cuba(4, 1.0))):
        write_raw(path, nodes, edges)
        assert load_nir(path, DT).outputs


@pytest.mark.parametrize("dt", [0, -1e-4, float("nan"), float("inf"), "1e-3", None, True, [1]])
def test_a_step_has_a_duration(path, dt):
    with pytest.raises(NetworkError) as error:
        load_nir(path, dt)
    assert str(error.value) == f"dt_seconds is {dt!r}; it must be a positive number"


def test_odd_numbers_are_refused_in_words(path):
    for options, message in (
        ({"dt_seconds": 10**400}, "dt_seconds is a int; it must be a positive number"),
        (
            {"dt_seconds": 1, "limit_bytes": "a"},
            "limit_bytes is 'a'; it must be a whole number from 1 to",
        ),
        (
            {"dt_seconds": 1, "limit_bytes": 0},
            "limit_bytes is 0; it must be a whole number from 1 to",
        ),
    ):
        with pytest.raises(NetworkError) as error:
            load_nir(path, **options)
        assert str(error.value).startswith(message)


def test_the_public_package_writes_no_edges_as_numbers(path):
    nir.write(path, nir.NIRGraph({}, []))
    with pytest.raises(NetworkError) as error:
        load_nir(path, DT)
    assert str(error.value).splitlines() == [
        f"{path}: it has no node of type {kind}" for kind in ("Input", "Output")
    ]


NO_NODE = "not a NIR file: it has no group 'node' of type 'NIRGraph'"
NO_TABLE = "/node/edges must be a table of two columns of node names"
OTHER_FILES = {
    "empty": ({}, NO_NODE),
    "node is no group": ({"node": 1}, NO_NODE),
    "other type": ({"node/type": "LIF"}, NO_NODE),
    "type is a table": ({"node/type": [1, 2]}, NO_NODE),
    "type is a table of texts": ({"node/type": ["NIRGraph", "NIRGraph"]}, NO_NODE),
    "no nodes": ({"node/type": "NIRGraph"}, "not a NIR file: /node/nodes is missing"),
    "nodes are numbers": (
        {"node/type": "NIRGraph", "node/nodes": [1.0]},
        "not a NIR file: /node/nodes is missing",
    ),
}
OTHER_EDGES = {
    "missing": (None, "it has no edges: /node/edges is missing"),
    "numbers": ([[0, 1]], NO_TABLE),
    "one text": ("a", NO_TABLE),
    "three columns": ([["a", "b", "c"]], NO_TABLE),
    "one row": (["a", "b"], NO_TABLE),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_files_are_refused(path, name):
    content, problem = OTHER_FILES[name]
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            file[key] = value
    with pytest.raises(NetworkError) as error:
        load_nir(path, DT)
    assert str(error.value) == f"{path}: {problem}"


@pytest.mark.parametrize("name", OTHER_EDGES)
def test_other_tables_of_edges_are_refused(path, name):
    edges, problem = OTHER_EDGES[name]
    write_raw(path, *simple())
    with h5py.File(path, "r+") as file:
        del file["node/edges"]
        if edges is not None:
            file["node/edges"] = edges
    with pytest.raises(NetworkError) as error:
        load_nir(path, DT)
    assert str(error.value).splitlines()[0] == f"{path}: {problem}"


def test_neurons_per_core_is_that_of_each_population(tmp_path):
    nodes = {
        "in": io("Input", 4),
        "w": linear(weights(8, 4, 1)),
        "cells": lif(8, 100.0),
        "out": io("Output", 8),
    }
    path = tmp_path / "net.nir"
    write_nir(path, nodes, chain(*nodes))
    assert load_nir(path, DT).populations["cells"].neurons_per_core is None
    net = load_nir(path, DT, neurons_per_core=3)
    program = compile_network(net, load_chip("loihi"))
    assert (program.segments[:, 2] - program.segments[:, 1]).tolist() == [3, 3, 2]
    with pytest.raises(NetworkError) as error:
        load_nir(path, DT, neurons_per_core=0)
    assert str(error.value) == (
        f"{path}: population 'cells': neurons_per_core is 0; it must be a whole number from 1"
    )
