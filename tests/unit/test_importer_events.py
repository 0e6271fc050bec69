"""Recordings of event cameras, against writers of their own; what is no event is dropped, counted and said."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator.errors import EmulatorError, NetworkError
from emulator.importers.events import Events, read_events

HEAD = b"% Data file containing Event2D events.\n% Version 2\n% Date 2020-1-1 10:00:00\n"
TYPE = b"\x0c\x08"


def bin_event(t, x, y, p) -> bytes:
    return bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])


def dat_event(t, x, y, p, above=0) -> bytes:
    return struct.pack("<II", t, x | y << 14 | p << 28 | above << 29)


def old_event(t, x, y, p, above=0) -> bytes:
    return struct.pack("<II", t, x | y << 9 | p << 17 | above)


def rows(events: Events) -> list[tuple[int, ...]]:
    assert all(column.dtype == np.int64 for column in events)
    return list(zip(*(column.tolist() for column in events), strict=True))


def read(tmp_path_factory, name, *parts) -> Events:
    path = tmp_path_factory.mktemp("events") / name
    path.write_bytes(b"".join(parts))
    return read_events(path)


def late(times) -> int:
    return sum(any(before > t for before in times[:k]) for k, t in enumerate(times))


byte, bit = st.integers(0, 255), st.integers(0, 1)
wide = st.integers(0, 2**14 - 1)
MARK = "mark"
bin_events = st.tuples(st.integers(0, 2**23 - 1), byte, byte.filter(lambda y: y != 240), bit)
clock = st.integers(0, 2**32 - 1)


@given(
    st.lists(
        bin_events | st.tuples(st.just(MARK), byte, st.integers(0, 2**23 - 1), bit), max_size=12
    )
)
@example(
    [
        (5, 1, 2, 1),
        (MARK, 0, 0, 0),
        (3, 1, 239, 0),
        (MARK, 9, 7, 1),
        (MARK, 0, 0, 0),
        (0, 1, 241, 0),
    ]
)
def test_n_mnist_is_read_as_it_is_written(tmp_path_factory, items):
    """A mark has y = 240, whatever else is in it, and adds 8,192 us to what follows."""
    parts, expected, passed = [], [], 0
    for item in items:
        if item[0] == MARK:
            parts.append(bin_event(item[2], item[1], 240, item[3]))
            passed += 8192
        else:
            parts.append(bin_event(*item))
            expected.append((item[0] + passed, *item[1:]))
    events = read(tmp_path_factory, "x.bin", *parts)
    assert rows(events) == expected
    n_marks = len(items) - len(expected)
    assert events.dropped == ({"marks of time": n_marks} if n_marks else {})
    assert events.out_of_order == late([t for t, *_ in expected])


def test_a_long_recording_is_in_order(tmp_path_factory):
    """Its clock goes on where it would begin again: what was the end of the time of 23 bits."""
    clock_us = range(0, 3 * 2**23, 2**12)
    parts, expected, before = [], [], 0
    for t in clock_us:
        while t - before > 2**23 - 1:
            parts.append(bin_event(0, 0, 240, 0))
            before += 8192
        parts.append(bin_event(t - before, 5, 6, 1))
        expected.append(t)
    events = read(tmp_path_factory, "x.BIN", *parts)
    assert events.t.tolist() == expected
    assert events.out_of_order == 0
    assert events.notes == (f"dropped: {events.dropped['marks of time']:,} marks of time",)


text = st.text(st.characters(exclude_categories=["C"], exclude_characters="\u2028\u2029")).map(
    lambda line: f"% {line}"
)
lines = st.lists(
    text | st.sampled_from(["% end", "%", "%Version 2", "% Width 640", "%\tx"]), min_size=1
)
ends = st.sampled_from([b"\n", b"\r\n"])
dat_events = st.tuples(clock, wide, wide, bit)
headers = st.tuples(lines, ends, st.sampled_from([0, 12])).filter(
    lambda h: len(h[1].join(x.encode() for x in h[0])) > 4
)


@given(headers, st.lists(st.tuples(dat_events, st.integers(0, 7)), max_size=12))
@example(
    ([HEAD.decode().strip()], b"\n", 0), [((0x25, 0, 0, 0), 5), ((0x0A252025, 0x2525, 9, 1), 7)]
)
def test_prophesee_is_read_as_it_is_written(tmp_path_factory, header, items):
    texts, end, kind = header
    head = b"".join(line.encode() + end for line in texts)
    parts = [dat_event(*event, above) for event, above in items]
    events = read(tmp_path_factory, "x.dat", head, bytes([kind, 8]), *parts)
    wrapped = any("wrapped" in note for note in events.notes)
    expected = [event for event, _ in items]
    times = [t for t, *_ in expected]
    assert [row[1:] for row in rows(events)] == [event[1:] for event in expected]
    assert wrapped or events.t.tolist() == times
    assert (events.t % 2**32).tolist() == times
    assert events.out_of_order == late(events.t.tolist())
    assert events.dropped == {}


@given(
    st.lists(
        st.tuples(clock, st.integers(0, 1279), st.integers(0, 719), bit), min_size=1, max_size=12
    )
)
@example([(0x0A25, 1, 1, 0)])
@example([(0x0A2025, 1, 1, 0)])
@example([(0x25, 0x2525, 9, 1)])
@example([(0x20202025, 0x2020, 0x80, 1), (0x0A0A0A0A, 0x0A0A, 9, 1)])
def test_old_files_have_no_header(tmp_path_factory, items):
    """Also if the first byte is a '%', as that of a header."""
    events = read(tmp_path_factory, "x.dat", *(dat_event(*event) for event in items))
    assert [(t % 2**32, *row) for t, *row in rows(events)] == items
    assert (
        "it has no header: every 8 bytes are read as an event of Prophesee's version 2"
        in events.notes
    )


@pytest.mark.parametrize("version", [0, 1])
def test_versions_below_2_have_fewer_bits(tmp_path_factory, version):
    head = HEAD.replace(b"Version 2", b"Version %d" % version)
    given = [(7, 303, 239, 1), (8, 511, 0, 0), (9, 0, 255, 1)]
    events = read(tmp_path_factory, "x.dat", head, TYPE, *(old_event(*event) for event in given))
    assert rows(events) == given
    assert events.notes == (f"it is of version {version}: 9 bits of x and 8 of y",)
    newer = read(tmp_path_factory, "x.dat", head, TYPE, *(dat_event(*event) for event in given))
    assert rows(newer) == given
    assert newer.notes == (
        f"its header says version {version}, but uses more than its 18 bits: read as version 2",
    )


@pytest.mark.parametrize("version", [b"Version 2", b"Version 3", b"no version", b"Version of text"])
def test_other_headers_mean_version_2(tmp_path_factory, version):
    head = HEAD.replace(b"Version 2", version)
    events = read(tmp_path_factory, "x.dat", head, TYPE, dat_event(7, 303, 3, 0))
    assert (rows(events), events.notes) == ([(7, 303, 3, 0)], ())


def test_a_clock_that_wraps_around_goes_on(tmp_path_factory):
    last, n = 2**32 - 1, 2**32
    times = [last - 5, last, 3, 4, n // 2, last, 0]
    events = read(tmp_path_factory, "x.dat", HEAD, TYPE, *(dat_event(t, 1, 2, 1) for t in times))
    assert events.t.tolist() == [last - 5, last, n + 3, n + 4, n + n // 2, n + last, 2 * n]
    assert events.out_of_order == 0
    assert events.notes == ("its clock of 32 bits wrapped around 2 times: its times go on",)


@pytest.mark.parametrize("times", [[5, 4, 6], [2**32 - 1, 3, 2], [2**31, 1], [2**32 - 1, 2**31]])
def test_times_out_of_order_are_counted_and_left(tmp_path_factory, times):
    events = read(tmp_path_factory, "x.dat", HEAD, TYPE, *(dat_event(t, 1, 2, 1) for t in times))
    assert events.t.tolist() == times
    assert events.out_of_order == late(times) > 0
    assert events.notes == (
        f"{late(times)} events are earlier than one before them; they stand as in the file",
    )


REFUSED = {
    "header alone": (HEAD, "it ends with its header; behind that belong two bytes: the type and the size of its events"),
    "header without an end": (HEAD + b"% more", "it ends with its header; behind that belong two bytes: the type and the size of its events"),
    "half of the two bytes": (HEAD + b"\x0c", "it ends with its header; behind that belong two bytes: the type and the size of its events"),
    "another type": (HEAD + b"\x0e\x08", "events of type 14, 8 bytes each; allowed: type 0 (Event2d) or 12 (EventCD), 8 bytes"),
    "another size": (HEAD + b"\x00\x10" + bytes(16), "events of type 0, 16 bytes each; allowed: type 0 (Event2d) or 12 (EventCD), 8 bytes"),
    "no size": (HEAD + b"\x00\x00" + bytes(8), "events of type 0, 0 bytes each; allowed: type 0 (Event2d) or 12 (EventCD), 8 bytes"),
    "two bytes forgotten": (HEAD + dat_event(7, 3, 4, 1), "events of type 7, 0 bytes each; allowed: type 0 (Event2d) or 12 (EventCD), 8 bytes"),
    "cut": (HEAD + TYPE + bytes(13), "13 bytes are no whole number of events of 8"),
    "cut without a header": (bytes(13), "13 bytes are no whole number of events of 8"),
    "empty": (b"", "0 bytes are no whole number of events of 8: the file is empty"),
    "text": (b"t,x,y,p\n" * 16, "this is text, and no header of events: its lines do not begin with '%'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_dat_files_are_refused(tmp_path, name):
    content, problem = REFUSED[name]
    path = tmp_path / "x.dat"
    path.write_bytes(content)
    with pytest.raises(NetworkError) as error:
        read_events(path)
    assert str(error.value) == f"{path}: {problem}"


def test_other_recordings_are_refused(tmp_path):
    (tmp_path / "b.bin").write_bytes(b"1234")
    with pytest.raises(NetworkError) as error:
        read_events(tmp_path / "b.bin")
    assert str(error.value) == f"{tmp_path}/b.bin: 4 bytes are no whole number of events of 5"
    for name in ("a.raw", "bin", "a.bin.gz", ".dat"):
        with pytest.raises(NetworkError) as error:
            read_events(tmp_path / name)
        assert (
            str(error.value)
            == f"{tmp_path}/{name}: no recording that is known; allowed: .bin, .dat"
        )


@pytest.mark.parametrize("content", [b"", HEAD + TYPE])
def test_a_recording_may_be_empty(tmp_path, content):
    path = tmp_path / ("x.dat" if content else "x.bin")
    path.write_bytes(content)
    events = read_events(path)
    assert (rows(events), events.dropped, events.out_of_order, events.notes) == ([], {}, 0, ())


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"%", b"% ", HEAD, HEAD + TYPE]),
    st.sampled_from(["bin", "dat"]),
)
def test_any_bytes_are_events_or_refused(tmp_path_factory, content, before, ending):
    try:
        events = read(tmp_path_factory, f"x.{ending}", before, content)
    except EmulatorError:
        return
    assert len({len(column) for column in events}) == 1
    assert set(events.p.tolist()) <= {0, 1}
    assert all((column >= 0).all() for column in events)


@pytest.mark.parametrize(
    ("name", "n", "crc"),
    [("sample_nmnist.bin", 4325, 0xAD44283E), ("sample_ncars.dat", 2009, 0xD8F13142)],
)
def test_recordings_are_read_as_others_read_them(reference, name, n, crc):
    events = read_events(reference / "events" / name)
    t, x, y, p = events
    assert len(t) == n
    assert zlib.crc32(np.stack([x, y, t, p], axis=1).tobytes()) == crc
    assert (events.dropped, events.out_of_order, events.notes) == ({}, 0, ())
