"""What sources send: entries row by row, multicast trees link by link."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.chip.routes import Routes
from emulator.errors import ProgramError, RunError
from emulator.kernels import analytic
from emulator.kernels.pipeline import ENTRY
from emulator.kernels.trees import Trees
from emulator.timing import traffic as module
from emulator.timing.traffic import traffic
from tests.oracle.routes import NAMES, Way
from tests.synthetic import make_chip, make_program

PORTS = ("+x", "-x", "+y", "-y", "local")


@pytest.mark.parametrize("piece", [1, 5, 1 << 16])
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_entries_are_the_rows_of_each_core(monkeypatch, piece, density):
    monkeypatch.setattr(module, "PIECE_ROWS", piece)
    rng = np.random.default_rng(7)
    chip = make_chip(rng)
    program = make_program(rng, chip, density=density, n_projections=16)
    sent, cycles = traffic(program, chip), chip.service_cycles
    for source in range(program.n_sources):
        expected = {}
        rows = program.rows[program.row_start[source] : program.row_start[source + 1]]
        for _, length, block in rows.tolist():
            core, _, _, bits, _ = program.blocks[block].tolist()
            expected.setdefault(core, cycles("axon_in"))
            expected[core] += length * cycles("synaptic_event")
            for first in range(0, length, chip.synapses.block_synapses):
                n = min(length - first, chip.synapses.block_synapses)
                n_bits = n * bits + chip.synapses.block_header_bits
                expected[core] += -(-n_bits // chip.synapses.word_bits) * cycles("synapse_word")
        found = sent.entries[sent.entry_start[source] : sent.entry_start[source + 1]]
        assert found.tolist() == list(expected.items())


def test_more_cycles_than_are_counted_are_an_error():
    chip = make_chip(clock={"mhz": 1e5})
    slow = chip.costs.synaptic_event.model_copy(update={"time_ns": 1e6})
    chip = chip.model_copy(update={"costs": chip.costs.model_copy(update={"synaptic_event": slow})})
    rng = np.random.default_rng(7)
    with pytest.raises(RunError, match=r"keeps core \d+ busy for [\d,]+ cycles; at most 2,147,"):
        traffic(make_program(rng, chip, sizes=(2, 60), inputs=(0,), density=1), chip)


def test_rows_that_are_not_by_core_are_an_error():
    rng = np.random.default_rng(7)
    program = make_program(rng, make_chip(), density=1.0, n_projections=16)
    rows, start = program.rows.copy(), program.row_start
    for first, stop in pairwise(start):
        rows[first:stop] = rows[first:stop][::-1]
    program.rows = rows
    with pytest.raises(ProgramError, match="rows of a source are not by core"):
        traffic(program, make_chip())


@st.composite
def meshes(draw):
    """Draw a mesh, sources that reach some of its cores, and the sources that spike in each step."""
    width, height, per_tile = (draw(st.sampled_from(n)) for n in ([1, 2, 5, 64], [1, 3, 4], [1, 3]))
    cores = st.lists(st.integers(0, width * height * per_tile - 1), max_size=9, unique=True)
    reached = draw(st.lists(cores.map(sorted), min_size=1, max_size=12))
    home = draw(st.lists(st.integers(0, width * height - 1), min_size=1, max_size=3))
    spikes = st.lists(st.integers(0, len(reached) - 1), max_size=4, unique=True).map(sorted)
    steps = draw(st.lists(spikes, min_size=1, max_size=6))
    return (
        width,
        height,
        per_tile,
        reached,
        np.resize(np.array(home, np.int32), len(reached)),
        steps,
    )


def tables(reached, steps):
    entries = np.array([(core, 1) for cores in reached for core in cores], ENTRY)
    entry_start = np.cumsum([0, *map(len, reached)])
    spike_start = np.cumsum([0, *map(len, steps)])
    return entry_start, entries, spike_start, np.array([*chain(*steps)], np.uint32)


def walked(trees, source, tile, way):
    """Return the links and the numbered deliveries of a source's tree."""
    links, deliveries, waiting = [], {}, [(int(trees.root[source]), tile)]
    for branch, here in waiting:
        ports, child = trees.branches[branch].tolist()
        for port in (p for p in range(5) if ports >> p & 1):
            if PORTS[port] == "local":
                assert here not in deliveries
                assert trees.branches[child]["ports"] == 0
                deliveries[here] = int(trees.branches[child]["first"])
            else:
                links.append((here, PORTS[port]))
                waiting.append((child, way.neighbour(here, port)))
            child += 1
    return links, deliveries


@given(meshes(), st.booleans(), st.booleans(), st.sampled_from(["xy", "yx"]))
def test_trees_are_the_routes_to_all_tiles_each_link_once(mesh, crowded, torus, order):
    width, height, per_tile, reached, home, steps = mesh
    way = Way(width, height, torus, order)
    routes = Routes.of(width, height, "torus" if torus else "mesh", order).packed
    entry_start, entries, spike_start, spike_source = tables(reached, steps)
    most = 2 * width * height * (max(map(len, steps)) if crowded else len(reached))
    trees = Trees(entry_start, entries, home, routes, per_tile, most)
    first, all_links = 0, np.zeros((7, width * height), np.int64)
    while first < len(steps):
        stop = trees.plant(spike_start, spike_source, first, len(steps))
        assert stop > first
        assert trees.n_branches <= most
        shared = {}
        for source in chain(*steps[first:stop]):
            tiles = sorted({core // per_tile for core in reached[source]})
            if not tiles:
                continue
            here = int(home[source])
            links, deliveries = walked(trees, source, here, way)
            assert deliveries == {tile: number for number, tile in enumerate(tiles)}
            assert len(links) == len(set(links))
            assert set(links) == {
                (at, NAMES[port]) for tile in tiles for at, port in way.links(here, tile)
            }
            assert shared.setdefault((here, *tiles), trees.root[source]) == trees.root[source]
            for tile, port in links:
                all_links[PORTS.index(port), tile] += 1
            all_links[4, here] += 1
            all_links[5, tiles] += 1
        first = stop
    # The bound works the same links out without trees.
    loads = np.zeros((7, width * height), np.int64)
    costs = np.zeros(4, np.int64)
    n_cores = width * height * per_tile
    analytic.time_steps(
        entry_start, entries, np.zeros((0, 5), np.int32), home * per_tile, home,
        np.zeros(0, np.int32), 1, spike_start, spike_source,
        np.zeros((len(steps), 0), np.uint32), costs, routes, per_tile, True, np.zeros(len(steps), np.int64),
        np.zeros(len(steps), np.uint8), np.zeros((3, n_cores), np.int64), loads,
    )  # fmt: skip
    assert np.array_equal(loads, all_links)


def test_a_step_whose_trees_have_no_room_is_told_apart():
    steps, reached = [[0], [1], [0, 1]], [[0, 3], [1, 2]]
    entry_start, entries, spike_start, spike_source = tables(reached, steps)
    trees = Trees(entry_start, entries, np.zeros(2, np.int32), Routes.of(2, 2).packed, 1, 10)
    assert trees.plant(spike_start, spike_source, 0, 3) == 1
    assert trees.plant(spike_start, spike_source, 1, 3) == 2  # the first was felled
    assert trees.plant(spike_start, spike_source, 2, 3) == 2
