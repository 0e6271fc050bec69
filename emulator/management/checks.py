"""Whether a program has the management functions that its network had."""

from collections.abc import Sequence

from emulator.errors import RunError
from emulator.management.channels import end_text
from emulator.network.managed import ManagedProgram
from emulator.program import Program


def check_attached(program: Program, programs: Sequence[ManagedProgram]) -> None:
    """Raise RunError where a program from a file had management functions, and nothing takes their place."""
    there = {(p.core, p.phase) for p in programs}
    missing = [
        f"'{p['name']}' of {end_text(p['core'])} in phase '{p['phase']}'"
        for p in program.manifest["managed"]
        if (p["core"], p["phase"]) not in there
    ]
    if missing:
        raise RunError(
            f"program '{program.name}' was made with management functions, which no file holds: {', '.join(missing)}; "
            "add them with Emulator.manage(...)"
        )
