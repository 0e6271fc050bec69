"""The oracle of the routers against BookSim2, packet by packet and cycle by cycle, and against formulas."""

import numpy as np
import pytest

from tests.oracle.router import Allocator, Settings, replay

PIPELINES = {
    "D": {"routing_delay": 1},
    "L": {"routing_delay": 0},
    "S": {"routing_delay": 0, "speculative": True, "allocator": "separable_input_first"},
}
BUFFERS = [(1, 4), (1, 8), (2, 4), (4, 4), (4, 8)]  # virtual channels, flits


@pytest.mark.parametrize("trace", ["4x4_single", "4x4_mixed", "8x8_single", "8x8_mixed"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_oracle_equals_booksim(reference, trace, pipeline):
    """Replay about 1,500 packets. What happens before the first packet left out is due cannot depend on it."""
    recorded = np.load(reference / "booksim" / f"trace_{trace}.npz")
    cut = recorded["cycle"][1500]
    kept = recorded["cycle"] < cut
    packets = [recorded[name][kept] for name in ("cycle", "src", "dst", "size")]
    width, height = map(int, trace.split("_")[0].split("x"))
    for n_vcs, n_flits in BUFFERS:
        settings = Settings(width, height, n_vcs, n_flits, **PIPELINES[pipeline])
        column = f"{pipeline}_v{n_vcs}_b{n_flits}"
        itime, atime = (recorded[f"{column}_{name}"][kept] for name in ("itime", "atime"))
        assert np.sum(atime < cut) > 700, column
        inject, arrive = replay(settings, *packets)
        np.testing.assert_array_equal(np.minimum(inject, cut), np.minimum(itime, cut), column)
        np.testing.assert_array_equal(np.minimum(arrive, cut), np.minimum(atime, cut), column)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("n_vcs", [1, 3])
def test_zero_load_latency(pipeline, n_vcs):
    """2 + per router (routing + VC and switch allocation + 1) + per channel latency + flits - 1."""
    settings = Settings(5, 3, n_vcs, latency_ew=2, latency_ns=3, **PIPELINES[pipeline])
    decisions = {"D": 3, "L": 2, "S": 1}[pipeline]
    src, dst = (k.ravel().tolist() for k in np.mgrid[:15, :15])
    size = [1 + k % 4 for k in range(225)]
    due = [7 + 100 * k for k in range(225)]
    inject, arrive = replay(settings, due, src, dst, size)
    assert inject == due
    for a, b, n, sent, received in zip(src, dst, size, inject, arrive, strict=True):
        dx, dy = abs(a % 5 - b % 5), abs(a // 5 - b // 5)
        links = 2 * dx + 3 * dy + 1
        assert received - sent == 2 + (dx + dy + 1) * (decisions + 1) + links + n - 1


@pytest.mark.parametrize(
    ("pipeline", "changes", "cycles"),
    [
        ("D", {"buffer_flits": 1}, 7),
        ("L", {"buffer_flits": 1}, 6),
        ("S", {"buffer_flits": 1}, 5),
        ("D", {"buffer_flits": 1, "credit_delay": 2}, 9),
        ("D", {"buffer_flits": 1, "latency_ew": 3}, 11),
        ("D", {}, 3),
        ("L", {}, 2),
        ("S", {}, 1),
        ("D", {"wait_for_tail_credit": True}, 8),
        ("L", {"wait_for_tail_credit": True}, 7),
        ("S", {"wait_for_tail_credit": True}, 5),
        ("D", {"wait_for_tail_credit": True, "virtual_channels": 2}, 4),
        ("D", {"wait_for_tail_credit": True, "virtual_channels": 4}, 2),
        ("L", {"virtual_channels": 2}, 1),
    ],
)
def test_throughput_of_one_flow(pipeline, changes, cycles):
    """Packets of one flit from one node to another: one in so many cycles."""
    n = 400
    settings = Settings(4, 4, **PIPELINES[pipeline], **changes)
    _, arrive = replay(settings, [0] * n, [0] * n, [3] * n, [1] * n)
    assert arrive[-1] - arrive[-1 - n // 2] == cycles * n // 2


def test_priorities_and_pointers_of_the_allocators():
    first = Allocator("separable_input_first", 3, 1)
    assert first.allocate({(0, 0): 0, (0, 1): 1, (1, 1): 1}) == {0: 1}
    assert first.allocate({(0, 0): 1, (0, 1): 1, (1, 1): 1}) == {0: 0, 1: 1}
    islip = Allocator("islip", 3, 1)
    assert islip.allocate({(0, 0): 0, (0, 1): 1, (1, 1): 1}) == {0: 0}
    assert islip.allocate({(0, 0): 0, (0, 1): 1, (1, 1): 1}) == {0: 1}
    twice = Allocator("islip", 3, 2)
    assert twice.allocate({(0, 0): 0, (0, 1): 0, (1, 1): 0}) == {0: 0, 1: 1}
    assert (twice.input_pointer, twice.output_pointer) == ([1, 0, 0], [1, 0, 0])
