"""Recordings of event cameras: N-MNIST's `.bin` and Prophesee's `.dat`, as columns."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.errors import NetworkError


class Events(NamedTuple):
    """Events of a camera, each in one line of the arrays.

    Attributes
    ----------
    t : (n,) int64
        Microseconds.
    x, y : (n,) int64
        Pixel; (0, 0) is where the file has it.
    p : (n,) int64
        1 brighter, 0 darker.
    """

    t: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    p: NDArray[np.int64]


def read_events(path: str | Path) -> Events:
    """Read the events of a recording.

    Parameters
    ----------
    path : str or Path
        `*.bin`: five bytes an event, x, y, polarity and 23 bits of time, most significant first (Orchard et al. 2015,
        "Converting static image datasets to spiking neuromorphic datasets using saccades"). `*.dat`: Prophesee's,
        version 2, event type 0 or 12 of eight bytes: time, and 14 bits of x, 14 of y, 4 of polarity.

    Raises
    ------
    NetworkError
        When it cannot be read, or is neither.
    """
    path = Path(path)
    readers = {".bin": _bin, ".dat": _dat}
    if path.suffix not in readers:
        raise NetworkError(f"{path}: no recording that is known; allowed: {', '.join(readers)}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NetworkError(f"{path}: cannot be read: {error.strerror}") from None
    return readers[path.suffix](path, data)


def _bin(path: Path, data: bytes) -> Events:
    if len(data) % 5:
        raise NetworkError(f"{path}: {len(data):,} bytes are no whole number of events of 5")
    x, y, high, middle, low = np.frombuffer(data, np.uint8).reshape(-1, 5).T.astype(np.int64)
    return Events((high & 127) << 16 | middle << 8 | low, x, y, high >> 7)


def _dat(path: Path, data: bytes) -> Events:
    start = 0
    while data[start : start + 1] == b"%":  # lines of text
        end = data.find(b"\n", start)
        start = len(data) if end < 0 else end + 1
    kind, size = (*data[start : start + 2], 0, 0)[:2]
    body = data[start + 2 :]
    if kind not in (0, 12) or size != 8 or len(body) % 8:
        raise NetworkError(
            f"{path}: events of type {kind}, {size} bytes each, in {len(body):,} bytes; allowed: type 0 or 12, 8 bytes"
        )
    t, word = np.frombuffer(body, "<u4").reshape(-1, 2).T.astype(np.int64)
    return Events(t, word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28)
