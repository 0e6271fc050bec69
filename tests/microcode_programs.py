"""Hypothesis strategies for neuron programs: legal ones by construction, and texts that may be anything."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

EDGES = [0, 1, -1, 2, 63, 64, 4095, 4096, -4096, 2**23 - 1, -(2**23), 2**31 - 1, -(2**31), 2**30]
numbers = st.sampled_from(EDGES) | st.integers(-100, 100) | st.integers(-(2**31), 2**31 - 1)
types = st.sampled_from(
    [
        "s1",
        "s2",
        "s8",
        "s24",
        "s31",
        "s32",
        "u1",
        "u8",
        "u31",
        "-5..7",
        "0..4096",
        "-100..0",
        "0..1",
        "chip.u",
        "chip.v",
    ]
)
OPERATIONS = ("MOV", "SEL", "AND", "OR", "SHL", "ADD", "NEG", "MIN", "MUL_SHR")


@dataclass
class Ways:
    """What holds at a place in a program, on every way to it."""

    registers: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    flag: bool = False
    spiked: bool = False  # on some way

    def copy(self) -> "Ways":
        return Ways(set(self.registers), set(self.open), self.flag, self.spiked)


@dataclass
class Writer:
    """A program that is being written."""

    draw: st.DrawFn
    states: list[str]
    parameters: list[str]
    payload: bool
    lines: list[str] = field(default_factory=list)
    n_labels: int = 0

    def one_of(self, *choices):
        return self.draw(st.sampled_from([c for c in choices if c is not None]))

    def value(self, ways: Ways) -> str:
        names = [*sorted(ways.registers), *sorted(ways.open), *self.parameters, "EDGE"]
        return str(self.draw(st.sampled_from(names) | numbers))

    def destination(self, ways: Ways) -> str:
        registers = [f"r{k}" for k in self.draw(st.sampled_from([(0, 1), (2, 15)]))]
        return self.draw(st.sampled_from([*registers, *sorted(ways.open)]))

    def write(self, ways: Ways, target: str) -> None:
        if target.startswith("r"):
            ways.registers.add(target)

    def instruction(self, ways: Ways) -> None:
        kind = self.one_of(
            "compute", "compute", "compute", "compare", "open" if self.states else None, "read",
            "spike", "probe",
        )  # fmt: skip
        if kind == "open":
            name = self.draw(st.sampled_from(self.states))
            self.lines.append(f"RMW {name}")
            ways.open.add(name)
        elif kind == "read":
            clearable = [s for s in self.states if s in ways.open]
            source = self.draw(st.sampled_from(["input", "random", *clearable]))
            target = self.destination(ways)
            self.lines.append(f"RDC {target}, {source}")
            self.write(ways, target)
        elif kind == "compare":
            self.compare(ways)
        elif kind == "spike" and not ways.spiked:
            self.lines.append(f"SPIKE {self.value(ways)}" if self.payload else "SPIKE")
            ways.spiked = True
        elif kind == "probe":
            self.lines.append(f"PROBE {self.value(ways)}")
        else:
            self.compute(ways)

    def compare(self, ways: Ways) -> None:
        self.lines.append(f"{self.one_of('LT', 'GE', 'EQ')} {self.value(ways)}, {self.value(ways)}")
        ways.flag = True

    def compute(self, ways: Ways) -> None:
        name = self.one_of(*(o for o in OPERATIONS if o != "SEL" or ways.flag))
        operands = [self.value(ways) for _ in range(1 if name in ("MOV", "SHL", "NEG") else 2)]
        if name == "SHL":
            operands.append(str(self.draw(st.integers(-31, 31))))
        if name == "MUL_SHR":
            operands.append(
                str(self.draw(st.sampled_from([0, 12, 12, 31, 62]) | st.integers(0, 62)))
            )
        target = self.destination(ways)
        self.lines.append(f"{name} {target}, {', '.join(operands)}")
        self.write(ways, target)

    def block(self, ways: Ways, depth: int, outer: list[str]) -> None:
        """Write some instructions, some of them under conditions; jumps go to the end of this block or of outer ones."""
        for _ in range(self.draw(st.integers(1, 6))):
            if depth and self.draw(st.booleans()):
                if not ways.flag or self.draw(st.booleans()):
                    self.compare(ways)
                inner = ways.copy()
                if self.draw(st.booleans()):
                    self.n_labels += 1
                    label = f"after{self.n_labels}"
                    self.lines.append(f"JMP_C {self.draw(st.sampled_from([label, *outer]))}")
                    self.block(inner, depth - 1, [label, *outer])
                    self.lines.append(f"{label}:")
                else:
                    at = len(self.lines)
                    self.lines.append("")
                    for _ in range(self.draw(st.integers(1, 3))):
                        self.instruction(inner)
                    self.lines[at] = f"SKP_C {len(self.lines) - at - 1}"
                ways.spiked |= inner.spiked
            else:
                self.instruction(ways)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Draw the text of a legal program."""
    head = [".const EDGE = 4096"]
    states, parameters = [], []
    for k in range(draw(st.integers(0, 4))):
        kind = draw(types)
        wraps = ".." not in kind and "chip" not in kind
        policy = (
            ""
            if "chip" in kind
            else draw(st.sampled_from(["", "saturate", "clip", *["wrap"] * wraps]))
        )
        head.append(f".state s_{k} {kind} {policy}")
        states.append(f"s_{k}")
    for k in range(draw(st.integers(0, 3))):
        kind = draw(types)
        head.append(f".param p_{k} {kind} = 0")
        parameters.append(f"p_{k}")
    payload = draw(st.booleans())
    if payload:
        head.append(f".payload {draw(st.sampled_from(['s2', 'u8', 's24', 's32', '-3..3']))}")
    writer = Writer(draw, states, parameters, payload)
    writer.block(Ways(), 3, ["end"])
    return "\n".join([*head, *writer.lines, "end:"]) + "\n"


garbage = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["99999999999999999999", ".state", ".state x", "s33", "u32", "r16", ":", ",", "..", "5..", "..5", "-", "0x", "; ",
     "JMP_C nowhere", "SKP_C -1", "RDC", "SPIKE 1, 2", "chip.w", "=", "\x00", "MUL_SHR r0, 1, 1, 63"]
)  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw a text that may or may not be a program: a legal one with a few places changed, or garbage."""
    text = draw(programs())
    for _ in range(draw(st.integers(1, 3))):
        i = draw(st.integers(0, len(text)))
        j = min(len(text), i + draw(st.integers(0, 8)))
        text = text[:i] + draw(garbage) + text[j:]
    if draw(st.booleans()):
        lines = text.splitlines()
        draw(st.randoms(use_true_random=False)).shuffle(lines)
        text = "\n".join(lines)
    return text
