"""Values given beside a chip file, by dotted key: what `--set key=value` says."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import reduce
from typing import Any

import numpy as np

from emulator.chip.keys import NOUNS, root_key, walk
from emulator.chip.parse import parse
from emulator.chip.schema import CHANGED, Chip
from emulator.chip.tree import Mistake, Node, Place, from_python, one_line, scalar, shortened


def override(root: Node, dotted: str, value: object, order: int) -> list[Mistake]:
    """Put a value into the tree of a chip file; return what is wrong with its key or its text.

    Parameters
    ----------
    root : Node
        The file, a mapping; changed in place.
    dotted : str
        The key.
    value : object
        A Python value, or the text of a YAML value.
    order : int
        Which of the overrides this is, from 1: they are reported in order.
    """
    label = f"--set {shortened(one_line(f'{dotted}={_written(value)}'))}"
    place = Place(order=order, key=dotted, label=label)
    if mistake := _wrong_key(dotted):
        return [Mistake(place, dotted, mistake)]
    new = _value(value, place) if isinstance(value, str) else from_python(value, place)
    if isinstance(new, Mistake):
        return [new]
    *sections, name = dotted.split(".")
    node = root
    for section in sections:
        at, child = node.value.get(section, (place, Node({}, "", place)))
        if not isinstance(child.value, dict):
            return []  # the file's mistake, reported as such
        child = replace(child, value=dict(child.value))  # an alias may share it
        node.value[section] = at, child
        node = child
    node.value[name] = place, new
    return []


def marked(chip: Chip, given: Mapping[str, object]) -> Chip:
    """Return a chip whose sources say which of its values are not those of its file."""
    if not given:
        return chip
    sections: dict[str, list[str]] = {}
    for dotted in given:
        section, _, key = dotted.rpartition(".")
        while section and not hasattr(_at(chip, section), "source"):
            section, _, parent = section.rpartition(".")
            key = f"{parent}.{key}"
        if key not in ("source", "name"):
            sections.setdefault(section, []).append(f"{key} = {_at(chip, dotted)}")
    for section, changes in sections.items():
        old = _at(chip, section).source
        chip = _with_source(
            chip, section, f"{CHANGED}{', '.join(changes)}; the file's source: {old}"
        )
    return chip


def _at(chip: Any, dotted: str) -> Any:
    return reduce(getattr, dotted.split("."), chip) if dotted else chip


def _with_source(part: Any, dotted: str, source: str) -> Any:
    name, _, rest = dotted.partition(".")
    if not name:
        return part.model_copy(update={"source": source})
    return part.model_copy(update={name: _with_source(getattr(part, name), rest, source)})


def _wrong_key(dotted: str) -> str:
    """Say why no value can be set at a key, if so."""
    key = root_key()
    for name in dotted.split("."):
        if name not in key.children:
            break
        key = key.children[name]
    else:
        return ""
    if key.kind != "section":
        return f"'{key.path}' holds {NOUNS[key.kind]}, no keys; set it as a whole"
    paths = [one.path for one in walk()]
    leaf = dotted.rpartition(".")[2]
    close = [path for path in paths if path.rpartition(".")[2] == leaf]
    close = get_close_matches(dotted, paths, n=1) or close
    if close:
        return f"unknown key; did you mean '{close[0]}'?"
    return f"unknown key; allowed: {', '.join(key.children)}"


def _written(value: object) -> str:
    """Return an override's value as a command line would say it."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        return str(value)
    except ValueError:  # Python does not write out integers of more than 4,300 digits
        return "..."


def _value(text: str, place: Place) -> Node | Mistake:
    """Return the node of an override's text: a bare scalar as it stands, all else as YAML."""
    text = text.strip()
    if not text.startswith(("[", "{", '"', "'")):
        return scalar(text, place, plain=True)
    root, mistakes = parse(text)
    if root is None or mistakes:
        return Mistake(place, place.key, mistakes[0].text)
    return _moved(root, place)


def _moved(node: Node, place: Place) -> Node:
    """Return a node all of which stands at one place."""
    value = node.value
    if isinstance(value, dict):
        value = {key: (place, _moved(child, place)) for key, (_, child) in value.items()}
    elif isinstance(value, list):
        value = [_moved(child, place) for child in value]
    return Node(value, node.text, place)
