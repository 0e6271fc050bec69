"""The memory map of programs: every variable of every neuron and synapse, in an order that no mapping changes."""

import numpy as np
import pytest

from emulator import Network, compile_network, load_chip
from emulator.engine import Engine, spike_schedule
from emulator.engine.engine import Probed
from emulator.errors import ManagementError
from emulator.learning import Rule, Trace
from emulator.management.memory import MemoryMap
from emulator.management.regions import (
    empty_state,
    program_inputs,
    program_populations,
    program_regions,
)
from emulator.mapping import Mapping

CHIP = load_chip("loihi2")
STEPS = 12
SPREAD = Mapping(
    segments=[("cells", 0, 3, 5), ("cells", 3, 7, 2), ("coded", 0, 2, 4), ("coded", 2, 4, 0), ("other", 0, 3, 2)]
)  # fmt: skip


def network() -> tuple[Network, dict[str, np.ndarray]]:
    rng, net = np.random.default_rng(5), Network("regions")
    source, graded = net.input("in", 6), net.input("graded", 2, payload_bits=8)
    cells = net.population(
        "cells", 7, model="lif", du=2000, dv=300, vth_mant=30, bias_mant=9, refractory=3
    )
    coded = net.population("coded", 4, model="izhikevich")
    other = net.population("other", 3, model="lif", vth_mant=50)

    def connect(pre, post, sign=1, **options):
        weights = sign * 2 * rng.integers(1, 60, (post.size, pre.size))
        weights[rng.random(weights.shape) < 0.3] = 0
        return net.connect(
            pre, post, weights=weights, delay=rng.integers(0, 4, weights.shape), **options
        )

    traces = {"x1": Trace(impulse=40, tau=8), "y1": Trace(impulse=30, tau=5)}
    connect(source, other, sign_mode="exc")
    connect(
        source, cells, sign_mode="exc",
        learning=Rule(dw="2^-3*x1*y0 + 2^-2*x0", dt="2^-3*x1*y0 + 2^-4*x0", dd="x0", epoch=2, **traces),
    )  # fmt: skip
    connect(
        cells, other, -1, sign_mode="inh", learning=Rule(dw="2^-2*y1*x0", epoch=2, y1=traces["y1"])
    )
    connect(graded, coded, weight_exp=-6)
    connect(other, cells, sign_mode="mixed", weight_bits=6)
    return net, {"in": rng.random((STEPS, 6)) < 0.4}


def ran(mapping: Mapping | None):
    """Return an engine that has run, and the memory map over its state."""
    net, inputs = network()
    program = compile_network(net, CHIP, mapping)
    engine = Engine(program, CHIP)
    none = np.empty(0, np.int32)
    schedule = spike_schedule(program, inputs, STEPS)
    engine.run(STEPS, schedule, Probed(none, none, np.empty(0, np.int64)), lambda _chunk: None)
    state = empty_state(program) | engine.state | {"synapses": engine.plastic.synapses}
    state |= {"bias": program.bias.copy(), "threshold": program.threshold.copy()}
    state["spikes"][:] = np.arange(program.n_sources) % 2
    return program, engine, state, MemoryMap(program_regions(program, CHIP, state))


def test_variables_are_those_of_the_engine():
    program, engine, state, memory = ran(SPREAD)
    for population in ("cells", "other"):
        for name in ("u", "v"):
            assert (
                memory[f"{population}.{name}"].read().tolist()
                == engine.variable(population, name)[0].tolist()
            )
        places = program.sources_of(population)
        for name, array in (("bias", state["bias"]), ("threshold", state["threshold"]), ("spikes", state["spikes"]),
                            ("refractory", state["refractory_left"])):  # fmt: skip
            assert memory[f"{population}.{name}"].read().tolist() == array[places].tolist()
    assert any(memory["cells.refractory"].read())
    for word in program.model_of("coded").words:
        assert (
            memory[f"coded.{word.name}"].read().tolist()
            == engine.variable("coded", word.name)[0].tolist()
        )
    assert {"in.spikes", "in.v", "coded.threshold"}.isdisjoint(r.name for r in memory)


def test_synapses_are_in_the_order_of_their_neurons():
    program, engine, _, memory = ran(SPREAD)
    learned = engine.learned()
    for k, projection in enumerate(program.manifest["projections"]):
        name = projection["name"]
        pre, post, place, _ = program.synapse_places(name)
        order = np.lexsort((post, pre))
        words = engine.plastic.synapses[place[order]]
        assert memory[f"{name}.weights"].read().tolist() == (words.view(np.int32) >> 23).tolist()
        if k not in program.rules:
            assert f"{name}.delays" not in {r.name for r in memory}
            continue
        assert memory[f"{name}.delays"].read().tolist() == (words >> 16 & 63).tolist()
        own = learned[name]
        if program.rules[k].has_tag:
            tags = own["tags"][place - place.min()][order]
            assert any(tags)
            assert memory[f"{name}.tags"].read().tolist() == tags.tolist()
        for trace in ("x1", "y1"):
            if trace in own:
                assert any(own[trace])
                assert memory[f"{name}.{trace}"].read().tolist() == own[trace].tolist()


def test_no_mapping_changes_what_a_program_sees():
    maps = [ran(mapping)[3] for mapping in (None, SPREAD)]
    for one, other in zip(*maps, strict=True):
        assert (one.name, one.address, one.low, one.high) == (
            other.name,
            other.address,
            other.low,
            other.high,
        )
        if not one.name.endswith(".spikes"):
            assert one.read().tolist() == other.read().tolist(), one.name


def test_words_are_counted_where_they_lie():
    program, _, _, memory = ran(SPREAD)

    def counted(read) -> list[int]:
        before = memory.reads.copy(), memory.writes.copy()
        read()
        return (memory.reads - before[0] + 100 * (memory.writes - before[1])).tolist()

    assert counted(memory["cells.v"].read) == [0, 0, 4, 0, 0, 3]
    assert counted(lambda: memory["coded.bias"].write(3, [0, 1, 2])) == [100, 0, 0, 0, 200, 0]
    pre, post, _, _ = program.synapse_places("in->cells")
    on_five = int(np.count_nonzero(post < 3))
    weights = [0, 0, len(pre) - on_five, 0, 0, on_five]
    assert counted(memory["in->cells.weights"].read) == weights
    assert counted(memory["in->cells.y1"].read) == [0, 0, 4, 0, 0, 3]
    assert sum(counted(memory["in->cells.x1"].read)) == 6


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("cells.u", -(2**23), 2**23 - 1),
        ("cells.threshold", 0, 64 * (2**17 - 1)),
        ("cells.bias", -(2**12) * 128, (2**12 - 1) * 128),
        ("cells.refractory", 0, 63),
        ("cells->other.weights", -255, 0),
        ("in->cells.delays", 0, 63),
        ("in->cells.x1", 0, 127),
    ],
)
def test_what_is_out_of_range_is_refused(name, low, high):
    memory = ran(None)[3]
    region = memory[name]
    for value in (low, high):
        region.write(value, [0])
        assert region.read([0]).tolist() == [value]
    for value in (low - 1, high + 1):
        with pytest.raises(
            ManagementError, match=f"{value} to {value} was written; allowed: {low} to {high}"
        ):
            region.write(value, [0])


def test_spikes_are_read_only_and_inputs_known():
    program, _, _, memory = ran(None)
    with pytest.raises(ManagementError, match=r"cells\.spikes can only be read"):
        memory["cells.spikes"].write(1)
    n = program.n_compartments
    assert program_inputs(program) == {"in": (n, 6, 1, 1), "graded": (n + 6, 2, -128, 127)}
    assert program_populations(program)[:3] == ["in", "graded", "cells"]


def test_a_network_that_learns_nothing_has_weights(tmp_path):
    net = Network("plain")
    net.connect(
        net.input("in", 2), net.population("cells", 2, vth_mant=100), weights=[[2, 4], [6, 8]]
    )
    program = compile_network(net, CHIP)
    state = empty_state(program)
    state["synapses"][:] = program.synapses
    memory = MemoryMap(program_regions(program, CHIP, state))
    assert memory["in->cells.weights"].read().tolist() == [2, 6, 4, 8]
    with pytest.raises(ManagementError, match=r"in->cells\.weights can only be read"):
        memory["in->cells.weights"].write([-2, 2, 0, 254])
