"""The instruction set: one table drives assembler, disassembler, checks, interpreter and reference page.

The mnemonics are those published for Loihi 2 (Intel, technology brief, 2021). Their encoding, the register file and
every limit are not public: those here are our own.
"""

from dataclasses import dataclass
from enum import IntEnum

N_REGISTERS = 16
WORD_BITS = 32
LARGEST, SMALLEST = 2**31 - 1, -(2**31)


class Op(IntEnum):
    """Opcodes; the numbers are those of the encoding."""

    RMW = 1
    RDC = 2
    MOV = 3
    SEL = 4
    AND = 5
    OR = 6
    SHL = 7
    ADD = 8
    NEG = 9
    MIN = 10
    MUL_SHR = 11
    LT = 12
    GE = 13
    EQ = 14
    SKP_C = 15
    JMP_C = 16
    SPIKE = 17
    PROBE = 18


class Read(IntEnum):
    """What RDC reads and clears; the numbers are those of the encoding."""

    INPUT = 0
    RANDOM = 1
    STATE = 2


@dataclass(frozen=True)
class Instruction:
    """A line of the table.

    Attributes
    ----------
    op : Op
    operands : tuple of str
        `state`: a state word; `destination`: a register or an open state word; `source`: `input`, `random` or a state
        word; `value`: a register, an open state word, a parameter or a number; `payload`: a value, or nothing;
        `shift`, `bits`, `count`: a number; `label`.
    does : str
        In symbols, for the reference page.
    meaning : str
        In words.
    """

    op: Op
    operands: tuple[str, ...]
    does: str
    meaning: str

    @property
    def has_destination(self) -> bool:
        """Whether the first operand is written."""
        return self.operands[:1] == ("destination",)

    @property
    def n_values(self) -> int:
        """How many operands are read."""
        return self.operands.count("value")


_V = "value"
INSTRUCTIONS: dict[str, Instruction] = {
    op.name: Instruction(op, operands, does, meaning)
    for op, operands, does, meaning in (
        (Op.RMW, ("state",), "open s",
         "Open a state word: from here on it is read and written like a register, and lies in the neuron's memory."),
        (Op.RDC, ("destination", "source"), "d = source; source = 0",
         "Read and clear: `input`, what arrived for this step; `random`, 32 new random bits; or a state word."),
        (Op.MOV, ("destination", _V), "d = a", "Copy."),
        (Op.SEL, ("destination", _V, _V), "d = c ? a : b", "Choose by the flag."),
        (Op.AND, ("destination", _V, _V), "d = a & b", "Bits of both, two's complement."),
        (Op.OR, ("destination", _V, _V), "d = a | b", "Bits of either, two's complement."),
        (Op.SHL, ("destination", _V, "shift"), "d = a << n",
         "Shift left by -31 to 31 bits; a negative n shifts right and rounds down."),
        (Op.ADD, ("destination", _V, _V), "d = a + b", "Sum."),
        (Op.NEG, ("destination", _V), "d = -a", "Negate."),
        (Op.MIN, ("destination", _V, _V), "d = min(a, b)", "The smaller one."),
        (Op.MUL_SHR, ("destination", _V, _V, "bits"), "d = a * b / 2**n",
         "Exact product of 64 bits, shifted right by 0 to 62 bits and rounded toward zero."),
        (Op.LT, (_V, _V), "c = a < b", "Set the flag."),
        (Op.GE, (_V, _V), "c = a >= b", "Set the flag."),
        (Op.EQ, (_V, _V), "c = a == b", "Set the flag."),
        (Op.SKP_C, ("count",), "if c: skip n", "Skip the next n instructions where the flag is set."),
        (Op.JMP_C, ("label",), "if c: go to label", "Go on at a later label where the flag is set."),
        (Op.SPIKE, ("payload",), "spike(a)",
         "Emit a spike, with a payload where `.payload` is declared; at most once on every way through a program."),
        (Op.PROBE, (_V,), "probe = a", "Show a value: it is recorded where the variable `probe` is probed."),
    )
}  # fmt: skip
BY_OP = {instruction.op: instruction for instruction in INSTRUCTIONS.values()}
