"""Latency over offered load, drawn with characters for any terminal."""

from collections.abc import Sequence
from itertools import pairwise
from math import isnan, log10

from rich.text import Text

from emulator.noc.points import SweepPoint

HEIGHT = 14
MARGIN = 8  # for the numbers at the axis
MOST_COLUMNS = 72
TICKS = tuple(step * 10**power for power in range(12) for step in (1, 2, 5))
POINT, SATURATED, LINE = 0, 1, 2
GLYPHS = "●▲·"
ASCII_GLYPHS = "o^."
STYLES = ("bold green", "bold red", "grey50")


def latency_plot(points: Sequence[SweepPoint], width: int, *, unicode: bool = True) -> Text:
    """Draw mean latency over load, on a logarithmic axis of cycles.

    Parameters
    ----------
    points : sequence of SweepPoint
        At least one of them with packets.
    width : int
        Columns there are.
    unicode : bool
        Whether any character may be used, or only ASCII.

    Returns
    -------
    Text
        The plot, its axes and legend.
    """
    glyphs = GLYPHS if unicode else ASCII_GLYPHS
    shown = sorted((p for p in points if not isnan(p.latency_mean)), key=lambda p: p.load)
    low, high = _range([p.latency_mean for p in shown])
    right = max(p.load for p in shown)
    n_columns = max(16, min(MOST_COLUMNS, width - MARGIN - 2))

    def height(latency: float) -> float:
        return log10(latency / low) / log10(high / low) * (HEIGHT - 1)

    places = [(round(p.load / right * (n_columns - 1)), height(p.latency_mean)) for p in shown]
    labels = {round(height(tick)): f"{tick:,} " for tick in TICKS if low <= tick <= high}
    cells: dict[tuple[int, int], int] = {}
    for (x, y), (next_x, next_y) in pairwise(places):
        for column in range(x, next_x + 1):
            part = (column - x) / max(1, next_x - x)
            cells[column, round(y + part * (next_y - y))] = LINE
    for p, (x, y) in zip(shown, places, strict=True):
        cells[x, round(y)] = SATURATED if p.saturated else POINT
    bar, corner, dash = ("│", "└", "─") if unicode else ("|", "+", "-")
    text = Text("mean latency, cycles\n", no_wrap=True)
    for row in reversed(range(HEIGHT)):
        text.append(f"{labels.get(row, ''):>{MARGIN}}{bar}")
        for column in range(n_columns):
            kind = cells.get((column, row))
            text.append(*(" ", "") if kind is None else (glyphs[kind], STYLES[kind]))
        text.append("\n")
    text.append(f"{'':{MARGIN}}{corner}{dash * n_columns}\n{'':{MARGIN + 1}}")
    text.append(f"{_x_numbers(right, n_columns)}\n{'':{MARGIN + 1}}")
    text.append("offered load, flits a tile and cycle   ")
    for kind, name in ((POINT, "stable"), (SATURATED, "saturated")):
        text.append(glyphs[kind], STYLES[kind])
        text.append(f" {name}   ")
    return text


def _range(latencies: Sequence[float]) -> tuple[float, float]:
    """Return the round numbers around all latencies."""
    low = max((tick for tick in TICKS if tick <= min(latencies)), default=TICKS[0])
    high = min((tick for tick in TICKS if tick >= max(latencies) and tick > low), default=TICKS[-1])
    return low, high


def _x_numbers(right: float, n_columns: int) -> str:
    """Return the line below the axis: loads at its ends and in the middle."""
    middle = f"{right / 2:.3g}"
    line = "0".ljust(n_columns // 2 - len(middle) // 2) + middle
    return line + f"{right:.3g}".rjust(n_columns - len(line))
