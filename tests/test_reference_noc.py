"""The mesh against BookSim2: traces packet by packet, synthetic traffic in the mean."""

import csv
import os
from functools import cache

import numpy as np
import pytest

from emulator import load_chip
from emulator.cli import main
from emulator.noc import load_trace, replay, sweep
from tests.conftest import REFERENCE

SEEDS = range(5)
TRACES = ("4x4_single", "4x4_mixed", "8x8_single", "8x8_mixed")
COLUMNS = [
    f"{setting}_v{vcs}_b{depth}"
    for setting in "DLS"
    for vcs, depth in ((1, 4), (1, 8), (2, 4), (4, 4), (4, 8))
]
TRAFFIC = {
    "uniform": "uniform",
    "transpose": "transpose",
    "bitcomp": "bit_complement",
    "neighbor": "neighbour",
    "hotspot": "hotspot",
}
SIGMAS = 3.5
STEEP = ("D-uniform-2-1-4-0.15", "D-uniform-4-1-8-0.2")
"""Rows so near to saturation that seeds differ by more than 3 %: BookSim2 ran one, so its scatter is allowed."""
CONFIGURATION = ("setting", "traffic", "packet_size", "num_vcs", "vc_buf_size")


def changes(column: str, width: int = 8) -> dict[str, int]:
    _, vcs, depth = column.split("_")
    return {
        "mesh.width": width,
        "mesh.height": width,
        "mesh.virtual_channels": int(vcs[1:]),
        "mesh.buffer_flits": int(depth[1:]),
    }


def chip_of(column: str, width: int = 8):
    return load_chip(f"noc_{column[0].lower()}", changes(column, width))


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("column", COLUMNS)
def test_every_packet_of_a_trace_enters_and_arrives_in_its_cycle(reference, name, column):
    path = reference / "booksim" / f"trace_{name}.npz"
    expected = np.load(path)
    result = replay(load_trace(path), chip_of(column, int(name[0])))
    np.testing.assert_array_equal(result.inject_cycle, expected[f"{column}_itime"])
    np.testing.assert_array_equal(result.arrive_cycle, expected[f"{column}_atime"])
    assert result.flit_routers == int((expected["hops_routers"] * expected["size"]).sum())


@pytest.mark.parametrize(
    ("name", "column"),
    [("4x4_mixed", "L_v2_b4"), ("8x8_mixed", "D_v1_b8"), ("8x8_single", "S_v4_b4")],
)
def test_the_command_writes_the_same_cycles(reference, tmp_path, capsys, name, column):
    path, output = reference / "booksim" / f"trace_{name}.npz", tmp_path / "out.npz"
    expected = np.load(path)
    keys = [
        word
        for key, value in changes(column, int(name[0])).items()
        for word in ("--set", f"{key}={value}")
    ]
    command = [
        "noc",
        "replay",
        str(path),
        "--chip",
        f"noc_{column[0].lower()}",
        *keys,
        "-o",
        str(output),
    ]
    assert main(command) == 0, capsys.readouterr().err
    written = np.load(output)
    assert written["inject_cycle"].dtype == written["arrive_cycle"].dtype == np.int64
    np.testing.assert_array_equal(written["inject_cycle"], expected[f"{column}_itime"])
    np.testing.assert_array_equal(written["arrive_cycle"], expected[f"{column}_atime"])


# synthetic traffic


@cache
def rows() -> list[dict[str, str]]:
    path = REFERENCE / "booksim" / "latency_load.csv"
    if not path.is_file():
        return []
    with path.open() as file:
        return [row for row in csv.DictReader(file) if row["k"] == "8"]


def configuration(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[key] for key in CONFIGURATION)


def load_of(row: dict[str, str]) -> float:
    return float(row["offered_flits_per_node_cycle"])


def lowest_latency(row: dict[str, str]) -> float:
    same = [other for other in rows() if configuration(other) == configuration(row)]
    return float(min(same, key=load_of)["plat_avg"])


def below_the_knee() -> list[dict[str, str]]:
    return [
        row
        for row in rows()
        if row["status"] == "stable" and float(row["plat_avg"]) <= 1.5 * lowest_latency(row)
    ]


def saturated() -> list[dict[str, str]]:
    return [row for row in rows() if row["status"] == "saturated"]


def measured(row: dict[str, str], **options: int) -> list:
    column = f"{row['setting']}_v{row['num_vcs']}_b{row['vc_buf_size']}"
    chip, traffic, size = chip_of(column), TRAFFIC[row["traffic"]], int(row["packet_size"])
    return [sweep(chip, traffic, [load_of(row)], size, seed, **options)[0] for seed in SEEDS]


def latency_error(row: dict[str, str]) -> tuple[float, float]:
    """Return by how much the mean latency of five seeds differs, and by how much it may: parts of BookSim2's."""
    means = np.array([point.latency_mean for point in measured(row)]) / float(row["plat_avg"])
    allowed = SIGMAS * means.std(ddof=1) if label(row) in STEEP else 0.03
    return float(means.mean()) - 1, allowed


def accepted_error(row: dict[str, str]) -> tuple[float, float]:
    """Return by how much accepted flits for each tile and cycle differ, and by how much they may.

    BookSim2's throughput mode warms up for two sample periods and measures in two. Where these are
    1,000 cycles only, the one seed that it ran may differ by more than 2 % from the next one.
    """
    half = 2 * int(row["sample_period"])
    accepted = np.array(
        [point.accepted for point in measured(row, warmup_cycles=half, cycles=half)]
    )
    theirs = float(row["accepted_flits"])
    allowed = max(0.02 * theirs, 0.003)
    if half == 1000:
        allowed = max(allowed, SIGMAS * accepted.std(ddof=1))
    return float(accepted.mean()) - theirs, allowed


def label(row: dict[str, str]) -> str:
    return "-".join((*configuration(row), f"{load_of(row):g}"))


def representatives(found: list[dict[str, str]], every: int) -> list[dict[str, str]]:
    """Return all rows when asked for (NOC_ALL_ROWS=1), else some of each setting and traffic."""
    if os.environ.get("NOC_ALL_ROWS"):
        return found
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in found:
        groups.setdefault((row["setting"], row["traffic"]), []).append(row)
    return [row for group in groups.values() for row in (*group[:-1:every], group[-1])]


@pytest.mark.statistical
@pytest.mark.parametrize("row", representatives(below_the_knee(), 6), ids=label)
def test_mean_latency_below_the_knee(row):
    error, allowed = latency_error(row)
    assert abs(error) <= allowed


@pytest.mark.statistical
@pytest.mark.parametrize("row", representatives(saturated(), 5), ids=label)
def test_accepted_throughput_at_saturation(row):
    error, allowed = accepted_error(row)
    assert abs(error) <= allowed
