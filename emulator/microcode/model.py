"""Model: a neuron program with the words it works on, as the assembler makes it and a program file holds it."""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emulator.errors import MicrocodeError
from emulator.microcode.instructions import BY_OP, LARGEST, SMALLEST, Op

Overflow = Literal["wrap", "saturate", "clip"]
MAX_WORDS = 1024
PROBE = "probe"
"""The state word that PROBE writes: it exists in every model that has the instruction."""


class Kind(IntEnum):
    """Where an operand lies; the numbers are those of the encoding."""

    REGISTER = 0
    STATE = 1
    PARAMETER = 2
    NUMBER = 3


@dataclass(frozen=True)
class Place:
    """An operand: a register, or an index into the state words, the parameters or the numbers of a model."""

    kind: Kind
    index: int


@dataclass(frozen=True)
class Word:
    """A word of a neuron's memory.

    Attributes
    ----------
    name : str
    low, high : int
        The range it holds.
    overflow : str
        What a value outside becomes: `wrap` keeps its low bits, `saturate` and `clip` the nearest of the range; all
        but `clip` are counted as overflows.
    default : int or None
        None: a parameter that must be given.
    like : str
        "u" or "v" where range and overflow are those of the chip's u or v, and not known before `Model.on`.
    """

    name: str
    low: int
    high: int
    overflow: Overflow = "saturate"
    default: int | None = 0
    like: str = ""

    @property
    def n_bits(self) -> int:
        """Bits that tell the values of its range apart, one of them for the sign where there is one."""
        return max(self.high.bit_length(), (-self.low - 1).bit_length()) + (self.low < 0)

    @property
    def n_bytes(self) -> int:
        """Bytes it takes in a neuron's memory: 1, 2 or 4."""
        return 1 if self.n_bits <= 8 else 2 if self.n_bits <= 16 else 4

    @property
    def type_name(self) -> str:
        """The range as the assembler reads it."""
        if self.like:
            return f"chip.{self.like}"
        for bits in range(1, 33):
            if (self.low, self.high) == (-(1 << bits - 1), (1 << bits - 1) - 1):
                return f"s{bits}"
            if bits < 32 and (self.low, self.high) == (0, (1 << bits) - 1):
                return f"u{bits}"
        return f"{self.low}..{self.high}"


@dataclass(frozen=True)
class Step:
    """An instruction with its operands."""

    op: Op
    d: Place | None = None
    a: Place | None = None
    b: Place | None = None
    n: int = (
        0  # a shift, a count, the index of the instruction that is jumped to, or what RDC reads
    )

    @property
    def target(self) -> int | None:
        """How far a jump goes: the index for JMP_C, the count for SKP_C, nothing for others."""
        return self.n if self.op in (Op.SKP_C, Op.JMP_C) else None


@dataclass(frozen=True)
class Model:
    """A neuron program.

    Attributes
    ----------
    name : str
    text : str
        What it computes: the comment at the head of its file.
    states, parameters : tuple of Word
        What each neuron has; parameters are only read.
    numbers : tuple of int
        Values that stand in the instructions.
    payload : Word or None
        Range of a spike's payload; None: spikes carry none.
    steps : tuple of Step
        The instructions.
    """

    name: str
    text: str
    states: tuple[Word, ...]
    parameters: tuple[Word, ...]
    numbers: tuple[int, ...]
    payload: Word | None
    steps: tuple[Step, ...]

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """State words, then parameters: the order in which a program stores them."""
        return self.states + self.parameters

    @cached_property
    def index(self) -> dict[str, int]:
        """Index into `words` by name."""
        return {word.name: k for k, word in enumerate(self.words)}

    @property
    def n_state_bytes(self) -> int:
        """Bytes of state and parameters of one neuron."""
        return sum(word.n_bytes for word in self.words)

    @property
    def payload_bits(self) -> int:
        """Bits of a spike's payload."""
        return 0 if self.payload is None else self.payload.n_bits

    def after(self, index: int) -> tuple[int, ...]:
        """Return the instructions that may follow one; the program ends at `len(steps)`."""
        step = self.steps[index]
        if step.op == Op.JMP_C:
            return (index + 1, step.n)
        return (index + 1, index + 1 + step.n) if step.op == Op.SKP_C else (index + 1,)

    def shortest_and_longest(self) -> tuple[list[int], list[int]]:
        """Return the instructions of the shortest and of the longest way through the program."""
        n = len(self.steps)
        ways: list[list[int]] = []
        for better in (min, max):
            length = [0] * (n + 1)
            for k in range(n - 1, -1, -1):
                length[k] = 1 + better(length[j] for j in self.after(k))
            way, k = [], 0
            while k < n:
                way.append(k)
                k = better(self.after(k), key=lambda j: length[j])
            ways.append(way)
        return ways[0], ways[1]

    def on(self, u: Word, v: Word) -> "Model":
        """Return the model with the words that are like the chip's u and v in that chip's widths."""
        like = {"u": u, "v": v}

        def bound(word: Word) -> Word:
            if not word.like:
                return word
            chip = like[word.like]
            return replace(word, low=chip.low, high=chip.high, overflow=chip.overflow, like="")

        return replace(
            self,
            states=tuple(map(bound, self.states)),
            parameters=tuple(map(bound, self.parameters)),
        )

    def code(self) -> NDArray[np.uint64]:
        """Return the instructions as words of 64 bits: op 6, d 12, a 12, b 12, n 22."""
        return np.array(
            [
                int(s.op) << 58 | _bits(s.d) << 46 | _bits(s.a) << 34 | _bits(s.b) << 22 | s.n & 0x3FFFFF
                for s in self.steps
            ],
            np.uint64,
        )  # fmt: skip

    def described(self) -> dict[str, Any]:
        """Return everything but the instructions, as plain data."""
        return {
            "name": self.name,
            "text": self.text,
            "states": [vars(word) for word in self.states],
            "parameters": [vars(word) for word in self.parameters],
            "numbers": list(self.numbers),
            "payload": None if self.payload is None else vars(self.payload),
            "n_instructions": len(self.steps),
        }


def decoded(described: dict[str, Any], code: NDArray[np.uint64]) -> Model:
    """Return the model that `described` and `code` made; it is not checked.

    Raises
    ------
    MicrocodeError
        When a word of the code is no instruction.
    """
    return Model(
        described["name"],
        described["text"],
        tuple(Word(**word) for word in described["states"]),
        tuple(Word(**word) for word in described["parameters"]),
        tuple(described["numbers"]),
        None if described["payload"] is None else Word(**described["payload"]),
        tuple(_step(k, word) for k, word in enumerate(code.tolist())),
    )


def fit(value: int, word: Word) -> int:
    """Return what a word holds of a value."""
    if word.overflow == "wrap":
        span = word.high - word.low + 1
        return (value - word.low) % span + word.low
    return min(max(value, word.low), word.high)


def _bits(place: Place | None) -> int:
    return 0 if place is None else place.kind << 10 | place.index


def _step(index: int, word: int) -> Step:
    op = word >> 58
    if op not in BY_OP:
        raise MicrocodeError(f"instruction {index}: no operation has the code {op}")
    instruction = BY_OP[Op(op)]
    d, a, b = (Place(Kind(bits >> 10), bits & 0x3FF) for bits in (
        word >> 46 & 0xFFF, word >> 34 & 0xFFF, word >> 22 & 0xFFF
    ))  # fmt: skip
    n = (word & 0x3FFFFF) - (word >> 21 & 1) * (1 << 22)
    n_read = instruction.n_values
    if instruction.op == Op.RMW or (instruction.op == Op.RDC and n == 2):
        n_read = 1
    has_payload = instruction.op == Op.SPIKE and n == 1
    return Step(
        instruction.op,
        d if instruction.has_destination else None,
        a if n_read or has_payload else None,
        b if n_read > 1 else None,
        n,
    )


def number_word(value: int) -> bool:
    """Return whether a number fits a register."""
    return SMALLEST <= value <= LARGEST
