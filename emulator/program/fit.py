"""Whether a program can run on a chip: same arithmetic, core and synapse sections, and enough cores."""

import re
from collections.abc import Iterator
from typing import Any

from emulator.chip import Chip, fingerprint_of
from emulator.errors import LearningError, ProgramError
from emulator.learning import Rule, compiled
from emulator.program.program import Program

SHOWN = 3


def check_fit(program: Program, chip: Chip) -> None:
    """Raise ProgramError when the chip computes differently from the one the program was compiled for.

    Costs, latencies, clock and mesh may differ: they decide time and energy, not what is computed; so may what neuron
    programs may use, where there are none and no payloads.
    """
    made_for = program.manifest["chip"]
    function = chip.function(learns=program.learns)
    if not program.models and not program.is_graded:
        function["microcode"] = made_for["function"].get("microcode", {})
    if made_for["fingerprint"] != fingerprint_of(function):
        differences = list(_differences(made_for["function"], function))
        if len(differences) > SHOWN:
            differences[SHOWN:] = [f"and {len(differences) - SHOWN} more"]
        raise ProgramError(
            f"program '{program.name}' was compiled for chip '{made_for['name']}'; '{chip.name}' differs in what it "
            f"computes: {'; '.join(differences)}; compile the network for '{chip.name}'"
        )
    for k, rule in program.rules.items():
        mistakes = rule_mistakes(rule, chip)
        if mistakes:
            name = program.manifest["projections"][k]["name"]
            raise ProgramError(
                "\n".join(f"program '{program.name}', projection '{name}': {m}" for m in mistakes)
            )
    if program.n_cores > chip.mesh.n_cores:
        raise ProgramError(
            f"program '{program.name}' uses cores up to {program.n_cores - 1}; "
            f"chip '{chip.name}' has {chip.mesh.n_cores}"
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


def _differences(made_for: dict[str, Any], chip: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield each key whose value differs, with both values."""
    for key in dict.fromkeys([*chip, *made_for]):
        old, new = made_for.get(key), chip.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{path}{key}.")
        elif old != new:
            yield f"{path}{key} is {new}, the program's {old}"
