"""The forms in which weights and delays are given: what is an array, a sparse matrix, or (pre, post, weight).

One rule for each argument, by its type and never by its size; what could be two things is refused. Nothing here
copies: who keeps what comes from here makes a copy.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import NoArrayError, as_array, is_number
from emulator.errors import NetworkError


class Entries(NamedTuple):
    """Entries of a matrix, or synapses one by one; `is_ours` unless their arrays may be somebody else's."""

    pre: NDArray[Any]
    post: NDArray[Any]
    values: NDArray[Any]
    is_ours: bool = False

    def which(self, keep: NDArray[np.int64]) -> "Entries":
        """Return some of them."""
        return Entries(self.pre[keep], self.post[keep], self.values[keep], is_ours=True)


def array_of(what: str, values: Any) -> NDArray[Any]:
    """Return what is given as an array."""
    try:
        return as_array(values)
    except NoArrayError as error:
        raise NetworkError(f"{what} have {error}; they must form an array") from None


def is_synapses(weights: Any) -> bool:
    """Return whether weights are (pre, post, weight) and no matrix.

    Raises
    ------
    NetworkError
        Where they may be both.
    """
    if not isinstance(weights, tuple):
        return False
    kinds = [isinstance(part, tuple) for part in weights]
    if len(weights) == 3 and all(kinds):
        raise NetworkError(
            "weights are three tuples, which may be the rows of a matrix or (pre, post, weight); write np.array(...) "
            "for a matrix, and (pre, post, weight) as three arrays or lists"
        )
    rows = (isinstance(part, tuple | list) or is_number(part) for part in weights)
    if len(weights) != 3 and not all(rows):
        raise NetworkError(
            f"weights are a tuple of {len(weights)} arrays; three are (pre, post, weight), delays are given as "
            "delay=, and a matrix is one array"
        )
    return len(weights) == 3


def vectors(weights: tuple[Any, ...]) -> Entries:
    """Return (pre, post, weight) as vectors of one length."""
    parts = [array_of("weights", part) for part in weights]
    if len({part.shape for part in parts}) > 1 or parts[0].ndim != 1:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise NetworkError(
            f"weights are (pre, post, weight) arrays of shapes {shapes}; "
            "they must be vectors of one length"
        )
    pre, post, values = parts
    return Entries(pre, post, values)


def matrix_entries(
    weights: Any, shape: tuple[int, int], check: Callable[[NDArray[Any]], None], *, zeros: bool
) -> tuple[Entries, Entries]:
    """Return the synapses of a matrix, and all its entries in the same order: repeats of delays follow these.

    Parameters
    ----------
    check : callable
        Raises where values are of a kind that weights cannot have.
    zeros : bool
        Whether zeros are synapses.
    """
    stored = sparse_entries("weights", weights, shape)
    if stored is not None:
        check(stored.values)
        if zeros or stored.values.all():
            return stored, stored
        return stored.which(np.flatnonzero(stored.values)), stored
    _refuse_table("weights", weights)
    dense = array_of("weights", weights)
    require_shape("weights", dense.shape, shape, weights)
    check(dense)
    post, pre = np.nonzero(np.ones(dense.shape, bool) if zeros else dense)
    each = Entries(pre, post, dense[post, pre], is_ours=True)
    return each, each


def _refuse_table(what: str, given: Any) -> None:
    """Raise NetworkError for a table with a line for each synapse, which is no matrix."""
    try:
        columns = getattr(given, "columns", given if isinstance(given, dict) else ())
        is_table = "pre" in columns and "post" in columns
    except Exception:  # whatever `columns` is
        return
    if is_table:
        raise NetworkError(
            f"{what} are a table with columns 'pre' and 'post'; give its columns: "
            "weights=(table['pre'], table['post'], table['weight']), delay=table['delay']"
        )


def is_sparse(matrix: Any) -> bool:
    """Return whether something is a matrix of scipy.sparse, or pretends to be."""
    try:
        return callable(getattr(matrix, "tocoo", None))
    except Exception:  # of a stranger's class
        return False


def sparse_entries(what: str, matrix: Any, shape: tuple[int, int]) -> Entries | None:
    """Return the stored entries of a sparse matrix in their order, zeros and repeats included; None if it is none."""
    if not is_sparse(matrix):
        return None
    try:
        coo = matrix.tocoo()
        found, parts = tuple(coo.shape), (coo.col, coo.row, coo.data)
    except Exception as error:  # whatever a stranger's class raises
        raise NetworkError(
            f"{_not_sparse(what, matrix)} ({type(error).__name__}: {error!s:.120})"
        ) from None
    require_shape(what, found, shape)
    pre, post, values = (array_of(what, part) for part in parts)
    is_sound = pre.shape == post.shape == values.shape == (len(values),)
    if not is_sound or pre.dtype.kind not in "iu" or post.dtype.kind not in "iu":
        raise NetworkError(_not_sparse(what, matrix))
    return Entries(pre, post, values)


def _not_sparse(what: str, matrix: Any) -> str:
    return f"{what} have the type {type(matrix).__name__}, which cannot be read as a matrix of scipy.sparse"


def require_shape(
    what: str, found: tuple[int, ...], shape: tuple[int, int], given: Any = None
) -> None:
    """Raise NetworkError unless a matrix has the shape (post, pre)."""
    if found == shape:
        return
    hint = ", so it looks transposed" if found == shape[::-1] else ""
    if isinstance(given, list | tuple) and len(given) in {3, 4} and not hint:
        hint = "; (pre, post, weight) is a tuple of three arrays or lists, and delays are given as delay="
    raise NetworkError(f"{what} have shape {found}; expected (post, pre) = {shape}{hint}")


def matrix_delays(delay: Any, each: Entries, stored: Entries, shape: tuple[int, int]) -> Any:
    """Return the delay of each synapse of a matrix: of a matrix of delays, or one for all."""
    entries = sparse_entries("delays", delay, shape)
    if entries is not None:
        return _matched(entries, each, stored, shape[1])
    _refuse_table("delays", delay)
    array = array_of("delays", delay)
    if array.ndim == 0:
        return array
    if array.ndim == 1:
        raise NetworkError(
            f"delay has shape {array.shape}; beside a matrix of weights it is one number, or a matrix (post, pre) = "
            f"{shape}: np.array(delay)[None, :] gives one to each source, [:, None] one to each target"
        )
    try:
        spread = np.broadcast_shapes(array.shape, shape)
    except ValueError:
        spread = array.shape
    require_shape("delays", spread, shape)
    return np.broadcast_to(array, shape)[each.post, each.pre]


def _matched(delays: Entries, each: Entries, stored: Entries, n_pre: int) -> NDArray[Any]:
    """Return what a sparse matrix of delays says of each synapse.

    A pair of neurons without an entry has the delay 0, one entry is for all of its synapses, and as many entries as
    the weights have belong to these in the order of both.
    """
    wanted = _keys(stored, n_pre)
    rank, n_alike = ordinals(wanted)
    order = np.argsort(key := _keys(delays, n_pre), kind="stable")
    key = key[order]
    first = np.searchsorted(key, wanted)
    n_given = np.searchsorted(key, wanted, side="right") - first
    wrong = np.flatnonzero((n_given > 1) & (n_given != n_alike))
    if len(wrong):
        k = wrong[0]
        raise NetworkError(
            f"delays have {n_given[k]} entries for pre {stored.pre[k]}, post {stored.post[k]}, and the weights "
            f"{n_alike[k]}; there must be one, or one for each synapse in the order of the weights"
        )
    found = np.zeros(len(wanted), delays.values.dtype)
    has = n_given > 0
    found[has] = delays.values[order[(first + np.where(n_given > 1, rank, 0))[has]]]
    return found if each is stored else found[np.flatnonzero(stored.values)]


def _keys(entries: Entries, n_pre: int) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = entries.post.astype(np.int64) * n_pre + entries.pre
    return keys


def ordinals(key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many equal keys stand before each, and how many equal it in all, itself included."""
    order = np.argsort(key, kind="stable")
    new = np.ones(len(key), bool)
    new[1:] = np.diff(key[order]) != 0
    begin = np.flatnonzero(new)
    n_each = np.diff(begin, append=len(key))
    rank, n_alike = np.empty(len(key), np.int64), np.empty(len(key), np.int64)
    rank[order] = np.arange(len(key)) - np.repeat(begin, n_each)
    n_alike[order] = np.repeat(n_each, n_each)
    return rank, n_alike


def vector_delays(delay: Any, n: int) -> NDArray[Any]:
    """Return the delay of each of n synapses that are given one by one, or one for all."""
    if is_sparse(delay):
        raise NetworkError(
            f"delay is a sparse matrix; beside (pre, post, weight) it is one number, or a vector of {n}"
        )
    return array_of("delays", delay)
