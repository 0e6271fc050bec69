"""Columns to and from Parquet files, which pandas and polars read. pyarrow is imported on use."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emulator.atomic import atomic_file
from emulator.errors import RunError
from emulator.observe.upgrade import Later

GROUP_ROWS = 1 << 20
"""Rows of a row group: what a stream holds in memory."""
DIFFERENCES = ("neuron",)


@dataclass(frozen=True, eq=False)
class Named:
    """A column of names, stored as a dictionary: codes into a list, -1 for none."""

    codes: NDArray[np.integer]
    names: Sequence[str]


Columns = Mapping[str, NDArray[Any] | Named]


@dataclass(frozen=True)
class Parts:
    """Where the tables of a run that is not finished are: read as if it were the folder of a finished one.

    Attributes
    ----------
    folder : Path
        Holds the parts of each table, as `Stream` makes them.
    n_parts : int
        The first parts of each table, which are those that count.
    """

    folder: Path
    n_parts: int

    def __truediv__(self, name: str) -> "InParts":
        return InParts(self, name)


@dataclass(frozen=True)
class InParts:
    """A table in parts, which `read_columns` takes as it does the path of a whole one."""

    parent: Parts
    name: str

    def __str__(self) -> str:
        return f"{self.parent.folder / Path(self.name).stem}.*.parquet"


Folder = Path | Parts
Table = Path | InParts


def _pyarrow() -> Any:
    import pyarrow.parquet  # noqa: PLC0415  # 0.4 s that only a run folder costs

    return pyarrow


def _table(columns: Columns) -> Any:
    pa = _pyarrow()
    arrays = {}
    for name, column in columns.items():
        if isinstance(column, Named):
            codes = pa.array(column.codes.astype(np.int32), mask=column.codes < 0)
            names = pa.array(list(column.names), pa.string())
            arrays[name] = pa.DictionaryArray.from_arrays(codes, names)
        elif isinstance(column, np.ma.MaskedArray):
            arrays[name] = pa.array(column.data, mask=np.ma.getmaskarray(column))
        else:
            arrays[name] = pa.array(column)
    return pa.table(arrays)


def _writer(path: Path | BinaryIO, schema: Any) -> Any:
    """Return a writer. Neurons, which rise within a step, are stored as differences: a fifth of the size, no slower."""
    as_differences = [name for name in schema.names if name in DIFFERENCES]
    return _pyarrow().parquet.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in as_differences],
        column_encoding=dict.fromkeys(as_differences, "DELTA_BINARY_PACKED") or None,
    )


class Stream:
    """A table that is written while it grows, in parts that are whole files and one file at last.

    A crash loses the part that is being written, and no other.

    Parameters
    ----------
    path : Path
        The file it becomes.
    parts : Path
        Folder for the parts.
    empty : Columns
        Columns without rows, which say what it holds.
    n_parts : int
        Parts that are there already.
    """

    def __init__(self, path: Path, parts: Path, empty: Columns, n_parts: int = 0) -> None:
        self.path, self.n_parts = path, n_parts
        self._folder = parts
        self._schema = _table(empty).schema
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._n_waiting = 0
        # A run that died may have left the part that it was writing.
        self._part(n_parts).unlink(missing_ok=True)

    def write(self, columns: Columns) -> None:
        """Add rows; those of small pieces are gathered until they make a row group."""
        table = _table(columns)
        self._waiting.append(table)
        self._n_waiting += len(table)
        if self._n_waiting >= GROUP_ROWS:
            self._flush()

    def cut(self) -> None:
        """End the part, so that it lasts whatever comes."""
        self._flush()
        self.close()
        part = self._part(self.n_parts)
        if part.exists():
            with part.open("rb") as file:
                os.fsync(file.fileno())
        self.n_parts += 1

    def finish(self) -> None:
        """Make the file from all parts."""
        self.cut()
        parts = [self._part(k) for k in range(self.n_parts) if self._part(k).exists()]
        if len(parts) == 1:
            with suppress(OSError):  # some file systems give a file one name only
                self.path.hardlink_to(parts[0])
                return
        with _writer(self.path, self._schema) as writer:
            for part in parts:
                with _pyarrow().parquet.ParquetFile(part) as file:
                    for group in range(file.num_row_groups):
                        writer.write_table(file.read_row_group(group))

    def close(self) -> None:
        """Close the file that is open, if any."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._writer is None:
            self._writer = _writer(self._part(self.n_parts), self._schema)
        tables, self._waiting, self._n_waiting = self._waiting, [], 0
        self._writer.write_table(_pyarrow().concat_tables(tables).combine_chunks())

    def _part(self, index: int) -> Path:
        return self._folder / f"{self.path.stem}.{index}.parquet"


def add_column(path: Path, name: str, kind: Later) -> None:
    """Give a table of an earlier format the column that it lacks, at one instant; one that has it stays as it is."""
    pa = _pyarrow()
    table = pa.parquet.read_table(path)
    if name in table.column_names:
        return
    table = table.append_column(name, pa.array(np.full(len(table), kind.value, kind)))
    with atomic_file(path) as file, _writer(file, table.schema) as writer:
        writer.write_table(table)


def read_parts(
    path: Path, parts: Path, n_parts: int, **wanted: str | Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Read the parts of a stream that is not finished; see `read_columns`."""
    files = [parts / f"{path.stem}.{k}.parquet" for k in range(n_parts)]
    read = [read_columns(file, **wanted) for file in files if file.exists()]
    return {
        name: np.concatenate([part[name] for part in read])
        if read
        else np.empty(0, kind if isinstance(kind, str) else np.int32)
        for name, kind in wanted.items()
    }


def write_columns(path: Path, columns: Columns) -> None:
    """Write columns of equal length as one file."""
    table = _table(columns)
    with _writer(path, table.schema) as writer:
        writer.write_table(table)


def read_columns(path: Table, **wanted: str | Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read columns of a Parquet file, or of one that is still in parts.

    Parameters
    ----------
    path : Path or InParts
        The file.
    **wanted : str or sequence of str
        For each column its dtype, or for a column of names the names it may hold. One that is `Later` may be missing.

    Returns
    -------
    dict
        An array for each column; a column of names as codes into the given names, -1 for none.
        Empty cells of a number column, which only a recording has, are 0.

    Raises
    ------
    RunError
        When the file is damaged or is not what was wanted.
    """
    if isinstance(path, InParts):
        parts = path.parent
        return read_parts(parts.folder / path.name, parts.folder, parts.n_parts, **wanted)
    pa = _pyarrow()
    try:
        missing = set(wanted) - set(pa.parquet.read_schema(path).names)
        table = pa.parquet.read_table(path, columns=sorted(set(wanted) - missing))
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RunError(f"{path}: this is no readable Parquet file: {reason}") from None
    absent = {name for name in missing if isinstance(wanted[name], Later)}
    if missing - absent:
        raise RunError(f"{path}: it has no column '{min(missing - absent)}'")
    return {
        name: np.full(len(table), kind.value, kind)
        if name in absent and isinstance(kind, Later)
        else _numbers(path, name, table[name], kind)
        if isinstance(kind, str)
        else _codes(path, name, table[name], kind)
        for name, kind in wanted.items()
    }


def _numbers(path: Path, name: str, column: Any, dtype: str) -> NDArray[Any]:
    pa = _pyarrow()
    wanted = pa.from_numpy_dtype(np.dtype(dtype))
    if column.type != wanted:
        raise RunError(f"{path}: column '{name}' is {column.type}; it must be {wanted}")
    if column.null_count:
        column = column.fill_null(pa.scalar(0).cast(wanted))
    array: NDArray[Any] = column.to_numpy()
    return array


def _codes(path: Path, name: str, column: Any, names: Sequence[str]) -> NDArray[Any]:
    pa = _pyarrow()
    if not pa.types.is_dictionary(column.type) or column.type.value_type != pa.string():
        raise RunError(
            f"{path}: column '{name}' is {column.type}; it must be a dictionary of names"
        )
    column = column.unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    index = {known: code for code, known in enumerate(names)}
    held = column.dictionary.to_pylist()
    unknown = [value for value in held if value not in index]
    if unknown:
        raise RunError(f"{path}: column '{name}' holds '{unknown[0]}'; allowed: {', '.join(names)}")
    translation = np.array([index[value] for value in held] + [-1], np.int32)
    codes = column.indices.fill_null(len(held)).to_numpy()
    known: NDArray[np.int32] = translation[codes]
    return known
