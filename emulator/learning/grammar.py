"""The text of a learning rule: sums of products, in the form that users of Loihi know.

    rule    = [sign] product { sign product }          sign = "+" | "-"
    product = factor { "*" factor }
    factor  = number | "(" number ")" | name | "(" name sign integer ")" | "sgn(" name [sign integer] ")"
    number  = integer [ "^" exponent ]                 exponent = integer, or in brackets
    name    = x0 x1 x2 y0 y1 y2 y3 r0 r1 u0 .. u9 w d t

The first of x0, y0 and u_k in a product is its gate: it says when the product acts and when its traces are read.
"""

import re
from dataclasses import dataclass

from emulator.arguments import shown
from emulator.errors import LearningError

TOKEN = re.compile(
    r"\s*(?:(?P<fraction>\d*\.\d+|\d+\.)|(?P<integer>\d+)|(?P<name>[A-Za-z_]\w*)|"
    r"(?P<mark>\*\*|[-+*^()])|(?P<wrong>\S))",
    re.ASCII,
)
FACTORS = ("x0", "x1", "x2", "y0", "y1", "y2", "y3", "r0", "r1", "w", "d", "t")
UK = re.compile(r"u\d{1,2}", re.ASCII)
LEFT_SIDE = re.compile(r" *(?:dw|dd|dt) *=")
SIGNED = ("w", "d", "t")
"""What sgn() may be of."""
GATES = "x0, y0 or u0 to u9"
CONSTANTS = range(-256, 256)
MAX_LENGTH = 1000
MAX_EXPONENT = 64


@dataclass(frozen=True)
class Factor:
    """One factor of a product: a variable, plus a constant, or the sign of both."""

    name: str
    constant: int = 0
    is_sign: bool = False

    def __str__(self) -> str:
        inner = self.name if not self.constant else f"{self.name}{self.constant:+d}"
        return f"sgn({inner})" if self.is_sign else f"({inner})" if self.constant else inner


@dataclass(frozen=True)
class Product:
    """One product of a rule: mantissa x 2**exponent x gate x factors; `column` is where it begins in the text."""

    gate: str
    mantissa: int
    exponent: int
    factors: tuple[Factor, ...]
    column: int


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int


class _MistakeError(Exception):
    def __init__(self, column: int, what: str) -> None:
        super().__init__(what)
        self.column, self.what = column, what


def parse(key: str, text: object) -> tuple[Product, ...]:
    """Return the products of a rule.

    Parameters
    ----------
    key : str
        "dw", "dd" or "dt", for messages.
    text : str
        The right-hand side.

    Raises
    ------
    LearningError
        With the rule, and a caret below the place of its first mistake.
    """
    if not isinstance(text, str) or not text.strip():
        raise LearningError(
            f"{key} is {shown(text)}; it must be a rule, like '2^-2*x1*y0 - 2^-2*y1*x0'"
        )
    if len(text) > MAX_LENGTH:
        raise LearningError(f"{key} has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    try:
        return _Parser(_one_line(text)).rule()
    except _MistakeError as mistake:
        raise LearningError(pointed(key, text, mistake.column, mistake.what)) from None


def pointed(key: str, text: str, column: int, what: str) -> str:
    """Return a message about a place in a rule: what is wrong, the rule, and a caret below the place."""
    return f"{key}: column {column + 1}: {what}\n  {_one_line(text)}\n  {' ' * column}^"


def _one_line(text: str) -> str:
    """Return a text of as many columns that can be printed on a line."""
    return "".join(" " if c.isspace() else c if c.isprintable() else "?" for c in text)


class _Parser:
    """Recursive descent over the tokens of one rule."""

    def __init__(self, text: str) -> None:
        self._tokens = []
        for match in TOKEN.finditer(text):
            kind = match.lastgroup or "wrong"
            self._tokens.append(_Token(kind, match[kind], match.start(kind)))
        self._tokens.append(_Token("end", "", len(text.rstrip())))
        left = LEFT_SIDE.match(text)
        if left:
            raise _MistakeError(left.end() - 1, "give only what stands to the right of the '='")
        for token in self._tokens:
            self._refuse(token)
        self._next = 0

    @staticmethod
    def _refuse(token: _Token) -> None:
        """Raise what is wrong with a token wherever it stands."""
        what = ""
        if token.kind == "fraction":
            what = (
                f"{token.text} is no whole number; fractions are powers of 2, like 2^-3 or 3 * 2^-3"
            )
        elif token.text == "/":
            what = "there is no division; multiply by a power of 2, like 2^-3"
        elif token.text == "**":
            what = "a power is written with '^', like 2^-3"
        elif token.kind == "wrong":
            what = f"'{token.text}' has no meaning in a rule"
        if what:
            raise _MistakeError(token.column, what)

    @property
    def _now(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._now
        self._next += token.kind != "end"
        return token

    def _is(self, *marks: str) -> bool:
        return self._now.kind == "mark" and self._now.text in marks

    def _require(self, mark: str) -> None:
        if not self._is(mark):
            raise _MistakeError(self._now.column, f"'{mark}' is missing before {self._shown()}")
        self._take()

    def _shown(self) -> str:
        return "the end" if self._now.kind == "end" else f"'{self._now.text}'"

    def rule(self) -> tuple[Product, ...]:
        products = [self._product(self._sign())]
        while self._is("+", "-"):
            products.append(self._product(self._sign()))
        return tuple(products)

    def _sign(self) -> int:
        return -1 if self._is("+", "-") and self._take().text == "-" else 1

    def _product(self, sign: int) -> Product:
        column = self._now.column
        mantissa, exponent, gate = sign, 0, ""
        factors: list[Factor] = []
        while True:
            here = self._now.column
            found = self._factor()
            if isinstance(found, Factor):
                is_gate = found.name in ("x0", "y0") or found.name[0] == "u"
                if is_gate and not gate and not found.constant:
                    gate = found.name
                else:
                    factors.append(found)
            else:
                mantissa, exponent = mantissa * found[0], exponent + found[1]
                if abs(mantissa) > 2**31 or abs(exponent) > MAX_EXPONENT:
                    raise _MistakeError(
                        here,
                        f"the product's constant is out of range: it is {mantissa} * 2^{exponent}",
                    )
            if not self._is("*"):
                break
            self._take()
        if self._now.kind != "end" and not self._is("+", "-"):
            raise _MistakeError(
                self._now.column, f"{self._shown()} follows a product; '*', '+' or '-' is expected"
            )
        if not gate:
            raise _MistakeError(
                column, f"this product does not say when it acts: one factor must be {GATES}"
            )
        return Product(gate, mantissa, exponent, tuple(factors), column)

    def _factor(self) -> Factor | tuple[int, int]:
        """Return a factor, or the mantissa and exponent of a number."""
        token = self._now
        if token.kind == "integer":
            return self._number()
        if token.kind == "name" and token.text in ("sgn", "sign"):
            if token.text == "sign":
                raise _MistakeError(token.column, "the sign is written sgn(...)")
            self._take()
            self._require("(")
            return self._sum(is_sign=True)
        if token.kind == "name":
            return Factor(self._name())
        if self._is("("):
            self._take()
            if self._now.kind == "integer" or self._is("-"):
                sign = self._sign()
                mantissa, exponent = self._number()
                while self._is("*"):
                    self._take()
                    more = self._number()
                    mantissa, exponent = mantissa * more[0], exponent + more[1]
                self._require(")")
                return sign * mantissa, exponent
            return self._sum(is_sign=False)
        raise _MistakeError(token.column, f"a factor is expected, not {self._shown()}")

    def _sum(self, *, is_sign: bool) -> Factor:
        """Read `name [sign integer] )`."""
        column = self._now.column
        name, constant = self._name(), 0
        if is_sign and name not in SIGNED:
            raise _MistakeError(column, f"sgn() is of w, d or t, not of '{name}'")
        if self._is("+", "-"):
            sign = self._sign()
            column = self._now.column
            constant = sign * self._integer()
            if name[0] == "u":
                raise _MistakeError(column, f"nothing can be added to '{name}'")
            if constant not in CONSTANTS:
                raise _MistakeError(
                    column,
                    f"{constant} is out of range; allowed: {CONSTANTS[0]} to {CONSTANTS[-1]}",
                )
        self._require(")")
        return Factor(name, constant, is_sign)

    def _name(self) -> str:
        token = self._take()
        if token.kind != "name":
            raise _MistakeError(
                token.column,
                f"a variable is expected, not {'the end' if token.kind == 'end' else repr(token.text)}",
            )
        if token.text in FACTORS:
            return token.text
        if UK.fullmatch(token.text):
            if len(token.text) > 2:
                raise _MistakeError(token.column, f"'{token.text}': k is 0 to 9 in u_k")
            return token.text
        raise _MistakeError(
            token.column,
            f"'{token.text}' is no variable; there are: {', '.join(FACTORS)}, u0 to u9",
        )

    def _integer(self) -> int:
        token = self._take()
        if token.kind != "integer":
            shown = "the end" if token.kind == "end" else f"'{token.text}'"
            raise _MistakeError(token.column, f"a whole number is expected, not {shown}")
        if len(token.text) > 9:
            raise _MistakeError(token.column, "the number is out of range")
        return int(token.text)

    def _number(self) -> tuple[int, int]:
        """Read `integer`, or `2^exponent`; return mantissa and exponent."""
        column = self._now.column
        value = self._integer()
        if not self._is("^"):
            return value, 0
        self._take()
        if value != 2:
            raise _MistakeError(column, f"only powers of 2 are constants, not of {value}")
        bracket = self._is("(")
        if bracket:
            self._take()
        sign = self._sign()
        exponent = sign * self._integer()
        if bracket:
            self._require(")")
        return 1, exponent
