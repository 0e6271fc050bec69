"""A rule's micro-instructions for people: what each does, and which rows of synapses it makes an epoch visit."""

from dataclasses import dataclass

from emulator.learning.rule import TRACES, Rule, Trace
from emulator.learning.steps import FRACTION_BITS, Source, Steps, Term


@dataclass(frozen=True)
class Instruction:
    """One micro-instruction.

    Attributes
    ----------
    op : str
        LOAD, MAC or STORE.
    target : str
        What it is for: w, d or t.
    effect : str
        What it does to the accumulator a.
    lost_bits : int
        Bits by which a product is shifted down before its exponent acts, because its factors are wide.
    acts : tuple of str
        Of MAC: what must hold for a row of synapses to be visited because of it.
    """

    op: str
    target: str
    effect: str
    lost_bits: int = 0
    acts: tuple[str, ...] = ()


def listing(rule: Rule, steps: Steps, uk_counts: str = "epochs") -> list[Instruction]:
    """Return the micro-instructions of one visit of a synapse.

    Parameters
    ----------
    rule : Rule
        What was compiled.
    steps : Steps
        What it became on a chip.
    uk_counts : {"epochs", "steps"}
        What u_k counts on that chip.
    """
    lines = []
    for target in steps.targets:
        pulses = target == "w" and rule.device is not None
        load = "a = 0: the pulse" if pulses else f"a = {target} << {FRACTION_BITS}"
        lines.append(Instruction("LOAD", target, load))
        for term in steps.terms:
            if term.target == target:
                acts = _conditions(term, uk_counts, rule.epoch)
                lines.append(Instruction("MAC", target, _effect(term), term.down, acts))
        store = "the device's answer to a" if pulses else f"a >> {FRACTION_BITS}"
        lines.append(Instruction("STORE", target, f"{target} = {store}, rounded, clipped"))
    return lines


def trace_lines(rule: Rule) -> list[tuple[str, str]]:
    """Return the traces of a rule, and what each is."""
    lines = []
    for name in TRACES:
        value = getattr(rule, name)
        if isinstance(value, Trace):
            lines.append((name, f"+ {value.impulse:g} at each spike, tau {value.tau:g} steps"))
        elif value is not None:
            lines.append((name, f"the state word '{value}' of the target's neuron program"))
    return lines


def _effect(term: Term) -> str:
    shifted = f"({term.text}) >> {term.down}" if term.down else term.text
    return f"a += {shifted}"


def _conditions(term: Term, uk_counts: str, epoch: int) -> tuple[str, ...]:
    """Return what must hold for the rows of a source to be visited for a product; the kernel's `acts` and `may_act`."""
    if term.mantissa == 0:
        return ("never: its constant is 0",)
    found = [_gate(term.gate, uk_counts, epoch)]
    for source, index in term.needs:
        if source in NEEDED:
            found.append(NEEDED[source].format(index + 1))
        elif source == Source.SHARED:
            reward = f"r{index} is not 0"
            found.append(reward if index < 2 else _every(index - 2, uk_counts, epoch))
    return tuple(dict.fromkeys(filter(None, found))) or ("always",)


NEEDED = {
    Source.PRE_AT_PRE: "x{} is not 0 at its spike",
    Source.PRE_AT_POST: "x{} was not 0 in the epoch",
    Source.PRE_AT_END: "x{} is not 0 at the end",
    Source.PRE_FIRED: "the source fired",
}
"""What a row needs for an operand; those of targets and synapses are not looked at before the visit."""


def _gate(gate: str, uk_counts: str, epoch: int) -> str:
    if gate[0] != "u":
        return {"x0": "the source fired", "y0": "any target fired"}[gate]
    return _every(int(gate[1:]), uk_counts, epoch)


def _every(k: int, uk_counts: str, epoch: int) -> str:
    """Return when u_k is 1, in words; nothing where it always is."""
    if uk_counts == "epochs":
        return f"each {2**k}{'nd' if k == 1 else 'th'} epoch" if k else ""
    return f"the step is a multiple of {2**k}" if epoch % 2**k else ""
