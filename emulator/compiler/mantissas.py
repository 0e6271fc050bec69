"""Weights to mantissas and an exponent, real values and registers, with a report of what that loses."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.compiler.scale import Scale
from emulator.compiler.weights import UNIT, chip_weights, mantissa_limit, weight_step
from emulator.network import Projection

LARGEST_SUM = 2**21
CHUNK = 2**20  # weights that are counted at a time
Report = dict[str, Any]


def mantissas_of(
    projection: Projection, scale: Scale, chip: Chip
) -> tuple[NDArray[np.int16], int, Report | None]:
    """Return mantissas, their exponent, and what was lost; None is nothing, of registers.

    Parameters
    ----------
    scale : Scale
        Of real weights.

    Returns
    -------
    mantissas : (n,) int16
    exponent : int
    report : dict or None
        Of real weights `scale`, `weight_exp`, `max_abs_error`, `rms_error`, `n_clipped` and `n_zero`. Of registers
        that are not held as given `policy`, `n_truncated`, `n_zero`, `max_loss` in mantissas, and `n_beyond`.
    """
    if projection.is_real:
        return _real_weights(projection, scale, chip)
    exponent, policy = projection.weight_exp, chip.arithmetic.weight_policy
    if projection.learning is not None:
        return projection.weights.astype(np.int16), exponent, None
    if keeps_bits(projection) and exponent < 0:
        mantissas, _, report = _table(projection, min(exponent + 6, 0), policy)
        return mantissas, exponent, report
    return _table(projection, exponent, policy)


def keeps_bits(projection: Projection) -> bool:
    """Whether a weight's bits below 64 units are kept: its product with a payload, or its sum, is what is scaled."""
    return projection.source.payload is not None or projection.learning is not None


def losses(projection: Projection, exponent: int, report: Report | None) -> list[str]:
    """Return a warning for each way in which weights do not act as they were given."""
    where, report = f"projection '{projection.name}'", report or {}
    warnings = []
    if report.get("n_truncated"):
        warnings.append(
            f"{where}: weights lose bits with weight_bits {projection.weight_bits} and weight_exp {exponent}: "
            f"{report['n_truncated']:,} of {len(projection.weights):,}, at most {report['max_loss']:g} in mantissas; "
            f"{report['n_zero']:,} act as 0"
        )
    if report.get("n_beyond"):
        warnings.append(
            f"{where}: {report['n_beyond']} weights act as {-LARGEST_SUM}; the policy 'brian' "
            f"would stop at {-LARGEST_SUM + UNIT}, which no mantissa at weight_exp {exponent} can say"
        )
    if report.get("n_clipped"):
        warnings.append(f"{where}: {report['n_clipped']} weights were clipped")
    n_given = int(np.count_nonzero(projection.weights)) if projection.is_real else 0
    if n_given and report["n_zero"] == n_given:
        warnings.append(
            f"{where}: all {n_given:,} weights act as 0, so small are they beside the threshold of "
            f"'{projection.target.name}' or its other weights"
        )
    return warnings


def _table(
    projection: Projection, exponent: int, policy: str
) -> tuple[NDArray[np.int16], int, Report | None]:
    """Look weights up in a table of every mantissa there is; negative ones stand at its end."""
    every = np.concatenate([np.arange(256), np.arange(-256, 0)])
    units = chip_weights(every, projection.sign_mode, projection.weight_bits, exponent, policy)
    shift = 6 + max(exponent, 0)
    table = (units >> shift).astype(np.int16)
    acting = table.astype(np.int64) << shift
    loss = np.abs(every - acting / (2.0**exponent * UNIT))
    beyond = acting != units
    mantissas = table.take(projection.weights)
    if not (loss.any() or beyond.any()):
        return mantissas, exponent, None
    times = np.zeros(len(every), np.int64)  # negative weights are counted at the end, too
    for start in range(0, len(mantissas), CHUNK):
        part = projection.weights[start : start + CHUNK] & (len(every) - 1)
        times += np.bincount(part, minlength=len(every))
    n_changed, n_beyond = int(times[loss != 0].sum()), int(times[beyond].sum())
    if not n_changed and not n_beyond:
        return mantissas, exponent, None
    report = {
        "policy": policy,
        "n_truncated": n_changed,
        "n_zero": int(times[(table == 0) & (every != 0)].sum()),
        "max_loss": float(loss[times > 0].max(initial=0)),
    }
    return mantissas, exponent, report | ({"n_beyond": n_beyond} if n_beyond else {})


def _real_weights(
    projection: Projection, scale: Scale, chip: Chip
) -> tuple[NDArray[np.int16], int, Report]:
    """Round to the nearest mantissa, with the smallest exponent that holds the projection's largest weight."""
    step = weight_step(projection.sign_mode, projection.weight_bits)
    limit = mantissa_limit(projection.sign_mode, projection.weight_bits)
    largest = float(np.abs(projection.weights).max(initial=0)) * scale.value
    exponent = 0
    while (
        exponent < chip.arithmetic.weight_exponent_max and largest / 2**exponent > limit + step / 2
    ):
        exponent += 1
    if scale.is_exact and exponent == 0:
        exponent = _exponent_of_units(projection.weights, scale.value, step)
    unit = scale.value / 2.0**exponent
    rounded = np.rint(projection.weights * (unit / step)) * step
    clipped = np.abs(rounded) > limit
    mantissas = np.clip(rounded, -limit, limit)
    error = mantissas / unit - projection.weights
    report = {
        "scale": scale.value,
        "weight_exp": exponent,
        "max_abs_error": float(np.abs(error).max(initial=0)),
        "rms_error": float(np.sqrt(np.mean(error**2))) if error.size else 0.0,
        "n_clipped": int(np.count_nonzero(clipped)),
        "n_zero": int(np.count_nonzero((mantissas == 0) & (projection.weights != 0))),
    }
    stored = mantissas.astype(np.int16)
    if exponent < 0 and not keeps_bits(projection):
        stored >>= -exponent  # a synapse has the weight that acts
    return stored, exponent, report


def _exponent_of_units(weights: NDArray[np.float64], scale: float, step: int) -> int:
    """Return the exponent, 0 or less, at which weights that are whole mantissa units have mantissas in steps."""
    exponent = 0
    for start in range(0, len(weights), CHUNK):
        units = np.rint(weights[start : start + CHUNK] * scale).astype(np.int64)
        while np.any((units << -exponent) % step):
            exponent -= 1
    return exponent
