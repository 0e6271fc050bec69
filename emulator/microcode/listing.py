"""A model as text again: what the assembler reads, and a listing with encodings and the ways through."""

from emulator.microcode.instructions import BY_OP, Op, Read
from emulator.microcode.model import PROBE, Kind, Model, Place, Step, Word


def disassemble(model: Model) -> str:
    """Return a text that the assembler turns into the same model; labels are L1, L2, and so on."""
    lines = [f"; {line}".rstrip() for line in model.text.splitlines()] + [""] * bool(model.text)
    lines += [_declared(".state", word) for word in model.states if word.name != PROBE]
    lines += [_declared(".param", word) for word in model.parameters]
    if model.payload is not None:
        lines.append(f".payload {model.payload.type_name}")
    labels = labels_of(model)
    for k, step in enumerate(model.steps):
        if k in labels:
            lines.append(f"{labels[k]}:")
        lines.append(f"    {instruction_text(model, step, labels)}")
    if len(model.steps) in labels:
        lines.append(f"{labels[len(model.steps)]}:")
    return "\n".join(lines) + "\n"


def labels_of(model: Model) -> dict[int, str]:
    """Return a label for each instruction that is jumped to."""
    targets = sorted({step.n for step in model.steps if step.op == Op.JMP_C})
    return {target: f"L{k}" for k, target in enumerate(targets, 1)}


def instruction_text(model: Model, step: Step, labels: dict[int, str]) -> str:
    """Return one instruction as it is written."""
    words = []
    reads = iter(place for place in (step.a, step.b) if place is not None)
    for what in BY_OP[step.op].operands:
        if what == "destination":
            words.append(operand_text(model, step.d))
        elif what in ("value", "state"):
            words.append(operand_text(model, next(reads)))
        elif what == "payload":
            words += [operand_text(model, place) for place in reads]
        elif what == "source":
            words.append(
                operand_text(model, next(reads))
                if step.n == Read.STATE
                else Read(step.n).name.lower()
            )
        else:
            words.append(labels[step.n] if what == "label" else str(step.n))
    return f"{step.op.name:<8}{', '.join(words)}".rstrip()


def operand_text(model: Model, place: Place | None) -> str:
    """Return the name of an operand."""
    assert place is not None, "a legal instruction has all its operands"
    if place.kind == Kind.REGISTER:
        return f"r{place.index}"
    if place.kind == Kind.NUMBER:
        return str(model.numbers[place.index])
    return (model.states if place.kind == Kind.STATE else model.parameters)[place.index].name


def listing(model: Model, instruction_cycles: int | None = None) -> str:
    """Return the program with the encoding of each instruction, what a neuron takes, and the ways through.

    Parameters
    ----------
    model : Model
    instruction_cycles : int, optional
        Cycles of one instruction on some chip; without it ways are given in instructions.
    """
    labels, lines = labels_of(model), []
    for k, (step, code) in enumerate(zip(model.steps, model.code().tolist(), strict=True)):
        label = f"{labels[k]}:" if k in labels else ""
        lines.append(f"{k:5}  {code:016x}  {label:5} {instruction_text(model, step, labels)}")
    n_state = sum(word.n_bytes for word in model.states)
    size = (
        f"{len(model.steps)} instructions; {n_state} bytes of state and "
        f"{model.n_state_bytes - n_state} of parameters for each neuron"
    )
    lines += [
        "",
        size,
    ]
    for name, way in zip(("shortest", "longest"), model.shortest_and_longest(), strict=True):
        spikes = ", spikes" if any(model.steps[k].op == Op.SPIKE for k in way) else ""
        cycles = "" if instruction_cycles is None else f", {len(way) * instruction_cycles:,} cycles"
        lines.append(f"{name} way: {len(way)} instructions{cycles}{spikes}: {_runs(way)}")
    return "\n".join(lines) + "\n"


def _runs(way: list[int]) -> str:
    """Return indices as runs: 0-5, 9."""
    runs: list[list[int]] = []
    for k in way:
        if runs and runs[-1][-1] == k - 1:
            runs[-1][1:] = [k]
        else:
            runs.append([k])
    return ", ".join("-".join(map(str, run)) for run in runs)


def _declared(directive: str, word: Word) -> str:
    text = f"{directive:<7} {word.name} {word.type_name}"
    if directive == ".state" and not word.like and word.overflow != "saturate":
        text += f" {word.overflow}"
    return text if word.default is None else f"{text} = {word.default}"
