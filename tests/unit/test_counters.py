import itertools
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.chip import EVENTS
from emulator.errors import RunError
from emulator.observe.counters import Counters
from emulator.observe.counting import count_events
from tests.oracle import counters as oracle
from tests.synthetic import make_chip, make_program, make_run

lines = st.lists(
    st.tuples(
        st.integers(-1, 3),
        st.integers(-1, 2),
        st.sampled_from(EVENTS),
        st.integers(0, 3) | st.integers(0, 2**60),
    ),
    max_size=20,
)


@st.composite
def programs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    mesh = {
        "width": draw(st.integers(1, 4)),
        "height": draw(st.integers(1, 4)),
        "cores_per_tile": draw(st.integers(1, 3)),
        "flit_bits": draw(st.integers(1, 40)),
        "multicast": draw(st.sampled_from(["none", "tree"])),
        "topology": draw(st.sampled_from(["mesh", "torus"])),
        "routing": draw(st.sampled_from(["xy", "yx"])),
        "virtual_channels": 2,
    }
    if mesh["multicast"] == "tree":
        mesh["flit_bits"] = 64
    n_tiles = mesh["width"] * mesh["height"]
    ports = draw(st.lists(st.integers(0, n_tiles - 1), min_size=1, max_size=3, unique=True))
    storage = {"block_synapses": draw(st.integers(1, 8)), "word_bits": draw(st.integers(1, 64))}
    chip = make_chip(rng, mesh=mesh, host={"ports": ports}, synapses=storage)
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=5))
    inputs = [i for i in range(len(sizes)) if draw(st.booleans())]
    program = make_program(rng, chip, sizes=sizes, inputs=inputs, density=draw(st.floats(0, 1)))
    return rng, chip, program


@given(programs(), st.integers(0, 5), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([1, 7, 99]))
def test_every_count_equals_the_oracle(case, n_steps, rate, part_rows):
    rng, chip, program = case
    spikes = rng.binomial(n_steps, rate, program.n_sources).astype(np.int64)
    sizes = program.segments[:, 2] - program.segments[:, 1]
    active = rng.integers(0, sizes.astype(np.int64) * n_steps + 1)

    with patch("emulator.observe.counting.PART_ROWS", part_rows):
        counters = count_events(program, chip, spikes, active, n_steps)

    expected = oracle.count_events(program, chip, spikes, active, n_steps)
    assert {(core, p, event): n for core, p, event, n in counters.rows()} == expected


@given(programs(), st.lists(st.integers(0, 20), max_size=3))
def test_counts_of_parts_of_a_run_add_up_to_the_whole(case, cuts):
    rng, chip, program = case
    run = make_run(rng, program, chip)
    bounds = [0, *sorted(cuts), 20]

    parts = [run.count(a, b) for a, b in itertools.pairwise(bounds)]

    assert sum(parts[1:], parts[0]) == run.counters


@given(programs())
def test_conservation(case):
    rng, chip, program = case
    counters = make_run(rng, program, chip).counters
    assert counters.total("packet") == counters.total("axon_out") + counters.total("host")
    if chip.mesh.multicast == "none":
        assert counters.total("packet") == counters.total("axon_in")
    assert counters.total("packet") <= counters.total("axon_in")
    n_updates = counters.total("neuron_idle") + counters.total("neuron_active")
    assert n_updates == program.n_compartments * 20
    assert counters.total("barrier") == 20


@given(lines, lines)
def test_counters_add_line_by_line(first, second):
    together = Counters.from_rows(first + second)
    assert Counters.from_rows(first) + Counters.from_rows(second) == together
    assert Counters.from_rows(list(reversed(first + second))) == together
    for event in EVENTS:
        assert together.total(event) == sum(line[3] for line in first + second if line[2] == event)


@given(lines)
def test_every_cut_holds_every_count(rows):
    counters = Counters.from_rows(rows)
    by_event = counters.by("event")
    assert all(by_event.values())
    for cut in ("core", "population"):
        for event in EVENTS:
            in_cut = sum(events.get(event, 0) for events in counters.by(cut).values())
            assert in_cut == by_event.get(event, 0) == counters.total(event)


def test_lines_are_unique_sorted_and_not_zero():
    counters = Counters.from_rows(
        [(2, 0, "packet", 1), (0, 1, "host", 0), (2, 0, "packet", 4), (-1, -1, "barrier", 3)]
    )
    assert list(counters.rows()) == [(2, 0, "packet", 5), (-1, -1, "barrier", 3)]
    assert len(counters) == 2
    assert counters.by("core") == {-1: {"barrier": 3}, 2: {"packet": 5}}
    assert repr(counters) == "<Counters: packet 5, barrier 3>"
    assert repr(Counters.from_rows([])) == "<Counters: nothing happened>"
    with pytest.raises(ValueError, match="read-only"):
        counters.count[0] = 1


def test_sums_are_exact_above_what_doubles_hold():
    counters = Counters.from_rows([(0, 0, "packet", 2**60), (0, 0, "packet", 1)])
    assert counters.total("packet") == 2**60 + 1


def test_misspelt_names_are_refused():
    counters = Counters.from_rows([])
    with pytest.raises(KeyError, match="no event 'packets'; there are: neuron_idle, "):
        counters.total("packets")
    with pytest.raises(KeyError, match="no cut by 'tile'; there are: event, core, population"):
        counters.by("tile")


def test_a_chip_that_is_too_small_is_refused():
    program = make_program(np.random.default_rng(1), make_chip())
    chip = make_chip(mesh={"width": 1, "height": 1, "cores_per_tile": 1})
    none = np.zeros(program.n_sources, np.int64), np.zeros(len(program.segments), np.int64)
    last = program.n_cores - 1
    with pytest.raises(
        RunError, match=f"chip 'synthetic' has 1 cores; the program uses core {last}"
    ):
        count_events(program, chip, *none, 0)


@given(programs())
def test_a_tree_has_fewer_packets_and_no_more_hops(case):
    rng, chip, program = case
    unicast = chip.model_copy(update={"mesh": chip.mesh.model_copy(update={"multicast": "none"})})
    run = make_run(rng, program, chip)
    tree, one_by_one = run.counters, replace(run, chip=unicast).counters
    for event in ("neuron_spike", "axon_in", "synapse_word", "synaptic_event"):
        assert tree.total(event) == one_by_one.total(event)
    for event in ("packet", "axon_out", "host", "hop_ew", "hop_ns"):
        assert tree.total(event) <= one_by_one.total(event)
