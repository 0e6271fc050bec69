"""Pass 1: real units to registers, and every register held to the chip's widths.

All projections onto a population, its threshold, bias and initial state share one scale (mantissa units per real
unit), because the chip adds them. What rounding costs is reported for each projection.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.compiler.mantissas import keeps_bits, losses, mantissas_of
from emulator.compiler.plastic import learning_mistakes, programmed
from emulator.compiler.registers import cells_of
from emulator.compiler.scale import Scale, population_scale
from emulator.compiler.weights import mantissa_limit
from emulator.compiler.words import Cells, bound_model, model_mistakes, payload_mistakes, words_of
from emulator.errors import NetworkError
from emulator.microcode import Model
from emulator.network import Network, Population, Projection


@dataclass
class Quantised:
    """A network in registers."""

    cells: dict[str, Cells]
    mantissas: list[NDArray[np.int16]]  # of each projection: a weight acts as mantissa << shift
    shifts: list[int]
    exponents: list[int]
    reports: list[dict[str, Any] | None]
    warnings: list[str] = field(default_factory=list)
    rounding: list[dict[str, Any]] = field(default_factory=list)  # of real parameters, a line each
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
    onto: dict[str, list[int]] = {name: [] for name in network.populations}
    for k, projection in enumerate(network.projections):
        onto[projection.target.name].append(k)
    scales: dict[str, Scale] = {}
    for name, population in network.populations.items():
        if not population.is_input:
            incoming = [network.projections[k] for k in onto[name]]
            scales[name] = _population(population, incoming, chip, network.dt_ms, result, mistakes)
    mistakes += payload_mistakes(network, chip) + learning_mistakes(network, chip)
    for projection in network.projections:
        _check_projection(projection, chip, mistakes)
        _projection(
            projection,
            scales.get(projection.target.name, Scale(1.0)),
            chip,
            result,
            sound=not mistakes,
        )
    mistakes += _sum_mistakes(network, onto, result)
    if mistakes:
        raise NetworkError("\n".join(mistakes))
    return result


def _projection(
    projection: Projection, scale: Scale, chip: Chip, result: Quantised, *, sound: bool
) -> None:
    """Add the mantissas of a projection, and warnings of what they lose; `sound` where no mistake was found so far."""
    held, exponent, report = mantissas_of(projection, scale, chip)
    result.warnings += losses(projection, exponent, report)
    n_changed = 0
    if sound:
        held, n_changed = programmed(projection, len(result.mantissas), held, chip)
    if n_changed:
        result.warnings.append(
            f"projection '{projection.name}': {n_changed} of {len(held)} initial weights are not what their "
            "devices can hold, and were changed"
        )
    result.mantissas.append(held)
    # A graded spike's weight keeps its bits: its product with the payload is what is scaled.
    # A plastic weight keeps its bits while it learns.
    least = -6 if keeps_bits(projection) else 0
    result.shifts.append(6 + max(exponent, least))
    result.exponents.append(exponent)
    result.reports.append(report)


def _population(
    population: Population,
    incoming: list[Projection],
    chip: Chip,
    dt_ms: float,
    result: Quantised,
    mistakes: list[str],
) -> Scale:
    """Add the registers of a population, or the words of its neuron program; return the scale of its real values."""
    name, scale = population.name, Scale(1.0)
    if population.program is None and population.model not in chip.core.models:
        mistakes.append(
            f"population '{name}': chip '{chip.name}' has no model '{population.model}'"
        )
    if population.takes_lif_parameters:
        scale = population_scale(population, incoming, chip, result.warnings)
        result.cells[name], rounding = cells_of(
            population, chip, scale.value, dt_ms, mistakes, result.warnings
        )
        result.rounding += rounding
    if population.program is not None:
        _microcode(population, population.program, chip, result, mistakes)
    return scale


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


def _largest_payload(projection: Projection) -> int:
    payload = projection.source.payload
    return 1 if payload is None else max(abs(limit) for limit in payload)


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


def _sum_mistakes(network: Network, onto: dict[str, list[int]], result: Quantised) -> list[str]:
    """Find targets whose input could leave the 32 bits in which the emulator adds it before the chip's own wrap."""
    mistakes = []
    for name, population in network.populations.items():
        into = onto[name]
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
