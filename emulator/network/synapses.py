"""Synapses of a projection, from any of the forms in which they can be given."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import NetworkError

MAX_DELAY_STEPS = 63
PLASTIC_RANGE = (-256, 255)
WEIGHT_RANGE = {"mixed": (-256, 254), "exc": (0, 255), "inh": (-255, 0)}


def synapses(
    n_pre: int, n_post: int, weights: Any, delay: Any, *, zeros: bool = False
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[Any], NDArray[np.uint8] | int]:
    """Return (pre, post, weights, delays), one entry a synapse; `zeros` of a matrix are synapses, or not."""
    if isinstance(weights, Iterator):
        return _collected(n_pre, n_post, weights, delay)
    if hasattr(weights, "tocoo"):
        sparse = weights.tocoo()
        _require_shape("weights", sparse.shape, n_pre, n_post)
        keep = (sparse.data != 0) | zeros
        pre, post, values = sparse.col[keep], sparse.row[keep], sparse.data[keep]
        delays = _delays_at(delay, pre, post, n_pre, n_post)
    elif isinstance(weights, tuple) and len(weights) == 3:
        pre, post, values = (_array("weights", part) for part in weights)
        if not pre.shape == post.shape == values.shape or pre.ndim != 1:
            raise NetworkError(
                f"weights are (pre, post, weight) arrays of shapes {pre.shape}, {post.shape}, {values.shape}; "
                "they must be vectors of one length"
            )
        delays = delay
    else:
        dense = _array("weights", weights)
        _require_shape("weights", dense.shape, n_pre, n_post)
        post, pre = np.nonzero(np.ones(dense.shape, bool) if zeros else dense)
        values = dense[post, pre]
        delays = _delays_at(delay, pre, post, n_pre, n_post)
    pre, post = _indices("pre", pre, n_pre), _indices("post", post, n_post)
    return pre, post, _values(values), _delays(delays, len(pre))


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


def _collected(
    n_pre: int, n_post: int, chunks: Iterator[Any], delay: Any
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[Any], NDArray[np.uint8] | int]:
    """Return the synapses of (pre, post, weight) or (pre, post, weight, delay) chunks, one after the other."""
    if np.ndim(delay):
        raise NetworkError(
            "delay is an array; with chunks of synapses it is one number, or the chunks' fourth array"
        )
    columns = [_Column() for _ in range(4)]
    width = None
    for k, chunk in enumerate(chunks):
        if (
            not isinstance(chunk, tuple)
            or len(chunk) not in {3, 4}
            or len(chunk) != (width or len(chunk))
        ):
            read = f"a tuple of {len(chunk)}" if isinstance(chunk, tuple) else type(chunk).__name__
            raise NetworkError(
                f"chunk {k} of the weights is {read}; all must be (pre, post, weight), or all "
                "(pre, post, weight, delay)"
            )
        width = len(chunk)
        try:
            parts = synapses(n_pre, n_post, chunk[:3], chunk[3] if width == 4 else 0)
        except NetworkError as error:
            raise NetworkError(f"chunk {k}: {error}") from None
        late = parts[3]
        parts = (*parts[:3], np.full(len(parts[0]), late, np.uint8) if width == 4 else late)
        for column, part in zip(columns, parts[:width], strict=False):
            column.append(np.asarray(part))
    pre, post, values = (
        columns[0].array(np.int32),
        columns[1].array(np.int32),
        columns[2].array(np.int16),
    )
    delays = columns[3].array(np.uint8) if width == 4 else _delays(delay, len(pre))
    return pre, post, values, delays


def _array(what: str, values: Any) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise NetworkError(
            f"{what} have rows of different lengths; they must form an array"
        ) from None
    return array


def _delays_at(delay: Any, pre: NDArray[Any], post: NDArray[Any], n_pre: int, n_post: int) -> Any:
    """Return the delay of each synapse of a matrix: of a matrix of delays, or one for all."""
    if hasattr(delay, "tocsr"):
        _require_shape("delays", delay.shape, n_pre, n_post)
        return np.asarray(delay.tocsr()[post, pre]).ravel() if len(pre) else np.empty(0, np.int64)
    array = _array("delays", delay)
    if array.ndim == 0:
        return array
    try:
        shape = np.broadcast_shapes(array.shape, (n_post, n_pre))
    except ValueError:
        shape = array.shape
    _require_shape("delays", shape, n_pre, n_post)
    return np.broadcast_to(array, shape)[post, pre]


def _require_shape(what: str, shape: tuple[int, ...], n_pre: int, n_post: int) -> None:
    if shape != (n_post, n_pre):
        raise NetworkError(
            f"{what} have shape {shape}; expected (post, pre) = ({n_post}, {n_pre})"
            + (", so it looks transposed" if shape == (n_pre, n_post) else "")
        )


def _indices(what: str, index: NDArray[Any], n: int) -> NDArray[np.int32]:
    if index.dtype.kind not in "iu":
        if index.size:
            raise NetworkError(f"{what} indices are {index.dtype}; they must be whole numbers")
        return np.empty(0, np.int32)
    if index.size and not (index.min() >= 0 and index.max() < n):
        raise NetworkError(
            f"{what} indices are {index.min()} to {index.max()}; allowed: 0 to {n - 1}"
        )
    return np.ascontiguousarray(index, np.int32)


def _values(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind in "iu":
        if values.size and not (values.min() >= -(2**31) and values.max() < 2**31):
            raise NetworkError(
                f"weights are {values.min()} to {values.max()}; mantissas have at most 8 bits"
            )
        narrow = not values.size or (values.min() >= -(2**15) and values.max() < 2**15)
        return np.ascontiguousarray(values, np.int16 if narrow else np.int32)
    if values.dtype.kind != "f":
        raise NetworkError(
            f"weights are {values.dtype}; they must be integers (mantissas) or floats (real values)"
        )
    if not np.all(np.isfinite(values)):
        raise NetworkError("weights hold NaN or infinity")
    return np.ascontiguousarray(values, np.float64)


def _delays(delay: Any, n: int) -> NDArray[np.uint8] | int:
    array = _array("delays", delay)
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
    if sign_mode == "mixed" and weight_bits == 8 and odd.size and not learns:
        return [
            f"weight {odd[0]} is odd; mixed weights keep 7 bits and a sign: even values {low} to {high}"
        ]
    return []
