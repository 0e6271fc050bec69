"""Which programs are legal: the same check for text that is assembled and for a program file that is loaded.

A legal program cannot read what it has not written, leave its neuron's words, or run for ever: jumps go forward only,
registers and the flag are set on every way that leads to their use, and state words are opened before.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from emulator.microcode.instructions import BY_OP, LARGEST, N_REGISTERS, SMALLEST, Op, Read
from emulator.microcode.model import MAX_WORDS, PROBE, Kind, Model, Place, Step

MAX_STEPS = 65_535
RESERVED = {"input", "random", "spikes", "step", "neuron"}
"""Operands with a meaning of their own, and columns of the tables of a run."""
Mistake = tuple[int, int, str]
"""Instruction, operand (-1: the mnemonic), and what is wrong."""


def mistakes_of_words(model: Model) -> list[str]:
    """Return what is wrong with the declarations of a model."""
    found = []
    names = [word.name for word in model.words]
    found += [
        f"'{name}' is declared twice" for name in dict.fromkeys(names) if names.count(name) > 1
    ]
    found += [f"'{name}' has a meaning of its own" for name in names if name in RESERVED]
    for kind, words in (
        ("state words", model.states),
        ("parameters", model.parameters),
        ("numbers", model.numbers),
    ):
        if len(words) > MAX_WORDS:
            found.append(f"{len(words)} {kind}; at most {MAX_WORDS} can be told apart")
    for word in [*model.words, *([model.payload] if model.payload else [])]:
        where = f"'{word.name}'"
        if not SMALLEST <= word.low < word.high <= LARGEST:
            found.append(f"{where}: the range {word.low}..{word.high} is not one of 32 bits")
        elif word.overflow == "wrap" and "." in word.type_name and not word.like:
            found.append(f"{where}: only whole bits can wrap, not {word.type_name}")
        elif word.default is not None and not word.low <= word.default <= word.high:
            found.append(f"{where}: {word.default} is not within {word.low}..{word.high}")
    found += [
        f"'{word.name}': a state word needs a value to begin with"
        for word in model.states
        if word.default is None
    ]
    found += [
        f"the number {number} does not fit 32 bits"
        for number in model.numbers
        if not SMALLEST <= number <= LARGEST
    ]
    return found


def mistakes_of_steps(model: Model) -> list[Mistake]:
    """Return what is wrong with the instructions of a model: with their operands, or else with the ways through."""
    if len(model.steps) > MAX_STEPS:
        return [
            (
                MAX_STEPS,
                -1,
                f"{len(model.steps)} instructions; at most {MAX_STEPS} can be addressed",
            )
        ]
    found = [mistake for k, step in enumerate(model.steps) for mistake in _operands(model, k, step)]
    return found or list(_ways(model))


def _operands(model: Model, k: int, step: Step) -> Iterator[Mistake]:
    reads = iter((step.a, step.b))
    for position, what in enumerate(BY_OP[step.op].operands):
        if what == "destination":
            wrong = _place(model, what, step.d)
        elif what in ("value", "state", "payload"):
            wrong = _place(model, what, next(reads))
        elif what == "source":
            wrong = _source(model, step)
        else:
            wrong = _number(model, k, what, step.n)
        if wrong:
            yield k, position, wrong
    if step.op == Op.PROBE and PROBE not in {word.name for word in model.states}:
        yield k, -1, f"PROBE needs the state word '{PROBE}', which is not declared"
    if step.op == Op.SPIKE and step.n != (step.a is not None):
        yield k, -1, "the encoding does not say whether it has a payload"


def _source(model: Model, step: Step) -> str:
    if step.n not in tuple(Read):
        return "only 'input', 'random' or a state word can be read and cleared"
    if step.n != Read.STATE:
        return ""
    wrong = _place(model, "state", step.a)
    if not wrong and step.a is not None:
        word = model.states[step.a.index]
        if word.low > 0 or word.high < 0:
            return f"'{word.name}' cannot be cleared: its range has no 0"
    return wrong


def _place(model: Model, what: str, place: Place | None) -> str:
    if what == "payload":
        if (place is None) != (model.payload is None):
            return (
                "a payload needs '.payload TYPE'"
                if model.payload is None
                else "'.payload' is declared: give a value"
            )
        if place is None:
            return ""
    if place is None:
        return "an operand is missing"
    sizes = {
        Kind.REGISTER: N_REGISTERS,
        Kind.STATE: len(model.states),
        Kind.PARAMETER: len(model.parameters),
        Kind.NUMBER: len(model.numbers),
    }
    allowed = {"destination": (Kind.REGISTER, Kind.STATE), "state": (Kind.STATE,)}.get(
        what, tuple(Kind)
    )
    if place.kind not in allowed:
        return (
            "only a register or a state word can be written"
            if what == "destination"
            else "only a state word is allowed"
        )
    if place.index >= sizes[place.kind]:
        return f"there are {sizes[place.kind]} {place.kind.name.lower()}s; this is number {place.index}"
    if what != "value" and place.kind == Kind.STATE and model.states[place.index].name == PROBE:
        return f"'{PROBE}' is written by PROBE"
    return ""


def _number(model: Model, k: int, what: str, n: int) -> str:
    low, high = {
        "shift": (-31, 31),
        "bits": (0, 62),
        "count": (1, len(model.steps) - k - 1),
        "label": (k + 1, len(model.steps)),
    }[what]
    if low <= n <= high:
        return ""
    if what == "label":
        return "the label lies before the jump; jumps go forward only"
    return (
        f"{n} is outside {low} to {high}"
        if high >= low
        else "nothing follows that could be skipped"
    )


@dataclass
class _Known:
    """What holds on every way to an instruction, and what may have happened on some."""

    registers: set[int]
    open_states: set[int]
    flag: bool
    spiked: bool

    def copy(self) -> "_Known":
        return _Known(set(self.registers), set(self.open_states), self.flag, self.spiked)

    def join(self, other: "_Known") -> None:
        self.registers &= other.registers
        self.open_states &= other.open_states
        self.flag &= other.flag
        self.spiked |= other.spiked


def _ways(model: Model) -> Iterator[Mistake]:
    known: list[_Known | None] = [None] * (len(model.steps) + 1)
    known[0] = _Known(set(), set(), flag=False, spiked=False)
    for k, step in enumerate(model.steps):
        now = known[k]
        assert now is not None, "jumps have conditions, so every instruction can be reached"
        yield from _unknown(model, k, step, now)
        after = now.copy()
        if step.d is not None and step.d.kind == Kind.REGISTER:
            after.registers.add(step.d.index)
        if step.op == Op.RMW and step.a is not None:
            after.open_states.add(step.a.index)
        after.flag |= step.op in (Op.LT, Op.GE, Op.EQ)
        after.spiked |= step.op == Op.SPIKE
        for j in model.after(k):
            there = known[j]
            if there is None:
                known[j] = after.copy()
            else:
                there.join(after)


def _unknown(model: Model, k: int, step: Step, now: _Known) -> Iterator[Mistake]:
    """Yield what an instruction needs that does not hold on every way to it."""
    operands = BY_OP[step.op].operands
    first = int(BY_OP[step.op].has_destination)
    used = [
        (position, place)
        for position, place in ((first, step.a), (first + 1, step.b))
        if place is not None
    ]
    used = [(p, place) for p, place in used if operands[p] not in ("state", "source")]
    for position, place in used:
        if place.kind == Kind.REGISTER and place.index not in now.registers:
            yield k, position, f"r{place.index} is read before every way here has written it"
    written = [] if step.d is None else [(0, step.d)]
    for position, place in used + written:
        if place.kind == Kind.STATE and place.index not in now.open_states:
            name = model.states[place.index].name
            yield k, position, f"'{name}' is not open on every way here; RMW opens it"
    if step.op in (Op.SEL, Op.SKP_C, Op.JMP_C) and not now.flag:
        yield k, -1, "the flag is used before LT, GE or EQ has set it on every way here"
    if step.op == Op.SPIKE and now.spiked:
        yield k, -1, "a way here has spiked already; a neuron spikes once a step"
