"""The forms in which users give the spikes of an input population: which of them a value is, and what it holds.

One rule for each form, see `Emulator.run`; what could be two of them is refused.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.errors import EmulatorError, NetworkError

COLUMNS = ("step", "neuron", "payload")
TRIPLES = (
    "its spikes have payloads: it must be integer triples (n_spikes, 3) of step, neuron and payload"
)


class Input(NamedTuple):
    """An input population, and the steps of the run."""

    name: str
    size: int
    payload: Mapping[str, int] | None
    n_steps: int


class Raster(NamedTuple):
    """A byte for each step and neuron, (n_rows, size); a spike where it is not 0.

    Whole rows or whole columns of it are contiguous.
    """

    cells: NDArray[np.uint8]
    given: NDArray[Any] | None  # numbers of one byte of which nobody knows whether they are 0 and 1


class Listed(NamedTuple):
    """Integers (n, 2), or (n, 3) with payloads: step, neuron, payload of each spike; nothing is checked yet."""

    rows: NDArray[np.integer]


NONE = Listed(np.empty((0, 3), np.int64))


def form_of(given: Input, values: Any) -> Raster | Listed:
    """Return the spikes of an input population in the form in which they were given.

    Raises
    ------
    NetworkError
        When it has none of the forms, or could have two.
    """
    is_plain = type(values) is np.ndarray and not values.dtype.names
    if not is_plain:  # the most common needs no questions
        try:
            listed = _named(given, values)
        except EmulatorError:
            raise
        except Exception as error:  # whatever a stranger's class raises when it is looked at
            raise NetworkError(_unreadable(f"inputs: '{given.name}'", values, error)) from None
        if listed is not None:
            return listed
    array = values if is_plain else as_array(f"inputs: '{given.name}'", values)
    if array.size == 0 and array.ndim < 2:
        return NONE
    if given.payload is not None:
        if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != 3:
            raise NetworkError(f"{_what(given, array)}; {TRIPLES}")
        return Listed(array)
    if array.ndim == 2 and array.dtype.kind in "biu":
        return _whole(given, array, is_array=not isinstance(values, list | tuple))
    if array.ndim == 2 and array.size == 0:
        return NONE
    raise NetworkError(refusal(given, array))


def _named(given: Input, values: Any) -> Listed | None:
    """Return the spikes of a sparse raster or of a table; None of what is neither."""
    if hasattr(values, "tocoo") and hasattr(values, "nnz"):  # one kind of them is a mapping
        return _sparse(given, values)
    names = _column_names(values)
    return None if names is None else Listed(_table(given, values, names))


def _whole(given: Input, array: NDArray[Any], *, is_array: bool) -> Raster | Listed:
    """Return the spikes in a table of truth values or integers."""
    if array.dtype.kind == "b":
        return _raster(given, array)
    if array.shape[1] == 2:
        if given.size == 2:
            _require_pairs(given, array, is_array=is_array)
        return Listed(array)
    if array.size == 0:
        return NONE
    if array.shape[1] == given.size and (array.itemsize == 1 or _is_binary(array)):
        return _raster(given, array)
    raise NetworkError(refusal(given, array))


def as_array(what: str, values: ArrayLike) -> NDArray[Any]:
    """Return values as an array; `what` begins the message where they are none, or are partly masked.

    Raises
    ------
    NetworkError
    """
    rows = values if isinstance(values, list | tuple) else (values,)
    masks = (np.ma.getmaskarray(row) for row in rows if isinstance(row, np.ma.MaskedArray))
    n_masked = sum(int(np.count_nonzero(mask)) for mask in masks)
    if n_masked:
        raise NetworkError(
            f"{what} is a masked array, {n_masked:,} of whose values are masked: say what they are, as "
            "values.filled(0) does"
        )
    try:
        return np.asarray(values)
    except Exception as error:  # of another library: a tensor on a device, one with a gradient
        if isinstance(values, list | tuple) and isinstance(error, ValueError):
            raise NetworkError(
                f"{what} has rows of different lengths; they must form an array"
            ) from None
        raise NetworkError(_unreadable(what, values, error)) from None


def _unreadable(what: str, values: object, error: Exception) -> str:
    kind = type(values)
    return (
        f"{what} is a {kind.__module__}.{kind.__qualname__}, which numpy cannot read ({error}): "
        "give a numpy array"
    )


def _column_names(values: Any) -> list[Any] | None:
    """Return the names of a table's columns; None of what is no table, or is one without steps and neurons."""
    if isinstance(values, Mapping):
        return list(values)
    fields: tuple[str, ...] | None = getattr(getattr(values, "dtype", None), "names", None)
    if fields is not None:
        return list(fields)
    names = getattr(values, "column_names", getattr(values, "columns", ()))  # pyarrow, pandas
    names = list(names) if not callable(names) else []
    return names if "step" in names and "neuron" in names else None


def _table(given: Input, values: Any, names: list[Any]) -> NDArray[np.integer]:
    """Return the rows of a table whose columns have names."""
    wanted = COLUMNS[: 2 if given.payload is None else 3]
    if set(names) != set(wanted):
        raise NetworkError(
            f"inputs: '{given.name}' is a table of {', '.join(map(repr, names)) or 'no columns'}; its columns must be "
            f"{', '.join(wanted)}"
        )
    columns = [as_array(f"inputs: '{given.name}': {name}", values[name]) for name in wanted]
    for name, column in zip(wanted, columns, strict=True):
        if column.ndim != 1 or (column.dtype.kind not in "iu" and column.size):
            raise NetworkError(
                f"inputs: '{given.name}': {name} is {column.dtype} of shape {column.shape}; it must be one row of "
                "integers"
            )
    sizes = [len(column) for column in columns]
    if len(set(sizes)) > 1:
        counted = ", ".join(f"{name} {n:,}" for name, n in zip(wanted, sizes, strict=True))
        raise NetworkError(
            f"inputs: '{given.name}' has columns of different lengths: {counted}; each spike needs one of each"
        )
    if not sizes[0]:
        return NONE.rows
    rows = np.stack(columns, axis=1)
    if rows.dtype.kind == "f":  # numpy's sum of 64 bits with and without a sign
        rows = np.stack([column.astype(object) for column in columns], axis=1)
        rows = rows.astype(np.uint64 if rows.min() >= 0 else np.int64)
    return rows


def _sparse(given: Input, values: Any) -> Listed:
    """Return the entries of a sparse matrix that are not 0; those of one place stay several."""
    if given.payload is not None:
        raise NetworkError(f"{_what(given, values)}, sparse; {TRIPLES}")
    if len(values.shape) != 2:
        raise NetworkError(f"{_what(given, values)}, sparse; it must be (steps, {given.size})")
    _check_shape(given, values.shape)
    entries = values.tocoo()
    is_spike = entries.data != 0
    if not (entries.data[is_spike] == 1).all():
        raise NetworkError(
            f"inputs: '{given.name}' is a sparse matrix with values other than 0 and 1; a neuron spikes once a step, "
            "or not"
        )
    return Listed(np.stack([entries.row[is_spike], entries.col[is_spike]], axis=1))


def _raster(given: Input, array: NDArray[Any]) -> Raster:
    _check_shape(given, array.shape)
    if array.itemsize > 1:
        array = array != 0
    cells = array.view(np.uint8)
    if 1 not in cells.strides and cells.size > 1:
        cells = np.ascontiguousarray(cells)
    return Raster(cells, None if array.dtype.kind == "b" else array)


def _is_binary(array: NDArray[Any]) -> bool:
    return bool(array.min() >= 0 and array.max() <= 1)


def _check_shape(given: Input, shape: tuple[int, ...]) -> None:
    if shape[1] == given.size and shape[0] <= given.n_steps:
        return
    turned = ""
    if shape[0] == given.size and shape[1] <= given.n_steps:
        turned = "; steps come first: write values.T"
    raise NetworkError(
        f"inputs: '{given.name}' has shape {shape}; the run has {given.n_steps} steps and the population "
        f"{given.size} neurons{turned}"
    )


def _require_pairs(given: Input, array: NDArray[Any], *, is_array: bool) -> None:
    """Refuse a table of two columns for two neurons that may be pairs and may be a raster, unless both are the same."""
    if not 0 < len(array) <= given.n_steps or array.min() < 0 or array.max() > 1:
        return
    table = array.astype(np.int64)
    code = 2 * table[:, 0] + table[:, 1]  # as a pair
    spikes = np.flatnonzero(table)  # as a raster
    if np.array_equal(np.sort(code), spikes):
        return
    is_once = len(np.unique(code)) == len(code)
    is_ordered = bool((np.diff(code) > 0).all())
    is_whole = len(array) == given.n_steps or (is_array and array.itemsize == 1)
    if is_once and (not is_whole or (is_ordered and not is_array)):
        return
    raise NetworkError(
        f"inputs: '{given.name}' is zeros and ones in two columns, for two neurons: pairs of step and neuron, or a "
        "raster (steps, 2)? Write np.array(values, bool) for a raster, and for pairs a table "
        "{'step': [...], 'neuron': [...]}"
    )


def refusal(given: Input, array: NDArray[Any]) -> str:
    """Return why an array has none of the forms."""
    size, what = given.size, _what(given, array)
    is_integer = array.dtype.kind in "iu"
    if is_integer and array.ndim == 2 and array.shape[1] == 3:
        return (
            f"inputs: '{given.name}' has triples, but no payload: it is made by "
            f"input('{given.name}', {size}, payload_bits=...)"
        )
    if array.ndim == 2 and array.shape[1] == size:
        if is_integer:
            return f"{what} with values {array.min()} to {array.max()}; a raster has 0 and 1 only"
        if array.dtype.kind == "f":
            return f"{what}; {_forms(size)}; for a raster write values != 0"
    return f"{what}; {_forms(size)}"


def _what(given: Input, array: Any) -> str:
    return f"inputs: '{given.name}' is {array.dtype} of shape {array.shape}"


def _forms(size: int) -> str:
    return f"it must be bool (steps, {size}) or integer pairs (n_spikes, 2) of step and neuron"
