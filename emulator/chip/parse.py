"""YAML text to a tree of nodes, event by event: bounded in size and depth, with no key given twice.

The tree is built from the parser's events because PyYAML's own composer recurses without a bound,
writes aliases out without a bound, and lets the last of repeated keys win.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from emulator.chip.tree import (
    MAX_DEPTH,
    MAX_NODES,
    UNPRINTABLE,
    Mistake,
    Node,
    Place,
    one_line,
    scalar,
    shortened,
)

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StopError(Exception):
    """Nothing after this place can be understood."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(text)
        self.mistake = Mistake(place, "", text)


def parse(text: str, loader: Any = None) -> tuple[Node | None, list[Mistake]]:
    """Return the tree of a YAML document, None where there is none, and what is wrong with it.

    Parameters
    ----------
    text : str
        The document.
    loader : type, optional
        A loader of PyYAML; its C one by default, if there is one.

    Returns
    -------
    root : Node or None
        The value of the document.
    mistakes : list of Mistake
        Everything found on the way, in the order of the text.
    """
    builder = _Builder()
    if bad := UNPRINTABLE.search(text):
        what = f"the character {bad[0]!r} is not allowed in YAML"
        return None, [Mistake(place_of(text, bad.start()), "", what)]
    try:
        for event in yaml.parse(text, Loader=loader or LOADER):
            builder.take(event)
    except _StopError as stop:
        return None, [*builder.mistakes, stop.mistake]
    except yaml.MarkedYAMLError as error:
        return None, [*builder.mistakes, _syntax(text, error)]
    return builder.root, builder.mistakes


def _syntax(text: str, error: yaml.MarkedYAMLError) -> Mistake:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Mistake(Place(1, 1), "", f"this is not YAML: {error.problem or error.context}")
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        column = indent.index("\t") + 1
        return Mistake(Place(mark.line + 1, column), "", "a tab in the indent; use spaces")
    what = f"this is not YAML: {error.problem}"
    if error.context:
        begun = f" that begins in line {error.context_mark.line + 1}" if error.context_mark else ""
        what += f" ({error.context}{begun})"
    return Mistake(_place(mark), "", what)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def place_of(text: str, position: int) -> Place:
    """Return the line and column of a character."""
    before = text[:position]
    return Place(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end was not met yet."""

    node: Node
    anchor: str | None
    key: Node | None = None  # of the mapping's entry that waits for its value
    path: str = ""


@dataclass(slots=True)
class _Builder:
    root: Node | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)  # None while still open
    stack: list[_Open] = field(default_factory=list)
    n_nodes: int = 0

    def take(self, event: Any) -> None:
        """Act on one event of the parser."""
        match event:
            case yaml.ScalarEvent():
                self._check_tag(event)
                plain = not event.style
                self._add(scalar(event.value, _place(event.start_mark), plain=plain), event.anchor)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check_tag(event)
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                closed = self.stack.pop()
                self._add(closed.node, closed.anchor)
            case yaml.AliasEvent():
                self._add(self._target(event), None)
            case yaml.DocumentStartEvent() if self.root is not None:
                text = "a second document begins here; a file describes one chip"
                raise _StopError(_place(event.start_mark), text)

    def _check_tag(self, event: Any) -> None:
        if event.tag is not None:
            text = f"the tag '{shortened(event.tag)}' is not allowed; write the value alone"
            self.mistakes.append(Mistake(_place(event.start_mark), "", text))

    def _open(self, event: Any) -> None:
        place = _place(event.start_mark)
        if len(self.stack) == MAX_DEPTH:
            raise _StopError(place, f"more than {MAX_DEPTH} levels of nesting")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.stack.append(_Open(Node(value, "", place), event.anchor, path=self._path()))

    def _target(self, event: Any) -> Node:
        place = _place(event.start_mark)
        if event.anchor not in self.anchors:
            text = f"'*{shortened(event.anchor)}' stands for nothing: there is no '&' with its name"
            raise _StopError(place, text)
        node = self.anchors[event.anchor]
        if node is None:
            raise _StopError(place, f"'*{shortened(event.anchor)}' contains itself")
        return node

    def _add(self, node: Node, anchor: str | None) -> None:
        """Put a finished node where it belongs."""
        self.n_nodes += node.size if not isinstance(node.value, dict | list) else 1
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        self._add_to(self.stack[-1], node)

    def _add_to(self, top: _Open, node: Node) -> None:
        top.node.size += node.size
        if top.node.size > MAX_NODES:
            text = f"more than {MAX_NODES} values, with every alias written out"
            raise _StopError(node.place, text)
        if isinstance(top.node.value, list):
            top.node.value.append(node)
        elif top.key is None:
            self._check_key(node)
            top.key = node
        else:
            self._enter(top, top.key, node)
            top.key = None

    def _check_key(self, key: Node) -> None:
        if isinstance(key.value, dict | list):
            raise _StopError(key.place, f"{key.shown()} cannot be a key")
        if UNPRINTABLE.search(key.text):
            raise _StopError(key.place, f"{shortened(key.text)!r} cannot be a key")

    def _enter(self, top: _Open, key: Node, node: Node) -> None:
        name = key.text
        if name == "<<":
            text = "merge keys are not allowed; write the keys out"
            self.mistakes.append(Mistake(key.place, top.path, text))
        elif name in top.node.value:
            first = top.node.value[name][0]
            text = f"repeated key; it is given in line {first.line} already"
            self.mistakes.append(Mistake(key.place, joined(top.path, name), text))
        else:
            top.node.value[name] = key.place, node

    def _path(self) -> str:
        """Return the dotted key of the value that comes next."""
        if not self.stack:
            return ""
        top = self.stack[-1]
        if isinstance(top.node.value, list):
            return f"{top.path}[{len(top.node.value)}]"
        return joined(top.path, top.key.text) if top.key else top.path


def joined(path: str, key: str) -> str:
    """Return a dotted key; keys that no chip file has are shortened."""
    key = shortened(one_line(key))
    return f"{path}.{key}" if path else key
