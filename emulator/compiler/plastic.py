"""What projections that learn ask of a chip, and the compartments that stand for clamped inputs."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.errors import NetworkError
from emulator.kernels.devices import Devices
from emulator.mapping import Segment
from emulator.network import Network, Population, Projection
from emulator.program.fit import rule_mistakes

CLAMPED = ".clamped"
"""How the compartments are called that stand for an input as a target: its name, and this."""
LEAST_EXPONENT = -6
Y_MAX = 127


def with_clamped(network: Network, chip: Chip) -> Network:
    """Return the network with compartments for each input that is a target: they hold its synapses, and never fire."""
    targets = {p.target.name: p.target for p in network.projections if p.target.is_input}
    if not targets:
        return network
    taken = [f"{name}{CLAMPED}" for name in targets if f"{name}{CLAMPED}" in network.populations]
    if taken:
        raise NetworkError(
            f"population '{taken[0]}': the compartments of a clamped input would have this name; rename one"
        )
    threshold = {"vth_mant": 2**chip.arithmetic.threshold_bits - 1}
    stand_ins = {
        name: Population(f"{name}{CLAMPED}", p.size, "lif", threshold, clamped_by=name)
        for name, p in targets.items()
    }
    copy = Network(network.name, dt_ms=network.dt_ms)
    copy.populations = network.populations | {p.name: p for p in stand_ins.values()}
    copy.projections = [
        replace(p, target=stand_ins.get(p.target.name, p.target)) for p in network.projections
    ]
    copy.joins, copy.probes = list(network.joins), list(network.probes)
    copy.managed, copy.channels = network.managed, network.channels
    copy.assumptions, copy.warnings = list(network.assumptions), list(network.warnings)
    return copy


def learning_mistakes(network: Network, chip: Chip) -> list[str]:
    """Return why a chip cannot do what projections learn."""
    return [
        f"projection '{projection.name}': {mistake}"
        for projection in network.projections
        if projection.learning is not None
        for mistake in _mistakes(projection, chip)
    ]


def _mistakes(projection: Projection, chip: Chip) -> list[str]:
    rule, engine = projection.learning, chip.learning
    assert rule is not None
    mistakes = rule_mistakes(rule, chip)
    if not engine.instructions:
        return mistakes
    if projection.weight_exp < LEAST_EXPONENT:
        mistakes.append(
            f"weight_exp is {projection.weight_exp}; weights that learn allow {LEAST_EXPONENT} to "
            f"{chip.arithmetic.weight_exponent_max}"
        )
    low, high = engine.weight_limits(projection.sign_mode)
    values = projection.weights
    if not projection.is_real and values.size and (values.min() < low or values.max() > high):
        mistakes.append(
            f"weights are {values.min()} to {values.max()}; chip '{chip.name}' lets them learn from {low} to {high}"
        )
    return mistakes + _device_mistakes(projection, chip) + _supply_mistakes(projection, chip)


def _device_mistakes(projection: Projection, chip: Chip) -> list[str]:
    assert projection.learning is not None
    device, mode = projection.learning.device, projection.sign_mode
    if device is None:
        return []
    low, high = chip.learning.weight_limits(mode)
    mistakes = []
    if not low <= device.minimum < device.maximum <= high:
        mistakes.append(
            f"its devices hold {device.minimum} to {device.maximum}; sign_mode '{mode}' of chip '{chip.name}' allows "
            f"{low} to {high}"
        )
    if projection.is_real:
        mistakes.append(
            "its weights are real numbers, and the range of its devices is in mantissas: give whole numbers"
        )
    return mistakes


def programmed(
    projection: Projection, number: int, mantissas: NDArray[np.int16], chip: Chip
) -> tuple[NDArray[np.int16], int]:
    """Return the weights that the devices of a projection hold when they should hold these, and how many differ."""
    rule = projection.learning
    if rule is None or rule.device is None or not len(mantissas):
        return mantissas, 0
    devices = Devices(
        rule.device.registers(number, chip.learning.weight_limits(projection.sign_mode))
    )
    pre, post = (np.ascontiguousarray(end, np.int32) for end in (projection.pre, projection.post))
    low, high, _, _, stuck = devices.settings(pre, post, _repeats(pre, post))
    held = np.clip(mantissas, low, high)
    held = np.select([stuck == 1, stuck == 2], [low, high], held).astype(np.int16)
    return held, int(np.count_nonzero(held != mantissas))


def _repeats(pre: NDArray[Any], post: NDArray[Any]) -> NDArray[np.int32]:
    """Return how many synapses that join the same two neurons stand before each."""
    key = pre.astype(np.int64) << 32 | post
    order = np.argsort(key, kind="stable")
    place = np.arange(len(key))
    new = np.append(True, np.diff(key[order]) != 0)
    repeats = np.empty(len(key), np.int32)
    repeats[order] = place - np.maximum.accumulate(np.where(new, place, 0))
    return repeats


def _supply_mistakes(projection: Projection, chip: Chip) -> list[str]:
    assert projection.learning is not None
    supplied, target = projection.learning.supplied, projection.target
    if not supplied or not chip.learning.post_factors:
        return []
    words = {} if target.program is None else {w.name: w for w in target.program.states}
    mistakes = []
    for trace, name in supplied.items():
        word = words.get(name)
        if word is None:
            known = ", ".join(words) or "none: it runs no microcode"
            mistakes.append(f"{trace} is '{name}'; state words of '{target.name}' are: {known}")
        elif word.low < 0 or word.high > Y_MAX:
            mistakes.append(
                f"{trace} is the word '{name}' of {word.low} to {word.high}; a factor has 0 to {Y_MAX}: declare it u7"
            )
    return mistakes


def check_epochs(network: Network, chip: Chip, segments: list[Segment]) -> None:
    """Raise NetworkError where the rules of one core have different epochs: a core has one."""
    epochs: dict[int, dict[int, str]] = {}
    onto: dict[str, dict[int, str]] = {}  # the first projection of each epoch, by target
    for projection in network.projections:
        if projection.learning is not None:
            mine = onto.setdefault(projection.target.name, {})
            mine.setdefault(projection.learning.epoch, projection.name)
    for name, _, _, core in segments:
        for epoch, projection_name in onto.get(name, {}).items():
            epochs.setdefault(core, {}).setdefault(epoch, projection_name)
    for core, found in epochs.items():
        if len(found) > 1:
            each = ", ".join(f"'{name}' {epoch}" for epoch, name in found.items())
            raise NetworkError(
                f"core {core}: its projections learn with epochs of different length ({each} steps); a core of chip "
                f"'{chip.name}' has one"
            )
