"""Registers of the populations that have those of "lif": as given, or from real units, and what that rounds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.chip.schema import Arithmetic
from emulator.compiler.weights import UNIT
from emulator.compiler.words import Cells
from emulator.network import REAL, Population

Registers = dict[str, NDArray[np.int64]]

MAX_REGISTER = 2**62  # beyond the registers of every chip, within 64 bits
DEFAULTS = {
    "du": 4095, "dv": 0, "vth_mant": 0, "refractory": 1, "refractory_init": 0, "u_init": 0, "v_init": 0,
    "bias_mant": 0, "bias_exp": 0,
}  # fmt: skip
ROUNDED = 1e-6
"""Part of what was asked for by which a register may differ without a line."""
MUCH = 0.1
"""The same, beyond which a warning says so; of time constants, part of what decays in a step."""


def cells_of(
    population: Population,
    chip: Chip,
    scale: float,
    dt_ms: float,
    mistakes: list[str],
    warnings: list[str],
) -> tuple[Cells, list[dict[str, Any]]]:
    """Return the registers of a population, and what rounding made of its real values.

    Parameters
    ----------
    scale : float
        Mantissa units for 1 of the unit in which its real values are given.
    mistakes, warnings : list of str
        Get a line for each register that the chip cannot hold, and for what is lost.

    Returns
    -------
    cells : Cells
    rounding : list of dict
        For each parameter that is not held as asked, the neuron where it matters most: `population`, `parameter`,
        `neuron`, `asked`, `held` (None: forever), `unit` ("ms", or "" for the unit of the threshold) and
        `relative_error` (None: without limit).
    """
    given, rules, n = population.parameters, chip.arithmetic, population.size
    values = {
        name: np.broadcast_to(np.asarray(given.get(name, default), np.int64), n)
        for name, default in DEFAULTS.items()
    }
    for real, register in REAL.items():
        if real in given:
            asked = np.broadcast_to(np.asarray(given[real], np.float64), n)
            values |= _from_real(real, register, asked, scale, dt_ms, rules)
    beyond = _beyond_chip(population, values, chip)
    mistakes += beyond
    rounding: list[dict[str, Any]] = []
    for real in REAL:
        if real in given and not beyond:
            asked = np.broadcast_to(np.asarray(given[real], np.float64), n)
            held = _held(real, values, scale, dt_ms, rules)
            rounding += _rounding(population.name, real, asked, held, dt_ms, warnings)
    safe = {name: np.clip(column, -(2**29), 2**29) for name, column in values.items()}
    half = 2 ** (rules.bias_mantissa_bits - 1)
    cells = Cells(
        u_retain=_retained("du", safe, rules).astype(np.uint16),
        v_retain=_retained("dv", safe, rules).astype(np.uint16),
        bias=(safe["bias_mant"].clip(-half, half) << safe["bias_exp"].clip(0, 7)).astype(np.int32),
        threshold=(safe["vth_mant"].clip(0, 2**23 - 1) << 6).astype(np.int32),
        refractory=safe["refractory"].astype(np.uint8),
        u_init=safe["u_init"].astype(np.int32),
        v_init=safe["v_init"].astype(np.int32),
        refractory_init=safe["refractory_init"].astype(np.uint8),
    )
    return cells, rounding


def _beyond_chip(population: Population, values: Registers, chip: Chip) -> list[str]:
    """Return the registers that a chip cannot hold."""
    rules, mistakes = chip.arithmetic, []
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
                f"population '{population.name}': {name} is {worst}; chip '{chip.name}' allows {low} to {high}"
            )
    return mistakes


def _from_real(
    name: str,
    register: str,
    asked: NDArray[np.float64],
    scale: float,
    dt_ms: float,
    rules: Arithmetic,
) -> Registers:
    """Return the registers that a real parameter sets."""
    if name in ("tau_syn_ms", "tau_mem_ms"):
        decay = np.rint(-4096 * np.expm1(-dt_ms / asked))
        return {register: _whole(np.clip(decay - _offset(register, rules), 0, 4095))}
    if name == "refractory_ms":
        return {register: _whole(np.rint(asked / dt_ms) + 1)}
    if name == "threshold":
        return {register: _whole(np.rint(asked * scale))}
    if name == "bias":
        mantissa, exponent = _bias(asked * scale * UNIT, rules)
        return {"bias_mant": mantissa, "bias_exp": exponent}
    return {register: _whole(np.rint(asked * scale * UNIT))}


def _held(
    name: str, values: Registers, scale: float, dt_ms: float, rules: Arithmetic
) -> NDArray[np.float64]:
    """Return what the registers of a real parameter stand for, in its unit."""
    register = REAL[name]
    held: NDArray[np.floating[Any]]
    if name in ("tau_syn_ms", "tau_mem_ms"):
        with np.errstate(divide="ignore"):  # nothing decays, or everything: infinity, or 0
            held = -dt_ms / np.log(_retained(register, values, rules) / 4096)
    elif name == "refractory_ms":
        held = (values[register] - 1) * dt_ms
    elif name == "threshold":
        held = values[register] / scale
    elif name == "bias":
        held = (values["bias_mant"] << values["bias_exp"]) / (scale * UNIT)
    else:
        held = values[register] / (scale * UNIT)
    return np.asarray(held, np.float64)


def _retained(register: str, values: Registers, rules: Arithmetic) -> NDArray[np.int64]:
    """Return how many 4096ths of u or v are left after a step."""
    return (4096 - _offset(register, rules) - values[register]).clip(0)


def _offset(register: str, rules: Arithmetic) -> int:
    return rules.u_decay_offset if register == "du" else rules.v_decay_offset


def _whole(registers: Any) -> NDArray[np.int64]:
    """Return rounded values as integers; what no register holds stays too large for any."""
    return np.asarray(np.clip(registers, -MAX_REGISTER, MAX_REGISTER), np.int64)


def _bias(
    units: NDArray[np.float64], rules: Arithmetic
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return mantissa and the smallest exponent that holds it; too large a bias keeps its mantissa and is refused."""
    most = 2 ** (rules.bias_mantissa_bits - 1) - 1
    exponent = np.zeros(len(units), np.int64)
    for _ in range(rules.bias_exponent_max):
        exponent += np.abs(np.rint(units / 2.0**exponent)) > most
    return _whole(np.rint(units / 2.0**exponent)), exponent


def _rounding(
    population: str,
    name: str,
    asked: NDArray[np.float64],
    held: NDArray[np.float64],
    dt_ms: float,
    warnings: list[str],
) -> list[dict[str, Any]]:
    """Return a line for the neuron whose parameter is rounded most, if any; warn where it is much."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = np.where(held == asked, 0, np.abs(held - asked) / np.abs(asked))
        if name in ("tau_syn_ms", "tau_mem_ms"):
            lost = np.expm1(-dt_ms / asked)
            weight = np.abs(np.expm1(-dt_ms / held) - lost) / np.abs(lost)
        else:
            weight = error
    if error.max() <= ROUNDED:
        return []
    worst = int(np.argmax(error))
    unit = "ms" if name.endswith("_ms") else ""
    line = {
        "population": population, "parameter": name, "neuron": worst, "asked": float(asked[worst]),
        "held": _number(held[worst]), "unit": unit, "relative_error": _number(error[worst]),
    }  # fmt: skip
    if weight.max() > MUCH:
        k = int(np.argmax(weight))
        kept = f"{held[k]:.4g} {unit}" if np.isfinite(held[k]) else "no decay"
        warnings.append(
            f"population '{population}': {name} {asked[k]:.4g} {unit}".rstrip()
            + f" of neuron {k} is held as {kept}".rstrip()
        )
    return [line]


def _number(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
