"""`emulator noc replay` and `emulator noc sweep`."""

import csv
import os
import signal

import numpy as np
import pytest

from emulator import load_chip
from emulator.cli import main
from emulator.noc import load_trace, replay, sweep

TRACE = "cycle,src,dst,size\n0,0,63,1\n0,5,5,3\n4,63,1,2\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "t.csv").write_text(TRACE)
    return tmp_path


@pytest.fixture
def cli(capsys):
    def run(line):
        status = main(line.split())
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def done(cli):
    def run(line):
        status, out, err = cli(line)
        assert (status, err) == (0, "")
        assert all(len(text) <= 80 for text in out.splitlines())
        return out

    return run


@pytest.fixture
def refused(cli, here):
    """Return a function that runs a line which is refused, and leaves no file behind."""

    def run(line, expected=2):
        before = sorted(path.name for path in here.iterdir())
        status, out, err = cli(line)
        assert (status, out) == (expected, "")
        assert all(text.startswith("emulator: ") for text in err.splitlines())
        assert sorted(path.name for path in here.iterdir()) == before
        return err.replace("emulator: ", "")

    return run


def test_help_lists_the_commands_and_each_has_an_example(done):
    assert all(f" {command} " in done("noc --help") for command in ("replay", "sweep"))
    for command in ("noc", "noc replay", "noc sweep"):
        assert "Example: emulator noc " in done(f"{command} --help")


def test_a_replay_prints_figures_and_writes_the_cycles(here, done):
    text = done("noc replay t.csv --chip noc_d --set mesh.buffer_flits=4 -o out.npz")
    result = replay(load_trace("t.csv"), load_chip("noc_d", {"mesh.buffer_flits": 4}))
    with np.load(here / "out.npz") as file:
        np.testing.assert_array_equal(file["inject_cycle"], result.inject_cycle)
        np.testing.assert_array_equal(file["arrive_cycle"], result.arrive_cycle)
    assert "3 packets over 8 x 8 tiles" in text
    assert f"{result.latency.mean():.2f}" in text
    assert f"{result.network_latency.mean():.2f}" in text
    assert f"{result.accepted:.4g} flits for each tile and cycle" in text
    assert f"{result.cycles:,} from the first packet due to the last arrival" in text
    assert f"flit-routers per second ({result.flit_routers:,} in" in text
    assert "5 at x 5, y 0" in text
    assert "local" in text
    assert "Link load: the busiest link from each tile to another" in text
    assert "y 7" in text


def test_an_empty_trace_is_told_as_such(here, done):
    (here / "none.csv").write_text("cycle,src,dst,size\n")
    assert "0 packets over 8 x 8 tiles" in done("noc replay none.csv --chip noc_s -o out.npz")
    with np.load(here / "out.npz") as file:
        assert file["arrive_cycle"].shape == (0,)


def test_a_high_mesh_has_no_map(here, done):
    text = done("noc replay t.csv --chip noc_s --set mesh.height=64 -o out.npz")
    assert "Hottest links" in text
    assert "Link load" not in text


def test_a_wide_mesh_has_a_map_of_one_column_each(here, done):
    assert "Link load" in done("noc replay t.csv --chip noc_s --set mesh.width=64 -o out.npz")


def test_a_replay_replaces_its_own_output(here, done):
    for chip in ("noc_d", "noc_s"):
        done(f"noc replay t.csv --chip {chip} -o out.npz")
    with np.load(here / "out.npz") as file:
        expected = replay(load_trace("t.csv"), load_chip("noc_s")).arrive_cycle
        np.testing.assert_array_equal(file["arrive_cycle"], expected)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("noc", "Missing command"),
        ("noc replay t.csv --chip noc_s", "Missing option '--output' / '-o'"),
        ("noc replay none.csv --chip noc_s -o out.npz", "none.csv: cannot be read: No such file"),
        ("noc replay t.csv --chip nowhere -o out.npz", "'nowhere' is neither a file nor a shipped chip"),
        ("noc replay t.csv --chip noc_s -o out.csv", "out.csv: the name of the output must end in .npz"),
        ("noc replay t.csv --chip noc_s -o a/out.npz", "a/out.npz: the folder "),
        ("noc replay t.csv --chip noc_s -o folder.npz", "folder.npz: it exists and is not a regular file"),
        ("noc replay t.csv --chip noc_s --set mesh.width=0 -o out.npz", "mesh.width"),
        ("noc replay t.csv --chip loihi -o out.npz", "t.csv: 'dst' is 63 in line 2; allowed: 0 to 31, the tiles of the 8 x 4 mesh"),
        ("noc sweep --chip noc_s", "Missing option '--traffic'"),
        ("noc sweep --chip noc_s --traffic random", "traffic 'random': allowed: uniform, transpose"),
        ("noc sweep --chip noc_s --traffic uniform --loads 0.1,x", "--loads 0.1,x: it must be numbers with commas"),
        ("noc sweep --chip noc_s --traffic uniform --loads 2", "loads 2: allowed"),
        ("noc sweep --chip noc_s --traffic uniform -o out.txt", "out.txt: the name of the output must end in .csv or .npz"),
        ("noc sweep --chip loihi --traffic transpose", "traffic transpose: the mesh is 8 x 4; allowed: square"),
    ],
)  # fmt: skip
def test_mistakes(here, refused, line, message):
    (here / "folder.npz").mkdir()
    assert message in refused(line)


def test_every_mistake_of_a_trace_is_told(here, refused):
    (here / "t.csv").write_text("cycle,src,dst,size\n5,64,1,0\n4,0,x,1\n")
    assert len(refused("noc replay t.csv --chip noc_s -o out.npz").splitlines()) == 4


def test_a_failed_replay_leaves_the_output_of_the_one_before(here, done, cli):
    done("noc replay t.csv --chip noc_s -o out.npz")
    before = (here / "out.npz").read_bytes()
    (here / "t.csv").write_text("cycle,src,dst,size\n0,0,0,0\n")
    assert cli("noc replay t.csv --chip noc_s -o out.npz")[0] == 2
    assert (here / "out.npz").read_bytes() == before


def test_a_stuck_mesh_is_told(refused, monkeypatch):
    monkeypatch.setattr(
        "emulator.noc.replay", lambda trace, chip, **_: replay(crowd(), chip, blocked_tile=9)
    )
    text = refused("noc replay t.csv --chip noc_s -o out.npz")
    assert "192 packets have not arrived" in text
    assert "router at x 1, y 1: input -x, virtual channel 0: " in text


def crowd(n=200):
    columns = {"cycle": np.zeros(n, int), "src": np.arange(n) % 64}
    return columns | {"dst": np.full(n, 9), "size": np.ones(n, int)}


def press(done):
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_a_replay_and_writes_nothing(refused, monkeypatch):
    monkeypatch.setattr(
        "emulator.noc.replay", lambda trace, chip, **_: replay(trace, chip, progress=press)
    )
    assert refused("noc replay t.csv --chip noc_s -o out.npz", 130) == "interrupted\n"


def test_ctrl_c_ends_a_sweep_and_writes_nothing(refused, monkeypatch):
    monkeypatch.setattr(
        "emulator.noc.sweep",
        lambda *args, **options: sweep(*args, **options | {"progress": press}),
    )
    assert refused("noc sweep --chip noc_s --traffic uniform -o out.csv", 130) == "interrupted\n"


def test_a_sweep_prints_a_table_and_a_plot_and_writes_its_points(here, done):
    text = done(
        "noc sweep --chip noc_s --traffic hotspot --loads 0.05,0.5 --seed 3 --cycles 1000 --warmup 500 -o out.csv"
    )
    low, high = sweep(
        load_chip("noc_s"), "hotspot", [0.05, 0.5], seed=3, warmup_cycles=500, cycles=1000
    )
    assert f"{low.latency_mean:.2f}" in text
    assert f"{low.accepted:.4f}" in text
    assert f"{high.accepted:.4f}" in text
    assert text.count("stable") == 2  # in the table and the legend
    assert text.count("saturated") == 3  # and in the note
    assert text.count("●") == text.count("▲") == 2  # in the plot and the legend
    with (here / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["saturated"] for row in rows] == ["False", "True"]
    assert [float(row["accepted"]) for row in rows] == [low.accepted, high.accepted]


def test_a_sweep_has_loads_of_its_own_and_may_write_npz(here, done):
    done("noc sweep --chip noc_l --traffic neighbour --cycles 100 --warmup 100 --size 2 -o out.npz")
    with np.load(here / "out.npz") as file:
        assert file["load"].tolist() == [0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5]


@pytest.mark.parametrize("loads", ["0.1", "0.3,0.1,0.1", "0.000000001", "1"])
def test_any_loads_can_be_shown(here, done, loads):
    text = done(
        f"noc sweep --chip noc_s --traffic transpose --loads {loads} --cycles 50 --warmup 0"
    )
    assert ("offered load" in text) == (loads != "0.000000001")


def test_a_sweep_can_be_read_without_unicode(here, done, monkeypatch):
    monkeypatch.setattr("rich.console.Console.encoding", "ascii")
    text = done("noc sweep --chip noc_s --traffic uniform --loads 0.1,0.9 --cycles 200")
    assert text.isascii()
    assert "o stable" in text


def test_the_chips_of_the_settings_are_shipped(done):
    text = done("check noc_d noc_l noc_s")
    assert text.count("valid") >= 3
