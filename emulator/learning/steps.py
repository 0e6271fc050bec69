"""Rules as micro-instructions: what the learning engine does for each synapse that it visits.

For each target: LOAD its value x 128 into the accumulator, then MAC, one for each product, then STORE: round, clip.
All targets read the values from before the visit.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from emulator.errors import LearningError
from emulator.learning.grammar import Factor, Product, pointed
from emulator.learning.rule import KEYS, PRE_TRACES, TARGETS, TRACE_MAX, Rule

FRACTION_BITS = 7
"""Bits of a weight, delay or tag behind the point, in the accumulator."""
EXPONENTS = range(-7, 9)
MOST_OPERANDS, MOST_FACTORS, MOST_TERMS = 24, 8, 64


class Limits(Protocol):
    """A range of a chip file."""

    @property
    def minimum(self) -> int:
        """Lowest value."""

    @property
    def maximum(self) -> int:
        """Highest value."""


class Engine(Protocol):
    """The section `learning` of a chip file, as far as it decides how a rule is compiled."""

    @property
    def instructions(self) -> int:
        """Longest rule."""

    @property
    def mantissa_bits(self) -> int:
        """Width of a constant's mantissa."""

    @property
    def product_bits(self) -> int:
        """Bits that a product is shifted down to."""

    @property
    def tag_limits(self) -> Limits:
        """Range of tags."""


class Source(IntEnum):
    """Where an operand of a product comes from."""

    PRE_AT_PRE = 0  # a pre trace when the source fired last: one number for a row
    PRE_AT_POST = 1  # a pre trace when the target fired last
    PRE_AT_END = 2  # a pre trace at the end of the epoch
    POST_AT_PRE = 3
    POST_AT_POST = 4
    POST_AT_END = 5
    WEIGHT = 6
    DELAY = 7
    TAG = 8
    SHARED = 9  # a reward, or u_k: one number for all
    PRE_FIRED = 10
    POST_FIRED = 11


@dataclass(frozen=True)
class Operand:
    """A factor with its constant or its sign, as it is looked up once for each synapse visited.

    `index` is the trace (0 is x1 or y1), the reward (0, 1), or 2 + k of u_k.
    """

    source: Source
    index: int = 0
    constant: int = 0
    is_sign: bool = False
    width: int = 1


@dataclass(frozen=True)
class Term:
    """A product: ((operands x mantissa) >> down) << up, added to the accumulator of its target."""

    target: str
    gate: str
    mantissa: int
    down: int
    up: int
    operands: tuple[int, ...]
    needs: tuple[
        tuple[Source, int], ...
    ]  # operands of one number for a row, or all: 0 where one is 0
    text: str


@dataclass(frozen=True)
class Steps:
    """A rule as micro-instructions."""

    operands: tuple[Operand, ...]
    terms: tuple[Term, ...]
    targets: tuple[str, ...]

    @property
    def n_instructions(self) -> int:
        """Micro-instructions of one visit of one synapse."""
        return 2 * len(self.targets) + len(self.terms)


WIDTHS = {"x0": 1, "y0": 1, "w": 9, "d": 9, "t": 9, "r0": 8, "r1": 8}
TRACE_BITS = 7
RANGES = {"w": (-256, 255), "d": (0, 63), "r0": (-128, 127), "r1": (-128, 127)}


def width_of(factor: Factor) -> int:
    """Return the bits of a factor, to which it is clipped and by which a product is shifted."""
    return WIDTHS.get(factor.name, 1 if factor.name[0] == "u" else TRACE_BITS)


GATE_READS = {
    "x0": (Source.PRE_FIRED, Source.PRE_AT_PRE, Source.POST_AT_PRE),
    "y0": (Source.POST_FIRED, Source.PRE_AT_POST, Source.POST_AT_POST),
}
"""Operands that are 0 where the gate's neuron did not fire; the first says only that."""


def compiled(rule: Rule, engine: Engine) -> Steps:
    """Return the micro-instructions of a rule on a chip.

    Raises
    ------
    LearningError
        With every product that the chip's engine cannot do, and why.
    """
    mistakes: list[str] = []
    operands: list[Operand] = []
    terms = []
    for target in TARGETS:
        for product in rule.products.get(target, ()):
            wrong: list[str] = []
            terms.append(_term(target, product, engine, operands, wrong))
            key = KEYS[target]
            mistakes += [pointed(key, getattr(rule, key), product.column, what) for what in wrong]
    steps = Steps(tuple(operands), tuple(terms), tuple(t for t in TARGETS if t in rule.products))
    if steps.n_instructions > engine.instructions:
        mistakes.append(
            f"the rule has {steps.n_instructions} micro-instructions; the chip's learning engine holds "
            f"{engine.instructions}"
        )
    if len(terms) > MOST_TERMS:
        mistakes.append(f"the rule has {len(terms)} products; at most {MOST_TERMS} can be")
    if len(operands) > MOST_OPERANDS:
        mistakes.append(
            f"the rule reads {len(operands)} different values; at most {MOST_OPERANDS} can be"
        )
    if mistakes:
        raise LearningError("\n".join(mistakes))
    return steps


def _term(
    target: str, product: Product, engine: Engine, operands: list[Operand], mistakes: list[str]
) -> Term:
    mantissa, exponent = _scaled(product, engine, mistakes)
    largest, width = abs(mantissa), 0
    chosen, needs = [], []
    own = GATE_READS.get(product.gate)
    gate_is_read = own is None  # u_k is the same for all
    for factor in product.factors:
        operand = _operand(factor, product.gate)
        width += width_of(factor)
        largest *= _largest(factor, engine)
        if not factor.constant and not factor.is_sign:
            needs.append((operand.source, operand.index))
            gate_is_read |= own is not None and operand.source in own
        chosen.append(operand)
    if own is not None and not gate_is_read:  # no factor is 0 where there was no spike
        chosen.append(Operand(own[0]))
    down, up = max(0, width + engine.mantissa_bits - engine.product_bits), exponent + FRACTION_BITS
    if largest >= 2**31:
        mistakes.append(
            f"the product can reach {largest:.3g}; the engine multiplies in 32 bits: use fewer factors"
        )
    elif -(-largest >> down) << up >= 2**31:
        mistakes.append(
            f"the product can reach {-(-largest >> down):.3g}, and times 2^{up} it leaves the engine's 32 "
            "bits: use a smaller exponent"
        )
    if len(chosen) > MOST_FACTORS:
        mistakes.append(
            f"the product has {len(chosen)} factors; at most {MOST_FACTORS} can be multiplied"
        )
    for operand in chosen:
        if operand not in operands:
            operands.append(operand)
    return Term(
        target,
        product.gate,
        mantissa,
        down,
        up,
        tuple(operands.index(operand) for operand in chosen),
        tuple(needs),
        " * ".join([*_constant(mantissa, exponent), product.gate, *map(str, product.factors)]),
    )


def _constant(mantissa: int, exponent: int) -> list[str]:
    """Return a constant as it is written; nothing for 1."""
    return [str(mantissa)] * (mantissa != 1) + [f"2^{exponent}"] * (exponent != 0)


def _scaled(product: Product, engine: Engine, mistakes: list[str]) -> tuple[int, int]:
    """Return mantissa and exponent as the engine holds them; an exact value keeps the form in which it was written."""
    mantissa, exponent = product.mantissa, product.exponent
    allowed = range(-(1 << engine.mantissa_bits - 1), 1 << engine.mantissa_bits - 1)
    if mantissa == 0:
        return 0, 0
    while (mantissa not in allowed or exponent < EXPONENTS[0]) and mantissa % 2 == 0:
        mantissa, exponent = mantissa // 2, exponent + 1
    while exponent > EXPONENTS[-1] and 2 * mantissa in allowed:
        mantissa, exponent = 2 * mantissa, exponent - 1
    if mantissa not in allowed or exponent not in EXPONENTS:
        mistakes.append(
            f"the constant is {mantissa} * 2^{exponent}; the engine has mantissas {allowed[0]} to {allowed[-1]} and "
            f"exponents {EXPONENTS[0]} to {EXPONENTS[-1]}"
        )
        return 1, 0
    return mantissa, exponent


def _operand(factor: Factor, gate: str) -> Operand:
    """Return what a factor is under a gate, which says when traces are read."""
    name, moment = factor.name, {"x0": 0, "y0": 1}.get(gate, 2)
    index = 0
    if name in ("x0", "y0"):
        source = Source.PRE_FIRED if name == "x0" else Source.POST_FIRED
    elif name[0] == "u":
        source, index = Source.SHARED, 2 + int(name[1:])
    elif name[0] == "r":
        source, index = Source.SHARED, int(name[1])
    elif name in ("w", "d", "t"):
        source = {"w": Source.WEIGHT, "d": Source.DELAY, "t": Source.TAG}[name]
    else:
        first = Source.PRE_AT_PRE if name in PRE_TRACES else Source.POST_AT_PRE
        source, index = Source(first + moment), int(name[1]) - 1
    return Operand(source, index, factor.constant, factor.is_sign, width_of(factor))


def _largest(factor: Factor, engine: Engine) -> int:
    """Return the largest magnitude of a factor, as it is clipped."""
    if factor.is_sign or factor.name in ("x0", "y0") or factor.name[0] == "u":
        bound = 1 + abs(factor.constant) * (not factor.is_sign)
    elif factor.name == "t":
        limits = engine.tag_limits
        bound = max(abs(limits.minimum + factor.constant), abs(limits.maximum + factor.constant))
    else:
        low, high = RANGES.get(factor.name, (0, TRACE_MAX))
        bound = max(abs(low + factor.constant), abs(high + factor.constant))
    return min(bound, 1 << width_of(factor))
