"""A map of the cores, tile by tile as they lie on the mesh, for any terminal."""

from collections.abc import Callable, Mapping
from math import ceil
from operator import add
from typing import NamedTuple

from rich.style import Style
from rich.text import Text

from emulator.chip import Chip

GLYPHS = "·░▒▓█"  # so that the map can be read without colour
ASCII_GLYPHS = ".-+*#"
COLOURS = ("grey39", "#3b528b", "#21918c", "#5ec962", "#fde725")  # viridis
UNUSED = " "
MARGIN = 5  # for the row's y


def heat_map(
    values: Mapping[int, float],
    chip: Chip,
    width: int,
    *,
    unicode: bool = True,
    combine: Callable[[float, float], float] = add,
) -> tuple[Text, list[float]]:
    """Draw one value for each core.

    Parameters
    ----------
    values : mapping of core to float
        The cores that are in use; others stay blank.
    chip : Chip
        Its mesh is the layout: tile 0 top left, x to the right, y down.
    width : int
        Columns there are; a map that would be wider shows tiles instead of cores, or squares of tiles.
    unicode : bool
        Whether shades may be used, or only ASCII.
    combine : callable
        Makes one value of two cores of a tile, or of a square: their sum if nothing is said.

    Returns
    -------
    Text
        The map.
    list of float
        Upper bound of each level but the first, which is zero.
    """
    layout, mesh = _layout(chip, width), chip.mesh
    if layout.shows_cores:
        return _draw(values, layout, unicode=unicode)
    found: dict[int, float] = {}
    for core, value in values.items():
        y, x = divmod(core // mesh.cores_per_tile, mesh.width)
        place = y // layout.side * layout.n_columns + x // layout.side
        found[place] = combine(found[place], value) if place in found else value
    return _draw(found, layout, unicode=unicode)


def cell_of_map(chip: Chip, width: int) -> str:
    """Return what a cell of a map of so many columns is: "a core", "a tile", or "2 x 2 tiles"."""
    layout = _layout(chip, width)
    if layout.shows_cores:
        return "a core"
    return "a tile" if layout.side == 1 else f"{layout.side} x {layout.side} tiles"


class _Layout(NamedTuple):
    """Squares that a map is made of, cores in each, and how they are drawn."""

    n_columns: int
    n_rows: int
    per_square: int
    columns: int  # cores of a square side by side
    cell: int  # characters of a core
    gap: int
    side: int  # tiles of a square, along x and along y

    @property
    def shows_cores(self) -> bool:
        """Whether each core is drawn."""
        return self.gap > 0

    @property
    def square(self) -> int:
        """Characters of a square."""
        return self.columns * self.cell + self.gap

    @property
    def width(self) -> int:
        """Characters of the map."""
        return MARGIN + self.n_columns * self.square


def _layout(chip: Chip, width: int) -> _Layout:
    """Return the layout that shows most and fits."""
    mesh = chip.mesh
    columns = ceil(mesh.cores_per_tile**0.5)  # cores of a tile stand in a square
    for cell, gap in ((2, 2), (1, 1)):
        layout = _Layout(mesh.width, mesh.height, mesh.cores_per_tile, columns, cell, gap, 1)
        if layout.width <= width:
            return layout
    side = 1
    while MARGIN + ceil(mesh.width / side) > width and side < mesh.width:
        side += 1
    return _Layout(ceil(mesh.width / side), ceil(mesh.height / side), 1, 1, 1, 0, side)


def _draw(
    values: Mapping[int, float], layout: _Layout, *, unicode: bool
) -> tuple[Text, list[float]]:
    rows = ceil(layout.per_square / layout.columns)
    most = max(values.values(), default=0)
    text = Text(_x_axis(layout), no_wrap=True, style="default")
    for y in range(layout.n_rows):
        for row in range(rows):
            text.append(f"y {y * layout.side}".ljust(MARGIN) if row == 0 else " " * MARGIN)
            for x in range(layout.n_columns):
                for column in range(layout.columns):
                    slot = row * layout.columns + column
                    core = (y * layout.n_columns + x) * layout.per_square + slot
                    value = values.get(core) if slot < layout.per_square else None
                    text.append(*_cell(value, most, layout.cell, unicode))
                text.append(" " * layout.gap)
            text.append("\n")
        if layout.gap and y < layout.n_rows - 1:
            text.append("\n")
    return text, [most * level / (len(GLYPHS) - 1) for level in range(1, len(GLYPHS))]


def _x_axis(layout: _Layout) -> str:
    """Return a line with the x of as many tiles as there is room to name."""
    every = next(n for n in (1, 2, 4, 8, 16, 32, 64) if n * layout.square >= 5)
    line, room = "", max(layout.n_columns * layout.square, len("x 0"))
    for x in range(0, layout.n_columns, every):
        name = f"x {x * layout.side}"
        if x * layout.square + len(name) <= room:
            line = line.ljust(x * layout.square) + name
    return " " * MARGIN + line + "\n"


def _cell(value: float | None, most: float, width: int, unicode: bool) -> tuple[str, Style]:
    if value is None:
        return UNUSED * width, Style()
    level = ceil((len(GLYPHS) - 1) * value / most) if most else 0
    return level_glyph(level, unicode=unicode) * width, Style(color=COLOURS[level])


def level_glyph(level: int, *, unicode: bool) -> str:
    """Return the character that stands for a level."""
    return (GLYPHS if unicode else ASCII_GLYPHS)[level]
