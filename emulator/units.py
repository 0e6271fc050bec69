"""The unit suffixes that names may carry, and the few conversions between them.

Every quantity with a unit says so in its name; `tests/test_house.py` holds the chip description to this list.
"""

from fractions import Fraction
from math import ceil

SUFFIXES = (
    "cycles", "steps", "seconds", "ms", "us", "ns", "ps", "mhz", "bits", "flits", "tiles", "pj", "nj", "mw",
)  # fmt: skip


def exact(value: float) -> Fraction:
    """Return a number as the decimal fraction a person wrote: 23.6 is 236/10, not its nearest binary double."""
    return Fraction(repr(value))


def cycles_from_ns(time_ns: float, clock_mhz: float) -> int:
    """Return the whole cycles that cover a time: rounded up, once."""
    return ceil(exact(time_ns) * exact(clock_mhz) / 1000)


def seconds_from_cycles(cycles: int, clock_mhz: float) -> Fraction:
    """Return the exact duration of a number of cycles, in seconds."""
    return Fraction(int(cycles)) / (exact(clock_mhz) * 1_000_000)
