"""The text of learning rules: what is refused, with the place below it, and what it means."""

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator import Rule, Trace, load_chip
from emulator.errors import LearningError
from emulator.learning import compiled, listing

TRACES = {name: Trace(16, 10) for name in ("x1", "x2", "y1", "y2", "y3")}
ENGINE = load_chip("loihi2").learning
VARIABLES = "x0, x1, x2, y0, y1, y2, y3, r0, r1, w, d, t, u0 to u9"


def refused(**given_):
    with pytest.raises(LearningError) as caught:
        Rule(**{"epoch": 1} | given_)
    return str(caught.value)


MISTAKES = [
    # text, column from 1, what is said
    ("x1", 1, "this product does not say when it acts: one factor must be x0, y0 or u0 to u9"),
    ("x0 + x1*y1", 6, "this product does not say when it acts: one factor must be x0, y0 or u0 to u9"),
    ("(x0+1)*x1", 1, "this product does not say when it acts: one factor must be x0, y0 or u0 to u9"),
    ("x3*y0", 1, f"'x3' is no variable; there are: {VARIABLES}"),
    ("x0*foo", 4, f"'foo' is no variable; there are: {VARIABLES}"),
    ("x0*X1", 4, f"'X1' is no variable; there are: {VARIABLES}"),
    ("u*w", 1, f"'u' is no variable; there are: {VARIABLES}"),
    ("u10*w", 1, "'u10': k is 0 to 9 in u_k"),
    ("x0*r2", 4, f"'r2' is no variable; there are: {VARIABLES}"),
    ("x0 x1", 4, "'x1' follows a product; '*', '+' or '-' is expected"),
    ("2x0", 2, "'x0' follows a product; '*', '+' or '-' is expected"),
    ("x0*(w", 6, "')' is missing before the end"),
    ("x0*(w-3*x1", 8, "')' is missing before '*'"),
    ("x0)", 3, "')' follows a product; '*', '+' or '-' is expected"),
    ("x0*", 4, "a factor is expected, not the end"),
    ("*x0", 1, "a factor is expected, not '*'"),
    ("x0**2", 3, "a power is written with '^', like 2^-3"),
    ("x0^2", 3, "'^' follows a product; '*', '+' or '-' is expected"),
    ("--x0", 2, "a factor is expected, not '-'"),
    ("x0 + ", 5, "a factor is expected, not the end"),
    ("x0*2*-3", 6, "a factor is expected, not '-'"),
    ("x0*()", 5, "a variable is expected, not ')'"),
    ("x0*(", 5, "a variable is expected, not the end"),
    ("3^2*x0", 1, "only powers of 2 are constants, not of 3"),
    ("2^*x0", 3, "a whole number is expected, not '*'"),
    ("2^(-3*x0", 6, "')' is missing before '*'"),
    ("2^x1*x0", 3, "a whole number is expected, not 'x1'"),
    ("0.25*x1*x0", 1, "0.25 is no whole number; fractions are powers of 2, like 2^-3 or 3 * 2^-3"),
    ("x0*12.5", 4, "12.5 is no whole number; fractions are powers of 2, like 2^-3 or 3 * 2^-3"),
    ("3.*x0", 1, "3. is no whole number; fractions are powers of 2, like 2^-3 or 3 * 2^-3"),
    ("x0*x1/8", 6, "there is no division; multiply by a power of 2, like 2^-3"),
    ("x0*1234567890", 4, "the number is out of range"),
    ("x0*999999999*9", 14, "the product's constant is out of range: it is 8999999991 * 2^0"),
    ("2^-65*x0", 1, "the product's constant is out of range: it is 1 * 2^-65"),
    ("x0*(w+256)", 7, "256 is out of range; allowed: -256 to 255"),
    ("x0*(w-257)", 7, "-257 is out of range; allowed: -256 to 255"),
    ("x0*(w+x1)", 7, "a whole number is expected, not 'x1'"),
    ("x0*(w*2)", 6, "')' is missing before '*'"),
    ("x0*(u1+1)", 8, "nothing can be added to 'u1'"),
    ("x0*sgn(x1)", 8, "sgn() is of w, d or t, not of 'x1'"),
    ("x0*sgn w", 8, "'(' is missing before 'w'"),
    ("x0*sgn(3)", 8, "a variable is expected, not '3'"),
    ("x0*sign(w)", 4, "the sign is written sgn(...)"),
    ("dw = x0*x1", 4, "give only what stands to the right of the '='"),
    ("x0 = x1", 4, "'=' has no meaning in a rule"),
    ("x0*@", 4, "'@' has no meaning in a rule"),
    ("x0 \x1b[31m", 4, "'?' has no meaning in a rule"),
    ("x0*\u0663", 4, "'\u0663' has no meaning in a rule"),
    ("x0*\u03b7", 4, "'\u03b7' has no meaning in a rule"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "column", "what"), MISTAKES)
def test_a_mistake_is_shown_with_its_place(text, column, what):
    shown = text.replace("\x1b", "?").rstrip("\n")
    message = f"dw: column {column}: {what}\n  {shown}\n  {' ' * (column - 1)}^"
    assert refused(dw=text) == message


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({}, "a rule needs dw, dt or dd"),
        ({"dw": ""}, "dw is ''; it must be a rule, like '2^-2*x1*y0 - 2^-2*y1*x0'"),
        ({"dt": " \t"}, "dt is ' \\t'; it must be a rule, like '2^-2*x1*y0 - 2^-2*y1*x0'"),
        ({"dd": 3}, "dd is 3; it must be a rule, like '2^-2*x1*y0 - 2^-2*y1*x0'"),
        ({"dw": "x0" + "*w" * 500}, "dw has 1002 characters; at most 1000 are allowed"),
        ({"dw": "x1*y0"}, "dw reads x1, which has no trace: give x1=Trace(impulse=..., tau=...)"),
        (
            {"dw": "(y3+1)*x0", "dt": "y3*y0"},
            "dw and dt read y3, which has no trace: give y3=Trace(impulse=..., tau=...)",
        ),
        ({"dw": "x0", "x1": "word"}, "x1 is 'word'; only y1, y2 and y3 come from neuron programs"),
        ({"dw": "x0", "y1": (16, 10)}, "y1 is (16, 10); it must be a Trace"),
        ({"dw": "x0", "epoch": 0}, "epoch is 0; it must be a whole number of steps, 1 to 63"),
        ({"dw": "x0", "epoch": 64}, "epoch is 64; it must be a whole number of steps, 1 to 63"),
        ({"dw": "x0", "epoch": True}, "epoch is True; it must be a whole number of steps, 1 to 63"),
        ({"dw": "x0", "epoch": 2.0}, "epoch is 2.0; it must be a whole number of steps, 1 to 63"),
    ],
)
def test_what_is_no_rule_is_refused(given_, message):
    assert refused(**given_) == message


def test_all_mistakes_come_at_once():
    assert refused(dw="x0*q", dt="x1*y0", dd="w", x2=3, epoch=99).splitlines() == [
        f"dw: column 4: 'q' is no variable; there are: {VARIABLES}",
        "  x0*q",
        "     ^",
        "dd: column 1: this product does not say when it acts: one factor must be x0, y0 or u0 to u9",
        "  w",
        "  ^",
        "dt reads x1, which has no trace: give x1=Trace(impulse=..., tau=...)",
        "x2 is 3; it must be a Trace",
        "epoch is 99; it must be a whole number of steps, 1 to 63",
    ]


@pytest.mark.parametrize(
    ("impulse", "tau", "lines"),
    [
        (-1, 10, ["trace: impulse is -1; allowed: 0 to 127"]),
        (128, 10, ["trace: impulse is 128; allowed: 0 to 127"]),
        (16, -0.5, ["trace: tau is -0.5; allowed: 0 to inf"]),
        (float("nan"), 10, ["trace: impulse is nan; it must be a number"]),
        (True, None, ["trace: impulse is True; it must be a number", "trace: tau is None; it must be a number"]),
        ("16", 1e400, ["trace: impulse is '16'; it must be a number"]),
    ],
)  # fmt: skip
def test_wrong_traces_are_refused(impulse, tau, lines):
    with pytest.raises(LearningError) as caught:
        Trace(impulse, tau)
    assert str(caught.value).splitlines() == lines


def test_numbers_of_numpy_are_numbers():
    rule = Rule(dw="x0*x1", x1=Trace(np.int64(16), np.float32(2.5)), epoch=np.int32(4))
    assert rule == Rule(dw="x0*x1", x1=Trace(16, 2.5), epoch=4)
    assert type(rule.epoch) is type(rule.x1.impulse) is int


@given(st.text("x0123456789yruwdtsgn+-*^() .", max_size=40))
@example("x0*(w-(")
@example("2^")
@example("sgn")
@example("x0*999999999*9")
def test_any_text_is_a_rule_or_shows_where_it_is_none(text):
    try:
        rule = Rule(dw=text, **TRACES)
    except LearningError as error:
        first, *rest = str(error).split("\n")
        if not text.strip():
            assert "must be a rule" in first
            return
        column = int(re.match(r"dw: column (\d+): ", first)[1])
        assert rest == [f"  {text}", f"  {' ' * (column - 1)}^"]
        assert 1 <= column <= len(text) + 1
    else:
        assert rule.products["w"]


COMPILE_MISTAKES = [
    ("9*x0", 1, "the constant is 9 * 2^0; the engine has mantissas -8 to 7 and exponents -7 to 8"),
    ("x0 - 15*x1*y0", 6, "the constant is -15 * 2^0; the engine has mantissas -8 to 7 and exponents -7 to 8"),
    ("2^-8*x0", 1, "the constant is 1 * 2^-8; the engine has mantissas -8 to 7 and exponents -7 to 8"),
    ("2^11*x0", 1, "the constant is 4 * 2^9; the engine has mantissas -8 to 7 and exponents -7 to 8"),
    ("x0 + w*w*w*w*y0", 6, "the product can reach 4.29e+09; the engine multiplies in 32 bits: use fewer factors"),
    ("x0*y0*y0*y0*y0*y0*y0*y0*y0*y0", 1, "the product has 10 factors; at most 8 can be multiplied"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "column", "what"), COMPILE_MISTAKES)
def test_what_an_engine_cannot_do_is_shown_with_its_place(text, column, what):
    with pytest.raises(LearningError) as caught:
        compiled(Rule(dw=text, **TRACES), ENGINE)
    message = f"dw: column {column}: {what}\n  {text}\n  {' ' * (column - 1)}^"
    assert str(caught.value) == message


def test_equal_constants_in_other_words_are_what_the_engine_holds():
    for text in ("14*x0", "7*2*x0", "7*2^1*x0", "(7*2^1)*x0", "2*7*x0", "2^1*x0*7"):
        (term,) = compiled(Rule(dw=text), ENGINE).terms
        assert term.mantissa << term.up == 14 << 7
    (term,) = compiled(Rule(dw="2^10*x0"), ENGINE).terms
    assert (term.mantissa, term.up) == (4, 8 + 7)


def test_the_listing_says_what_each_instruction_does_and_what_a_row_needs():
    rule = Rule(dw="2^-2*x1*y0 - 3*y1*x0*x1 + u2*r0*x2*w + 0*x0", dd="sgn(d-3)*u0", **TRACES)
    lines = listing(rule, compiled(rule, ENGINE))
    assert [(line.op, line.target, line.effect, line.lost_bits, line.acts) for line in lines] == [
        ("LOAD", "w", "a = w << 7", 0, ()),
        ("MAC", "w", "a += 2^-2 * y0 * x1", 0, ("any target fired", "x1 was not 0 in the epoch")),
        ("MAC", "w", "a += (-3 * x0 * y1 * x1) >> 3", 3, ("the source fired", "x1 is not 0 at its spike")),
        ("MAC", "w", "a += (u2 * r0 * x2 * w) >> 13", 13, ("each 4th epoch", "r0 is not 0", "x2 is not 0 at the end")),
        ("MAC", "w", "a += 0 * x0", 0, ("never: its constant is 0",)),
        ("STORE", "w", "w = a >> 7, rounded, clipped", 0, ()),
        ("LOAD", "d", "a = d << 7", 0, ()),
        ("MAC", "d", "a += u0 * sgn(d-3)", 0, ("always",)),
        ("STORE", "d", "d = a >> 7, rounded, clipped", 0, ()),
    ]  # fmt: skip


def test_u_k_can_count_steps():
    rule = Rule(dw="u3*w + u1*w", epoch=2)
    by_steps = listing(rule, compiled(rule, ENGINE), "steps")
    assert [line.acts for line in by_steps if line.op == "MAC"] == [
        ("the step is a multiple of 8",),
        ("always",),
    ]
