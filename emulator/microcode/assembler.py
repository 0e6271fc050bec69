"""Assembler: the text of a neuron program becomes a model, or every mistake with file, line, column and token.

    ; what the neuron computes           the comment at the head is the model's description
    .state   v  s24 wrap = 0             a word of each neuron: TYPE [wrap|saturate|clip] [= VALUE]
    .param   decay  0..4096 = 4096       read only; without a value it must be given
    .const   ONE = 4096                  a name for a number
    .payload s16                         spikes carry a value
    start:  RMW v                        a label, a mnemonic, operands with commas

A TYPE is `s1` to `s32` (signed), `u1` to `u31`, a range LOW..HIGH, or `chip.u` and `chip.v`: the chip's own.
"""

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from emulator.errors import MicrocodeError
from emulator.files import read_text
from emulator.microcode.instructions import (
    INSTRUCTIONS,
    LARGEST,
    N_REGISTERS,
    SMALLEST,
    Op,
    Read,
)
from emulator.microcode.legal import MAX_STEPS, RESERVED, mistakes_of_steps, mistakes_of_words
from emulator.microcode.model import MAX_WORDS, PROBE, Kind, Model, Overflow, Place, Step, Word

MAX_BYTES = 1 << 22
MAX_MISTAKES = 50
TOKEN = re.compile(
    r"(?P<space>[ \t]+)|(?P<comment>;.*)"
    r"|(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|[0-9]+)(?![\w.]|\.\.)|[-+]?[0-9]+(?=\.\.))"
    r"|(?P<dots>\.\.)|(?P<directive>\.[A-Za-z]+)|(?P<name>[A-Za-z_][\w.]*)|(?P<mark>[,:=])|(?P<wrong>.)"
)
NAME = re.compile(r"[A-Za-z_]\w{0,63}")
REGISTER = re.compile(r"r(\d+)")
TYPE = re.compile(r"([su])(\d{1,3})")
OVERFLOWS: dict[str, Overflow] = {"wrap": "wrap", "saturate": "saturate", "clip": "clip"}
DIRECTIVES = (".state", ".param", ".const", ".payload")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int
    column: int


@dataclass
class _Line:
    """An instruction as it was read."""

    mnemonic: _Token
    operands: list[_Token]


@dataclass
class _Source:
    """What a text declares; filled line by line."""

    file: str
    states: list[Word] = field(default_factory=list)
    parameters: list[Word] = field(default_factory=list)
    constants: dict[str, int] = field(default_factory=dict)
    payload: Word | None = None
    lines: list[_Line] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    mistakes: list[tuple[int, int, str]] = field(default_factory=list)

    def wrong(self, token: _Token, message: str) -> None:
        shown = f"'{token.text}': " if token.text else ""
        self.mistakes.append((token.line, token.column, f"{shown}{message}"))

    def names(self) -> set[str]:
        return {w.name for w in (*self.states, *self.parameters)} | set(self.constants)


class _Wrong(Exception):  # noqa: N818  # never leaves this module
    def __init__(self, token: _Token, message: str) -> None:
        super().__init__(message)
        self.token = token


def assemble(text: str, name: str, file: str = "") -> Model:
    """Return the model that a text describes.

    Parameters
    ----------
    text : str
        The program.
    name : str
        Of the model.
    file : str
        Where the text comes from, for messages.

    Returns
    -------
    Model
        Legal: what runs it need not check anything again.

    Raises
    ------
    MicrocodeError
        With every mistake: file, line, column, the token, what is allowed.
    """
    source = _Source(file or name)
    for number, line in enumerate(text.splitlines(), 1):
        try:
            _read_line(
                source, [t for t in _tokens(line, number) if t.kind not in ("space", "comment")]
            )
        except _Wrong as wrong:
            source.wrong(wrong.token, str(wrong))
    if any(line.mnemonic.text.upper() == "PROBE" for line in source.lines):
        source.states.append(Word(PROBE, SMALLEST, LARGEST, "wrap"))
    steps = [_step(source, line) for line in source.lines]
    if not source.lines and not source.mistakes:
        source.mistakes.append((1, 1, "there is no instruction"))
    model = Model(
        name, _head(text), tuple(source.states), tuple(source.parameters), tuple(source.numbers), source.payload,
        tuple(s for s in steps if s is not None),
    )  # fmt: skip
    if not source.mistakes:
        source.mistakes += [(1, 1, mistake) for mistake in mistakes_of_words(model)]
    if not source.mistakes:
        for k, operand, message in mistakes_of_steps(model):
            read = source.lines[min(k, len(source.lines) - 1)]
            has_token = 0 <= operand < len(read.operands)
            source.wrong(read.operands[operand] if has_token else read.mnemonic, message)
    if source.mistakes:
        lines = [
            f"{source.file}:{row}:{column}: {what}" for row, column, what in sorted(source.mistakes)
        ]
        if len(lines) > MAX_MISTAKES:
            lines[MAX_MISTAKES:] = [f"{source.file}: and {len(lines) - MAX_MISTAKES} more mistakes"]
        raise MicrocodeError("\n".join(lines))
    return model


def assemble_file(path: str | Path) -> Model:
    """Return the model in a file; it is called as the file is, without its ending.

    Raises
    ------
    MicrocodeError
        When the file cannot be read, or with every mistake in it.
    """
    text = read_text(path, MicrocodeError, MAX_BYTES)
    return assemble(text, Path(path).stem, str(path))


def _tokens(line: str, number: int) -> list[_Token]:
    return [
        _Token(str(match.lastgroup), match.group(), number, match.start() + 1)
        for match in TOKEN.finditer(line)
    ]


def _head(text: str) -> str:
    """Return the comment at the beginning of a text."""
    lines = []
    for line in text.splitlines():
        if not line.startswith(";"):
            break
        lines.append(line.lstrip(";").removeprefix(" ").rstrip())
    return "\n".join(lines).strip()


def _read_line(source: _Source, tokens: list[_Token]) -> None:
    for token in tokens:
        if token.kind == "wrong":
            raise _Wrong(token, "no part of a program")
    if len(tokens) >= 2 and tokens[0].kind == "name" and tokens[1].text == ":":
        label, tokens = tokens[0], tokens[2:]
        if not NAME.fullmatch(label.text):
            raise _Wrong(label, "a label is made of letters, digits and '_', 64 at most")
        if label.text in source.labels:
            raise _Wrong(label, "there is a label of this name already")
        source.labels[label.text] = len(source.lines)
    if not tokens:
        return
    first, rest = tokens[0], tokens[1:]
    if first.kind == "directive":
        _read_directive(source, first, rest)
    elif first.kind == "name":
        _read_instruction(source, first, rest)
    else:
        raise _Wrong(first, "a line is a label, a directive or an instruction")


def _read_instruction(source: _Source, mnemonic: _Token, rest: list[_Token]) -> None:
    for k, token in enumerate(rest):
        if (token.text == ",") != (k % 2 == 1):
            raise _Wrong(token, "operands are separated by one comma each")
    if rest and rest[-1].text == ",":
        raise _Wrong(rest[-1], "an operand is missing")
    if len(source.lines) > MAX_STEPS:
        raise _Wrong(mnemonic, f"more than {MAX_STEPS} instructions")
    source.lines.append(_Line(mnemonic, rest[::2]))
    if mnemonic.text.upper() not in INSTRUCTIONS:
        close = get_close_matches(mnemonic.text.upper(), INSTRUCTIONS, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(INSTRUCTIONS)}"
        raise _Wrong(mnemonic, f"no instruction; {hint}")


def _read_directive(source: _Source, directive: _Token, rest: list[_Token]) -> None:
    what = directive.text
    if what not in DIRECTIVES:
        close = get_close_matches(what, DIRECTIVES, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(DIRECTIVES)}"
        raise _Wrong(directive, hint)
    if what == ".payload":
        _read_payload(source, directive, rest)
        return
    name = _new_name(source, directive, rest)
    if what == ".const":
        if len(rest) != 3 or rest[1].text != "=":
            raise _Wrong(name, "a constant is written .const NAME = NUMBER")
        source.constants[name.text] = _number(source, rest[2])
        return
    words = source.states if what == ".state" else source.parameters
    if len(words) >= MAX_WORDS - 1:
        raise _Wrong(name, f"more than {MAX_WORDS - 1} words")
    words.append(_word(source, name, rest[1:], is_state=what == ".state"))


def _read_payload(source: _Source, directive: _Token, rest: list[_Token]) -> None:
    if source.payload is not None:
        raise _Wrong(directive, "given twice")
    source.payload, left = _typed(directive, "payload", rest)
    if left:
        raise _Wrong(left[0], "nothing may follow the type of a payload")


def _new_name(source: _Source, directive: _Token, rest: list[_Token]) -> _Token:
    if not rest or rest[0].kind != "name":
        raise _Wrong(rest[0] if rest else directive, "a name must follow")
    name = rest[0]
    if not NAME.fullmatch(name.text):
        raise _Wrong(name, "a name is made of letters, digits and '_', 64 at most")
    if (
        name.text in {*RESERVED, PROBE}
        or REGISTER.fullmatch(name.text)
        or TYPE.fullmatch(name.text)
    ):
        raise _Wrong(name, "this name has a meaning of its own; choose another")
    if name.text in source.names():
        raise _Wrong(name, "declared twice")
    return name


def _word(source: _Source, name: _Token, tokens: list[_Token], *, is_state: bool) -> Word:
    """Return the word that a type, and perhaps an overflow policy and a value, declare."""
    word, left = _typed(name, name.text, tokens)
    overflow = word.overflow
    if is_state and left and left[0].text in OVERFLOWS:
        chosen = left.pop(0)
        overflow = OVERFLOWS[chosen.text]
        if word.like:
            raise _Wrong(chosen, f"the chip decides what chip.{word.like} does")
        if overflow == "wrap" and "." in word.type_name:
            raise _Wrong(chosen, f"only whole bits can wrap (s24, u8), not {word.type_name}")
    default = min(max(word.low, 0), word.high) if is_state else None
    if left and left[0].text == "=":
        if len(left) != 2:
            raise _Wrong(left[0], "one number must follow")
        default = _number(source, left[1])
        if not word.like and not word.low <= default <= word.high:
            raise _Wrong(left[1], f"not within {word.low}..{word.high}")
    elif left:
        raise _Wrong(left[0], f"expected {'wrap, saturate, clip or ' * is_state}= NUMBER")
    return Word(word.name, word.low, word.high, overflow, default, word.like)


def _typed(at: _Token, name: str, tokens: list[_Token]) -> tuple[Word, list[_Token]]:
    """Return a word of the type that the tokens begin with, and the tokens after it."""
    if not tokens:
        raise _Wrong(at, "a type must follow: s24, u8, LOW..HIGH, chip.u or chip.v")
    first = tokens[0]
    if first.text in ("chip.u", "chip.v"):
        if name == "payload":
            raise _Wrong(first, "a payload's bits are part of its packet: s24, u8 or LOW..HIGH")
        # Held to the chip's own range when a network is compiled.
        return Word(name, SMALLEST, LARGEST, "saturate", 0, first.text[-1]), tokens[1:]
    match = TYPE.fullmatch(first.text)
    if match:
        signed, bits = match[1] == "s", int(match[2])
        if not 1 <= bits <= (32 if signed else 31):
            raise _Wrong(first, "words have s1 to s32, or u1 to u31")
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        return Word(name, low, high), tokens[1:]
    if len(tokens) >= 3 and first.kind == "number" and tokens[1].kind == "dots":
        low, high = (_literal(t) for t in (first, tokens[2]))
        if low >= high:
            raise _Wrong(first, "a range rises: LOW..HIGH")
        return Word(name, low, high), tokens[3:]
    raise _Wrong(first, "no type; allowed: s1 to s32, u1 to u31, LOW..HIGH, chip.u, chip.v")


def _literal(token: _Token) -> int:
    if token.kind != "number":
        raise _Wrong(token, "a whole number is needed")
    digits = token.text.lstrip("+-")
    if len(digits) > 12:
        raise _Wrong(token, "does not fit 32 bits")
    value = int(digits, 16 if digits[:2].lower() == "0x" else 10) * (
        -1 if token.text[0] == "-" else 1
    )
    if not SMALLEST <= value <= LARGEST:
        raise _Wrong(token, "does not fit 32 bits")
    return value


def _number(source: _Source, token: _Token) -> int:
    if token.text in source.constants:
        return source.constants[token.text]
    if token.kind == "name":
        raise _Wrong(token, "no number, and no constant declared before this line")
    return _literal(token)


def _step(source: _Source, line: _Line) -> Step | None:
    instruction = INSTRUCTIONS.get(line.mnemonic.text.upper())
    if instruction is None:
        return None
    wanted = [w for w in instruction.operands if w != "payload"]
    most = len(instruction.operands)
    if not len(wanted) <= len(line.operands) <= most:
        needs = ", ".join(instruction.operands) or "none"
        source.wrong(line.mnemonic, f"{len(line.operands)} operands; it takes {most}: {needs}")
        return None
    step = _Operands()
    try:
        for what, token in zip(instruction.operands, line.operands, strict=False):
            step.take(source, what, token)
    except _Wrong as wrong:
        source.wrong(wrong.token, str(wrong))
        return None
    a, b = [*step.read, None, None][:2]
    return Step(Op(instruction.op), step.written, a, b, step.n)


@dataclass
class _Operands:
    """The operands of an instruction that were read so far."""

    written: Place | None = None
    read: list[Place] = field(default_factory=list)
    n: int = 0

    def take(self, source: _Source, what: str, token: _Token) -> None:
        if what == "destination":
            self.written = _place(source, token)
        elif what in ("value", "state", "payload"):
            self.read.append(_place(source, token))
            self.n = 1 if what == "payload" else self.n
        elif what == "source":
            self.n = {"input": Read.INPUT, "random": Read.RANDOM}.get(token.text, Read.STATE)
            if self.n == Read.STATE:
                self.read.append(_place(source, token))
        elif what == "label":
            self.n = _label(source, token)
        else:
            self.n = _number(source, token)
            if abs(self.n) > MAX_STEPS:
                raise _Wrong(token, "too large")


def _label(source: _Source, token: _Token) -> int:
    if token.text not in source.labels:
        close = get_close_matches(token.text, source.labels, 1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise _Wrong(token, f"there is no such label{hint}")
    return source.labels[token.text]


def _place(source: _Source, token: _Token) -> Place:
    if token.kind == "number" or token.text in source.constants:
        value = _number(source, token)
        index = source.numbers.setdefault(value, len(source.numbers))
        if index >= MAX_WORDS:
            raise _Wrong(token, f"more than {MAX_WORDS} different numbers")
        return Place(Kind.NUMBER, index)
    register = REGISTER.fullmatch(token.text)
    if register:
        if len(register[1]) > 3 or int(register[1]) >= N_REGISTERS:
            raise _Wrong(token, f"there are r0 to r{N_REGISTERS - 1}")
        return Place(Kind.REGISTER, int(register[1]))
    for kind, words in ((Kind.STATE, source.states), (Kind.PARAMETER, source.parameters)):
        for index, word in enumerate(words):
            if word.name == token.text:
                return Place(kind, index)
    known = [*source.names(), *(f"r{k}" for k in range(N_REGISTERS))]
    close = get_close_matches(token.text, known, 1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise _Wrong(token, f"neither a register nor a declared word{hint}")
