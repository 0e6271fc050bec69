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
    made_for = program.manifest["chip"]["function"]
    own, old = chip.synapses.model_dump(), made_for.get("synapses", {})
    old_tag = made_for.get("learning", {}).get("tag_bits", chip.learning.tag_bits)
    has_all = all(set(old.get(key, own[key])) <= set(own[key]) for key in WIDTHS)
    if has_all and old_tag == chip.learning.tag_bits:
        return bits
    delays = delays_of_blocks(program)
    for block, (core, k, _, total, form) in enumerate(program.blocks.tolist()):
        projection, rule = program.manifest["projections"][k], program.rules.get(k)
        late, fixed = int(delays[block]), 0
        if rule is not None:
            late = program.max_delay_steps if rule.moves_delays else late
            fixed = PLASTIC_BITS[projection["sign_mode"]] + rule.has_tag * old_tag
        late_bits = late.bit_length()
        index = total - late_bits - (fixed or projection["weight_bits"])
        size = int(program.core_start[core + 1] - program.core_start[core])
        index = index if form == SPARSE else max(1, (size - 1).bit_length())
        if rule is None:
            weight = _next(chip.synapses.weight_bits, projection["weight_bits"])
        else:
            weight = fixed + rule.has_tag * (chip.learning.tag_bits - old_tag)
        bits[block] = _bits(chip.synapses, weight, late_bits, index, form)
    return bits


def _bits(rules: Synapses, weight: int, late_bits: int, index: int, form: int) -> int:
    """Return the bits of a synapse of a block whose targets need an index of so many bits, if it is sparse."""
    if not weight:
        return NO_WIDTH
    if form == DENSE and "dense" in rules.formats:
        return weight + late_bits
    wide = _next(rules.index_bits, index)
    if "sparse" not in rules.formats or (not wide and index):
        return NO_WIDTH
    return weight + late_bits + wide


def _next(widths: list[int], needed: int) -> int:
    """Return the smallest width that is enough, or `NO_WIDTH`."""
    return min((width for width in widths if width >= needed), default=NO_WIDTH)


def delays_of_blocks(program: Program) -> NDArray[np.int64]:
    """Return the largest delay of each block's synapses, (n_blocks,)."""
    largest = np.zeros(len(program.blocks), np.int64)
    rows = program.rows[program.rows["length"] > 0]
    if program.max_delay_steps and len(rows):
        rows = rows[np.argsort(rows["start"], kind="stable")]
        delay = (program.synapses >> 16 & 63).astype(np.uint8)
        each = np.maximum.reduceat(delay, rows["start"].astype(np.int64))
        np.maximum.at(largest, rows["block"].astype(np.int64), each)
    return largest
