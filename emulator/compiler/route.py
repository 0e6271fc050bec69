"""Pass 3: rows, blocks and packed synapses: who reaches which core with what."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.compiler.partition import placed_core, source_offsets
from emulator.compiler.quantize import Quantised
from emulator.compiler.storage import choose_format
from emulator.errors import CapacityError
from emulator.kernels.sorting import stable_order
from emulator.mapping import Segment
from emulator.network import Network, Projection
from emulator.program import ROW

MAX_ROW = 65_535  # synapses: the length of a row is stored in 16 bits
FEW = 16  # a core's synapses are few when there are so many times more sources
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


def route(
    network: Network, chip: Chip, quantised: Quantised, placement: Placement
) -> dict[str, NDArray[Any]]:
    """Return the tables row_start, rows, blocks and synapses of a program."""
    n_sources = sum(p.size for p in network.populations.values())
    n_synapses = sum(len(p.pre) for p in network.projections)
    packed = np.empty(n_synapses, np.uint32)
    parts: list[NDArray[Any]] = []
    blocks: list[NDArray[Any]] = []
    first = 0
    for index, projection in enumerate(network.projections):
        if not len(projection.pre):
            continue
        out = packed[first : first + len(projection.pre)]
        rows = _pack(projection, quantised.mantissas[index], placement, out)
        rows["start"] += first
        first += len(out)
        mine = _blocks(index, projection, rows, chip, quantised.shifts[index])
        rows["block"] = np.searchsorted(mine[:, 0], rows["core"]) + len(blocks)
        blocks += mine.tolist()
        parts.append(rows)
    table = np.concatenate(parts) if parts else np.empty(0, _ROUTED)
    # A source's rows stand by core; those of one core by projection, as they come.
    _, order = stable_order(np.ascontiguousarray(table["core"]), chip.mesh.n_cores)
    _, order = stable_order(table["source"].astype(np.int32), n_sources, order)
    table = _split(table[order])
    if len(blocks) > MAX_BLOCKS:
        raise CapacityError(
            f"network '{network.name}': {len(blocks)} pairs of a projection and a core it reaches; "
            f"a program holds {MAX_BLOCKS}"
        )
    return {
        "row_start": np.searchsorted(table["source"], np.arange(n_sources + 1)).astype(np.uint32),
        "rows": _program_rows(table),
        "blocks": np.array(blocks, np.int32).reshape(-1, 5),
        "synapses": packed,
    }


_ROUTED = np.dtype(
    [("source", np.int64), ("core", np.int32), ("block", np.int32), ("start", np.int64), ("length", np.int64),
     ("consecutive", bool), ("top", np.int32), ("delay", np.int32)]
)  # fmt: skip


def _pack(
    projection: Projection,
    mantissas: NDArray[np.int16],
    placement: Placement,
    out: NDArray[np.uint32],
) -> NDArray[Any]:
    """Write a projection's synapses, sorted by core, source and target, and return its rows.

    Core by core: what a step visits on one core then lies in few pages of memory, in ascending order.
    """
    source_of = placement.source[projection.source.name].astype(np.int32)
    target = placement.source[projection.target.name].astype(np.int32)[projection.post]
    first, order = stable_order(target, int(placement.core_start[-1]))
    bounds = first[placement.core_start].tolist()
    least = int(source_of.min())
    n_keys = int(source_of.max()) + 1 - least
    parts = []
    for core, (start, stop) in enumerate(pairwise(bounds)):
        if start == stop:
            continue
        mine = order[start:stop]
        key = source_of[projection.pre[mine]] - least
        # Counting takes a pass over all sources; a core with few synapses is sorted sooner otherwise.
        many = (stop - start) * FEW > n_keys
        within = stable_order(key, n_keys)[1] if many else np.argsort(key, kind="stable")
        mine, key = mine[within], key[within]
        slot = (target[mine] - placement.core_start[core]).astype(np.uint32)
        delay = projection.delays
        late = np.uint32(delay) if isinstance(delay, int) else delay[mine].astype(np.uint32)
        weight = mantissas[mine].astype(np.int32).view(np.uint32) << 23
        out[start:stop] = weight | late << 16 | slot
        rows = _rows_of_core(key, slot, np.broadcast_to(late, len(slot)))
        rows["source"] += least
        rows["core"] = core
        rows["start"] += start
        parts.append(rows)
    return np.concatenate(parts)


def _rows_of_core(
    source: NDArray[np.int32], slot: NDArray[np.uint32], late: NDArray[np.uint32]
) -> NDArray[Any]:
    """Return the rows of synapses that are sorted by source, then slot."""
    new = np.ones(len(source), bool)
    new[1:] = source[1:] != source[:-1]
    start = np.flatnonzero(new)
    rows = np.zeros(len(start), _ROUTED)
    rows["source"], rows["start"] = source[start], start
    rows["length"] = np.diff(start, append=len(source))
    gap = np.zeros(len(source), bool)
    gap[1:] = np.diff(slot) != 1
    gap[start] = False
    rows["consecutive"] = ~np.logical_or.reduceat(gap, start)
    rows["top"] = np.maximum.reduceat(slot, start)
    rows["delay"] = np.maximum.reduceat(late, start)
    return rows


def _blocks(
    index: int, projection: Projection, rows: NDArray[Any], chip: Chip, shift: int
) -> NDArray[np.int32]:
    """Return the blocks of a projection, by core, in the format that the partition counted with."""
    order = np.argsort(rows["core"], kind="stable")
    cores, first = np.unique(rows["core"][order], return_index=True)
    consecutive = np.minimum.reduceat(rows["consecutive"][order], first)
    top = np.maximum.reduceat(rows["top"][order], first)
    delay = np.maximum.reduceat(rows["delay"][order], first)
    table = []
    for k, core in enumerate(cores.tolist()):
        form = choose_format(
            chip,
            projection.weight_bits,
            int(delay[k]),
            int(top[k]),
            consecutive=bool(consecutive[k]),
        )
        assert form is not None, "the partition let a block through that no format holds"
        table.append((core, index, shift, form.bits_per_synapse, form.kind))
    return np.array(table, np.int32).reshape(-1, 5)


def _program_rows(table: NDArray[Any]) -> NDArray[Any]:
    """Return rows in the program's layout: only what the kernels need."""
    rows = np.zeros(len(table), ROW)
    for name in ("start", "length", "block"):
        rows[name] = table[name]
    return rows


def _split(table: NDArray[Any]) -> NDArray[Any]:
    """Cut rows that are longer than a row of the program can say."""
    pieces = -(-table["length"] // MAX_ROW)
    if not len(table) or pieces.max() == 1:
        return table
    rows = np.repeat(table, pieces)
    piece = np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    rows["start"] += piece * MAX_ROW
    rows["length"] = np.minimum(rows["length"] - piece * MAX_ROW, MAX_ROW)
    return rows
