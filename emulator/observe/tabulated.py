"""Tables for any width: no word and no number is broken; a long name is shortened in the middle, or stands alone.

From wide to narrow a table has one line for each row; headers in several lines; long names on lines of their own, above
the rest of their rows; and at last, where not even the numbers fit side by side, a paragraph for each row.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

Kind = Literal["name", "text", "right", "bar"]
"""Of a column: names, which are shortened; text, which is wrapped at spaces; numbers; a bar, which may be left out."""
INDENT = 2
LEAST_NAME, LEAST_TEXT, LEAST_BAR, MOST_BAR = 10, 24, 6, 30
GAPS = (3, 2, 1)
BREAKS = re.compile(r"\s+(?!(?:%|[munpf]?[JsW]|MHz)(?:[\s,;:)]|$))")
"""Where lines may end: not before a unit."""
T = TypeVar("T")


def shortened(name: str, width: int, *, unicode: bool = True) -> str:
    """Return a name whole, or its beginning and end around an ellipsis where it is longer than the width.

    Examples
    --------
    >>> shortened("layer_of_excitatory_neurons_17", 20)
    'layer_of_e…eurons_17'
    >>> shortened("layer_17", 20)
    'layer_17'
    """
    if cell_len(name) <= width:
        return name
    mark = "…" if unicode else "..."
    room = max(2, width - len(mark))
    head, tail = -(-room // 2), room // 2
    while head and cell_len(name[:head]) > -(-room // 2):
        head -= 1
    while tail and cell_len(name[-tail:]) > room // 2:
        tail -= 1
    return name[:head] + mark + (name[-tail:] if tail else "")


def wrapped(text: str, width: int, *, unicode: bool = True) -> list[str]:
    """Return lines of whole words, numbers with their units; a word that is longer than a line is shortened."""
    lines: list[str] = []
    for word in BREAKS.split(text.strip()):
        word = shortened(word, width, unicode=unicode)  # noqa: PLW2901
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


@dataclass
class _Layout:
    """Columns of one table at one width."""

    widths: list[int]
    gap: int
    header: list[list[str]]  # lines of each column


@dataclass
class TextTable:
    """A table of text, which a console prints at its own width.

    Attributes
    ----------
    title : str or None
        Printed above.
    columns : list of (str, str)
        Header and kind of each.
    rows : list of tuple of str
        As many cells as there are columns.
    totals : int
        How many of the last rows stand below a line.
    """

    title: str | None = None
    columns: list[tuple[str, Kind]] = field(default_factory=list)
    rows: list[tuple[str, ...]] = field(default_factory=list)
    totals: int = 0

    def add_column(self, header: str, kind: Kind) -> None:
        """Add a column, before there are rows."""
        self.columns.append((header, kind))

    def add_row(self, *cells: str) -> None:
        """Add a row; what is missing at its end is empty."""
        self.rows.append((*cells, *[""] * (len(self.columns) - len(cells))))

    def add_total(self, *cells: str) -> None:
        """Add a row below a line."""
        self.add_row(*cells)
        self.totals += 1

    def lines(self, width: int, *, unicode: bool = True) -> list[Text]:
        """Return the lines of the table, none of them wider than `width` and none with spaces at its end."""
        layout = self._layout(width)
        body = (
            self._paragraphs(width, unicode=unicode)
            if layout is None
            else self._table(layout, width, unicode=unicode)
        )
        title = wrapped(self.title or "", width, unicode=unicode)
        head = [Text(line, "bold") for line in title] if self.title else []
        head += [Text()] * (self.title is not None or self._has_header)
        return [*head, *body, Text()]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the lines, as rich asks for them."""
        for line in self.lines(options.max_width, unicode=not options.ascii_only):
            line.no_wrap, line.overflow = True, "ignore"
            yield line

    @property
    def _has_header(self) -> bool:
        return any(header for header, _ in self.columns)

    def _of(self, kind: Kind) -> list[int]:
        return [k for k, (_, own) in enumerate(self.columns) if own == kind]

    def _cells(self, k: int) -> list[str]:
        return [row[k] for row in self.rows]

    def _natural(self, k: int) -> int:
        return max(map(cell_len, self._cells(k)), default=0)

    def _layout(self, width: int) -> _Layout | None:
        """Return the widest layout that fits; None where there is none."""
        for whole in (True, False):
            for is_wrapped, gap in (
                (False, GAPS[0]),
                (False, GAPS[1]),
                (True, GAPS[1]),
                (True, GAPS[2]),
            ):
                layout = self._tried(width, gap, is_wrapped=is_wrapped, whole=whole)
                if layout is not None:
                    return layout
        return None

    def _tried(self, width: int, gap: int, *, is_wrapped: bool, whole: bool) -> _Layout | None:
        """Return a layout with names as wide as they are (`whole`) or narrower, if it fits."""
        widths: list[int] = []
        heads = [_header_width(title, is_wrapped=is_wrapped) for title, _ in self.columns]
        for k, (_, kind) in enumerate(self.columns):
            own = max(heads[k], self._natural(k) if kind in ("right", "name") else 0)
            if kind == "name" and not whole:
                own = min(own, max(LEAST_NAME, heads[k]))
            if kind == "text":
                words = (cell_len(word) for row in self.rows for word in BREAKS.split(row[k]))
                own = max(own, min(self._natural(k), max(LEAST_TEXT, *words, 0)))
            widths.append(own)
        shown = [k for k, (_, kind) in enumerate(self.columns) if kind != "bar"]
        room = width - INDENT - sum(widths) - gap * (len(shown) - 1)
        if room < 0:
            return None
        for k in self._of("name"):  # as wide as the longest that does not stand alone
            free = widths[k] + room
            fitting = [n for n in map(cell_len, self._cells(k)) if n <= free]
            widths[k] = max([heads[k], *fitting])
            room = free - widths[k]
        for k in self._of("text"):
            more = min(room, max(0, self._natural(k) - widths[k]))
            widths[k], room = widths[k] + more, room - more
        for k in self._of("bar"):
            widths[k] = min(MOST_BAR, self._natural(k), room - gap)
            widths[k] = 0 if widths[k] < LEAST_BAR else widths[k]
            room -= gap + widths[k]
        header = [
            wrapped(title, max(1, own))
            for (title, _), own in zip(self.columns, widths, strict=True)
        ]
        return _Layout(widths, gap, header)

    def _table(self, layout: _Layout, width: int, *, unicode: bool) -> Iterator[Text]:
        shown = [k for k, own in enumerate(layout.widths) if own or self.columns[k][1] != "bar"]
        total = sum(layout.widths[k] for k in shown) + layout.gap * (len(shown) - 1)
        line = Text(" " + ("─" if unicode else "-") * min(total + 2, width - 1))
        height = max(len(lines) for lines in layout.header)
        for n in range(height * self._has_header):
            cells = [[""] * (height - len(lines)) + lines for lines in layout.header]
            yield _joined(self.columns, layout, shown, [lines[n] for lines in cells], "bold")
        if self._has_header:
            yield line
        for n, row in enumerate(self.rows):
            if n == len(self.rows) - self.totals and self.totals:
                yield line
            yield from self._row(layout, shown, row, width, unicode=unicode)

    def _row(
        self, layout: _Layout, shown: list[int], row: tuple[str, ...], width: int, *, unicode: bool
    ) -> Iterator[Text]:
        cells = [[cell] for cell in row]
        for k in self._of("name"):
            if cell_len(row[k]) > layout.widths[k]:
                yield Text(" " * INDENT + shortened(row[k], width - INDENT, unicode=unicode))
                cells[k] = [""]
        for k in self._of("text"):
            cells[k] = wrapped(row[k], layout.widths[k], unicode=unicode)
        for k in self._of("bar"):
            cells[k] = [_scaled_bar(row[k], self._natural(k), layout.widths[k])]
        for n in range(max(map(len, cells))):
            line = [lines[n] if n < len(lines) else "" for lines in cells]
            yield _joined(self.columns, layout, shown, line)

    def _paragraphs(self, width: int, *, unicode: bool) -> Iterator[Text]:
        """Give a paragraph for each row: what names it, then each number behind the name of its column."""
        room = width - 2 * INDENT
        for row in self.rows:
            head = next((cell for cell in row if cell), "")
            yield Text(" " * INDENT + shortened(head, width - INDENT, unicode=unicode), "bold")
            parts = [
                f"{title} {cell}".strip()
                for (title, kind), cell in zip(self.columns, row, strict=True)
                if cell and cell is not head and kind != "bar"
            ]
            for line in _packed(parts, room, unicode=unicode):
                yield Text(" " * 2 * INDENT + line)


@dataclass
class Paragraph:
    """Text that is wrapped at spaces at a console's width, with every line indented."""

    text: str
    indent: int = INDENT
    style: str = ""
    first: str = ""  # in front of the first line, within its indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the lines, as rich asks for them."""
        width = max(1, options.max_width - self.indent)
        before = self.first.ljust(self.indent)
        for line in wrapped(self.text, width, unicode=not options.ascii_only):
            yield Text(before + line, self.style, no_wrap=True, overflow="ignore")
            before = " " * self.indent


def cut(lines: list[T], most: int, weight: Callable[[T], float], why: str) -> tuple[list[T], str]:
    """Return the lines that a table shows, and a sentence on those that it does not.

    All in their own order, or those that weigh most, the heaviest first.
    """
    if len(lines) <= most:
        return lines, ""
    chosen = sorted(lines, key=weight, reverse=True)[:most]
    return (
        chosen,
        f"the {most:,} {why} of {len(lines):,}; more with --top {len(lines)}, all with --json. ",
    )


def _joined(
    columns: Sequence[tuple[str, Kind]],
    layout: _Layout,
    shown: Sequence[int],
    cells: Sequence[str],
    style: str = "",
) -> Text:
    """Return a line of cells side by side."""
    text = Text(" " * INDENT)
    for k in shown:
        kind, room = columns[k][1], " " * (layout.widths[k] - cell_len(cells[k]))
        text.append(" " * layout.gap if k != shown[0] else "")
        text.append(
            room + cells[k] if kind == "right" else cells[k] + room,
            "cyan" if kind == "bar" else style,
        )
    text.rstrip()
    return text


def _header_width(title: str, *, is_wrapped: bool) -> int:
    """Return the columns that a header takes at least: if it is wrapped, those of its longest part."""
    parts = BREAKS.split(title) if is_wrapped else [title]
    return max(map(cell_len, parts))


def _scaled_bar(bar: str, natural: int, width: int) -> str:
    """Return a bar as long as the room for the longest of them allows."""
    return bar[: -(-len(bar) * width // natural)] if natural and width else ""


def _packed(parts: list[str], width: int, *, unicode: bool) -> list[str]:
    """Return lines of whole parts, with commas between them; a part that is longer than a line is wrapped."""
    lines: list[str] = []
    for n, part in enumerate(parts):
        told = part + ("," if n < len(parts) - 1 else "")
        if lines and cell_len(lines[-1]) + 1 + cell_len(told) <= width:
            lines[-1] += f" {told}"
        else:
            lines += wrapped(told, width, unicode=unicode)
    return lines
