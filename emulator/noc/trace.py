"""Packet traces: packets with the cycle in which each is due, its tiles and its flits, from .npz or .csv files."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import path_of
from emulator.chip import Chip
from emulator.chip.schema import Mesh
from emulator.errors import TraceError
from emulator.files import MAX_BYTES, read_arrays, read_text

COLUMNS = ("cycle", "src", "dst", "size")
SUFFIXES = (".npz", ".csv")
MAX_CYCLE = 2**62  # the clock of a run must not overflow
MAX_FLITS = 65_535
MOST_TILES = 64 * 64
SHOWN = 3  # rows named for each kind of mistake
TEXT_SHOWN = 24
WHOLE = re.compile(r"\s*([+-]?\d{1,40})(\.0*)?\s*", re.ASCII)

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Trace:
    """Packets in the order in which they are due; `load_trace` and `make_trace` check them.

    Attributes
    ----------
    cycle : (n_packets,) int64
        When each packet is due at its source; it does not decrease.
    src, dst : (n_packets,) int32
        Tiles, numbered x + width * y.
    size : (n_packets,) int32
        Flits.
    name : str
        What messages call the trace: its file.
    """

    cycle: NDArray[np.int64]
    src: NDArray[np.int32]
    dst: NDArray[np.int32]
    size: NDArray[np.int32]
    name: str = "trace"
    lines: NDArray[np.int64] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.cycle)

    def check_tiles(self, mesh: Mesh) -> None:
        """Raise a `TraceError` that names the packets which start or end off a mesh."""
        mistakes = _Mistakes(self.name, self.lines)
        for column, tiles in (("src", self.src), ("dst", self.dst)):
            outside = (tiles < 0) | (tiles >= mesh.n_tiles)
            mistakes.add_rows(column, np.flatnonzero(outside), tiles, _tiles_allowed(mesh))
        mistakes.raise_if_any()


def make_trace(columns: Mapping[str, ArrayLike], *, name: str = "trace") -> Trace:
    """Return a trace of arrays, checked.

    Parameters
    ----------
    columns : mapping of str to array_like
        `cycle`, `src`, `dst` and `size`, of one length.
    name : str
        What messages call it.

    Raises
    ------
    TraceError
        With every kind of mistake, each with the first rows that make it. Rows count from 0.
    """
    mistakes = _Mistakes(name, None)
    for column in COLUMNS:
        if column not in columns:
            mistakes.add_missing(column)
    given = {column: np.asarray(columns[column]) for column in COLUMNS if column in columns}
    return _checked(given, mistakes, None)


def load_trace(path: str | Path, chip: Chip | None = None) -> Trace:
    """Read a trace.

    Parameters
    ----------
    path : str or Path
        An .npz file with integer arrays `cycle`, `src`, `dst` and `size` of one length, or a .csv file
        whose first line names these columns, in any order. Others are ignored. No packets at all is
        a valid trace.
    chip : Chip, optional
        Its mesh must have the tiles, which `replay` checks as well.

    Returns
    -------
    Trace
        Its packets.

    Raises
    ------
    TraceError
        With every kind of mistake in the file, each with the first rows that make it: the rows of
        an .npz file count from 0, a .csv file's are named by their line.
    """
    path = path_of("path", path, TraceError)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise TraceError(f"{path}: the name of a trace ends in {' or '.join(SUFFIXES)}")
    mistakes = _Mistakes(str(path), None)
    try:
        columns = _read_csv(path, mistakes) if suffix == ".csv" else _read_npz(path, mistakes)
    except csv.Error as error:
        raise TraceError(f"{path}: cannot be read: {error}") from None
    return _checked(columns, mistakes, None if chip is None else chip.mesh)


class _Mistakes:
    """What is wrong with a trace: a line for each kind."""

    def __init__(self, name: str, lines: NDArray[np.int64] | None) -> None:
        self.name = name
        self.lines = lines
        self.found: list[str] = []

    def add(self, text: str) -> None:
        self.found.append(text)

    def add_missing(self, column: str, where: str = "") -> None:
        self.add(f"'{column}' is missing{where}; a trace has {', '.join(COLUMNS)}")

    def row(self, row: np.intp) -> str:
        return f"row {row}" if self.lines is None else f"line {self.lines[row]}"

    def add_rows(
        self, column: str, rows: Rows, values: Sequence[Any] | NDArray[Any], allowed: str
    ) -> None:
        """Name the first of the rows that hold what is not allowed, and count the others."""
        if not len(rows):
            return
        named = [f"{_shown(values[row])} in {self.row(row)}" for row in rows[:SHOWN]]
        rest = f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else ""
        self.add(f"'{column}' is {', '.join(named)}{rest}; allowed: {allowed}")

    def raise_if_any(self) -> None:
        if self.found:
            raise TraceError("\n".join(f"{self.name}: {text}" for text in self.found))


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    text = text if len(text) <= TEXT_SHOWN else f"{text[: TEXT_SHOWN - 3]}..."
    return repr(text) if isinstance(value, str) and not WHOLE.fullmatch(value) else text.strip()


def _tiles_allowed(mesh: Mesh) -> str:
    return f"0 to {mesh.n_tiles - 1}, the tiles of the {mesh.width} x {mesh.height} mesh"


def _read_npz(path: Path, mistakes: _Mistakes) -> dict[str, Any]:
    columns = read_arrays(path, TraceError, COLUMNS)
    for name in COLUMNS:
        if name not in columns:
            mistakes.add_missing(name)
    return columns


def _read_csv(path: Path, mistakes: _Mistakes) -> dict[str, Any]:
    text = read_text(path, TraceError, MAX_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [name.strip() for name in next(reader, [])]
    for name in COLUMNS:
        if name not in header:
            mistakes.add_missing(name, " in line 1")
        elif header.count(name) > 1:
            mistakes.add(f"'{name}' is named {header.count(name)} times in line 1; name it once")
    mistakes.raise_if_any()
    rows, lines, odd = [], [], []
    for row in reader:
        if len(row) == len(header):
            rows.append(row)
            lines.append(reader.line_num)
        elif row:
            odd.append(f"{len(row)} in line {reader.line_num}")
    if odd:
        rest = f" and {len(odd) - SHOWN:,} more" if len(odd) > SHOWN else ""
        mistakes.add(f"fields: {', '.join(odd[:SHOWN])}{rest}; line 1 names {len(header)}")
    mistakes.lines = np.array(lines, np.int64)
    return {name: [row[header.index(name)] for row in rows] for name in COLUMNS}


def _checked(columns: Mapping[str, Any], mistakes: _Mistakes, mesh: Mesh | None) -> Trace:
    tiles = f"0 to {MOST_TILES - 1}" if mesh is None else _tiles_allowed(mesh)
    last_tile = MOST_TILES - 1 if mesh is None else mesh.n_tiles - 1
    limits = {
        "cycle": (0, MAX_CYCLE, "0 to 2**62"),
        "src": (0, last_tile, tiles),
        "dst": (0, last_tile, tiles),
        "size": (1, MAX_FLITS, f"1 to {MAX_FLITS} flits"),
    }
    whole = {}
    for name, raw in columns.items():
        low, high, allowed = limits[name]
        numbers = _numbers(raw)
        if numbers is None:
            kind = f"{raw.dtype} of shape {raw.shape}"
            mistakes.add(f"'{name}' is {kind}; it must be one row of whole numbers")
            continue
        values, fits = numbers
        outside = fits & ((values < low) | (values > high))
        mistakes.add_rows(name, np.flatnonzero(~fits), raw, "whole numbers")
        mistakes.add_rows(name, np.flatnonzero(outside), raw, allowed)
        if name == "cycle":
            _check_order(values, np.flatnonzero(fits & ~outside), mistakes)
        whole[name] = values
    if len({len(values) for values in whole.values()}) > 1:
        lengths = ", ".join(f"'{name}' has {len(values):,}" for name, values in whole.items())
        mistakes.add(f"rows: {lengths}; allowed: as many in each column")
    mistakes.raise_if_any()
    cycle = np.ascontiguousarray(whole["cycle"])
    src, dst, size = (whole[name].astype(np.int32) for name in COLUMNS[1:])
    return Trace(cycle, src, dst, size, mistakes.name, mistakes.lines)


def _check_order(cycle: NDArray[np.int64], rows: Rows, mistakes: _Mistakes) -> None:
    before, after = cycle[rows[:-1]], cycle[rows[1:]]
    found = np.flatnonzero(after < before)
    if not len(found):
        return
    named = [f"{after[k]} in {mistakes.row(rows[k + 1])} after {before[k]}" for k in found[:SHOWN]]
    rest = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    mistakes.add(f"'cycle' is {', '.join(named)}{rest}; it must not decrease")


def _numbers(raw: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | None:
    """Return a column as integers, and which of its entries are whole; None if it is no column.

    What is beyond 64 bits becomes the nearest number within: it is not allowed either way.
    """
    if isinstance(raw, list):
        return _numbers_of_texts(raw)
    if raw.ndim != 1 or (raw.dtype.kind not in "iuf" and raw.size):
        return None
    if raw.dtype.kind != "f":
        values = raw
        if raw.dtype.kind == "u":
            values = np.minimum(raw.astype(np.uint64), np.uint64(np.iinfo(np.int64).max))
        return values.astype(np.int64), np.ones(len(raw), bool)
    finite = np.isfinite(raw)
    fits = finite & (np.where(finite, raw, 0) == np.floor(np.where(finite, raw, 0)))
    values = np.clip(np.where(fits, raw, 0).astype(np.float64), -(2.0**62), 2.0**62 + 2048)
    return values.astype(np.int64), fits


def _numbers_of_texts(texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if not any("_" in text for text in texts):  # which int() would accept
        try:
            return np.array(list(map(int, texts)), np.int64), np.ones(len(texts), bool)
        except (ValueError, OverflowError):
            pass
    matches = [WHOLE.fullmatch(text) for text in texts]
    most = int(np.iinfo(np.int64).max)
    values = [max(-most, min(most, int(match[1]))) if match else 0 for match in matches]
    return np.array(values, np.int64), np.array([match is not None for match in matches], bool)
