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
        lines.append(Instruction("LOAD", target, f"a = {target} << {FRACTION_BITS}"))
        for term in steps.terms:
            if term.target == target:
                acts = _conditions(term, uk_counts, rule.epoch)
                lines.append(Instruction("MAC", target, _effect(term), term.down, acts))
        lines.append(
            Instruction("STORE", target, f"{target} = a >> {FRACTION_BITS}, rounded, clipped")
        )
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
    found = []
    if term.gate == "x0":
        found.append("the source fired")
    elif term.gate == "y0":
        found.append("any target fired")
    elif term.gate != "u0" or uk_counts != "epochs":
        found.append(_every(int(term.gate[1:]), uk_counts, epoch))
    for source, index in term.needs:
        if source == Source.PRE_AT_PRE:
            found.append(f"x{index + 1} is not 0 at its spike")
        elif source == Source.PRE_AT_POST:
            found.append(f"x{index + 1} was not 0 in the epoch")
        elif source == Source.PRE_AT_END:
            found.append(f"x{index + 1} is not 0 at the end")
        elif source == Source.PRE_FIRED:
            found.append("the source fired")
        elif source == Source.SHARED and index < 2:
            found.append(f"r{index} is not 0")
        elif source == Source.SHARED:
            found.append(_every(index - 2, uk_counts, epoch))
    return tuple(dict.fromkeys(found)) or ("always",)


def _every(k: int, uk_counts: str, epoch: int) -> str:
    """Return when u_k is 1, in words."""
    if uk_counts == "epochs":
        return f"each {2**k}th epoch" if k else "each epoch"
    return f"the step is a multiple of {2**k}" if (epoch % 2**k) else "each epoch"
