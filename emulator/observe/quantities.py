"""Quantities and tables as people read them: 12.3 nJ, 4.56 ms, 12.3 %, 1,234."""

from fractions import Fraction
from typing import Literal

from emulator.observe.tabulated import Kind, TextTable

PREFIXES = ((0, ""), (-3, "m"), (-6, "u"), (-9, "n"), (-12, "p"), (-15, "f"))


def _scaled(value: Fraction | float, unit: str) -> str:
    if value == 0:
        return f"0 {unit}"
    for power, prefix in PREFIXES:
        scaled = float(Fraction(value) / Fraction(10) ** power)
        digits = f"{scaled:,.0f}" if abs(scaled) >= 999.5 else f"{scaled:.3g}"
        if abs(float(digits.replace(",", ""))) >= 1:
            return f"{digits} {prefix}{unit}"
    return f"{digits} {prefix}{unit}"


def energy_text(energy_pj: Fraction | float) -> str:
    """Return an energy with three digits and a fitting prefix: `12.3 nJ`."""
    return _scaled(Fraction(energy_pj) / 10**12, "J")


def time_text(seconds: Fraction | float) -> str:
    """Return a time with three digits and a fitting prefix: `4.56 ms`."""
    return _scaled(seconds, "s")


def power_text(watts: Fraction | float) -> str:
    """Return a power with three digits and a fitting prefix: `12.3 mW`."""
    return _scaled(watts, "W")


def share_text(part: float, total: float = 1) -> str:
    """Return a share in percent: `12.3 %`; `-` of nothing."""
    return f"{100 * part / total:.1f} %" if total else "-"


def table_of(title: str, *columns: tuple[str, Kind | Literal["left"]]) -> TextTable:
    """Return an empty table with a title and columns (header, kind); what stands left is text."""
    return TextTable(
        title, [(header, "text" if kind == "left" else kind) for header, kind in columns]
    )
