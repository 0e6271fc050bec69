"""Traces, replays and sweeps of the mesh alone, from Python."""

import csv

import numpy as np
import pytest

from emulator import load_chip
from emulator.errors import ChipError, EmulatorError, RunError, TraceError
from emulator.noc import PORTS, TRAFFIC, load_trace, make_trace, replay, sweep
from emulator.noc.points import COLUMNS, save_points
from emulator.noc.replaying import TILE_CYCLES
from emulator.noc.traffic import packets

GOOD = {"cycle": [0, 0, 4], "src": [0, 5, 63], "dst": [63, 5, 1], "size": [1, 3, 2]}


@pytest.fixture(scope="module")
def chip():
    return load_chip("noc_s")


@pytest.fixture
def npz(tmp_path):
    """Return a function that writes columns, some of them changed, to an .npz file."""

    def write(**changed):
        columns = {k: v for k, v in (GOOD | changed).items() if v is not None}
        np.savez(tmp_path / "t.npz", **columns)
        return tmp_path / "t.npz"

    return write


@pytest.fixture
def csv_file(tmp_path):
    def write(text, name="t.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def refusal(path, chip=None) -> str:
    with pytest.raises(TraceError) as caught:
        load_trace(path, chip)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return "\n".join(line.removeprefix(f"{path}: ") for line in lines)


# traces that are valid


def equal(trace, columns=GOOD):
    for name, values in columns.items():
        column = getattr(trace, name)
        np.testing.assert_array_equal(column, values)
        assert column.dtype == (np.int64 if name == "cycle" else np.int32)
        assert column.flags.c_contiguous


@pytest.mark.parametrize("kind", ["u1", "i2", "u8", "f4", "f8", ">i4"])
def test_whole_numbers_of_any_type_are_read(npz, kind):
    equal(load_trace(npz(**{name: np.array(values, kind) for name, values in GOOD.items()})))


def test_other_arrays_of_a_file_are_ignored(npz):
    equal(load_trace(npz(hops=np.ones(7), note="x", objects=np.array([object()]))))


def test_a_csv_file_may_have_its_columns_in_any_order_and_others(csv_file):
    text = "dst, size,note,src,cycle\n63,1,a,0,0\n\n5,3.0,,5,0\r\n1,+2,c, 63 ,4\n"
    equal(load_trace(csv_file("\ufeff" + text)))


def test_arrays_in_any_layout_make_a_trace():
    table = np.array(list(GOOD.values())).T
    equal(make_trace({name: table[:, k] for k, name in enumerate(GOOD)}))


@pytest.mark.parametrize("empty", [[], np.empty(0, np.int64)])
def test_a_trace_may_be_empty(npz, csv_file, chip, empty):
    for path in (
        npz(cycle=empty, src=empty, dst=empty, size=empty),
        csv_file("cycle,src,dst,size\n"),
    ):
        result = replay(load_trace(path, chip), chip)
        assert len(result.trace) == len(result.arrive_cycle) == len(result.inject_cycle) == 0
        assert (result.cycles, result.accepted, result.flit_routers) == (0, 0.0, 0)
        assert not result.utilisation.any()


# traces that are not


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": [0, 10**9, -1]}, "'size' is 0 in row 0, 1000000000 in row 1, -1 in row 2; allowed: 1 to 65535 flits"),
        ({"size": [1, 65536, 1]}, "'size' is 65536 in row 1; allowed: 1 to 65535 flits"),
        ({"cycle": [-5, 0, 1]}, "'cycle' is -5 in row 0; allowed: 0 to 2**62"),
        ({"cycle": [0, 1, 2**62 + 1]}, f"'cycle' is {2**62 + 1} in row 2; allowed: 0 to 2**62"),
        ({"cycle": np.array([0, 1, 2**64 - 1], "u8")}, f"'cycle' is {2**64 - 1} in row 2; allowed: 0 to 2**62"),
        ({"cycle": [7, 5, 6]}, "'cycle' is 5 in row 1 after 7; it must not decrease"),
        ({"src": [0, -1, 4096]}, "'src' is -1 in row 1, 4096 in row 2; allowed: 0 to 4095"),
        ({"dst": [0.5, np.nan, np.inf]}, "'dst' is 0.5 in row 0, nan in row 1, inf in row 2; allowed: whole numbers"),
        ({"dst": [1e300, 1, 2]}, "'dst' is 1e+300 in row 0; allowed: 0 to 4095"),
        ({"src": None}, "'src' is missing; a trace has cycle, src, dst, size"),
        ({"src": [1, 2]}, "rows: 'cycle' has 3, 'src' has 2, 'dst' has 3, 'size' has 3; allowed: as many in each column"),
        ({"src": np.array([object()] * 3)}, "'src' holds Python objects; it must be one row of whole numbers"),
        ({"src": ["a", "b", "c"]}, "'src' is <U1 of shape (3,); it must be one row of whole numbers"),
        ({"src": [True, True, False]}, "'src' is bool of shape (3,); it must be one row of whole numbers"),
        ({"src": [1j, 0, 0]}, "'src' is complex128 of shape (3,); it must be one row of whole numbers"),
        ({"src": [[1, 2, 3]]}, "'src' is int64 of shape (1, 3); it must be one row of whole numbers"),
        ({"size": 1}, "'size' is int64 of shape (); it must be one row of whole numbers"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_npz_file(npz, changed, message):
    assert refusal(npz(**changed)) == message


def test_all_mistakes_are_told_at_once_with_the_first_rows_of_each(npz, chip):
    n = 1000
    path = npz(cycle=np.arange(n)[::-1], src=np.full(n, 64), dst=np.zeros(n), size=np.zeros(n, int))
    assert refusal(path, chip).splitlines() == [
        "'cycle' is 998 in row 1 after 999, 997 in row 2 after 998, 996 in row 3 after 997 and 996 more; it must not decrease",
        "'src' is 64 in row 0, 64 in row 1, 64 in row 2 and 997 more; allowed: 0 to 63, the tiles of the 8 x 8 mesh",
        "'size' is 0 in row 0, 0 in row 1, 0 in row 2 and 997 more; allowed: 1 to 65535 flits",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'cycle' is missing in line 1"),
        ("0,0,1,1\n", "'size' is missing in line 1; a trace has cycle, src, dst, size"),
        ("cycle,src,dst,size,src\n", "'src' is named 2 times in line 1; name it once"),
        ("cycle,src,dst,size\n0,0,1\n\n0,1,2,3,4\n", "fields: 3 in line 2, 5 in line 4; line 1 names 4"),
        ("cycle,src,dst,size\n\n0,0,1,x\n0,0,1,\n", "'size' is 'x' in line 3, '' in line 4; allowed: whole numbers"),
        ("cycle,src,dst,size\n0,0,1,1.5\n0,0,1,nan\n0,0,1,1_0\n", "'size' is '1.5' in line 2, 'nan' in line 3, '1_0' in line 4;"),
        ("cycle,src,dst,size\n99999999999999999999,0,1,1\n", "'cycle' is 99999999999999999999 in line 2; allowed: 0 to 2**62"),
        ("cycle,src,dst,size\n" + "9" * 5000 + ",0,1,1\n", "'cycle' is '999999999999999999999...' in line 2; allowed"),
        ("cycle,src,dst,size\n4,0,1,1\n3,0,1,1\n", "'cycle' is 3 in line 3 after 4; it must not decrease"),
        ('cycle,src,dst,size\n"4,0,1,1\n', "cannot be read: unexpected end of data"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_csv_file(csv_file, text, message):
    assert message in refusal(csv_file(text))


def test_files_that_are_no_traces(tmp_path):
    for name, content, message in (
        ("a.npz", b"no zip", "not an .npz file, or a truncated one"),
        ("b.csv", b"\xff\xfe\x00", "byte 0xff in line 1 is not UTF-8 text"),
        ("c.txt", b"", "the name of a trace ends in .npz or .csv"),
    ):
        (tmp_path / name).write_bytes(content)
        assert message in refusal(tmp_path / name)
    assert refusal(tmp_path / "none.npz") == "cannot be read: No such file or directory"
    assert refusal(tmp_path / "none.csv") == "cannot be read: No such file or directory"
    (tmp_path / "d.npz").mkdir()
    assert refusal(tmp_path / "d.npz") == "cannot be read: Is a directory"


def test_a_damaged_npz_file_is_refused(npz):
    path = npz(cycle=np.zeros(5000, np.int64))
    whole = path.read_bytes()
    for n in range(0, len(whole), 97):
        path.write_bytes(whole[:n])
        assert refusal(path)
    for at in range(0, len(whole), 53):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        with pytest.raises(TraceError):
            load_trace(path)  # the lengths differ in any case


def test_a_replay_refuses_columns_with_mistakes_and_tiles_off_its_mesh(chip):
    with pytest.raises(
        TraceError, match=r"^trace: 'dst' is missing; a trace has cycle, src, dst, size$"
    ):
        replay({name: values for name, values in GOOD.items() if name != "dst"}, chip)
    small = load_chip("noc_s", {"mesh.width": 4, "mesh.height": 4})
    with pytest.raises(TraceError) as caught:
        replay(make_trace(GOOD, name="mine"), small)
    assert str(caught.value).splitlines() == [
        "mine: 'src' is 63 in row 2; allowed: 0 to 15, the tiles of the 4 x 4 mesh",
        "mine: 'dst' is 63 in row 0; allowed: 0 to 15, the tiles of the 4 x 4 mesh",
    ]


# replay


@pytest.mark.parametrize(("setting", "per_router"), [("d", 5), ("l", 4), ("s", 3)])
def test_a_packet_alone_takes_the_cycles_of_its_setting(setting, per_router):
    chip = load_chip(f"noc_{setting}")
    result = replay({"cycle": [3, 1003], "src": [0, 9], "dst": [63, 9], "size": [1, 5]}, chip)
    assert result.inject_cycle.tolist() == [3, 1003]
    assert (
        result.network_latency.tolist()
        == result.latency.tolist()
        == [2 + 15 * per_router, 2 + per_router + 4]
    )
    assert result.cycles == 1000 + 2 + per_router + 4 + 1
    assert result.flit_routers == 15 + 5
    assert result.accepted == 6 / (64 * result.cycles)


def test_a_chip_with_slower_links_is_slower_by_as_much():
    changes = {"mesh.link_latency_cycles.east_west": 7, "mesh.link_latency_cycles.north_south": 11}
    columns = {"cycle": [0], "src": [0], "dst": [63], "size": [1]}
    assert replay(columns, load_chip("noc_s", changes)).latency.tolist() == [47 + 7 * 6 + 7 * 10]


def test_links_carry_flits_from_their_tile_in_their_direction(chip):
    result = replay({"cycle": [0], "src": [0], "dst": [9], "size": [3]}, chip)
    expected = np.zeros((64, 5), int)
    expected[0, PORTS.index("+x")] = expected[1, PORTS.index("+y")] = expected[
        9, PORTS.index("local")
    ] = 3
    np.testing.assert_array_equal(result.link_flits, expected)
    np.testing.assert_allclose(result.utilisation, expected / result.cycles)


def test_the_largest_cycle_and_size_that_are_allowed(chip):
    result = replay(
        {"cycle": [0, 2**62], "src": [0, 0], "dst": [1, 1], "size": [65_535, 65_535]}, chip
    )
    assert result.latency.tolist() == [2 + 6 + 65_534] * 2


def test_a_saved_replay_is_read_again(chip, tmp_path):
    result = replay(GOOD, chip)
    result.save(tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as file:
        assert file.files == ["inject_cycle", "arrive_cycle"]
        assert all(file[name].dtype == np.int64 for name in file.files)
        np.testing.assert_array_equal(file["arrive_cycle"], result.arrive_cycle)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def crowd(n, target=9):
    return {
        "cycle": np.zeros(n, int),
        "src": np.arange(n) % 64,
        "dst": np.full(n, target),
        "size": np.ones(n, int),
    }


def test_progress_is_told_often_and_ends_with_all_packets(chip):
    told = []
    replay(crowd(20_000), chip, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 20_000
    assert len(told) >= 20_000 * 64 // TILE_CYCLES


def test_a_stuck_mesh_says_where_and_why(chip):
    with pytest.raises(RunError) as caught:
        replay(crowd(200), chip, blocked_tile=9)
    first, *lines = str(caught.value).splitlines()
    assert "192 packets have not arrived" in first
    assert "stuck" in first
    assert "x 1, y 1: input +x, virtual channel 0: " in lines[0]
    assert "flits towards local" in lines[0]
    assert any("0 of 8 credits left" in line for line in lines)
    assert "more buffers" in lines[-1]


# synthetic traffic


def made(traffic, rate=0.3, n_cycles=2000, seed=1, **changes):
    mesh = load_chip("noc_s", {f"mesh.{key}": value for key, value in changes.items()}).mesh
    return mesh, *packets(traffic, mesh, rate, n_cycles, seed)


@pytest.mark.parametrize("traffic", TRAFFIC)
def test_packets_are_made_by_a_coin_for_each_tile_and_cycle(traffic):
    mesh, cycle, source, target = made(traffic)
    assert (np.diff(cycle) >= 0).all()
    assert cycle.min() >= 0
    assert cycle.max() < 2000
    slots = cycle * mesh.n_tiles + source
    assert (np.diff(slots) > 0).all()  # at most one for each
    n = 2000 * 64
    assert abs(len(cycle) - 0.3 * n) < 5 * np.sqrt(n * 0.3 * 0.7)
    assert ((target >= 0) & (target < 64)).all()
    by_tile = np.bincount(source, minlength=64)
    assert np.abs(by_tile - 600).max() < 5 * np.sqrt(2000 * 0.3 * 0.7)


def test_targets_of_fixed_patterns():
    for traffic, target_of in (
        ("transpose", lambda x, y: (y, x)),
        ("bit_complement", lambda x, y: (7 - x, 7 - y)),
        ("neighbour", lambda x, y: ((x + 1) % 8, (y + 1) % 8)),
    ):
        _, _, source, target = made(traffic)
        for s, t in set(zip(source.tolist(), target.tolist(), strict=True)):
            assert (t % 8, t // 8) == target_of(s % 8, s // 8)
    _, _, source, target = made("bit_complement")
    np.testing.assert_array_equal(target, ~source & 63)
    _, _, source, target = made("neighbour", width=3, height=2)
    np.testing.assert_array_equal(target % 3, (source % 3 + 1) % 3)


@pytest.mark.statistical
def test_uniform_traffic_reaches_every_tile_alike_the_source_included():
    _, _, source, target = made("uniform", rate=1.0, n_cycles=5000)
    expected = len(source) / 64
    assert np.abs(np.bincount(target) - expected).max() < 5 * np.sqrt(expected)
    assert abs((source == target).sum() - expected) < 5 * np.sqrt(expected)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("shape", "centre"), [((8, 8), {27, 28, 35, 36}), ((5, 5), {12}), ((4, 3), {5, 6})]
)
def test_hotspots_are_six_times_as_likely(shape, centre):
    mesh, _, _, target = made("hotspot", rate=1.0, width=shape[0], height=shape[1])
    hits = np.bincount(target, minlength=mesh.n_tiles)
    weight = len(target) / (mesh.n_tiles + 5 * len(centre))
    for tile in range(mesh.n_tiles):
        expected = weight * (6 if tile in centre else 1)
        assert abs(hits[tile] - expected) < 5 * np.sqrt(expected)


def test_more_cycles_only_add_packets_and_another_seed_makes_others():
    _, *short = made("uniform", n_cycles=1000)
    _, *long = made("uniform", n_cycles=9000)
    for few, many in zip(short, long, strict=True):
        np.testing.assert_array_equal(few, many[: len(few)])
    assert made("uniform", seed=2)[3][:50].tolist() != long[2][:50].tolist()


# sweeps


def test_a_sweep_finds_the_zero_load_latency_and_the_saturation(chip):
    low, high = sweep(chip, "neighbour", [0.01, 1.0])
    assert (low.saturated, low.undrained, high.undrained) == (False, 0, 0)
    assert low.latency_mean == pytest.approx(2 + 4.5 * 3, rel=0.03)
    assert low.accepted == pytest.approx(low.offered, rel=0.02)
    transposed = sweep(chip, "transpose", [0.9])[0]
    assert transposed.saturated
    assert transposed.accepted < 0.5 * transposed.offered


def test_a_load_does_not_depend_on_the_others_and_the_seed_decides(chip):
    alone = sweep(chip, "uniform", [0.2], seed=3)
    assert sweep(chip, "uniform", [0.5, 0.2, 0.1], seed=3)[1:2] == alone
    assert sweep(chip, "uniform", [0.2], seed=4) != alone


def test_longer_packets_at_the_same_load_are_fewer(chip):
    one, four = sweep(chip, "uniform", [0.2])[0], sweep(chip, "uniform", [0.2], size=4)[0]
    assert four.packets == pytest.approx(one.packets / 4, rel=0.05)
    assert four.offered == pytest.approx(0.2, rel=0.05)
    assert four.accepted == pytest.approx(four.offered, rel=0.03)


def test_a_load_with_no_packets_has_no_latency(chip):
    (point,) = sweep(chip, "uniform", [1e-9], warmup_cycles=0, cycles=10)
    assert point.packets == 0
    assert np.isnan(point.latency_mean)
    assert not point.saturated


def test_progress_counts_loads(chip):
    told = []
    sweep(chip, "uniform", [0.1, 0.2, 0.3], cycles=10, progress=told.append)
    assert told == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"traffic": "tornado"}, "traffic 'tornado': allowed: uniform, transpose, bit_complement, neighbour, hotspot"),
        ({"traffic": ["uniform"]}, "traffic ['uniform']: allowed: uniform, "),
        ({"loads": []}, "loads none: allowed: one or more, above 0"),
        ({"loads": 0.1}, "loads 0.1: allowed: one or more, above 0"),
        ({"loads": "0.1"}, "loads '0.1': allowed: one or more, above 0"),
        ({"loads": [0.1, "a", None, True]}, "loads 'a', None: allowed: one or more, above 0"),
        ({"loads": np.array([0.5, 2.0])}, "loads 2: allowed: one or more, above 0"),
        ({"size": 1.5, "seed": "a"}, "size 1.5: allowed: 1 to 65535\nseed 'a': allowed: 0 to "),
        ({"loads": [0.1, 0, float("nan"), 1.5]}, "loads 0, nan, 1.5: allowed"),
        ({"size": 0}, "size 0: allowed: 1 to 65535"),
        ({"seed": -1}, "seed -1: allowed: 0 to "),
        ({"cycles": 0}, "cycles 0: allowed: 1 to "),
        ({"warmup_cycles": -1}, "warmup_cycles -1: allowed: 0 to "),
        ({"chip": "noc_s"}, "chip is 'noc_s'; it must be a Chip, as load_chip returns it"),
        ({"cycles": 10**7, "loads": [0.5]}, "cycles: about 320,256,000 packets at a load of 0.5; allowed: 50,000,000"),
    ],
)  # fmt: skip
def test_mistakes_in_the_arguments_of_a_sweep(chip, options, message):
    with pytest.raises(EmulatorError) as caught:
        sweep(**({"chip": chip, "traffic": "uniform", "loads": [0.1]} | options))
    assert message in str(caught.value)


def test_mistakes_in_the_arguments_of_a_replay(chip):
    for trace, named in ((3, "3"), (None, "None"), ("t.csv", "'t.csv'")):
        with pytest.raises(TraceError) as caught:
            replay(trace, chip)
        said = "it must be a Mapping, of columns, or a Trace as load_trace returns it"
        assert str(caught.value) == f"trace is {named}; {said}"
    with pytest.raises(ChipError, match="chip is 'noc_s'; it must be a Chip, as load_chip returns"):
        replay(GOOD, "noc_s")


def test_transpose_traffic_needs_a_square():
    with pytest.raises(RunError, match="traffic transpose: the mesh is 8 x 4; allowed: square"):
        sweep(load_chip("loihi"), "transpose", [0.1])


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_a_saved_sweep_has_a_column_for_each_figure(chip, tmp_path, suffix):
    points = sweep(chip, "uniform", [0.1, 0.6], cycles=500)
    path = tmp_path / f"sweep{suffix}"
    save_points(points, path)
    if suffix == ".npz":
        with np.load(path) as file:
            assert tuple(file.files) == COLUMNS
            assert file["latency_mean"].tolist() == [point.latency_mean for point in points]
            assert file["saturated"].tolist() == [point.saturated for point in points]
    else:
        with path.open() as file:
            rows = list(csv.DictReader(file))
        assert tuple(rows[0]) == COLUMNS
        assert [float(row["latency_mean"]) for row in rows] == [
            point.latency_mean for point in points
        ]
    with pytest.raises(RunError, match=r"x.txt: the name of a sweep ends in .csv or .npz"):
        save_points(points, tmp_path / "x.txt")
