"""Scale of a population: how many mantissa units stand for 1 of the unit in which its real values are given.

Weights, threshold, bias and start values are added up on the chip, so they share it. Where they are whole multiples
of a common unit that the registers can count in, the scale is one that keeps them so, and nothing is rounded; where
only some are, threshold before bias before start values, weights first of all. Otherwise the largest weight gets the
largest mantissa.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.chip.schema import Arithmetic
from emulator.compiler.weights import UNIT, mantissa_limit, weight_step
from emulator.network import Population, Projection

Reals = NDArray[np.float64]
Wholes = NDArray[np.int64]

ENOUGH_THRESHOLD = 512  # mantissa; a smaller threshold would be rounded by more than 0.1 per cent
MAX_SCALE = 1e300  # finite, whatever the threshold
MAX_EXTRA_EXPONENT = 3  # leaves v a headroom of at least 16 thresholds below zero
SAMPLE = 4096  # weights that are looked at before all of them are
SEVERAL = 8  # times as many distinct weights as there are mantissas: too many for rounding errors to have made them
CHUNK = 2**20  # weights that are looked at at a time
COARSE = 1 / 512  # of a unit; mantissas are multiples of at most 255
TOLERANCE = 2.0**-22  # of a value: what multiples of 0.1 are off by in 32 bits
MOST_THRESHOLD = 2**13 - 1  # mantissa; 16 of them fit below zero
IMPOSSIBLE = 99  # an exponent


@dataclass(frozen=True)
class Grid:
    """Weights of a projection, as whole multiples of a unit."""

    unit: float  # real value
    largest: int  # multiple among the weights
    most: int  # multiple that mantissas of one exponent hold
    unused: int  # low bits of a mantissa that are not stored: exponents as far below 0 lose nothing

    def room(self, most_exponent: int) -> int:
        """Return how many mantissa units its unit can be, at most."""
        return (self.most // self.largest) << (most_exponent + self.unused)

    def exponents(self, n_units: Wholes, most_exponent: int) -> Wholes:
        """Return the exponents at which its unit is so many mantissa units; IMPOSSIBLE where mantissas hold none."""
        shift = _least_shift(
            self.largest * n_units, self.most, most_exponent + self.unused, of=n_units
        )
        return np.where(shift < 0, IMPOSSIBLE, shift - self.unused)


@dataclass(frozen=True)
class Try:
    """How near to whole multiples values must be, and what registers may be used for that."""

    slack: float  # of a value
    most_exponent: int
    most_threshold: int  # where no weight decides


@dataclass(frozen=True)
class Scale:
    """Mantissa units for 1 of the unit in which a population's real values are given."""

    value: float
    is_exact: bool = False  # for weights


def population_scale(
    population: Population, incoming: list[Projection], chip: Chip, warnings: list[str]
) -> Scale:
    """Return the scale of everything that is added in a population.

    Parameters
    ----------
    incoming : list of Projection
        All that end at it.
    warnings : list of str
        Gets a line where the threshold takes bits from the weights.
    """
    real = [p for p in incoming if p.is_real and p.weights.size and np.any(p.weights)]
    exact = _exact_scale(population, real, chip.arithmetic) if population.is_real else None
    if exact is not None:
        return Scale(exact, is_exact=True)
    return Scale(_rounding_scale(population, real, chip, warnings))


def _rounding_scale(
    population: Population, incoming: list[Projection], chip: Chip, warnings: list[str]
) -> float:
    """Return the scale that gives the largest weight the largest mantissa."""
    threshold = float(np.max(population.parameters.get("threshold", 0)))
    limits = [
        mantissa_limit(p.sign_mode, p.weight_bits) / _largest(p.weights)
        for p in incoming
        if mantissa_limit(p.sign_mode, p.weight_bits)
    ]
    most = (2**chip.arithmetic.threshold_bits - 1) / threshold if threshold else np.inf
    scale = min(limits, default=np.inf)
    if not np.isfinite(scale):
        scale = min(most, ENOUGH_THRESHOLD / threshold) if threshold else 1.0
    extra = 0
    # Only whole exponents keep the largest weight on the largest mantissa.
    while extra < MAX_EXTRA_EXPONENT and threshold * scale * 2**extra < ENOUGH_THRESHOLD:
        extra += 1
    if scale > most:
        warnings.append(
            f"population '{population.name}': the threshold is so many times the largest weight that its register "
            "cannot hold it at full weight precision; weights use fewer bits"
        )
    return float(min(scale * 2**extra, most, MAX_SCALE))


# Exact scales


@dataclass(frozen=True)
class Beside:
    """What else a population holds: the distinct values of each parameter, in mantissa units."""

    threshold: Reals
    bias: Reals  # times 64, as those that follow
    u_start: Reals
    v_start: Reals

    @classmethod
    def of(cls, population: Population) -> Self:
        """Return the real values that were given."""
        given = population.parameters
        units = {"threshold": 1, "bias": UNIT, "u_start": UNIT, "v_start": UNIT}
        return cls(
            *(
                np.unique(np.asarray(given.get(name, []), np.float64)) * unit
                for name, unit in units.items()
            )
        )

    @property
    def highest(self) -> float:
        """The largest threshold."""
        return float(self.threshold.max(initial=0))

    def highest_scale(self, rules: Arithmetic) -> float:
        """Return the scale above which a register cannot hold its value."""
        bias = (2 ** (rules.bias_mantissa_bits - 1) - 1) << rules.bias_exponent_max
        half = 2 ** (rules.u_bits - 1) - 1
        limits = rules.v_limits
        return min(
            _ratio(2**rules.threshold_bits - 1, self.highest),
            _ratio(bias, np.abs(self.bias).max(initial=0)),
            _ratio(half, np.abs(self.u_start).max(initial=0)),
            _ratio(limits.maximum, self.v_start.max(initial=0)),
            _ratio(-limits.minimum, -self.v_start.min(initial=0)),
        )

    def biases_are_exact(self, scale: float, rules: Arithmetic) -> bool:
        """Whether mantissas and exponents hold all biases that are whole at a scale."""
        units = np.rint(np.abs(self.bias) * scale).astype(np.int64)
        most = 2 ** (rules.bias_mantissa_bits - 1) - 1
        return bool(np.all(_least_shift(units, most, rules.bias_exponent_max, of=units) >= 0))


def weight_grid(projection: Projection) -> Grid | None:
    """Return the weights of a projection as multiples of the largest unit there is.

    None where mantissas of one exponent do not hold them.
    """
    weights = projection.weights
    step = weight_step(projection.sign_mode, projection.weight_bits)
    most = mantissa_limit(projection.sign_mode, projection.weight_bits) // step
    largest = _largest(weights)
    some = _distinct(weights[:: max(1, len(weights) // SAMPLE)], largest)
    if not most or not some.size or len(some) > SEVERAL * most:
        return None
    while True:
        unit = _unit(some, int(most * float(some[0]) / largest + COARSE), largest)
        if unit is None:
            return None
        other = _off_grid(weights, unit, largest)
        if other is None:
            multiple = round(largest / unit)
            return Grid(unit, multiple, most, step.bit_length() - 1) if multiple <= most else None
        some = np.union1d(some, [other])


def _distinct(values: Reals, largest: float) -> Reals:
    """Return the distinct magnitudes of values, but for those that are nothing beside the largest."""
    found = np.unique(np.abs(values))
    return found[found > TOLERANCE * largest]


def _unit(some: Reals, most: int, largest: float) -> float | None:
    """Return the largest unit of which all of some magnitudes, rising, are multiples, the first at most `most`."""
    times = common_denominator(some / some[0], most, absolute=COARSE)
    if times is None:
        return None
    multiples = np.rint(some * (times / some[0]))
    unit = float(
        some @ multiples / (multiples @ multiples)
    )  # least squares: small ones know it less well
    return None if np.any(np.abs(some - multiples * unit) > TOLERANCE * largest) else unit


def _off_grid(weights: Reals, unit: float, largest: float) -> float | None:
    """Return the magnitude of a weight that is no multiple of a unit; None if there is none."""
    for start in range(0, len(weights), CHUNK):
        part = weights[start : start + CHUNK]
        off = np.abs(part - np.rint(part / unit) * unit) > TOLERANCE * largest
        if off.any():
            return abs(float(part[off.argmax()]))
    return None


def common_denominator(
    ratios: Reals, most: int, *, absolute: float = 0.0, relative: float = 0.0
) -> int | None:
    """Return the least whole number, at most `most`, that makes all ratios whole but for a slack; None if none does."""
    times = 1
    while times <= most:
        scaled = ratios * times
        off = np.abs(scaled - np.rint(scaled)) > absolute + relative * np.abs(scaled)
        if not off.any():
            return times
        one = float(scaled[off.argmax()])
        slack = (
            absolute * times / most + relative * one
        )  # it grows when the rest of `most` is multiplied in
        low, high = (Fraction(one + side * slack) for side in (-1, 1))
        times *= _simplest(low, high)[1]
    return None


def _simplest(low: Fraction, high: Fraction) -> tuple[int, int]:
    """Return the fraction of the least denominator from `low` to `high`: what their continued fractions share."""
    whole = ceil(low)
    if whole <= high:
        return whole, 1
    below = whole - 1
    numerator, denominator = _simplest(1 / (high - below), 1 / (low - below))
    return below * numerator + denominator, numerator


@np.errstate(over="ignore", divide="ignore", invalid="ignore")  # what is not finite is not exact
def _exact_scale(
    population: Population, incoming: list[Projection], rules: Arithmetic
) -> float | None:
    """Return a scale at which the weights are not rounded, and as much of the rest as can be; None if there is none."""
    grids = []
    for projection in incoming:
        found = weight_grid(projection)
        if found is None:
            return None
        grids.append(found)
    beside = Beside.of(population)
    starts = np.concatenate([beside.u_start, beside.v_start])
    parts = (beside.threshold, beside.bias, starts)
    tries = (
        # High exponents leave less room for sums: only for ratios that are no accident of rounding.
        Try(2.0**-44, rules.weight_exponent_max, 2**rules.threshold_bits - 1),
        Try(TOLERANCE, min(MAX_EXTRA_EXPONENT, rules.weight_exponent_max), MOST_THRESHOLD),
    )
    for n_kept in range(len(parts), -1 if grids else 0, -1):
        kept = np.abs(np.concatenate([np.empty(0), *parts[:n_kept]]))
        for each in tries:
            unit = _common_unit(grids, kept[kept > 0], beside, each)
            if unit is None:
                continue
            scale = _finest(grids, unit, beside, rules, each, exact_bias=n_kept > 1)
            if scale is not None:
                return scale
    return None


def _common_unit(grids: list[Grid], kept: Reals, beside: Beside, how: Try) -> float | None:
    """Return the largest unit of which values in mantissa units and those of all weights are multiples, or None."""
    if grids:
        tightest = min(grids, key=lambda grid: grid.room(0))
        base, most = tightest.unit, tightest.room(how.most_exponent)
    else:
        base, most = beside.highest, how.most_threshold
    if not base:
        return None
    ratios = np.concatenate([[grid.unit for grid in grids], kept]) / base
    if not np.all(np.isfinite(ratios)):
        return None
    times = common_denominator(ratios, most, relative=how.slack)
    return None if times is None or base < times / MAX_SCALE else base / times


def _finest(
    grids: list[Grid], unit: float, beside: Beside, rules: Arithmetic, how: Try, *, exact_bias: bool
) -> float | None:
    """Return the scale that counts in the smallest part of a unit, but for more than a threshold needs.

    Only where the threshold would be small, or mantissas would not do, are weights given an exponent.
    """
    times = [round(grid.unit / unit) for grid in grids]
    room = [grid.room(how.most_exponent) // k for grid, k in zip(grids, times, strict=True)]
    top = min([*room, _whole(beside.highest_scale(rules) * unit * (1 + TOLERANCE))])
    if grids:  # as fine as leaves v its room below zero, if that is enough
        good = min(top, _whole(_ratio(MOST_THRESHOLD, beside.highest) * unit * (1 + TOLERANCE)))
        parts = np.concatenate([np.arange(good, 0, -1), np.arange(good + 1, top + 1)])
    else:  # nothing is gained by more than a threshold needs
        top = min(top, _whole(how.most_threshold * (unit / beside.highest) * (1 + TOLERANCE)))
        good = min(_whole(np.ceil(ENOUGH_THRESHOLD * (unit / beside.highest))), top)
        parts = np.concatenate([np.arange(good, top + 1), np.arange(good - 1, 0, -1)])
    if top < 1:
        return None
    exponents = np.zeros(len(parts), np.int64)
    for grid, k in zip(grids, times, strict=True):
        exponents = np.maximum(exponents, grid.exponents(parts * k, how.most_exponent))
    exponents[
        (exponents > MAX_EXTRA_EXPONENT) & (beside.highest * parts > MOST_THRESHOLD * unit)
    ] = IMPOSSIBLE
    best = None
    for level in range(how.most_exponent + 1):
        for n in parts[exponents <= level].tolist():
            if not exact_bias or beside.biases_are_exact(n / unit, rules):
                best = n / unit
                break
        enough = best is not None and beside.highest * best >= ENOUGH_THRESHOLD
        if enough or (best is not None and level >= MAX_EXTRA_EXPONENT):
            break
    return best


def _least_shift(values: Wholes, most: int, most_shift: int, *, of: Wholes) -> Wholes:
    """Return by how many bits values must be shifted to be `most` or less; -1 where too many, or where bits of `of`."""
    shift = np.zeros(len(values), np.int64)
    for k in range(most_shift + 1):
        shift += values > most << k
    return np.where((shift > most_shift) | (of % (1 << shift) > 0), -1, shift)


def _whole(value: float) -> int:
    """Return a number without its fraction; what is beyond all registers, infinity too, stays so."""
    return int(min(value, 2.0**62))


def _ratio(most: float, value: float) -> float:
    return most / value if value > 0 else MAX_SCALE


def _largest(values: NDArray[Any]) -> float:
    """Return the largest magnitude."""
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))
