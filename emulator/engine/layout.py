"""The synapses of a program as the run loop visits them: long rows, in memory of large pages.

Nothing here changes what is computed: a shard's rows of one source and projection follow one another in a program, so
that they are one row for the function, and sums do not depend on the order of their terms.
"""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.kernels.machine import BLOCK
from emulator.kernels.sorting import stable_order
from emulator.program import ROW, Program

MAX_ROW = 65_535  # the length of a row is stored in 16 bits
LARGE = 1 << 22  # bytes from which a table is worth pages of its own
PIECE = 1 << 24  # bytes copied at a time, so that the file's pages need not stay in memory


def visited_rows(program: Program) -> tuple[NDArray[np.uint32], NDArray[Any]]:
    """Return row_start and rows of each source: those of the program, joined where a shard has several cores."""
    if np.array_equal(program.shard_start, program.core_start[:-1]) or not len(program.rows):
        return program.row_start, program.rows
    rows, n_sources = program.rows, program.n_sources
    source = np.repeat(np.arange(n_sources, dtype=np.int32), np.diff(program.row_start))
    # Neighbours in memory are rows of one source, projection and shard, by core.
    shard = np.cumsum(np.diff(program.shard_start, prepend=-1) != 0) - 1
    n_projections = len(program.manifest["projections"])
    place = shard[program.blocks[:, 0]] * n_projections + program.blocks[:, 1]
    _, rank = np.unique(place, return_inverse=True)
    key = rank.astype(np.int32)[rows["block"]]
    # With one projection they are in this order already, as most often.
    if not ((key[1:] >= key[:-1]) | (source[1:] != source[:-1])).all():
        _, order = stable_order(key, int(rank.max()) + 1)
        _, order = stable_order(source, n_sources, order)
        rows, source, key = rows[order], source[order], key[order]
    follows = np.zeros(len(rows), bool)
    end = rows["start"].astype(np.int64) + rows["length"]
    follows[1:] = (
        (source[1:] == source[:-1]) & (key[1:] == key[:-1]) & (rows["start"][1:] == end[:-1])
    )
    begins = np.flatnonzero(~follows)
    length = np.add.reduceat(rows["length"].astype(np.int64), begins)
    if length.max() > MAX_ROW:  # such rows stay as they are
        too_long = np.repeat(length > MAX_ROW, np.diff(begins, append=len(rows)))
        begins = np.flatnonzero(~follows | too_long)
        length = np.add.reduceat(rows["length"].astype(np.int64), begins)
    joined = np.zeros(len(begins), ROW)
    joined["start"], joined["block"] = rows["start"][begins], rows["block"][begins]
    joined["length"] = length
    start = np.searchsorted(source[begins], np.arange(n_sources + 1))
    return start.astype(np.uint32), joined


def visited_blocks(program: Program) -> NDArray[Any]:
    """Return the core, first target and scale of each block, as the kernels read them."""
    blocks = np.zeros(len(program.blocks), BLOCK)
    blocks["core"] = program.blocks[:, 0]
    blocks["first_compartment"] = program.shard_start[program.blocks[:, 0]]
    blocks["scale"] = 1 << program.blocks[:, 2]
    populations = {p["name"]: p for p in program.manifest["populations"]}
    targets = [populations[p["target"]] for p in program.manifest["projections"]]
    is_clamped = np.array([target["clamped_by"] is not None for target in targets], bool)
    if is_clamped.any():  # its spikes are given: weights act on nothing
        blocks["scale"][is_clamped[program.blocks[:, 1]]] = 0
    return blocks


def large_pages(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return zeros in memory of large pages where the system has them: a random access then misses one table less."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if n_bytes < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(shape, dtype)
    # Shared memory, the default, has no large pages on most systems.
    memory = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a kernel without them
        return np.zeros(shape, dtype)
    return np.frombuffer(memory, dtype).reshape(shape)


def in_large_pages(table: NDArray[Any]) -> NDArray[Any]:
    """Return a large table of a program as a copy in large pages; the file's own pages are given back meanwhile."""
    if table.nbytes < LARGE:
        return table
    copy = large_pages(table.shape, table.dtype)
    step = PIECE // table.itemsize
    for first in range(0, len(table), step):
        copy[first : first + step] = table[first : first + step]
        forget(table[first : first + step])
    copy.flags.writeable = False
    return copy


def forget(table: NDArray[Any]) -> None:
    """Give back the memory of a part of a mapped file; it is read again when it is needed."""
    owner: Any = table
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    if not isinstance(owner, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    page = mmap.PAGESIZE
    base = np.frombuffer(owner, np.uint8).ctypes.data
    first = -(-(table.ctypes.data - base) // page) * page
    stop = (table.ctypes.data + table.nbytes - base) // page * page
    if stop > first:
        owner.madvise(mmap.MADV_DONTNEED, first, stop - first)
