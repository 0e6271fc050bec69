"""Values that know where they were written: what YAML and Python values become before checking.

Scalars are read as YAML 1.1 and 1.2 agree on. Where readers of YAML differ (`on`, `1:30`, `010`),
or where a value is not finite or not there, the value is a `Trap`, which no key accepts.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_DEPTH = 16
MAX_NODES = 10_000
MAX_DIGITS = 40
SHOWN = 60  # characters of a value that a message repeats

INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?|\.[0-9]+([eE][-+][0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_NOT_DECIMAL = re.compile(r"[-+]?(0[0-9_]+|0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+)")
_UNDERSCORES = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?")
_CONSTANTS = {
    **dict.fromkeys(("null", "Null", "NULL", "~"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BOOLEANS = {
    form: meaning
    for word, meaning in (("yes", "true"), ("on", "true"), ("no", "false"), ("off", "false"))
    for form in (word, word.title(), word.upper())
}
UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a line and column of a file, or an override."""

    line: int = 0
    column: int = 0
    order: int = 0  # of an override, from 1: they are reported after the file
    key: str = ""  # that an override sets
    label: str = ""  # what stands for a line and column: "--set key=value"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to mend: where, at which dotted key (may be empty), and what."""

    place: Place
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Trap:
    """A value that no key accepts, and why."""

    why: str
    kind: str = ""  # what some readers take it for: "boolean" or "number"
    write: str = ""  # what all readers take for that


@dataclass(slots=True)
class Node:
    """A value, the text it was read from, and its place.

    `value` is a scalar, a `Trap`, a list of nodes, or a dict of key to (place of the key, node).
    """

    value: Any
    text: str
    place: Place
    size: int = 1  # nodes in it, with aliases written out

    def data(self) -> Any:
        """Return the plain Python value, traps as they are."""
        if isinstance(self.value, dict):
            return {key: node.data() for key, (_, node) in self.value.items()}
        if isinstance(self.value, list):
            return [node.data() for node in self.value]
        return self.value

    def shown(self) -> str:
        """Return what a message repeats of the value."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        if isinstance(self.value, str):
            return repr(shortened(self.value))
        return shortened(self.text)


def shortened(text: str) -> str:
    """Return the beginning of a text that may be long."""
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def one_line(text: str) -> str:
    """Return a text with its line ends and what a terminal would act on escaped."""
    return text if text.isprintable() else repr(text)[1:-1]


def scalar(text: str, place: Place, *, plain: bool) -> Node:
    """Return the node of a YAML scalar; one with quotes is not `plain`, and text."""
    if bad := UNPRINTABLE.search(text):
        return Node(Trap(f"{shortened(text)!r} holds the character {bad[0]!r}"), text, place)
    return Node(_plain(text) if plain else text, text, place)


def _plain(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    is_integer, is_float = INTEGER.fullmatch(text), FLOAT.fullmatch(text)
    if (is_integer or is_float) and len(text) > MAX_DIGITS:
        return Trap(f"{shortened(text)} has more than {MAX_DIGITS} digits")
    if is_integer:
        return int(text)
    if is_float and math.isfinite(float(text)):
        return float(text)
    return _trap(text) or text


def _trap(text: str) -> Trap | None:
    if not text:
        return Trap("there is no value")
    if _NOT_FINITE.fullmatch(text) or FLOAT.fullmatch(text):
        return Trap(f"{text} is not a finite number")
    if text in _BOOLEANS:
        why = f"'{text}' is a boolean to some readers of YAML and text to others"
        return Trap(why, "boolean", _BOOLEANS[text])
    if _BASE_60.fullmatch(text):
        why = f"'{text}' is a number in base 60 to some readers of YAML and text to others"
        return Trap(why, "number")
    if _NOT_DECIMAL.fullmatch(text):
        return Trap(f"'{text}' is not a decimal number to every reader of YAML", "number")
    if "_" in text and _UNDERSCORES.fullmatch(text):
        why = f"'{text}' is a number to some readers of YAML and text to others"
        return Trap(why, "number", text.replace("_", ""))
    return None


def from_python(value: Any, place: Place, depth: int = 1) -> Node:
    """Return the node of a Python value; a string is text."""
    if depth > MAX_DEPTH:
        return Node(Trap(f"more than {MAX_DEPTH} levels of nesting"), "", place)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        children = {
            # Half a surrogate pair, which a command line may hold, becomes a question mark.
            str(key).encode(errors="replace").decode(): (
                place,
                from_python(child, place, depth + 1),
            )
            for key, child in value.items()
        }
        return Node(children, "", place)
    if isinstance(value, list | tuple):
        return Node([from_python(child, place, depth + 1) for child in value], "", place)
    if isinstance(value, str):
        return scalar(value, place, plain=False)
    return _constant(value, place)


def _constant(value: Any, place: Place) -> Node:
    if value is None or isinstance(value, bool):
        return Node(value, {None: "null", True: "true", False: "false"}[value], place)
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        return Node(Trap(f"a number of more than {MAX_DIGITS} digits"), "", place)
    if isinstance(value, float) and not math.isfinite(value):
        return Node(Trap(f"{value} is not a finite number"), "", place)
    if isinstance(value, int | float):
        return Node(value, repr(value), place)
    return Node(Trap(f"a Python {type(value).__name__} is no YAML value"), "", place)
