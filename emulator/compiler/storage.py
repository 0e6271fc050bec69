"""What synapses take in a core's memory: blocks of at most so many synapses, in whole words.

Oracle: tests/oracle/storage.py. A row (the synapses of one source on one core, from one projection) is
stored in blocks of at most `block_synapses`; each block has a header and is rounded up to whole words. `sparse`
stores a target index with each synapse, `dense` none, but needs rows whose targets are consecutive.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.kernels.sorting import stable_order
from emulator.network import Projection
from emulator.program.storage import DENSE, PLASTIC_BITS, SPARSE, row_words

__all__ = [
    "DENSE",
    "SPARSE",
    "Format",
    "choose_format",
    "delay_reach",
    "row_words",
    "rows_of",
    "weight_bits",
]

FEW = 16  # synapses are few when there are so many times more sources: counting takes a pass over these


@dataclass(frozen=True)
class Format:
    """How a block of synapses (one projection on one core) is stored."""

    bits_per_synapse: int
    kind: int  # SPARSE or DENSE


def weight_bits(projection: Projection, chip: Chip) -> int:
    """Return the bits that a synapse's weight takes, and its tag."""
    if projection.learning is None:
        return projection.weight_bits
    tag = chip.learning.tag_bits if projection.learning.has_tag else 0
    return PLASTIC_BITS[projection.sign_mode] + tag


def delay_reach(projection: Projection, chip: Chip, max_delay_steps: int) -> int:
    """Return the largest delay that some of a projection's synapses can have: those that learn, any."""
    learns = projection.learning is not None and projection.learning.moves_delays
    return chip.synapses.max_delay_steps if learns else max_delay_steps


def choose_format(
    chip: Chip, weight_bits: int, max_delay_steps: int, top_slot: int, *, consecutive: bool
) -> Format | None:
    """Return the smallest format for a block, or None when no index of the chip reaches its highest target."""
    payload = weight_bits + int(max_delay_steps).bit_length()
    if "dense" in chip.synapses.formats and consecutive:
        return Format(payload, DENSE)
    needed = max(int(top_slot).bit_length(), 1)
    enough = [bits for bits in chip.synapses.index_bits if bits >= needed]
    if "sparse" not in chip.synapses.formats or not enough:
        return None
    return Format(payload + min(enough), SPARSE)


def rows_of(
    pre: NDArray[Any], post: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
    """Group synapses of one block by source.

    Returns
    -------
    sources : (n_rows,) ndarray
        Sources that have a row, ascending.
    lengths : (n_rows,) ndarray
        Synapses of each row.
    consecutive : bool
        Whether the targets of every row are consecutive and distinct.
    """
    if not len(pre):
        return np.empty(0, np.int64), np.empty(0, np.int64), True
    order = _by_source(pre, post)
    pre, post = pre[order], post[order]
    first = np.flatnonzero(np.concatenate([[True], pre[1:] != pre[:-1]]))
    lengths = np.diff(np.append(first, len(pre)))
    inside = np.ones(len(pre), bool)
    inside[first] = False
    consecutive = bool(np.all((post[1:] - post[:-1] == 1)[inside[1:]]))
    return pre[first].astype(np.int64), lengths, consecutive


def _by_source(pre: NDArray[Any], post: NDArray[Any]) -> NDArray[Any]:
    """Return the order by source, then target; counted where targets are in order and sources are not too many."""
    least, most = int(pre.min()), int(pre.max())
    if most - least < FEW * len(pre) and bool(np.all(post[1:] >= post[:-1])):
        return stable_order((pre - least).astype(np.int32), most - least + 1)[1]
    return np.argsort(pre.astype(np.int64) << 32 | post, kind="stable")
