"""Inputs from a file: an .npz with `<population>_step`, `<population>_neuron`, perhaps `_payload`; and `r0`, `r1`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.errors import NetworkError
from emulator.files import read_arrays

LIMIT = 2**31
COLUMNS = ("step", "neuron", "payload")
REWARDS = ("r0", "r1")


def read_inputs(path: str | Path) -> dict[str, NDArray[np.int64]]:
    """Read the input spikes of a run.

    Parameters
    ----------
    path : str or Path
        An .npz file. Population `a` is two integer arrays of equal length, `a_step` and `a_neuron`:
        one entry for each spike, in any order; `a_payload` where its spikes have payloads. Arrays `r0` and `r1` are
        read by `read_rewards`.

    Returns
    -------
    dict of str to (n_spikes, 2) or (n_spikes, 3) ndarray
        Step, neuron and, where there is one, payload of each spike, by input population.

    Raises
    ------
    NetworkError
        With every mistake in the file.
    """
    arrays = read_arrays(path, NetworkError)
    mistakes = [] if arrays else ["it holds no arrays"]
    columns: dict[str, dict[str, NDArray[np.generic]]] = {}
    for key, array in arrays.items():
        name, _, column = key.rpartition("_")
        if key in REWARDS:
            continue
        if column in COLUMNS and name:
            columns.setdefault(name, {})[column] = array
            mistakes += _mistakes(key, array)
        else:
            mistakes.append(
                f"'{key}': it must be named <population>_step, <population>_neuron or <population>_payload, "
                "or be a reward, r0 or r1"
            )
    for name, given in columns.items():
        missing = [column for column in ("step", "neuron") if column not in given]
        mistakes += [f"'{name}_{column}' is missing" for column in missing]
        if not missing and len({len(column) for column in given.values() if column.ndim}) > 1:
            sizes = " and ".join(
                f"'{name}_{column}' {given[column].size}" for column in COLUMNS if column in given
            )
            mistakes.append(f"entries of {sizes}: each spike needs one of each")
    if mistakes:
        raise NetworkError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return {
        name: np.stack(
            [given[column].astype(np.int64) for column in COLUMNS if column in given], axis=1
        )
        for name, given in columns.items()
    }


def as_tables(
    inputs: Mapping[str, NDArray[np.int64]],
) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Return what `read_inputs` did with the columns named, which nobody can take for a raster."""
    return {
        name: dict(zip(COLUMNS, np.transpose(spikes), strict=False))
        for name, spikes in inputs.items()
    }


def read_rewards(path: str | Path, steps: int | None = None) -> dict[str, NDArray[np.int64]]:
    """Read the rewards of a run: the arrays `r0` and `r1` of an .npz file, a whole number for each step.

    Parameters
    ----------
    path : str or Path
        The file.
    steps : int, optional
        Return so many: the first ones; behind the last there are zeros.

    Raises
    ------
    NetworkError
        When one is no row of whole numbers.
    """
    rewards = read_arrays(path, NetworkError, REWARDS)
    mistakes = [
        f"{path}: '{key}' is {array.dtype} of shape {array.shape}; it must be one row of whole numbers"
        for key, array in rewards.items()
        if array.ndim != 1 or array.dtype.kind not in "iub"
    ]
    if mistakes:
        raise NetworkError("\n".join(mistakes))
    table = {key: array.astype(np.int64) for key, array in rewards.items()}
    if steps is None:
        return table
    return {
        key: np.append(values[:steps], np.zeros(max(0, steps - len(values)), np.int64))
        for key, values in table.items()
    }


def _mistakes(key: str, column: NDArray[np.generic]) -> list[str]:
    # Not np.integer, which durations are as well: their unit would be lost.
    is_integer = column.dtype.kind in "iu" or not column.size
    if column.ndim != 1 or not is_integer:
        return [
            f"'{key}' is {column.dtype} of shape {column.shape}; it must be one row of integers"
        ]
    low = -LIMIT if key.endswith("_payload") else 0
    if column.size and (int(column.min()) < low or int(column.max()) >= LIMIT):
        return [
            f"'{key}' runs from {column.min()} to {column.max()}; allowed: {low} to {LIMIT - 1}"
        ]
    return []
