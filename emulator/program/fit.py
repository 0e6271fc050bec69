"""Whether a program can run on a chip: same arithmetic, core and synapse sections, and enough cores."""

from collections.abc import Iterator
from typing import Any

from emulator.chip import Chip
from emulator.errors import ProgramError
from emulator.program.program import Program

SHOWN = 3


def check_fit(program: Program, chip: Chip) -> None:
    """Raise ProgramError when the chip computes differently from the one the program was compiled for.

    Costs, latencies, clock and mesh may differ: they decide time and energy, not what is computed.
    """
    made_for = program.manifest["chip"]
    if made_for["fingerprint"] != chip.fingerprint(learns=program.learns):
        function = chip.function(learns=program.learns)
        differences = list(_differences(made_for["function"], function))
        if len(differences) > SHOWN:
            differences[SHOWN:] = [f"and {len(differences) - SHOWN} more"]
        raise ProgramError(
            f"program '{program.name}' was compiled for chip '{made_for['name']}'; '{chip.name}' differs in what it "
            f"computes: {'; '.join(differences)}; compile the network for '{chip.name}'"
        )
    if program.n_cores > chip.mesh.n_cores:
        raise ProgramError(
            f"program '{program.name}' uses cores up to {program.n_cores - 1}; "
            f"chip '{chip.name}' has {chip.mesh.n_cores}"
        )


def _differences(made_for: dict[str, Any], chip: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield each key whose value differs, with both values."""
    for key in dict.fromkeys([*chip, *made_for]):
        old, new = made_for.get(key), chip.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{path}{key}.")
        elif old != new:
            yield f"{path}{key} is {new}, the program's {old}"
