"""Whether a program can run on a chip: the same arithmetic, and enough of everything that it needs."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.errors import LearningError, ProgramError
from emulator.learning import Rule, compiled
from emulator.microcode import Model, Word
from emulator.program.manifest import NATIVE
from emulator.program.program import Program
from emulator.program.storage import NO_WIDTH, reach_of_blocks, row_words, stored_bits

SHOWN = 3
CAPACITIES = {
    "core": None,
    "microcode": None,
    "synapses": None,
    "arithmetic": {
        "threshold_bits", "bias_mantissa_bits", "bias_exponent_max", "refractory_steps_max",
        "weight_exponent_min", "weight_exponent_max",
    },
    "learning": {"instructions", "epoch_steps_max", "rewards", "post_factors", "tag_bits"},
}  # fmt: skip
"""Keys, or whole sections, that say how much a chip holds, not what it computes: a program is held to them by need."""


def check_fit(program: Program, chip: Chip) -> None:
    """Hold a program to a chip, which must compute what the one that it was compiled for does, and have enough.

    Costs, latencies, clock and mesh may differ: they decide time and energy, not what is computed. So may every
    capacity that is enough for the program.

    Raises
    ------
    ProgramError
        With every difference, or everything of which the chip has too little.
    """
    made_for = program.manifest["chip"]
    is_same = made_for["fingerprint"] == chip.fingerprint(learns=program.learns)
    if not is_same:
        differences = _differences(made_for["function"], chip, learns=program.learns)
        if len(differences) > SHOWN:
            differences[SHOWN:] = [f"and {len(differences) - SHOWN} more"]
        if differences:
            raise ProgramError(
                f"program '{program.name}' was compiled for chip '{made_for['name']}'; '{chip.name}' differs in what "
                f"it computes: {'; '.join(differences)}; compile the network for '{chip.name}'"
            )
    mistakes = [
        f"program '{program.name}', projection '{program.manifest['projections'][k]['name']}': {mistake}"
        for k, rule in program.rules.items()
        for mistake in rule_mistakes(rule, chip)
    ]
    if mistakes:
        raise ProgramError("\n".join(mistakes))
    if program.n_cores > chip.mesh.n_cores:
        raise ProgramError(
            f"program '{program.name}' uses cores up to {program.n_cores - 1}; "
            f"chip '{chip.name}' has {chip.mesh.n_cores}"
        )
    lacking = list(_packets(program, chip))
    if not is_same:
        lacking += _lacking(program, chip)
    if lacking:
        lacking[SHOWN:] = [f"and {len(lacking) - SHOWN} more"] * (len(lacking) > SHOWN)
        raise ProgramError(
            f"program '{program.name}' was compiled for chip '{made_for['name']}' and needs more than '{chip.name}' "
            f"has: {'; '.join(lacking)}"
        )


def rule_mistakes(rule: Rule, chip: Chip) -> list[str]:
    """Return why a chip's learning engine cannot do a rule; each may have lines below it that show the place."""
    engine = chip.learning
    if not engine.instructions:
        return [f"chip '{chip.name}' has no learning engine (learning.instructions is 0)"]
    mistakes = []
    try:
        compiled(rule, engine)
    except LearningError as error:
        mistakes += re.split(r"\n(?!  )", str(error))  # lines that show the place stay with theirs
    if rule.epoch > engine.epoch_steps_max:
        mistakes.append(
            f"the epoch is {rule.epoch} steps; chip '{chip.name}' allows 1 to {engine.epoch_steps_max} "
            "(learning.epoch_steps_max)"
        )
    used = sorted({"r0", "r1"} & rule.variables)
    if used and not engine.rewards:
        mistakes.append(
            f"the rule reads {' and '.join(used)}; chip '{chip.name}' has no rewards (learning.rewards)"
        )
    if rule.supplied and not engine.post_factors:
        mistakes.append(
            f"a neuron program supplies {', '.join(rule.supplied)}; chip '{chip.name}' does not allow it "
            "(learning.post_factors)"
        )
    if rule.moves_delays and not chip.synapses.max_delay_steps:
        mistakes.append(
            f"the rule changes delays; chip '{chip.name}' has no room for any (synapses.max_delay_steps is 0)"
        )
    return mistakes


def _differences(made_for: dict[str, Any], chip: Chip, *, learns: bool) -> list[str]:
    """Return each key that decides what is computed and whose value differs, with both values.

    What an older program's file does not say is what a chip file means that does not say it.
    """
    found: list[str] = []
    for name, values in chip.function(learns=learns).items():
        section, spared = getattr(chip, name), CAPACITIES[name]
        if spared is None:
            continue
        old = made_for.get(name, {})
        for key, new in values.items():
            field = type(section).model_fields[key]
            before = old.get(key, None if field.is_required() else field.get_default())
            if key not in spared and before != new:
                found += _told(f"{name}.{key}", before, new)
    return found


def _told(path: str, before: Any, new: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(new, dict):
        for key, value in new.items():
            if before.get(key) != value:
                yield from _told(f"{path}.{key}", before.get(key), value)
    else:
        yield f"{path} is {new}, the program's {before}"


def _packets(program: Program, chip: Chip) -> Iterator[str]:
    """Give the packets of a program that a mesh with trees cannot copy; the mesh is no part of a fingerprint."""
    if chip.mesh.multicast == "none":
        return
    for population, n_bits in zip(
        program.manifest["populations"], program.payload_bits, strict=True
    ):
        if chip.mesh.header_bits + n_bits > chip.mesh.flit_bits:
            yield (
                f"mesh.flit_bits is {chip.mesh.flit_bits}, header and payload of population '{population['name']}' "
                f"{chip.mesh.header_bits + n_bits} (mesh.multicast '{chip.mesh.multicast}' copies packets of one flit)"
            )


def _lacking(program: Program, chip: Chip) -> Iterator[str]:
    """Give each capacity of a chip that is less than a program needs."""
    yield from _by_core(program, chip)
    yield from _registers(program, chip)
    if program.max_delay_steps > chip.synapses.max_delay_steps:
        yield (
            f"synapses.max_delay_steps is {chip.synapses.max_delay_steps}, the largest delay "
            f"{program.max_delay_steps}"
        )
    models = {p["model"] for p in program.manifest["populations"] if p["model"] in NATIVE}
    for name in sorted(models - set(chip.core.models)):
        yield f"core.models has no '{name}'"
    payloads = [p["payload"] for p in program.manifest["populations"] if p["payload"] is not None]
    widest = max((Word("payload", **payload).n_bits for payload in payloads), default=0)
    needs = [("payload_bits", widest, "bits of the widest payload")]
    needs += [need for model in program.models.values() for need in model_needs(model)]
    for key, need, what in needs:
        limit = getattr(chip.microcode, key)
        if need > limit:
            yield f"microcode.{key} is {limit}, {what} {need}"


def model_needs(model: Model) -> list[tuple[str, int, str]]:
    """Return what a neuron program needs of a chip: key of the section `microcode`, how much, and what that is."""
    return [
        ("instructions", len(model.steps), f"instructions of model '{model.name}'"),
        ("state_bytes", model.n_state_bytes, f"bytes of state of model '{model.name}'"),
        ("payload_bits", model.payload_bits, f"bits of payload of model '{model.name}'"),
    ]


def _by_core(program: Program, chip: Chip) -> Iterator[str]:
    """Give the capacities of a core that are less than some core of a program needs."""
    limits, neurons = chip.core, np.diff(program.core_start).astype(np.int64)
    core = program.blocks[:, 0].astype(np.int64)
    needs = {"neurons": neurons}
    if limits.accumulator_entries is not None:
        late = np.zeros(len(neurons), np.int64)
        np.maximum.at(late, core, _reach(program))
        needs["accumulator_entries"] = neurons * (late + 2)
    if limits.axons_in is not None or limits.axons_out is not None:
        needs["axons_in"], needs["axons_out"] = _axons(program)
    bits = stored_bits(program, chip)
    for block in np.flatnonzero(bits == NO_WIDTH)[:1].tolist():
        name = program.manifest["projections"][int(program.blocks[block, 1])]["name"]
        yield f"synapses has no format or width that holds projection '{name}' on core {core[block]}"
    if limits.synapse_memory_bits is not None:
        words = row_words(program.rows["length"], bits[program.rows["block"]], chip.synapses)
        used = np.zeros(len(neurons), np.int64)
        np.add.at(used, core[program.rows["block"]], words * chip.synapses.word_bits)
        needs["synapse_memory_bits"] = used
    for key, need in needs.items():
        limit = getattr(limits, key)
        if limit is not None and len(need) and need.max() > limit:
            yield f"core.{key} is {limit}, core {int(need.argmax())} needs {int(need.max())}"


def _reach(program: Program) -> NDArray[np.int64]:
    """Return the largest delay that synapses of each block can have: those whose delays learn, any."""
    late, _ = reach_of_blocks(program)
    moving = [k for k, rule in program.rules.items() if rule.moves_delays]
    late[np.isin(program.blocks[:, 1], moving)] = program.max_delay_steps
    return late


def _axons(program: Program) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the axons in and out of each core: pairs of a source and a core that it has rows on."""
    n_cores = program.n_cores
    source = np.repeat(np.arange(program.n_sources), np.diff(program.row_start).astype(np.int64))
    target = program.blocks[:, 0].astype(np.int64)[program.rows["block"]]
    source, target = np.divmod(np.unique(source * max(1, n_cores) + target), max(1, n_cores))
    from_core = source[source < program.n_compartments]
    home = np.searchsorted(program.core_start, from_core, side="right") - 1
    return np.bincount(target, minlength=n_cores), np.bincount(home, minlength=n_cores)


def _registers(program: Program, chip: Chip) -> Iterator[str]:
    """Give the registers of a chip that are too narrow for the values of a program."""
    rules = chip.arithmetic
    threshold = int(program.threshold.max(initial=0)) >> 6
    if threshold >> rules.threshold_bits:
        yield f"arithmetic.threshold_bits is {rules.threshold_bits}, a threshold {threshold} x 64"
    half, held = 1 << rules.bias_mantissa_bits - 1, np.zeros(len(program.bias), bool)
    for exponent in range(rules.bias_exponent_max + 1):
        mantissa = program.bias >> exponent
        held |= (mantissa << exponent == program.bias) & (-half <= mantissa) & (mantissa < half)
    if not held.all():
        bias = int(program.bias[np.flatnonzero(~held)[0]])
        yield (
            f"a bias is {bias}, which arithmetic.bias_mantissa_bits {rules.bias_mantissa_bits} and "
            f"arithmetic.bias_exponent_max {rules.bias_exponent_max} do not hold"
        )
    for table in (program.refractory, program.refractory_init):
        if table.max(initial=0) > rules.refractory_steps_max:
            yield (
                f"arithmetic.refractory_steps_max is {rules.refractory_steps_max}, a refractory register "
                f"{int(table.max())}"
            )
            break
    for projection in program.manifest["projections"]:
        if not rules.weight_exponent_min <= projection["weight_exp"] <= rules.weight_exponent_max:
            yield (
                f"weights of projection '{projection['name']}' have exponent {projection['weight_exp']}, allowed are "
                f"arithmetic.weight_exponent_min {rules.weight_exponent_min} to weight_exponent_max "
                f"{rules.weight_exponent_max}"
            )
