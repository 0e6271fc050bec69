"""Routes as tables: equal to the oracle's walks for every topology and order, and the laws of a route."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.chip import routes
from emulator.chip.routes import LOCAL, OFFSETS, PORTS, PRIORITY, Routes
from tests.oracle.routes import Way, ways

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 4))


def tables(way: Way) -> Routes:
    return Routes.of(way.width, way.height, "torus" if way.torus else "mesh", way.order)


@st.composite
def any_way(draw):
    return draw(st.sampled_from(ways(*draw(SIZES))))


def test_every_name_has_its_line():
    assert get_args(routes.Topology) == tuple(OFFSETS)
    assert get_args(routes.RoutingOrder) == tuple(PRIORITY)
    assert all(sorted(order) == sorted(PORTS[:4]) for order in PRIORITY.values())


@given(any_way())
def test_ports_hops_and_neighbours_are_those_of_the_walk(way):
    table, tiles = tables(way), range(way.width * way.height)
    for source in tiles:
        for target in tiles:
            links = way.links(source, target)
            assert table.next_port(source, target) == way.port(source, target)
            assert table.hops(source, target) == (
                sum(port < 2 for _, port in links),
                sum(port >= 2 for _, port in links),
            )
            for tile, port in links:
                assert table.neighbour[tile, port] == way.neighbour(tile, port)


def trees(draw, n_tiles):
    """Draw trees: the source and the destinations of each."""
    tile = st.integers(0, n_tiles - 1)
    return draw(st.lists(st.tuples(tile, st.lists(tile, max_size=7)), min_size=1, max_size=6))


@given(st.data(), any_way())
def test_a_tree_counts_each_link_once(data, way):
    drawn = trees(data.draw, way.width * way.height)
    number = np.repeat(np.arange(len(drawn)), [len(to) for _, to in drawn])
    source = np.repeat([source for source, _ in drawn], [len(to) for _, to in drawn])
    target = np.array([tile for _, to in drawn for tile in to], np.int64)
    hops_x, hops_y = tables(way).tree_hops(number, source, target)
    for tree, (here, to) in enumerate(drawn[: len(hops_x)]):
        links = {link for tile in to for link in way.links(here, tile)}
        assert hops_x[tree] == sum(port < 2 for _, port in links)
        assert hops_y[tree] == sum(port >= 2 for _, port in links)
    assert not any(to for _, to in drawn[len(hops_x) :])


@pytest.fixture
def west_first(monkeypatch):
    """Another order: first all the way to smaller x, last to larger x."""
    monkeypatch.setitem(PRIORITY, "west_first", ("-x", "+y", "-y", "+x"))


@pytest.mark.usefixtures("west_first")
@pytest.mark.parametrize("topology", OFFSETS)
def test_another_order_is_one_line(topology):
    table = Routes.of(4, 3, topology, "west_first")
    rng = np.random.default_rng(1)
    number, target = np.repeat(np.arange(30), 4), rng.integers(0, 12, 120)
    source = np.repeat(rng.integers(0, 12, 30), 4)
    links = [set() for _ in range(30)]
    for tree, begin, to in zip(number.tolist(), source.tolist(), target.tolist(), strict=True):
        here = begin
        while (port := int(table.next_port(here, to))) != LOCAL:
            links[tree].add((here, port))
            here = int(table.neighbour[here, port])
        assert here == to
    hops_x, hops_y = table.tree_hops(number, source, target)
    assert hops_x.tolist() == [sum(port < 2 for _, port in each) for each in links]
    assert hops_y.tolist() == [sum(port >= 2 for _, port in each) for each in links]
