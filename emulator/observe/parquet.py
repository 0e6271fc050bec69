"""Columns to and from Parquet files, which pandas and polars read. pyarrow is imported on use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import RunError


@dataclass(frozen=True, eq=False)
class Named:
    """A column of names, stored as a dictionary: codes into a list, -1 for none."""

    codes: NDArray[np.integer]
    names: Sequence[str]


Columns = Mapping[str, NDArray[Any] | Named]


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


def write_parts(path: Path, parts: Iterable[Columns]) -> None:
    """Write columns that come in parts, one row group for each; there must be at least one part."""
    writer = None
    try:
        for part in parts:
            table = _table(part)
            if writer is None:
                writer = _pyarrow().parquet.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def write_columns(path: Path, columns: Columns) -> None:
    """Write columns of equal length as one file."""
    write_parts(path, [columns])


def read_columns(path: Path, **wanted: str | Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read columns of a Parquet file.

    Parameters
    ----------
    path : Path
        The file.
    **wanted : str or sequence of str
        For each column its dtype, or for a column of names the names it may hold.

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
    pa = _pyarrow()
    try:
        missing = set(wanted) - set(pa.parquet.read_schema(path).names)
        table = pa.parquet.read_table(path, columns=sorted(set(wanted) - missing))
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RunError(f"{path}: this is no readable Parquet file: {reason}") from None
    if missing:
        raise RunError(f"{path}: it has no column '{min(missing)}'")
    return {
        name: _numbers(path, name, table[name], kind)
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
