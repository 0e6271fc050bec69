"""A tree of nodes to a Chip, or everything that is wrong with it, in words a person can act on."""

import re
from decimal import Decimal
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from emulator.chip.keys import NOUNS, Key, root_key, walk
from emulator.chip.parse import joined
from emulator.chip.rules import RULES
from emulator.chip.schema import Chip
from emulator.chip.tree import Mistake, Node, Place, Trap, scalar

_EXPONENT = re.compile(r"([-+]?)([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})")
_OUTSIDE = {  # pydantic's error types for values of the right kind
    "greater_than_equal": "is out of range",
    "less_than_equal": "is out of range",
    "string_too_short": "is too short",
    "string_pattern_mismatch": "has other characters",
}


def check(root: Node) -> tuple[Chip | None, list[Mistake]]:
    """Return the chip a tree describes, or None and every mistake in it."""
    try:
        return Chip.model_validate(root.data()), []
    except ValidationError as error:
        details = [one for one in error.errors(include_url=False) if one["type"] != "value_error"]
    mistakes = _missing_and_unknown(root, details)
    wrong = {mistake.key for mistake in mistakes}
    for detail in details:
        if detail["type"] not in ("missing", "extra_forbidden"):
            path, key, _, node = _locate(root, detail["loc"])
            mistakes.append(Mistake(node.place, path, _wrong_value(detail["type"], key, node)))
            wrong.add(path)
    return None, mistakes + _broken_rules(root, wrong)


def _unknown(name: str, absent: list[str], siblings: list[str]) -> tuple[str, str]:
    """Return a message about a key that does not exist, and the key it may stand for.

    The keys that the section does not hold yet, `absent`, are likelier than all it may hold.
    """
    close = get_close_matches(name, absent, n=1) or get_close_matches(name, siblings, n=1)
    if not close:
        close = [key.path for key in walk() if key.path.rpartition(".")[2] == name][:1]
    if close:
        return f"unknown key; did you mean '{close[0]}'?", close[0]
    return f"unknown key; allowed: {', '.join(siblings)}", ""


def _locate(root: Node, loc: tuple[int | str, ...]) -> tuple[str, Key, Node, Node]:
    """Return dotted path, key, parent and node of a place in the data."""
    path, key, parent, node = "", root_key(), root, root
    for part in loc:
        parent = node
        if isinstance(part, int):
            assert key.item is not None
            path, key, node = f"{path}[{part}]", key.item, node.value[part]
        else:
            path, key, node = joined(path, part), key.children[part], node.value[part][1]
    return path, key, parent, node


def _missing_and_unknown(root: Node, details: list[ErrorDetails]) -> list[Mistake]:
    """Report absent keys, but for those that a misspelt one beside them was meant to be."""
    mistakes, meant = [], set()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            path, key, _, node = _locate(root, detail["loc"][:-1])
            name = str(detail["loc"][-1])
            place = node.value[name][0]
            absent = [child for child in key.children if child not in node.value]
            text, close = _unknown(name, absent, list(key.children))
            meant.add(joined(path, close))
            mistakes.append(Mistake(place, joined(path, name), text))
    for detail in details:
        if detail["type"] == "missing":
            path, key, _, node = _locate(root, detail["loc"][:-1])
            missing = key.children[str(detail["loc"][-1])]
            if missing.path not in meant:
                place = _key_place(root, detail["loc"][:-1])
                what = "section" if missing.kind == "section" else "key"
                text = f"missing {what}; allowed: {missing.allowed}"
                mistakes.append(Mistake(place, missing.path, text))
    return mistakes


def _key_place(root: Node, loc: tuple[int | str, ...]) -> Place:
    """Return where the key of a section stands; the beginning for the file as a whole."""
    place, node = root.place, root
    for part in loc:
        place, node = node.value[part]
    return place


def _wrong_value(error: str, key: Key, node: Node) -> str:
    """Say what was read and what is allowed."""
    shown, allowed = node.shown(), f"; allowed: {key.allowed}"
    if isinstance(node.value, Trap):
        return node.value.why + (_trap_advice(node.value, key) or allowed)
    if advice := _number_advice(key, node):
        return advice
    if key.kind == "choice":
        close = get_close_matches(str(node.value), map(str, key.choices), n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        return f"{shown} is not {NOUNS[key.kind]}{allowed}{hint}"
    if error == "too_short":
        return f"the list is empty{allowed}"
    if error in _OUTSIDE:
        return f"{shown} {_OUTSIDE[error]}{allowed}"
    return f"{shown} {_wrong_kind(key, node.value)}"


def _wrong_kind(key: Key, value: object) -> str:
    if key.kind == "text" and not isinstance(value, dict | list):
        return "is not text; put it in quotes"
    if _only_quoted(key, value):
        return "in quotes is text; take the quotes away"
    return f"is not {NOUNS[key.kind]}" + (
        "" if key.kind == "boolean" else f"; allowed: {key.allowed}"
    )


def _trap_advice(trap: Trap, key: Key) -> str:
    kind = "number" if key.kind == "integer" else key.kind
    if trap.write and trap.kind == kind:
        return f"; write {trap.write}"
    if trap.why == "there is no value" and key.nullable:
        return f"; allowed: {key.allowed} (unlimited)" if key.path.startswith("core.") else ""
    return "; put it in quotes" if kind == "text" and trap.kind else ""


def _only_quoted(key: Key, value: object) -> bool:
    """Return whether a text would be right without its quotes."""
    if not isinstance(value, str):
        return False
    kinds = {bool: ("boolean",), int: ("integer", "number"), float: ("number",)}
    return key.kind in kinds.get(type(scalar(value, Place(), plain=True).value), ())


def _number_advice(key: Key, node: Node) -> str:
    """Explain a number that is text to YAML because of a bare exponent."""
    if key.kind not in ("integer", "number") or not isinstance(node.value, str):
        return ""
    match = _EXPONENT.fullmatch(node.value)
    if not match:
        return ""
    if key.kind == "integer":
        number = Decimal(node.value)
        if number != number.to_integral_value() or abs(number) >= 10**15:
            return ""
        return f"'{node.value}' is text to YAML; write {int(number)}"
    sign, digits, exponent = match.groups()
    before, _, after = digits.partition(".")
    written = f"{sign}{before or '0'}.{after or '0'}e{int(exponent[1:]):+d}"
    return f"'{node.value}' is text to YAML; write {written}"


def _broken_rules(root: Node, wrong: set[str]) -> list[Mistake]:
    """Try the rules whose keys are all right by themselves."""
    found = []
    for rule in RULES:
        if any(_covers(path, need) for path in wrong for need in rule.needs):
            continue
        nodes = [_node(root, need) for need in rule.needs]
        if None in nodes:
            continue
        text = rule.check(*(node.data() for node in nodes if node is not None))
        node = _node(root, rule.key)
        if text and node is not None:
            found.append(Mistake(node.place, rule.key, text))
    return found


def _covers(wrong: str, need: str) -> bool:
    """Return whether a mistake at one key leaves the value of another unknown."""
    return (
        not wrong or wrong == need or need.startswith(f"{wrong}.") or wrong.startswith(f"{need}[")
    )


def _node(root: Node, path: str) -> Node | None:
    node = root
    for name in path.split("."):
        if name not in node.value:
            return None
        node = node.value[name][1]
    return node
