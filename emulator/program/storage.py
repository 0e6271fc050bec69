"""How the synapses of a program lie in a chip's synapse memory: bits of each, words of rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.chip.schema import Synapses
from emulator.program.program import Program

SPARSE, DENSE = 0, 1
"""Formats of a block."""
PLASTIC_BITS = {"mixed": 9, "exc": 8, "inh": 8}
"""Bits of a weight that learns, by sign mode."""
NO_WIDTH = 0
"""Stands for the bits of a synapse for which a chip has no width or format."""
WIDTHS = ("weight_bits", "index_bits", "formats")


def row_words(lengths: NDArray[Any], bits_per_synapse: Any, rules: Synapses) -> NDArray[np.int64]:
    """Return the memory words of rows of these lengths: full storage blocks, then one for the rest."""
    full, rest = np.divmod(np.asarray(lengths, np.int64), rules.block_synapses)
    bits = np.asarray(bits_per_synapse, np.int64)
    whole = -(-(rules.block_synapses * bits + rules.block_header_bits) // rules.word_bits)
    part = -(-(rest * bits + rules.block_header_bits) // rules.word_bits)
    return np.asarray(full * whole + np.where(rest > 0, part, 0), np.int64)


def stored_bits(program: Program, chip: Chip) -> NDArray[np.int64]:
    """Return the bits of a synapse of each block on a chip, (n_blocks,); `NO_WIDTH` where it has no width for them.

    A chip that has every width and format of the one that the program was compiled for stores blocks as they are. On
    others a weight or an index takes the next width that there is, and a dense block becomes sparse where it has to.
    """
    bits = program.blocks[:, 3].astype(np.int64)
    made_for, rules = program.manifest["chip"]["function"], chip.synapses
    own, old = rules.model_dump(), made_for.get("synapses", {})
    old_tag = made_for.get("learning", {}).get("tag_bits", chip.learning.tag_bits)
    has_all = all(set(old.get(key, own[key])) <= set(own[key]) for key in WIDTHS)
    if has_all and old_tag == chip.learning.tag_bits:
        return bits
    delays, tops = reach_of_blocks(program)
    for block, (_, k, _, total, form) in enumerate(program.blocks.tolist()):
        rule = program.rules.get(k)
        late = program.max_delay_steps if rule is not None and rule.moves_delays else delays[block]
        needed, late_bits = max(1, int(tops[block]).bit_length()), int(late).bit_length()
        index = _next(old.get("index_bits", own["index_bits"]), needed) if form == SPARSE else 0
        weight = total - late_bits - index  # and the tag
        if rule is not None:
            weight += rule.has_tag * (chip.learning.tag_bits - old_tag)
        elif weight == program.manifest["projections"][k]["weight_bits"]:
            weight = _next(rules.weight_bits, weight)
        stays_dense = form == DENSE and "dense" in rules.formats
        index = 0 if stays_dense else _next(rules.index_bits, needed)
        fits = weight and (stays_dense or (index and "sparse" in rules.formats))
        bits[block] = weight + late_bits + index if fits else NO_WIDTH
    return bits


def _next(widths: list[int], needed: int) -> int:
    """Return the smallest width that is enough, or `NO_WIDTH`."""
    return min((width for width in widths if width >= needed), default=NO_WIDTH)


def reach_of_blocks(program: Program) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the largest delay of each block's synapses, and their highest target on its core, (n_blocks,) each."""
    delays, tops = np.zeros((2, len(program.blocks)), np.int64)
    rows = program.rows[program.rows["length"] > 0]
    if not len(rows):
        return delays, tops
    rows = rows[np.argsort(rows["start"], kind="stable")]
    start, block = rows["start"].astype(np.int64), rows["block"].astype(np.int64)
    late = np.maximum.reduceat((program.synapses >> 16 & 63).astype(np.uint8), start)
    np.maximum.at(delays, block, late)
    target = np.maximum.reduceat((program.synapses & 0xFFFF).astype(np.uint16), start)
    core = program.blocks[:, 0]
    first = program.core_start[core] - program.shard_start[core]
    np.maximum.at(tops, block, target.astype(np.int64) - first[block])
    return delays, tops
