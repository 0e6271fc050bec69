"""A rule's micro-instructions as text."""

from emulator.learning.rule import KEYS, TRACES, Rule, Trace
from emulator.learning.steps import Steps


def listing(rule: Rule, steps: Steps) -> str:
    """Return the micro-instructions of one visit, and the traces."""
    lines, k = [], 0
    for target in steps.targets:
        terms = [term for term in steps.terms if term.target == target]
        body = [("LOAD", target, f"a = {target} << 7")]
        body += [("MAC", term.gate, _effect(term.text, term.down, term.up)) for term in terms]
        body.append(("STORE", target, f"{target} = a >> 7, rounded and clipped"))
        lines.append(f"; {KEYS[target]} = {getattr(rule, KEYS[target])}")
        for op, operand, effect in body:
            lines.append(f"{k:4}  {op:<6}{operand:<4}; {effect}")
            k += 1
    for name in TRACES:
        value = getattr(rule, name)
        if isinstance(value, Trace):
            lines.append(f"; {name}: + {value.impulse:g} at each spike, tau {value.tau:g} steps")
        elif value is not None:
            lines.append(f"; {name}: the state word '{value}' of the target's neuron program")
    lines.append(f"; epoch: {rule.epoch} step{'s' * (rule.epoch > 1)}")
    return "\n".join(lines)


def _effect(text: str, down: int, up: int) -> str:
    shifted = f" >> {down}" if down else ""
    return f"a += ({text}){shifted}" + (f"   (x 2^{up} in units of 2^-7)" if up != 7 else "")
