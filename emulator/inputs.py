"""Input spikes from a file: an .npz with `<population>_step` and `<population>_neuron` arrays."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.errors import NetworkError

LIMIT = 2**31
COLUMNS = ("step", "neuron")


def read_inputs(path: str | Path) -> dict[str, NDArray[np.int64]]:
    """Read the input spikes of a run.

    Parameters
    ----------
    path : str or Path
        An .npz file. Population `a` is two integer arrays of equal length, `a_step` and `a_neuron`:
        one entry for each spike, in any order.

    Returns
    -------
    dict of str to (n_spikes, 2) ndarray
        Step and neuron of each spike, by input population.

    Raises
    ------
    NetworkError
        With every mistake in the file.
    """
    path = Path(path)
    arrays = _read(path)
    mistakes = [] if arrays else ["it holds no arrays"]
    columns: dict[str, dict[str, NDArray[np.generic]]] = {}
    for key, array in arrays.items():
        name, _, column = key.rpartition("_")
        if column in COLUMNS and name:
            columns.setdefault(name, {})[column] = array
            mistakes += _mistakes(key, array)
        elif column == "payload" and name:
            mistakes.append(f"'{key}': spikes with a payload are not supported; remove it")
        else:
            mistakes.append(f"'{key}': it must be named <population>_step or <population>_neuron")
    for name, pair in columns.items():
        n_entries = {len(column) for column in pair.values() if column.ndim}
        if len(pair) == 1:
            (lone,) = set(COLUMNS) - set(pair)
            mistakes.append(f"'{name}_{lone}' is missing")
        elif len(n_entries) == 2:
            mistakes.append(
                f"'{name}_step' has {pair['step'].size} entries and '{name}_neuron' "
                f"{pair['neuron'].size}; each spike needs both"
            )
    if mistakes:
        raise NetworkError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return {
        name: np.stack([pair[column].astype(np.int64) for column in COLUMNS], axis=1)
        for name, pair in columns.items()
    }


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with path.open("rb"):
            pass
        if not zipfile.is_zipfile(path):
            raise NetworkError(f"{path}: not an .npz file, or a truncated one")
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise NetworkError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise NetworkError(f"{path}: cannot be read: {reason or error}") from None


def _mistakes(key: str, column: NDArray[np.generic]) -> list[str]:
    is_integer = np.issubdtype(column.dtype, np.integer) or not column.size
    if column.ndim != 1 or not is_integer:
        return [
            f"'{key}' is {column.dtype} of shape {column.shape}; it must be one row of integers"
        ]
    if column.size and (int(column.min()) < 0 or int(column.max()) >= LIMIT):
        return [f"'{key}' runs from {column.min()} to {column.max()}; allowed: 0 to {LIMIT - 1}"]
    return []
