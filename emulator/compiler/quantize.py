"""Pass 1: real units to registers, and every register held to the chip's widths.

All projections onto a population, its threshold, bias and initial state share one scale (mantissa units per real
unit), because the chip adds them. What rounding costs is reported for each projection.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.compiler.plastic import learning_mistakes, programmed
from emulator.compiler.weights import UNIT, chip_weights, mantissa_limit, weight_step
from emulator.compiler.words import Cells, bound_model, model_mistakes, payload_mistakes, words_of
from emulator.errors import NetworkError
from emulator.microcode import Model
from emulator.network import REAL, Network, Population, Projection

ENOUGH_THRESHOLD = 512  # mantissa; a smaller threshold would be rounded by more than 0.1 per cent
MAX_SCALE = 1e300  # finite, whatever the threshold
MAX_REGISTER = 2**62  # beyond the registers of every chip, within 64 bits
MAX_EXTRA_EXPONENT = 3  # leaves v a headroom of at least 16 thresholds below zero


@dataclass
class Quantised:
    """A network in registers."""

    cells: dict[str, Cells]
    mantissas: list[NDArray[np.int16]]  # of each projection: a weight acts as mantissa << shift
    shifts: list[int]
    exponents: list[int]
    reports: list[dict[str, Any] | None]
    warnings: list[str] = field(default_factory=list)
    models: dict[str, Model] = field(default_factory=dict)  # in the chip's widths
    model_names: dict[str, str] = field(default_factory=dict)  # of populations with microcode
    words: dict[str, NDArray[np.int32]] = field(default_factory=dict)  # (n_words, size), likewise


def quantise(network: Network, chip: Chip) -> Quantised:
    """Turn a network into registers.

    Raises
    ------
    NetworkError
        With every parameter, weight or delay that the chip cannot hold.
    """
    mistakes: list[str] = []
    result = Quantised({}, [], [], [], [])
    scales: dict[str, float] = {}
    for population in network.populations.values():
        if population.is_input:
            continue
        _population(network, population, chip, scales, result, mistakes)
    mistakes += payload_mistakes(network, chip) + learning_mistakes(network, chip)
    for projection in network.projections:
        _check_projection(projection, chip, mistakes)
        scale = scales.get(projection.target.name, 1.0)
        if projection.is_real:
            mantissas, exponent, report = _real_weights(projection, scale, chip)
        else:
            mantissas, exponent, report = _register_weights(projection, chip)
        if report and report.get("n_beyond"):
            result.warnings.append(
                f"projection '{projection.name}': {report['n_beyond']} weights act as {-(2**21)}; the policy 'brian' "
                f"would stop at {-(2**21) + UNIT}, which no mantissa at weight_exp {exponent} can say"
            )
        held, n_changed = mantissas, 0
        if not mistakes:
            held, n_changed = programmed(projection, len(result.mantissas), mantissas, chip)
        if n_changed:
            result.warnings.append(
                f"projection '{projection.name}': {n_changed} of {len(held)} initial weights are not what their "
                "devices can hold, and were changed"
            )
        result.mantissas.append(held)
        # A graded spike's weight keeps its bits: its product with the payload is what is scaled.
        # A plastic weight keeps its bits while it learns.
        least = -6 if _keeps_bits(projection) else 0
        result.shifts.append(6 + max(exponent, least))
        result.exponents.append(exponent)
        result.reports.append(report)
        if report and report.get("n_clipped"):
            result.warnings.append(
                f"projection '{projection.name}': {report['n_clipped']} weights were clipped"
            )
    mistakes += _sum_mistakes(network, result)
    if mistakes:
        raise NetworkError("\n".join(mistakes))
    return result


def _population(
    network: Network,
    population: Population,
    chip: Chip,
    scales: dict[str, float],
    result: Quantised,
    mistakes: list[str],
) -> None:
    """Add the registers of a population, or the words of its neuron program."""
    name = population.name
    if population.program is None and population.model not in chip.core.models:
        mistakes.append(
            f"population '{name}': chip '{chip.name}' has no model '{population.model}'"
        )
    if population.takes_lif_parameters:
        scales[name] = _scale(network, population, chip, result.warnings)
        result.cells[name] = _cells(
            network, population, chip, scales[name], mistakes, result.warnings
        )
    if population.program is not None:
        _microcode(population, population.program, chip, result, mistakes)


def _microcode(
    population: Population, program: Model, chip: Chip, result: Quantised, mistakes: list[str]
) -> None:
    """Add the neuron program of a population, and the words of its neurons."""
    model = bound_model(program, chip)
    found = model_mistakes(population, model, chip)
    mistakes += [f"population '{population.name}': {mistake}" for mistake in found]
    if found:
        return
    # Files of one name in several folders are different models.
    name, k = population.model.removesuffix(".nasm").rpartition("/")[2], 1
    while result.models.get(name, model) != model:
        name, k = f"{name.partition('#')[0]}#{k + 1}", k + 1
    result.models[name], result.model_names[population.name] = model, name
    result.words[population.name] = words_of(
        population, model, result.cells.get(population.name), mistakes
    )
    result.cells[population.name] = Cells.empty(population.size)


def _keeps_bits(projection: Projection) -> bool:
    """Whether a weight's bits below 64 units are kept: its product with a payload, or its sum, is what is scaled."""
    return projection.source.payload is not None or projection.learning is not None


def _largest_payload(projection: Projection) -> int:
    payload = projection.source.payload
    return 1 if payload is None else max(abs(limit) for limit in payload)


def _scale(network: Network, population: Population, chip: Chip, warnings: list[str]) -> float:
    """Return mantissa units per real unit for everything that is added in this population."""
    threshold = float(np.max(population.parameters.get("threshold", 0)))
    incoming = [
        p
        for p in network.projections
        if p.target.name == population.name and p.is_real and p.weights.size
    ]
    limits = [
        mantissa_limit(p.sign_mode, p.weight_bits) / float(np.abs(p.weights).max())
        for p in incoming
        if np.any(p.weights) and mantissa_limit(p.sign_mode, p.weight_bits)
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


def _cells(
    network: Network,
    population: Population,
    chip: Chip,
    scale: float,
    mistakes: list[str],
    warnings: list[str],
) -> Cells:
    given, rules, n = population.parameters, chip.arithmetic, population.size
    where = f"population '{population.name}'"

    def registers(name: str, default: int) -> NDArray[np.int64]:
        value = given.get(name)
        for real, register in REAL.items():
            if register == name and real in given:
                value = _from_real(real, given[real], scale, network.dt_ms, rules)
        return np.broadcast_to(np.asarray(default if value is None else value, np.int64), n)

    values = {
        "du": registers("du", 4095),
        "dv": registers("dv", 0),
        "vth_mant": registers("vth_mant", 0),
        "refractory": registers("refractory", 1),
        "refractory_init": registers("refractory_init", 0),
        "u_init": registers("u_init", 0),
        "v_init": registers("v_init", 0),
    }
    if "bias" in given:
        mantissa, exponent = _bias(np.broadcast_to(given["bias"], n) * scale * UNIT, rules)
    else:
        mantissa, exponent = registers("bias_mant", 0), registers("bias_exp", 0)
    values |= {"bias_mant": mantissa, "bias_exp": exponent}
    half = 2 ** (rules.bias_mantissa_bits - 1)
    allowed = {
        "vth_mant": (0, 2**rules.threshold_bits - 1),
        "bias_mant": (-half, half - 1),
        "bias_exp": (0, rules.bias_exponent_max),
        "refractory": (1, rules.refractory_steps_max),
        "refractory_init": (0, rules.refractory_steps_max),
        "u_init": (-(2 ** (rules.u_bits - 1)), 2 ** (rules.u_bits - 1) - 1),
        "v_init": (rules.v_limits.minimum, rules.v_limits.maximum),
    }
    for name, (low, high) in allowed.items():
        column = values[name]
        if column.min() < low or column.max() > high:
            worst = column.min() if column.min() < low else column.max()
            mistakes.append(
                f"{where}: {name} is {worst}; chip '{chip.name}' allows {low} to {high}"
            )
    for real, register in (("tau_mem_ms", "dv"), ("tau_syn_ms", "du")):
        if real in given and np.any(values[register] == 0) and register == "dv":
            warnings.append(f"{where}: {real} is so long that its decay rounds to none")
    safe = {name: np.clip(column, -(2**29), 2**29) for name, column in values.items()}
    return Cells(
        u_retain=(4096 - rules.u_decay_offset - safe["du"]).clip(0).astype(np.uint16),
        v_retain=(4096 - rules.v_decay_offset - safe["dv"]).clip(0).astype(np.uint16),
        bias=(safe["bias_mant"].clip(-half, half) << safe["bias_exp"].clip(0, 7)).astype(np.int32),
        threshold=(safe["vth_mant"].clip(0, 2**23 - 1) << 6).astype(np.int32),
        refractory=safe["refractory"].astype(np.uint8),
        u_init=safe["u_init"].astype(np.int32),
        v_init=safe["v_init"].astype(np.int32),
        refractory_init=safe["refractory_init"].astype(np.uint8),
    )


def _from_real(name: str, value: Any, scale: float, dt_ms: float, rules: Any) -> NDArray[np.int64]:
    value = np.asarray(value, np.float64)
    if name in ("tau_syn_ms", "tau_mem_ms"):
        decay = np.rint(-4096 * np.expm1(-dt_ms / value))
        offset = rules.u_decay_offset if name == "tau_syn_ms" else rules.v_decay_offset
        registers = np.clip(decay - offset, 0, 4095)
    elif name == "refractory_ms":
        registers = np.rint(value / dt_ms) + 1
    elif name == "threshold":
        registers = np.rint(value * scale)
    else:
        registers = np.rint(value * scale * UNIT)
    return _whole(registers)


def _whole(registers: Any) -> NDArray[np.int64]:
    """Return rounded values as integers; what no register holds stays too large for any."""
    return np.asarray(np.clip(registers, -MAX_REGISTER, MAX_REGISTER), np.int64)


def _bias(units: NDArray[np.float64], rules: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return mantissa and the smallest exponent that holds it; too large a bias keeps its mantissa and is refused."""
    most = 2 ** (rules.bias_mantissa_bits - 1) - 1
    exponent = np.zeros(len(units), np.int64)
    for _ in range(rules.bias_exponent_max):
        exponent += np.abs(np.rint(units / 2.0**exponent)) > most
    return _whole(np.rint(units / 2.0**exponent)), exponent


def _check_projection(projection: Projection, chip: Chip, mistakes: list[str]) -> None:
    where, synapses, rules = f"projection '{projection.name}'", chip.synapses, chip.arithmetic
    delay = int(np.max(projection.delays, initial=0))
    if delay > synapses.max_delay_steps:
        mistakes.append(
            f"{where}: a delay is {delay} steps; chip '{chip.name}' allows 0 to {synapses.max_delay_steps}"
        )
    if projection.weight_bits not in synapses.weight_bits:
        mistakes.append(
            f"{where}: weight_bits is {projection.weight_bits}; chip '{chip.name}' stores {synapses.weight_bits}"
        )
    if projection.is_real and not mantissa_limit(projection.sign_mode, projection.weight_bits):
        mistakes.append(
            f"{where}: weight_bits is {projection.weight_bits}, which holds no real weights of sign_mode "
            f"'{projection.sign_mode}': one bit is the sign"
        )
    if not rules.weight_exponent_min <= projection.weight_exp <= rules.weight_exponent_max:
        mistakes.append(
            f"{where}: weight_exp is {projection.weight_exp}; chip '{chip.name}' allows "
            f"{rules.weight_exponent_min} to {rules.weight_exponent_max}"
        )


def _register_weights(
    projection: Projection, chip: Chip
) -> tuple[NDArray[np.int16], int, dict[str, Any] | None]:
    """Look weights up in a table of every mantissa there is; negative ones stand at its end."""
    exponent, policy = projection.weight_exp, chip.arithmetic.weight_policy
    if projection.learning is not None:
        return projection.weights.astype(np.int16), exponent, None
    if _keeps_bits(projection) and exponent < 0:
        mantissas, exponent, report = _table(projection, min(exponent + 6, 0), policy)
        return mantissas, projection.weight_exp, report
    return _table(projection, exponent, policy)


def _table(
    projection: Projection, exponent: int, policy: str
) -> tuple[NDArray[np.int16], int, dict[str, Any] | None]:
    """Return what `_register_weights` does, for an exponent of which the shift has taken its part."""
    every = np.concatenate([np.arange(256), np.arange(-256, 0)])
    units = chip_weights(every, projection.sign_mode, projection.weight_bits, exponent, policy)
    shift = 6 + max(exponent, 0)
    table = (units >> shift).astype(np.int16)
    acting = table.astype(np.int64) << shift
    changed, beyond = acting != every * (2.0**exponent * UNIT), acting != units
    n_changed, n_beyond = (
        int(np.count_nonzero(which.take(projection.weights))) if which.any() else 0
        for which in (changed, beyond)
    )
    mantissas = table.take(projection.weights)
    if not n_changed and not n_beyond:
        return mantissas, exponent, None
    report = {"policy": policy, "n_truncated": n_changed}
    return mantissas, exponent, report | ({"n_beyond": n_beyond} if n_beyond else {})


def _real_weights(
    projection: Projection, scale: float, chip: Chip
) -> tuple[NDArray[np.int16], int, dict[str, Any] | None]:
    """Round to the nearest mantissa, with the smallest exponent that holds the projection's largest weight."""
    step = weight_step(projection.sign_mode, projection.weight_bits)
    limit = mantissa_limit(projection.sign_mode, projection.weight_bits)
    largest = float(np.abs(projection.weights).max(initial=0)) * scale
    exponent = 0
    while (
        exponent < chip.arithmetic.weight_exponent_max and largest / 2**exponent > limit + step / 2
    ):
        exponent += 1
    unit = scale / 2**exponent
    rounded = np.rint(projection.weights * (unit / step)) * step
    clipped = np.abs(rounded) > limit
    mantissas = np.clip(rounded, -limit, limit)
    error = mantissas / unit - projection.weights
    report = {
        "scale": scale,
        "weight_exp": exponent,
        "max_abs_error": float(np.abs(error).max(initial=0)),
        "rms_error": float(np.sqrt(np.mean(error**2))) if error.size else 0.0,
        "n_clipped": int(np.count_nonzero(clipped)),
        "n_zero": int(np.count_nonzero(mantissas == 0)),
    }
    return mantissas.astype(np.int16), exponent, report


def _sum_mistakes(network: Network, result: Quantised) -> list[str]:
    """Find targets whose input could leave the 32 bits in which the emulator adds it before the chip's own wrap."""
    mistakes = []
    for name, population in network.populations.items():
        into = [k for k, p in enumerate(network.projections) if p.target.name == name]
        largest = {k: _largest_payload(network.projections[k]) for k in into}
        bound = sum(
            len(result.mantissas[k]) * 256.0 * 2 ** result.shifts[k] * largest[k] for k in into
        )
        if bound < 2**31:
            continue
        total = np.zeros(population.size)
        for k in into:
            weight = np.abs(result.mantissas[k].astype(np.float64))
            if network.projections[k].learning is not None:
                weight[:] = 256  # what it may learn
            weight *= 2.0 ** result.shifts[k]
            weight *= largest[k]
            total += np.bincount(network.projections[k].post, weight, population.size)
        if total.max() >= 2**31:
            mistakes.append(
                f"population '{name}': the weights onto neuron {int(total.argmax())} add up to "
                f"{total.max():.3g} units; "
                f"at most {2**31 - 1} can be added in one step: lower weight_exp"
                + (
                    " or declare fewer bits of payload"
                    if any(n > 1 for n in largest.values())
                    else ""
                )
            )
    return mistakes
