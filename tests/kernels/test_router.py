"""The router kernel: equal to the oracle packet by packet, and the laws that any mesh keeps."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.chip.routes import Routes
from emulator.kernels.router import SETTINGS, Replay
from tests.oracle import router as oracle

LOCAL = 4


@dataclass(frozen=True)
class Case:
    settings: oracle.Settings
    packets: list[tuple[int, int, int, int]]  # cycle, source, target, flits

    def columns(self) -> tuple[np.ndarray, ...]:
        table = np.array(self.packets, np.int64).reshape(-1, 4)
        kinds = (np.int64, np.int32, np.int32, np.int32)
        return tuple(np.ascontiguousarray(table[:, k].astype(kind)) for k, kind in enumerate(kinds))


def as_array(mesh: oracle.Settings, blocked_tile: int = -1) -> np.ndarray:
    values = {
        "virtual_channels": mesh.virtual_channels,
        "buffer_flits": mesh.buffer_flits,
        "routing_delay_cycles": mesh.routing_delay,
        "speculative": mesh.speculative,
        "input_first": mesh.allocator == "separable_input_first",
        "iterations": mesh.iterations,
        "wait_for_tail_credit": mesh.wait_for_tail_credit,
        "credit_delay_cycles": mesh.credit_delay,
        "latency_ew": mesh.latency_ew,
        "latency_ns": mesh.latency_ns,
        "blocked_tile": blocked_tile,
    }
    return np.array([values[name] for name in SETTINGS], np.int64)


def routes_of(mesh: oracle.Settings) -> np.ndarray:
    topology = "torus" if mesh.torus else "mesh"
    return Routes.of(mesh.width, mesh.height, topology, mesh.order).packed


def started(case: Case, blocked_tile: int = -1) -> Replay:
    routes = routes_of(case.settings)
    return Replay(as_array(case.settings, blocked_tile), routes, *case.columns())


def finished(case: Case) -> Replay:
    kernel = started(case)
    while kernel.n_left:
        assert kernel.advance(10**9)
    return kernel


def with_classes(mesh: oracle.Settings) -> oracle.Settings:
    """Return settings of which a torus has two classes of virtual channels."""
    even = max(2, mesh.virtual_channels // 2 * 2)
    return replace(mesh, virtual_channels=even) if mesh.torus else mesh


def with_one_channel(mesh: oracle.Settings) -> oracle.Settings:
    return replace(mesh, virtual_channels=1, torus=False)


settings_of_any_mesh = st.builds(
    oracle.Settings,
    torus=st.booleans(),
    order=st.sampled_from(["xy", "yx"]),
    width=st.integers(1, 5),
    height=st.integers(1, 5),
    virtual_channels=st.integers(1, 8),
    buffer_flits=st.integers(1, 6),
    routing_delay=st.integers(0, 1),
    speculative=st.booleans(),
    allocator=st.sampled_from(["islip", "separable_input_first"]),
    iterations=st.integers(1, 3),
    wait_for_tail_credit=st.booleans(),
    credit_delay=st.integers(0, 3),
    latency_ew=st.integers(1, 4),
    latency_ns=st.integers(1, 4),
).map(with_classes)


@st.composite
def cases(draw, meshes=settings_of_any_mesh, max_size=5, most=60):
    """Make a mesh and packets that come in bursts, which jam it, and after pauses, in which it idles."""
    mesh = draw(meshes)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_tiles, cycle, packets = mesh.width * mesh.height, 0, []
    for _ in range(draw(st.integers(1, 4))):
        n, spread, hot = (
            draw(st.integers(1, most)),
            draw(st.sampled_from([1, 10, 40])),
            draw(st.booleans()),
        )
        cycles = cycle + np.sort(random.integers(0, spread, n))
        targets = random.integers(0, n_tiles, n)
        if hot:
            targets[random.random(n) < 0.5] = n_tiles // 2
        sizes = random.integers(1, max_size + 1, n)
        packets += zip(
            cycles.tolist(),
            random.integers(0, n_tiles, n).tolist(),
            targets.tolist(),
            sizes.tolist(),
            strict=True,
        )
        cycle = int(cycles[-1]) + draw(st.sampled_from([0, 7, 1000, 10**6]))
    return Case(mesh, packets)


def distance(case: Case, source: int, target: int) -> tuple[int, int]:
    ports = [port for _, port in case.settings.way.links(source, target)]
    return sum(port < 2 for port in ports), sum(port >= 2 for port in ports)


def zero_load(case: Case, source: int, target: int, size: int) -> int:
    """Return the cycles of a packet that meets nobody: injection, the stages and a link for each router, its tail."""
    mesh = case.settings
    dx, dy = distance(case, source, target)
    per_router = mesh.routing_delay + (1 if mesh.speculative else 2) + 2
    links = dx * (mesh.latency_ew - 1) + dy * (mesh.latency_ns - 1)
    return 2 + (dx + dy + 1) * per_router + links + size - 1


def as_the_oracle_does(case: Case) -> None:
    kernel = finished(case)
    inject, arrive = oracle.replay(case.settings, *(column.tolist() for column in case.columns()))
    assert kernel.inject.tolist() == list(inject)
    assert kernel.arrive.tolist() == list(arrive)


@given(case=cases())
def test_every_packet_is_where_the_oracle_has_it(case):
    as_the_oracle_does(case)


@given(case=cases(settings_of_any_mesh.map(with_one_channel), max_size=2))
def test_so_it_is_with_one_virtual_channel(case):
    as_the_oracle_does(case)


at_the_limits = st.builds(
    oracle.Settings,
    width=st.sampled_from([1, 7, 64]),
    height=st.sampled_from([1, 3]),
    virtual_channels=st.sampled_from([1, 8]),
    buffer_flits=st.sampled_from([1, 64]),
    routing_delay=st.integers(0, 1),
    speculative=st.booleans(),
    allocator=st.sampled_from(["islip", "separable_input_first"]),
    iterations=st.sampled_from([1, 8]),
    wait_for_tail_credit=st.booleans(),
    credit_delay=st.sampled_from([0, 64]),
    latency_ew=st.sampled_from([1, 64]),
    latency_ns=st.sampled_from([1, 64]),
    torus=st.booleans(),
    order=st.sampled_from(["xy", "yx"]),
).map(with_classes)


@settings(max_examples=20)
@given(case=cases(at_the_limits, max_size=70, most=8))
def test_so_it_is_at_the_limits_of_a_chip_file(case):
    as_the_oracle_does(case)


@given(case=cases())
def test_every_packet_arrives_once_and_links_carry_each_flit_along_its_route(case):
    kernel = finished(case)
    cycle, source, target, size = case.columns()
    assert (kernel.inject >= cycle).all()
    assert (kernel.arrive > kernel.inject).all()
    expected = np.zeros_like(kernel.link_flits)
    for s, t, flits in zip(source.tolist(), target.tolist(), size.tolist(), strict=True):
        at = s
        while True:
            port = case.settings.route(at, t)
            expected[at, port] += flits
            if port == LOCAL:
                break
            at = case.settings.neighbour(at, port)
    np.testing.assert_array_equal(kernel.link_flits, expected)
    assert kernel.n_moves == expected.sum()
    assert kernel.occupied() == []


@given(case=cases())
def test_a_source_sends_a_flit_a_cycle_at_most_in_the_order_of_the_trace(case):
    kernel = finished(case)
    _, source, _, size = case.columns()
    for tile in np.unique(source):
        own = np.flatnonzero(source == tile)
        assert (np.diff(kernel.inject[own]) >= size[own][:-1]).all()


@given(case=cases())
def test_a_terminal_takes_a_flit_a_cycle_at_most(case):
    kernel = finished(case)
    _, _, target, size = case.columns()
    for tile in np.unique(target):
        own = np.flatnonzero(target == tile)
        arrive = np.sort(kernel.arrive[own])
        assert (np.diff(arrive) >= 1).all()
        assert arrive[-1] - kernel.inject[own].min() > size[own].sum()


@given(case=cases(settings_of_any_mesh.map(with_one_channel)))
def test_with_one_virtual_channel_no_packet_overtakes_another_of_its_way(case):
    kernel = finished(case)
    _, source, target, _ = case.columns()
    for way in np.unique(np.stack([source, target]), axis=1).T:
        own = np.flatnonzero((source == way[0]) & (target == way[1]))
        assert (np.diff(kernel.arrive[own]) > 0).all()


@given(case=cases())
def test_no_packet_is_faster_than_alone(case):
    kernel = finished(case)
    for k, (_, source, target, size) in enumerate(case.packets):
        assert kernel.arrive[k] - kernel.inject[k] >= zero_load(case, source, target, size)


@given(case=cases())
def test_a_packet_that_meets_nobody_takes_the_cycles_of_the_formula(case):
    mesh = replace(case.settings, buffer_flits=6)
    alone = [
        (10_000 * k, s, t, n) for k, (_, s, t, n) in enumerate(case.packets)
    ]  # each fits a buffer
    kernel = finished(Case(mesh, alone))
    expected = [zero_load(Case(mesh, []), s, t, n) for _, s, t, n in alone]
    assert (kernel.arrive - kernel.inject).tolist() == expected
    assert kernel.inject.tolist() == [cycle for cycle, *_ in alone]


@given(case=cases(), slices=st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_advancing_in_slices_changes_nothing(case, slices):
    kernel, whole = started(case), finished(case)
    turn = 0
    while kernel.n_left:
        before = kernel.now
        assert kernel.advance(slices[turn % len(slices)])
        assert kernel.now > before
        turn += 1
    np.testing.assert_array_equal(kernel.inject, whole.inject)
    np.testing.assert_array_equal(kernel.arrive, whole.arrive)
    np.testing.assert_array_equal(kernel.link_flits, whole.link_flits)


@given(case=cases(), shift=st.sampled_from([1, 63, 10**9, 2**61]))
def test_later_packets_fare_alike(case, shift):
    later = Case(case.settings, [(cycle + shift, *rest) for cycle, *rest in case.packets])
    np.testing.assert_array_equal(finished(later).arrive - shift, finished(case).arrive)


@given(case=cases(), data=st.data())
def test_a_terminal_that_takes_nothing_is_found_to_be_stuck(case, data):
    mesh = case.settings
    n_tiles = mesh.width * mesh.height
    blocked = data.draw(st.integers(0, n_tiles - 1))
    n_flits = (
        mesh.virtual_channels * mesh.buffer_flits + 1
    )  # one more than the terminal has room for
    crowd = [(0, data.draw(st.integers(0, n_tiles - 1)), blocked, 1) for _ in range(n_flits)]
    kernel = started(Case(mesh, crowd), blocked_tile=blocked)
    assert not kernel.advance(10**9)
    assert kernel.n_left >= 1
    assert not kernel.advance(10**9)
    for tile, port, vc, n, wanted, has_output, n_credits in kernel.occupied():
        assert 0 <= tile < n_tiles
        assert 0 <= port <= LOCAL
        assert 0 <= vc < mesh.virtual_channels
        assert 1 <= n <= mesh.buffer_flits
        assert 0 <= wanted <= LOCAL
        assert (n_credits >= 0) == has_output
    assert any(
        tile == blocked and wanted == LOCAL for tile, _, _, _, wanted, *_ in kernel.occupied()
    )


def test_without_packets_there_is_nothing_to_do():
    kernel = finished(Case(oracle.Settings(2, 2), []))
    assert kernel.n_moves == 0
    assert kernel.arrive.shape == (0,)


def test_as_many_settings_as_there_are():
    one = oracle.Settings(1, 1)
    with pytest.raises(ValueError, match="10 values; expected 11"):
        Replay(np.ones(10, np.int64), routes_of(one), *Case(one, []).columns())


rings = st.builds(
    oracle.Settings,
    width=st.integers(2, 8),
    height=st.sampled_from([1, 1, 2, 4]),
    virtual_channels=st.sampled_from([2, 4]),
    buffer_flits=st.integers(1, 2),
    speculative=st.booleans(),
    torus=st.just(True),
    order=st.sampled_from(["xy", "yx"]),
)


@given(mesh=rings, data=st.data())
def test_rings_full_of_long_packets_never_wait_for_themselves(mesh, data):
    """Every tile sends long packets half way round, which is what deadlocks rings of one class."""
    n_tiles = mesh.width * mesh.height
    shift = data.draw(st.integers(max(1, mesh.width // 2 - 1), max(1, mesh.width // 2)))
    packets = [
        (0, tile, tile // mesh.width * mesh.width + (tile + shift) % mesh.width, 12)
        for _ in range(4)
        for tile in range(n_tiles)
    ]
    kernel = finished(Case(mesh, packets))
    assert (kernel.arrive >= 0).all()
