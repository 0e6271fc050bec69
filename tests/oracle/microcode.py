"""One neuron that runs microcode, one instruction after another, in plain Python integers.

A program is a list of (mnemonic, operands): an operand is "r3", the name of a word, a number, or, for JMP_C, the index
of an instruction.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Word:
    low: int
    high: int
    overflow: str  # "wrap", "saturate" or "clip"

    def keep(self, value: int) -> tuple[int, bool]:
        """Return what the word holds of a value, and whether that counts as an overflow."""
        if self.low <= value <= self.high:
            return value, False
        if self.overflow == "wrap":
            span = self.high - self.low + 1
            while value > self.high:
                value -= span * max(1, (value - self.high) // span)
            while value < self.low:
                value += span * max(1, (self.low - value) // span)
            return value, True
        nearest = self.high if value > self.high else self.low
        return nearest, self.overflow == "saturate"


REGISTER = Word(-(2**31), 2**31 - 1, "wrap")


def toward_zero(value: int, bits: int) -> int:
    return value // 2**bits if value >= 0 else -(-value // 2**bits)


RESULT = {
    "MOV": lambda a: a,
    "AND": lambda a, b: a & b,
    "OR": lambda a, b: a | b,
    "SHL": lambda a, n: a * 2**n if n >= 0 else a // 2**-n,
    "ADD": lambda a, b: a + b,
    "NEG": lambda a: -a,
    "MIN": min,
    "MUL_SHR": lambda a, b, n: toward_zero(a * b, n),
}
FLAG = {"LT": lambda a, b: a < b, "GE": lambda a, b: a >= b, "EQ": lambda a, b: a == b}


@dataclass
class Neuron:
    program: list[tuple[str, tuple]]
    words: dict[str, Word]
    memory: dict[str, int]  # state words and parameters
    payload: Word | None = None
    accumulator_bits: int = 32

    def step(self, arrived: int, random: Callable[[int], int]) -> tuple[bool, int, int, int]:
        """Run the program once; return whether it spiked, with what, instructions executed, and overflows.

        `random` gives the word of each draw, by its number among those of the program.
        """
        self.registers, self.flag, self.at = {}, False, 0
        self.arrived, self.random = arrived, random
        self.spiked, self.sent, self.n_overflows = False, 0, 0
        n_executed = 0
        while self.at < len(self.program):
            name, operands = self.program[self.at]
            self.at += 1
            n_executed += 1
            self.execute(name, operands)
        return self.spiked, self.sent, n_executed, self.n_overflows

    def execute(self, name: str, operands: tuple) -> None:
        if name in RESULT:
            self.write(operands[0], RESULT[name](*map(self.value, operands[1:])))
        elif name in FLAG:
            self.flag = FLAG[name](*map(self.value, operands))
        elif name == "SEL":
            self.write(operands[0], self.value(operands[1 if self.flag else 2]))
        elif name == "RDC":
            self.write(operands[0], self.read_and_clear(operands[1]))
        elif name == "SKP_C":
            self.at += operands[0] if self.flag else 0
        elif name == "JMP_C":
            self.at = operands[0] if self.flag else self.at
        elif name == "SPIKE":
            self.spiked = True
            if self.payload is not None:
                self.sent, lost = self.payload.keep(self.value(operands[0]))
                self.n_overflows += lost
        elif name == "PROBE":
            self.memory["probe"] = self.value(operands[0])
        else:
            assert name == "RMW", name

    def value(self, operand: int | str) -> int:
        if isinstance(operand, int):
            return operand
        return self.registers[operand] if operand in self.registers else self.memory[operand]

    def read_and_clear(self, source: str) -> int:
        if source == "random":
            before = [o for name, o in self.program[: self.at - 1] if name == "RDC"]
            return self.random(sum(operands[1] == "random" for operands in before))
        if source == "input":
            half = 2 ** (self.accumulator_bits - 1)
            value, wrapped = Word(-half, half - 1, "wrap").keep(self.arrived)
            self.arrived = 0
            self.n_overflows += wrapped
            return value
        value, self.memory[source] = self.memory[source], 0
        return value

    def write(self, target: str, result: int) -> None:
        if target in self.memory:
            self.memory[target], lost = self.words[target].keep(result)
            self.n_overflows += lost
        else:
            self.registers[target], _ = REGISTER.keep(result)
