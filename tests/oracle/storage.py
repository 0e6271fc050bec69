"""What synapses take in the memory of a core, one synapse at a time; nothing is shared with the compiler.

A row is the synapses of one source on one core from one projection. It is stored in blocks; a block has a header and
ends at a word. The rows of a projection on a core share one format: `dense` when the targets of each row follow one
another without gap or repeat, otherwise `sparse`, with the narrowest index that reaches the highest target.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """The synapse section of a chip."""

    word_bits: int
    block_synapses: int
    block_header_bits: int
    index_bits: tuple[int, ...]
    formats: tuple[str, ...]


def bits_for(number: int) -> int:
    """Return how many binary digits a number has; 0 has none."""
    digits = 0
    while number:
        number, digits = number // 2, digits + 1
    return digits


def row_bits(n_synapses: int, bits_per_synapse: int, rules: Rules) -> int:
    """Return the bits of one row."""
    total = in_block = block = 0
    for _ in range(n_synapses):
        if in_block == 0:
            block = rules.block_header_bits
        block, in_block = block + bits_per_synapse, in_block + 1
        if in_block == rules.block_synapses:
            total, in_block, block = total + words(block, rules), 0, 0
    return (total + words(block, rules)) * rules.word_bits


def words(bits: int, rules: Rules) -> int:
    """Return the words that so many bits begin."""
    n = 0
    while n * rules.word_bits < bits:
        n += 1
    return n


def group(
    synapses: list[tuple[int, int, int]], weight_bits: int, rules: Rules
) -> tuple[int, int] | None:
    """Return (bits of a synapse, bits of memory) of (source, slot, delay) on one core, or None if no format holds them."""
    rows: dict[int, list[int]] = {}
    for source, slot, _ in synapses:
        rows.setdefault(source, []).append(slot)
    each = weight_bits + bits_for(max(delay for *_, delay in synapses))
    gapless = all(
        sorted(slots) == list(range(min(slots), min(slots) + len(slots))) for slots in rows.values()
    )
    if not ("dense" in rules.formats and gapless):
        top = max(slot for _, slot, _ in synapses)
        reach = [n for n in sorted(rules.index_bits) if n >= 1 and top < 2**n]
        if "sparse" not in rules.formats or not reach:
            return None
        each += reach[0]
    return each, sum(row_bits(len(slots), each, rules) for slots in rows.values())
