"""The reference page of neuron microcode: `python -m emulator.microcode.reference > docs/microcode.md`."""

import sys

from emulator.microcode.instructions import INSTRUCTIONS, N_REGISTERS
from emulator.microcode.legal import MAX_STEPS
from emulator.microcode.library import load_model, model_text, shipped_models
from emulator.microcode.model import MAX_WORDS, Model, Word

HEAD = """\
# Neuron microcode

A core runs a neuron program: a short list of instructions, executed once for each of its
compartments in each step. This page is written from the table that drives the assembler and from
the library, with `python -m emulator.microcode.reference > docs/microcode.md`.

**What is published, and what is ours.** Loihi 2 is programmed in microcode; its mnemonics are
published (Intel, technology brief, 2021), and so are 0 to 4,096 bytes of state for each neuron and
graded spikes of up to 32 bits. Encoding, registers, operands, limits and costs of instructions are
not. Those here are our own design, and the chip file sets the limits (`microcode.*`) and what an
instruction costs (`costs.instruction`).

```
emulator models                                 # the library
emulator asm my_model.nasm --chip loihi2        # every mistake at once; encoding, memory, cycles of each way
emulator disasm net.program                     # the programs in a compiled network
emulator step net.program --neuron "cells[3]"   # one neuron, instruction by instruction
```

```python
net.population("cells", 100, model="izhikevich", a=2147484)  # of the library, by name
net.population("mine", 100, model="my_model.nasm", leak=4000)  # a file: nothing else changes
net.population("same", 100, model="microcode:lif", vth_mant=100)  # "lif", bit for bit
```

## The language

```
{example}```

A line holds a label, a directive or an instruction; `;` begins a comment. The comment at the head
of a file is the model's description. Mnemonics may be written small.

* `.state NAME TYPE [wrap|saturate|clip] [= VALUE]`: a word of each neuron, and what it begins with.
* `.param NAME TYPE [= VALUE]`: a word that is only read; one without a value must be given by the network.
* `.const NAME = NUMBER`: a name for a number.
* `.payload TYPE`: spikes carry a value of this type; its bits are part of the packet.

**Types.** `s1` to `s32` are signed, `u1` to `u31` unsigned, `LOW..HIGH` is a range, `chip.u` and
`chip.v` are those of the chip's own u (with its overflow policy) and v (clipped at its limits). A
word takes 1, 2 or 4 bytes of the chip's `microcode.state_bytes`.

**What does not fit.** Every instruction computes its exact result, which is then fitted to where it
goes. A register has 32 bits and wraps silently. A state word wraps (`wrap`, whole bits only), or
takes the nearest value of its range (`saturate`, the default, and `clip`); all but `clip` count as
overflows of the run, and a strict run stops there.

**Registers.** r0 to r{last_register} hold nothing from step to step; one that is read before it is
written on every way there is an error. `RMW` opens a state word, which from then on is used like a
register. Parameters and numbers are used as they are.

**The flag** c is set by LT, GE and EQ and used by SEL, SKP_C and JMP_C. Jumps go forward only, so
every program ends after at most as many instructions as it has.

**Input** is the sum of what arrived for this step, weights times payloads, wrapped at
`arithmetic.accumulator_bits`. What is not read is gone at the end of the step. **Random** bits
depend on seed, step, neuron and the place in the program alone.

## Instructions

`d` is a register or an open state word; `a` and `b` are registers, open state words, parameters or
numbers.

| instruction | operands | does | |
|---|---|---|---|
{instructions}

An instruction takes 64 bits: operation 6, d 12, a 12, b 12, n 22 (shift, count, target, or what is
read and cleared). An operand is its kind (register, state word, parameter, number) in 2 bits and an
index in 10; numbers stand in a table of the program. A program has at most {max_steps:,}
instructions and {max_words:,} words of each kind.

## Time and energy

Each instruction executed is counted for its core and population (`instruction`) and costs what the
chip file says; a compartment with microcode costs nothing else but its spikes (`neuron_spike`).
Instructions of a segment are recorded in each step, so that a run can be timed and priced again.

## Compartments

`net.join(dendrite, soma, "add", "v")` makes neurons of several compartments: dendrite i passes its
v to the input of soma i, before this is advanced in the same step. Joins are `add`, `max` (the
larger of input and value), `pass` (the input passes only where the dendrite spikes in this step)
and `block` (only where it does not). The compiler puts both on one core. Native and programmed
populations can be joined to each other; each value passed is counted as `dendrite_join`.

## The library
"""

PICTURES = {
    "if": """\
![The noise of an integrate-and-fire neuron's spikes over frequency, beside theory](noise_shaping.svg)

The error of its spikes as a code of the input, over frequency: it rises by 20 dB per decade, as that of a first-order
sigma-delta modulator (dotted). Measured and drawn by `python programs/sigma_delta_theory.py docs`.
""",
    "izhikevich": """\
![Twenty firing patterns: voltages and currents](izhikevich.svg)

The twenty patterns of Izhikevich 2004, figure 1, with as many spikes as in floating point: voltage in blue, current in
grey. Counted and drawn by `python programs/izhikevich_patterns.py docs/izhikevich.svg`.
""",
    "sigma_delta": """\
![A noisy sine and what three units send of it](chattering.svg)

What it sends (blue) of a sine (grey): without noise; with noise, where it chatters around its threshold; and with a
larger threshold, which ends that. Measured and drawn by `python programs/sigma_delta_theory.py docs`.
""",
}
"""Behind the section of a model."""


def reference_page() -> str:
    """Return the page as Markdown."""
    lines = [
        f"| `{name}` | {', '.join(_operands(i.operands)) or '-'} | `{_escaped(i.does)}` | {i.meaning} |"
        for name, i in INSTRUCTIONS.items()
    ]
    head = HEAD.format(
        example=model_text("if"),
        last_register=N_REGISTERS - 1,
        instructions="\n".join(lines),
        max_steps=MAX_STEPS,
        max_words=MAX_WORDS,
    )
    return "\n".join([head, *(_section(load_model(name)) for name in shipped_models())])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _operands(operands: tuple[str, ...]) -> list[str]:
    names = iter("ab")
    shown = {
        "destination": "d",
        "state": "s",
        "payload": "[a]",
        "shift": "n",
        "bits": "n",
        "count": "n",
    }
    return [next(names) if what == "value" else shown.get(what, what) for what in operands]


def _section(model: Model) -> str:
    shortest, longest = model.shortest_and_longest()
    payload = f"; payload {model.payload.type_name}" if model.payload else ""
    return "\n".join(
        [
            f"### `{model.name}`",
            "",
            "```",
            model.text,
            "```",
            "",
            f"{len(shortest)} to {len(longest)} instructions, {model.n_state_bytes} bytes{payload}.",
            "",
            "| word | | type | begins with, or default |",
            "|---|---|---|---|",
            *(_word("state", word) for word in model.states),
            *(_word("parameter", word) for word in model.parameters),
            "",
            *([PICTURES[model.name]] if model.name in PICTURES else []),
        ]
    )


def _word(kind: str, word: Word) -> str:
    default = "must be given" if word.default is None else f"{word.default}"
    policy = f" {word.overflow}" if kind == "state" and not word.like else ""
    return f"| `{word.name}` | {kind} | `{word.type_name}`{policy} | {default} |"


if __name__ == "__main__":
    sys.stdout.write(reference_page())
