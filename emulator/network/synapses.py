"""Synapses of a projection, from any of the forms in which they can be given."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import is_whole
from emulator.errors import NetworkError
from emulator.network.forms import (
    Entries,
    array_of,
    is_synapses,
    matrix_delays,
    matrix_entries,
    vector_delays,
    vectors,
)

Synapses = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[Any], NDArray[np.uint8] | int]

MAX_DELAY_STEPS = 63
PLASTIC_RANGE = (-256, 255)
WEIGHT_RANGE = {"mixed": (-256, 254), "exc": (0, 255), "inh": (-255, 0)}


def synapses(n_pre: int, n_post: int, weights: Any, delay: Any, *, zeros: bool = False) -> Synapses:
    """Return (pre, post, weights, delays), one entry a synapse, in arrays of their own.

    Parameters
    ----------
    weights, delay
        In any of the forms of `Network.connect`.
    zeros : bool
        Whether zeros of a matrix are synapses.

    Raises
    ------
    NetworkError
        When they are in no such form, or in two.
    """
    if isinstance(weights, Iterator):
        return _collected(n_pre, n_post, weights, delay)
    if is_synapses(weights):
        each = vectors(weights)
        return _checked(n_pre, n_post, each, vector_delays(delay, len(each.pre)))
    shape = (n_post, n_pre)
    each, stored = matrix_entries(weights, shape, _require_weights, zeros=zeros)
    late = matrix_delays(delay, each, stored, shape)
    return _checked(n_pre, n_post, each, late)


def _checked(n_pre: int, n_post: int, each: Entries, delays: Any, *, copy: bool = True) -> Synapses:
    """Return synapses after checking them; in copies unless that is not needed."""
    copy = copy and not each.is_ours
    pre, post = _indices("pre", each.pre, n_pre, copy), _indices("post", each.post, n_post, copy)
    return pre, post, _values(each.values, copy), _delays(delays, len(pre))


class _Column:
    """An array that grows in place: large blocks are moved by the system, not copied."""

    def __init__(self) -> None:
        self._held: NDArray[Any] | None = None
        self._n = 0

    def append(self, values: NDArray[Any]) -> None:
        """Add values of the dtype of the first ones."""
        if self._held is None:
            self._held = np.empty(0, values.dtype)
        if values.dtype != self._held.dtype:
            wider = np.promote_types(values.dtype, self._held.dtype)
            self._held = self._held.astype(wider)
        n = self._n + len(values)
        if n > len(self._held):
            self._held.resize(max(n, int(1.2 * len(self._held))), refcheck=False)
        self._held[self._n : n] = values
        self._n = n

    def array(self, dtype: type) -> NDArray[Any]:
        """Return what was added; of `dtype` when there was nothing."""
        if self._held is None:
            return np.empty(0, dtype)
        self._held.resize(self._n, refcheck=False)
        return self._held


def _collected(n_pre: int, n_post: int, chunks: Iterator[Any], delay: Any) -> Synapses:
    """Return the synapses of (pre, post, weight) or (pre, post, weight, delay) chunks, one after the other."""
    if array_of("delays", delay).ndim:
        raise NetworkError(
            "delay is an array; with chunks of synapses it is one number, or the chunks' fourth array"
        )
    columns = [_Column() for _ in range(4)]
    width, is_real = 0, None
    for k, chunk in enumerate(chunks):
        width = _require_chunk(k, chunk, width)
        try:
            each = vectors(chunk[:3])
            late = vector_delays(chunk[3] if width == 4 else 0, len(each.pre))
            # What is appended is copied there: the next chunk may come in the same arrays.
            parts = _checked(n_pre, n_post, each, late, copy=False)
        except NetworkError as error:
            raise NetworkError(f"chunk {k}: {error}") from None
        if not len(parts[0]):
            continue
        if is_real not in {None, kind := parts[2].dtype.kind == "f"}:
            raise NetworkError(
                f"chunk {k}: its weights are {'real' if kind else 'integers'}, and those before are not; all must be "
                "integers (mantissas), or all floats (real values)"
            )
        is_real = kind
        if width == 4:
            parts = (*parts[:3], np.broadcast_to(np.asarray(parts[3], np.uint8), len(parts[0])))
        for column, part in zip(columns, parts[:width], strict=False):
            column.append(np.asarray(part))
    pre, post, values = (
        columns[0].array(np.int32),
        columns[1].array(np.int32),
        columns[2].array(np.int16),
    )
    delays = columns[3].array(np.uint8) if width == 4 else _delays(delay, len(pre))
    return pre, post, values, delays


def _require_chunk(k: int, chunk: Any, width: int) -> int:
    """Return of how many arrays a chunk is: three or four, and as many as those before."""
    if isinstance(chunk, tuple) and len(chunk) in {3, 4} and len(chunk) == (width or len(chunk)):
        return len(chunk)
    read = f"a tuple of {len(chunk)}" if isinstance(chunk, tuple) else type(chunk).__name__
    raise NetworkError(
        f"chunk {k} of the weights is {read}; all must be (pre, post, weight), or all "
        "(pre, post, weight, delay)"
    )


def _indices(what: str, index: NDArray[Any], n: int, copy: bool) -> NDArray[np.int32]:
    if not index.size:
        return np.empty(0, np.int32)
    if index.dtype.kind not in "iu":
        raise NetworkError(f"{what} indices are {index.dtype}; they must be whole numbers")
    if not (index.min() >= 0 and index.max() < n):
        raise NetworkError(
            f"{what} indices are {index.min()} to {index.max()}; allowed: 0 to {n - 1}"
        )
    return _own(index, np.int32, copy)


def _require_weights(values: NDArray[Any]) -> None:
    """Raise NetworkError unless values are of a kind that weights have."""
    if values.dtype.kind not in "iuf" and values.size:
        raise NetworkError(
            f"weights are {values.dtype}; they must be integers (mantissas) or floats (real values)"
        )


def _values(values: NDArray[Any], copy: bool) -> NDArray[Any]:
    _require_weights(values)
    if values.dtype.kind in "iu":
        if values.size and not (values.min() >= -(2**31) and values.max() < 2**31):
            raise NetworkError(
                f"weights are {values.min()} to {values.max()}; mantissas have at most 8 bits"
            )
        narrow = not values.size or (values.min() >= -(2**15) and values.max() < 2**15)
        return _own(values, np.int16 if narrow else np.int32, copy)
    if not values.size:
        return np.empty(0, np.float64)
    with np.errstate(over="ignore"):
        real = _own(values, np.float64, copy)
    if not np.all(np.isfinite(real)):
        raise NetworkError("weights hold NaN or infinity")
    return real


def _own(values: NDArray[Any], dtype: Any, copy: bool) -> NDArray[Any]:
    """Return values as a contiguous array of a type; a copy whatever they are, where it is kept."""
    return np.array(values, dtype, order="C") if copy else np.ascontiguousarray(values, dtype)


def _delays(delay: Any, n: int) -> NDArray[np.uint8] | int:
    array = array_of("delays", delay)
    if array.dtype.kind not in "iu" and array.size:
        raise NetworkError(f"delay is {array.dtype}; it must be whole steps")
    if array.ndim and array.shape != (n,):
        raise NetworkError(
            f"delay has shape {array.shape}; it must be a scalar or one for each of the {n} synapses"
        )
    if array.size and not (array.min() >= 0 and array.max() <= MAX_DELAY_STEPS):
        raise NetworkError(
            f"delay is {array.min()} to {array.max()} steps; allowed: 0 to {MAX_DELAY_STEPS}"
        )
    return array.astype(np.uint8) if array.ndim else int(array)


def sign_mistakes(
    values: NDArray[Any], sign_mode: str, weight_bits: object, is_real: bool, learns: bool
) -> list[str]:
    """Return what is wrong with the signs and the range of weights; those that learn have nine bits."""
    low, high = PLASTIC_RANGE if learns and sign_mode == "mixed" else WEIGHT_RANGE[sign_mode]
    if not values.size:
        return []
    if is_real:
        wrong = {"exc": values.min() < 0, "inh": values.max() > 0, "mixed": False}[sign_mode]
        read = f"weights are {values.min():g} to {values.max():g}"
        return [f"{read}; sign_mode '{sign_mode}' allows one sign"] if wrong else []
    if values.min() < low or values.max() > high:
        read = f"weights are {values.min()} to {values.max()}"
        return [f"{read}; sign_mode '{sign_mode}' allows {low} to {high}"]
    odd = values[values & 1 == 1]
    if (
        sign_mode == "mixed"
        and is_whole(weight_bits)
        and weight_bits == 8
        and odd.size
        and not learns
    ):
        return [
            f"weight {odd[0]} is odd; mixed weights keep 7 bits and a sign: even values {low} to {high}"
        ]
    return []
