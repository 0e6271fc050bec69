"""Recordings of event cameras: N-MNIST's `.bin` and Prophesee's `.dat`, as columns.

They are read as those who made the formats read them: what marks time is no event, and bits beside the polarity are not
the polarity's. What is dropped, and what is odd, is counted.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import path_of
from emulator.errors import NetworkError
from emulator.files import read_bytes

Integers = NDArray[np.int64]

BIN_BYTES = 5
MARK_Y = 240
"""The row, below the sensor's last, of `.bin` events that are none: time has passed by another `MARK_US`."""
MARK_US = 2**13
DAT_BYTES = 8
DAT_TYPES = {0: "Event2d", 12: "EventCD"}
NO_HEADER_BYTES = 4
"""A header has more bytes than this: fewer are the time of an event that happens to look like text."""
HEADER_LINE = re.compile(rb"%[^\x00-\x08\x0a-\x0c\x0e-\x1f\x7f]*(?:\n|\Z)")
TEXT = re.compile(rb"[\t\n\r\x20-\x7e]{64}")
"""So much of it is no event, of which some byte is 0 or 16: who has more than 1,023 rows?"""
VERSION = re.compile(rb"^%\s*version\s+(\d{1,9})\b", re.IGNORECASE | re.MULTILINE)
LAYOUT, OLD_LAYOUT = (14, 14), (9, 8)
"""Bits of x and of y, the lowest ones of a word; the polarity is the bit above. The old one is of versions below 2."""
CLOCK = 2**32


class _Columns(NamedTuple):
    t: Integers
    x: Integers
    y: Integers
    p: Integers


class Events(_Columns):
    """Events of a camera, each in one line of the arrays, in the order of the file.

    Attributes
    ----------
    t : (n,) int64
        Microseconds.
    x, y : (n,) int64
        Pixel; (0, 0) is where the file has it.
    p : (n,) int64
        1 brighter, 0 darker.
    dropped : mapping of str to int
        How much of the file is no event, by what it is.
    out_of_order : int
        Events that are earlier than one before them.
    notes : tuple of str
        What else a user should know of how the file was read, a sentence each; `dropped` and `out_of_order` are in it.
    """

    dropped: Mapping[str, int] = MappingProxyType({})
    out_of_order: int = 0
    notes: tuple[str, ...] = ()


def read_events(path: str | Path) -> Events:
    """Read the events of a recording.

    Parameters
    ----------
    path : str or Path
        `*.bin`: five bytes an event, x, y, polarity and 23 bits of time, most significant first; one with y = 240 is no
        event, but tells that 8,192 us are to be added to the times from there on (Orchard et al. 2015, "Converting
        static image datasets to spiking neuromorphic datasets using saccades").
        `*.dat`: Prophesee's, lines of text that begin with '%', a byte for the type of the events (0 or 12) and one for
        their size (8), and events: 32 bits of time, and 14 bits of x, 14 of y and one of polarity. Old files have
        events alone. Where a time of 32 bits wraps around in a file that is in order, it goes on.

    Returns
    -------
    Events
        Those of the file, in its order.

    Raises
    ------
    NetworkError
        When it cannot be read, or is neither.
    """
    path = path_of("path", path, NetworkError)
    readers = {".bin": _bin, ".dat": _dat}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise NetworkError(f"{path}: no recording that is known; allowed: {', '.join(readers)}")
    try:
        return reader(path, read_bytes(path, NetworkError))
    except MemoryError:
        raise NetworkError(f"{path}: there is not enough memory for its events") from None


def _bin(path: Path, data: bytes) -> Events:
    if len(data) % BIN_BYTES:
        raise NetworkError(f"{path}: {len(data):,} bytes are no whole number of events of 5")
    x, y, high, middle, low = np.frombuffer(data, np.uint8).reshape(-1, 5).T.astype(np.int64)
    mark = y == MARK_Y
    t = ((high & 127) << 16 | middle << 8 | low) + MARK_US * np.cumsum(mark)
    columns = (column[~mark] for column in (t, x, y, high >> 7))
    return _events(*columns, dropped={"marks of time": int(mark.sum())})


def _dat(path: Path, data: bytes) -> Events:
    start = _header_bytes(data)
    body, notes = data[start:], []
    if start:
        kind, size = (*body[:2], 0, 0)[:2]
        body = body[2:]
        if len(data) < start + 2:
            raise NetworkError(
                f"{path}: it ends with its header; behind that belong two bytes: the type and the size of its events"
            )
        if kind not in DAT_TYPES or size != DAT_BYTES:
            allowed = " or ".join(f"{k} ({name})" for k, name in DAT_TYPES.items())
            raise NetworkError(
                f"{path}: events of type {kind}, {size} bytes each; allowed: type {allowed}, {DAT_BYTES} bytes"
            )
    elif TEXT.match(data):
        raise NetworkError(
            f"{path}: this is text, and no header of events: its lines do not begin with '%'"
        )
    elif data:
        notes.append(
            "it has no header: every 8 bytes are read as an event of Prophesee's version 2"
        )
    if not data or len(body) % DAT_BYTES:
        raise NetworkError(
            f"{path}: {len(body):,} bytes are no whole number of events of {DAT_BYTES}"
            + ("" if data else ": the file is empty")
        )
    t, word = np.frombuffer(body, "<u4").reshape(-1, 2).T.astype(np.int64)
    (x_bits, y_bits), note = _layout(data[:start], word)
    t, wraps = _unwrapped(t)
    if wraps:
        notes.append(f"its clock of 32 bits wrapped around {wraps:,} times: its times go on")
    x = word & (1 << x_bits) - 1
    y, p = word >> x_bits & (1 << y_bits) - 1, word >> x_bits + y_bits & 1
    return _events(t, x, y, p, notes=[*notes, *note])


def _header_bytes(data: bytes) -> int:
    """Return where the header of a .dat file ends: behind lines that begin with '%' and hold nothing but text."""
    end = 0
    while match := HEADER_LINE.match(data, end):
        end = match.end()
        if end == len(data):
            break
    return end if end > NO_HEADER_BYTES else 0


def _layout(header: bytes, word: Integers) -> tuple[tuple[int, int], list[str]]:
    """Return the bits of x and y, and what to say of it: versions below 2 had less, though some files only say so."""
    version = VERSION.search(header)
    if version is None or int(version[1]) >= 2:
        return LAYOUT, []
    bits = sum(OLD_LAYOUT) + 1
    if len(word) and int(word.max()) >> bits:
        said = f"but uses more than its {bits} bits: read as version 2"
        return LAYOUT, [f"its header says version {int(version[1])}, {said}"]
    return OLD_LAYOUT, [
        f"it is of version {int(version[1])}: {OLD_LAYOUT[0]} bits of x and {OLD_LAYOUT[1]} of y"
    ]


def _unwrapped(t: Integers) -> tuple[Integers, int]:
    """Return times that go on where the clock began again, and how often that was.

    It is one only in a file that is in order but for such places, from the last to the first eighth of the clock.
    """
    falls = np.flatnonzero(np.diff(t) < 0)
    is_wrap = (t[falls] >= CLOCK - CLOCK // 8) & (t[falls + 1] < CLOCK // 8)
    if not len(falls) or not is_wrap.all():
        return t, 0
    passed = np.zeros(len(t), np.int64)
    passed[falls + 1] = CLOCK
    return t + np.cumsum(passed), len(falls)


def _events(
    t: Integers,
    x: Integers,
    y: Integers,
    p: Integers,
    *,
    dropped: Mapping[str, int] | None = None,
    notes: list[str] | None = None,
) -> Events:
    """Return events, and what is to be said of them."""
    events = Events(t, x, y, p)
    late = int(np.count_nonzero(t < np.maximum.accumulate(t)))
    events.dropped = {what: n for what, n in (dropped or {}).items() if n}
    events.out_of_order = late
    said = [f"dropped: {n:,} {what}" for what, n in events.dropped.items()]
    if late:
        said.append(f"{late:,} events are earlier than one before them; they stand as in the file")
    events.notes = (*said, *(notes or ()))
    return events
