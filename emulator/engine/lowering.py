"""Neuron programs as the interpreter runs them: actions chosen by what is known about the operands.

Nothing here changes what is computed. A result that cannot leave its word needs no second look, and a factor from 0 to
4096 with a shift of 12 is multiplied in 32 bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.kernels.machine import INSTRUCTION
from emulator.kernels.microcode import ACTIONS, BLOCK_LANES, FITS
from emulator.microcode import PROBE, Kind, Model, Op, Place, Read, Step, Word

Range = tuple[int, int]
ANY: Range = (-(2**31), 2**31 - 1)
REGISTER = Word("register", *ANY, "wrap")
ACTION = {name: number for number, name in enumerate(ACTIONS)}
FIT = {name: number for number, name in enumerate(FITS)}
PLAIN = {
    Op.RMW: "open", Op.MOV: "move", Op.SEL: "choose", Op.AND: "both", Op.OR: "either", Op.MIN: "smaller",
    Op.LT: "less", Op.GE: "not_less", Op.EQ: "equal", Op.PROBE: "move",
}  # fmt: skip
"""Instructions whose results have 32 bits whatever the operands are."""
WIDE = {Op.ADD: "sum", Op.NEG: "negate", Op.MUL_SHR: "multiply", Op.SHL: "shift"}
"""Instructions whose results may have more."""


def lowered(model: Model) -> NDArray[Any]:
    """Return the instructions of a legal model for the interpreter, (n_steps,) INSTRUCTION."""
    table = np.zeros(len(model.steps), INSTRUCTION)
    n_draws = 0
    for k, step in enumerate(model.steps):
        row = table[k]
        for name, place in (("d", step.d), ("a", step.a), ("b", step.b)):
            row[name] = 0 if place is None else place.kind << 10 | place.index
        row["n"] = abs(step.n)
        if step.op in (Op.SKP_C, Op.JMP_C):
            row["action"] = ACTION["jump"]
            row["n"] = target = max(model.after(k))
            if target < len(table):
                table[target]["joins"] = 1
        elif step.op == Op.SPIKE:
            row["action"] = ACTION["spike" if model.payload is None else "spike_payload"]
            if model.payload is not None:
                _fit(row, model.payload)
        elif step.op == Op.RDC:
            row["action"] = ACTION[("take", "random", "clear")[step.n]]
            if step.n == Read.RANDOM:
                row["n"], n_draws = n_draws, n_draws + 1
            _choose(row, model, step, ANY)
        else:
            _compute(row, model, step)
    return table


def numbers(model: Model) -> NDArray[np.int32]:
    """Return each number of a model once for every lane, (n_numbers, lanes)."""
    column = np.array(model.numbers, np.int64).astype(np.int32)
    return np.ascontiguousarray(np.repeat(column[:, None], BLOCK_LANES, axis=1))


def _compute(row: Any, model: Model, step: Step) -> None:
    """Set the action of an instruction that computes something, and what happens to its result."""
    if step.op == Op.PROBE:
        probe = next(i for i, word in enumerate(model.states) if word.name == PROBE)
        row["d"] = Kind.STATE << 10 | probe
    result = _range(model, step)
    word = REGISTER if step.d is None else _word(model, step.d)
    narrow = word is REGISTER or (ANY[0] <= result[0] and result[1] <= ANY[1])
    fits = word.low <= result[0] and result[1] <= word.high
    if step.op in PLAIN:
        row["action"] = ACTION[PLAIN[step.op]]
    elif step.op == Op.MUL_SHR and _is_retain(model, step):
        row["action"] = ACTION["retain"]
    elif step.op == Op.SHL and (narrow or step.n < 0):
        row["action"] = ACTION["shift_left" if step.n >= 0 else "shift_right"]
    elif narrow and (step.op != Op.ADD or fits or word is REGISTER):
        row["action"] = ACTION[WIDE[step.op]]
    else:
        _wide(row, word, step.op)
        return
    _choose(row, model, step, result)


def _choose(row: Any, model: Model, step: Step, result: Range) -> None:
    """Add a second look to a result of 32 bits that its word may not hold."""
    word = REGISTER if step.d is None else _word(model, step.d)
    if word is not REGISTER and not (word.low <= result[0] and result[1] <= word.high):
        _second_look(row, word)


def _wide(row: Any, word: Word, op: Op) -> None:
    """Set an action that fits its own result."""
    wraps = word.overflow == "wrap"
    _fit(row, word)
    if op == Op.ADD:
        own = "sum_clamp" if not wraps else "sum_wrap" if word.low < 0 else "sum_wide"
    else:
        own = f"{WIDE[op]}_wide_wrap" if wraps else f"{WIDE[op]}_wide"
    row["action"] = ACTION[own]


def _second_look(row: Any, word: Word) -> None:
    """Set a second loop that fits a result of 32 bits."""
    _fit(row, word)
    row["fit"] = FIT["clamp" if word.overflow != "wrap" else "wrap" if word.low < 0 else "mask"]


def _fit(row: Any, word: Word) -> None:
    row["low"], row["high"] = word.low, word.high
    row["counts"] = word.overflow != "clip"
    row["unused_bits"] = 32 - (word.high - word.low).bit_length()


def _word(model: Model, place: Place) -> Word:
    if place.kind == Kind.REGISTER:
        return REGISTER
    words = model.states if place.kind == Kind.STATE else model.parameters
    return words[place.index]


def _of(model: Model, place: Place | None) -> Range:
    """Return the range of an operand."""
    if place is None:
        return ANY
    if place.kind == Kind.NUMBER:
        return (model.numbers[place.index],) * 2
    word = _word(model, place)
    return word.low, word.high


def _is_retain(model: Model, step: Step) -> bool:
    low, high = _of(model, step.b)
    return step.n == 12 and low >= 0 and high <= 4096


def _range(model: Model, step: Step) -> Range:
    """Return the range of the exact result of an instruction."""
    a, b = _of(model, step.a), _of(model, step.b)
    if step.op in (Op.MOV, Op.PROBE):
        return a
    if step.op in (Op.SEL, Op.MIN):
        return min(a[0], b[0]), max(a[1], b[1])
    if step.op == Op.ADD:
        return a[0] + b[0], a[1] + b[1]
    if step.op == Op.NEG:
        return -a[1], -a[0]
    if step.op == Op.SHL:
        return (
            (a[0] << step.n, a[1] << step.n) if step.n >= 0 else (a[0] >> -step.n, a[1] >> -step.n)
        )
    if step.op == Op.MUL_SHR:
        corners = [x * y for x in a for y in b]
        return -(-min(corners) >> step.n) if min(corners) < 0 else 0, max(*corners, 0) >> step.n
    return ANY
