"""Learning: rules as text, and the micro-instructions that each plastic synapse runs."""

from emulator.learning.device import Memristor
from emulator.learning.grammar import Factor, Product
from emulator.learning.listing import Instruction, listing, trace_lines
from emulator.learning.rule import (
    POST_TRACES,
    PRE_TRACES,
    TRACE_MAX,
    TRACES,
    Rule,
    Trace,
    described_rule,
)
from emulator.learning.steps import Engine, Operand, Source, Steps, Term, compiled

__all__ = [
    "POST_TRACES", "PRE_TRACES", "TRACES", "TRACE_MAX", "Engine", "Factor", "Instruction", "Memristor", "Operand",
    "Product", "Rule", "Source", "Steps", "Term", "Trace", "compiled", "described_rule", "listing", "trace_lines",
]  # fmt: skip
