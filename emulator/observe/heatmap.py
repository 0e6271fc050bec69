"""A map of the cores, tile by tile as they lie on the mesh, for any terminal."""

from collections.abc import Mapping
from math import ceil

from rich.style import Style
from rich.text import Text

from emulator.chip import Chip

GLYPHS = "·░▒▓█"  # so that the map can be read without colour
ASCII_GLYPHS = ".-+*#"
COLOURS = ("grey39", "#3b528b", "#21918c", "#5ec962", "#fde725")  # viridis
UNUSED = " "
MARGIN = 5  # for the row's y


def heat_map(
    values: Mapping[int, float], chip: Chip, width: int, *, unicode: bool = True
) -> tuple[Text, list[float]]:
    """Draw one value for each core.

    Parameters
    ----------
    values : mapping of core to float
        The cores that are in use; others stay blank.
    chip : Chip
        Its mesh is the layout: tile 0 top left, x to the right, y down.
    width : int
        Columns there are; a map that would be wider shows tiles instead of cores.
    unicode : bool
        Whether shades may be used, or only ASCII.

    Returns
    -------
    Text
        The map.
    list of float
        Upper bound of each level but the first, which is zero.
    """
    columns = ceil(chip.mesh.cores_per_tile**0.5)  # cores of a tile stand in a square
    for cell, gap in ((2, 2), (1, 1)):
        if MARGIN + chip.mesh.width * (columns * cell + gap) <= width:
            return _draw(values, chip, (columns, cell, gap), unicode)
    per_tile = chip.mesh.cores_per_tile
    tiles: dict[int, float] = {}
    for core, value in values.items():
        tiles[core // per_tile] = tiles.get(core // per_tile, 0) + value
    one_core = chip.model_copy(update={"mesh": chip.mesh.model_copy(update={"cores_per_tile": 1})})
    return _draw(tiles, one_core, (1, 1, 0), unicode)


def _draw(
    values: Mapping[int, float], chip: Chip, layout: tuple[int, int, int], unicode: bool
) -> tuple[Text, list[float]]:
    columns, cell, gap = layout
    per_tile = chip.mesh.cores_per_tile
    rows = ceil(per_tile / columns)
    most = max(values.values(), default=0)
    tile_columns = columns * cell + gap
    text = Text(_x_axis(chip.mesh.width, tile_columns), no_wrap=True, style="default")
    for y in range(chip.mesh.height):
        for row in range(rows):
            text.append(f"y {y}".ljust(MARGIN) if row == 0 else " " * MARGIN)
            for x in range(chip.mesh.width):
                for column in range(columns):
                    slot = row * columns + column
                    core = (y * chip.mesh.width + x) * per_tile + slot
                    value = values.get(core) if slot < per_tile else None
                    text.append(*_cell(value, most, cell, unicode))
                text.append(" " * gap)
            text.append("\n")
        if gap and y < chip.mesh.height - 1:
            text.append("\n")
    return text, [most * level / (len(GLYPHS) - 1) for level in range(1, len(GLYPHS))]


def _x_axis(width: int, tile_columns: int) -> str:
    """Return a line with the x of as many tiles as there is room to name."""
    every = next(n for n in (1, 2, 4, 8, 16, 32, 64) if n * tile_columns >= 5)
    line, room = "", max(width * tile_columns, len("x 0"))
    for x in range(0, width, every):
        name = f"x {x}"
        if x * tile_columns + len(name) <= room:
            line = line.ljust(x * tile_columns) + name
    return " " * MARGIN + line + "\n"


def _cell(value: float | None, most: float, width: int, unicode: bool) -> tuple[str, Style]:
    if value is None:
        return UNUSED * width, Style()
    level = ceil((len(GLYPHS) - 1) * value / most) if most else 0
    return level_glyph(level, unicode=unicode) * width, Style(color=COLOURS[level])


def level_glyph(level: int, *, unicode: bool) -> str:
    """Return the character that stands for a level."""
    return (GLYPHS if unicode else ASCII_GLYPHS)[level]
