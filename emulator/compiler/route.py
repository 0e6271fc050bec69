"""Pass 3: rows, blocks and packed synapses: who reaches which core with what."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.compiler.capacity import source_offsets
from emulator.compiler.joined import placed_core
from emulator.compiler.quantize import Quantised
from emulator.compiler.storage import FEW, choose_format, delay_reach, weight_bits
from emulator.errors import CapacityError
from emulator.kernels.sorting import stable_order
from emulator.mapping import Segment
from emulator.network import Network, Projection
from emulator.program import ROW

MAX_ROW = 65_535  # synapses: the length of a row is stored in 16 bits
SHARD = 65_536  # compartments: the target of a synapse has 16 bits
SHORT_ROW = 32  # synapses: visiting a longer row takes so long that its beginning does not count
SHARED_ROWS = 2  # times fewer rows that a shard of several cores must bring
SAMPLE = 1 << 20  # synapses by which that is judged
MAX_BLOCKS = 65_536  # the block of a row is stored in 16 bits


@dataclass
class Placement:
    """Where every neuron is, in the program's numbering."""

    segments: NDArray[np.int32]  # (n_segments, 5) as in a program
    core_start: NDArray[np.int32]
    source: dict[str, NDArray[np.int64]]  # source of each neuron, by population
    core: dict[str, NDArray[np.int32]]  # core of each neuron, by population


def place(network: Network, segments: list[Segment]) -> Placement:
    """Return the place of each compartment, numbered by core in the order of the segments; inputs come last."""
    index = {name: k for k, name in enumerate(network.populations)}
    n_cores = 1 + max((s[3] for s in segments), default=-1)
    sizes = np.zeros(n_cores, np.int64)
    rows, first = [], 0
    source = {name: np.empty(p.size, np.int64) for name, p in network.populations.items()}
    for name, start, stop, core in segments:
        rows.append((index[name], start, stop, core, first))
        source[name][start:stop] = np.arange(first, first + stop - start)
        sizes[core] += stop - start
        first += stop - start
    for name, start in source_offsets(network).items():
        if network.populations[name].is_input:
            source[name][:] = np.arange(start, start + network.populations[name].size)
    return Placement(
        np.array(rows, np.int32).reshape(-1, 5),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        source,
        placed_core(network, segments),
    )


def shard_starts(network: Network, placement: Placement) -> NDArray[np.int32]:
    """Return the compartment from which the targets on each core are counted, (n_cores,): where its shard begins.

    A shard is one core, or as many as 16 bits can tell apart where that makes the rows of a step several times longer:
    the emulator visits them shard by shard. What a core stores, receives and costs is the same.
    """
    alone = placement.core_start[:-1]
    shared = alone.copy()
    for core in range(1, len(shared)):
        if placement.core_start[core + 1] - shared[core - 1] <= SHARD:
            shared[core] = shared[core - 1]
    n_synapses, n_rows, n_shared = 0, 0, 0
    every = 1 + sum(len(p.pre) for p in network.projections) // SAMPLE
    for projection in network.projections:
        some = np.flatnonzero(projection.pre % every == 0)
        pre = projection.pre[some].astype(np.int64)
        onto = placement.core[projection.target.name][projection.post[some]]
        n_synapses += len(some)
        n_rows += len(np.unique(pre << 32 | onto))
        n_shared += len(np.unique(pre << 32 | shared[onto]))
    pays = n_synapses < SHORT_ROW * n_rows and n_rows >= SHARED_ROWS * n_shared
    return shared if pays else alone.copy()


def route(
    network: Network, chip: Chip, quantised: Quantised, placement: Placement
) -> dict[str, NDArray[Any]]:
    """Return the tables shard_start, row_start, rows, blocks and synapses of a program."""
    n_sources = sum(p.size for p in network.populations.values())
    n_synapses = sum(len(p.pre) for p in network.projections)
    shard_start = shard_starts(network, placement)
    packed = np.empty(n_synapses, np.uint32)
    parts: list[NDArray[Any]] = []
    blocks: list[tuple[int, ...]] = []
    first = 0
    for index, projection in enumerate(network.projections):
        if not len(projection.pre):
            continue
        out = packed[first : first + len(projection.pre)]
        shape = _Shape(len(shard_start))
        for rows in _pack(
            projection, quantised.mantissas[index], placement, shard_start, out, shape
        ):
            rows["start"] += first
            parts.append(rows)
        mine = shape.blocks(index, projection, chip, quantised.shifts[index])
        block_of = np.zeros(len(shard_start), np.uint32)
        block_of[[core for core, *_ in mine]] = np.arange(len(blocks), len(blocks) + len(mine))
        for rows in parts[-shape.n_parts :]:
            rows["block"] = block_of[rows["block"]]
        first += len(out)
        blocks += mine
    if len(blocks) > MAX_BLOCKS:
        raise CapacityError(
            f"network '{network.name}': {len(blocks)} pairs of a projection and a core it reaches; "
            f"a program holds {MAX_BLOCKS}"
        )
    block_table = np.array(blocks, np.int32).reshape(-1, 5)
    table = np.concatenate(parts) if parts else np.empty(0, _ROUTED)
    parts.clear()
    # A source's rows stand by core; those of one core by projection, as they come.
    _, order = stable_order(block_table[table["block"], 0], chip.mesh.n_cores)
    _, order = stable_order(table["source"].astype(np.int32), n_sources, order)
    table = _split(table[order])
    return {
        "shard_start": shard_start,
        "row_start": np.searchsorted(table["source"], np.arange(n_sources + 1)).astype(np.uint32),
        "rows": _program_rows(table),
        "blocks": block_table,
        "synapses": packed,
    }


_ROUTED = np.dtype(
    [("source", np.uint32), ("start", np.uint32), ("length", np.uint32), ("block", np.uint32)]
)


class _Shape:
    """What decides how each core stores a projection's synapses: of all rows together."""

    def __init__(self, n_cores: int) -> None:
        self.n_parts = 0
        self._consecutive = np.ones(n_cores, bool)
        self._top = np.full(n_cores, -1, np.int64)  # a core without synapses has none
        self._delay = np.zeros(n_cores, np.int64)

    def add(
        self,
        core: NDArray[Any],
        consecutive: NDArray[np.bool_],
        top: NDArray[Any],
        delay: NDArray[Any],
    ) -> None:
        """Take in some rows."""
        self.n_parts += 1
        np.logical_and.at(self._consecutive, core, consecutive)
        np.maximum.at(self._top, core, top)
        np.maximum.at(self._delay, core, delay)

    def blocks(
        self, index: int, projection: Projection, chip: Chip, shift: int
    ) -> list[tuple[int, ...]]:
        """Return the blocks of a projection, by core, in the format that the partition counted with."""
        table: list[tuple[int, ...]] = []
        for core in np.flatnonzero(self._top >= 0).tolist():
            form = choose_format(
                chip,
                weight_bits(projection, chip),
                delay_reach(projection, chip, int(self._delay[core])),
                int(self._top[core]),
                consecutive=bool(self._consecutive[core]),
            )
            assert form is not None, "the partition let a block through that no format holds"
            table.append((core, index, shift, form.bits_per_synapse, form.kind))
        return table


def _pack(
    projection: Projection,
    mantissas: NDArray[np.int16],
    placement: Placement,
    shard_start: NDArray[np.int32],
    out: NDArray[np.uint32],
    shape: _Shape,
) -> Iterator[NDArray[Any]]:
    """Write a projection's synapses, sorted by shard, source and target, and yield each shard's rows.

    What a step visits of one shard then lies in few pages of memory, in ascending order. The block of a row is its
    core, for now.
    """
    source_of = placement.source[projection.source.name].astype(np.int32)
    target_of = placement.source[projection.target.name].astype(np.int32)
    core_of = placement.core[projection.target.name]
    lowest, top = int(target_of.min()), int(target_of.max()) + 1
    first, order = stable_order(target_of[projection.post] - lowest, top - lowest)
    least = int(source_of.min())
    n_keys = int(source_of.max()) + 1 - least
    begins = np.unique(shard_start[core_of.min() : core_of.max() + 1]).tolist()
    for begin, end in pairwise([*begins, top]):
        start, stop = int(first[max(begin - lowest, 0)]), int(first[end - lowest])
        if start == stop:
            continue
        mine = order[start:stop]
        key = source_of[projection.pre[mine]] - least
        # Counting takes a pass over all sources; a shard with few synapses is sorted sooner otherwise.
        many = (stop - start) * FEW > n_keys
        within = stable_order(key, n_keys)[1] if many else np.argsort(key, kind="stable")
        mine, key = mine[within], key[within]
        post = projection.post[mine]
        target = target_of[post]
        delay = projection.delays
        late = np.uint32(delay) if isinstance(delay, int) else delay[mine].astype(np.uint32)
        weight = mantissas[mine].astype(np.int32).view(np.uint32) << 23
        out[start:stop] = weight | late << 16 | (target - begin).astype(np.uint32)
        late = np.broadcast_to(late, len(key))
        rows = _rows_of_shard(key, target, core_of[post], late, placement.core_start, shape)
        rows["source"] += least
        rows["start"] += start
        yield rows


def _rows_of_shard(
    source: NDArray[np.int32],
    target: NDArray[np.int32],
    core: NDArray[np.int32],
    late: NDArray[np.uint32],
    core_start: NDArray[np.int32],
    shape: _Shape,
) -> NDArray[Any]:
    """Return the rows of synapses that are sorted by source, then target compartment; a row stays on its core."""
    new = np.ones(len(source), bool)
    new[1:] = (source[1:] != source[:-1]) | (core[1:] != core[:-1])
    start = np.flatnonzero(new)
    rows = np.zeros(len(start), _ROUTED)
    rows["source"], rows["start"] = source[start], start
    rows["length"] = np.diff(start, append=len(source))
    rows["block"] = core[start]
    gap = np.zeros(len(source), bool)
    gap[1:] = np.diff(target) != 1
    gap[start] = False
    last = start + rows["length"] - 1
    shape.add(
        core[start],
        ~np.logical_or.reduceat(gap, start),
        target[last] - core_start[core[start]],
        np.maximum.reduceat(late, start),
    )
    return rows


def _program_rows(table: NDArray[Any]) -> NDArray[Any]:
    """Return rows in the program's layout: only what the kernels need."""
    rows = np.zeros(len(table), ROW)
    for name in ("start", "length", "block"):
        rows[name] = table[name]
    return rows


def _split(table: NDArray[Any]) -> NDArray[Any]:
    """Cut rows that are longer than a row of the program can say."""
    pieces = -(-table["length"].astype(np.int64) // MAX_ROW)
    if not len(table) or pieces.max() == 1:
        return table
    rows = np.repeat(table, pieces)
    skipped = (np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * MAX_ROW
    rows["start"] = rows["start"] + skipped
    rows["length"] = np.minimum(rows["length"] - skipped, MAX_ROW)
    return rows
