"""What `--management` says: the programs of management cores."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emulator.errors import RunError

KEYS = ("core", "phase", "elf", "every", "first", "when")
NUMBERS = ("core", "every", "first")
NEEDED = ("core", "phase", "elf")


def attached(texts: Iterable[str] | None) -> list[dict[str, Any]]:
    """Return what `Emulator.manage` takes, for each option.

    Raises
    ------
    RunError
        With every mistake.
    """
    from emulator.network.managed import PHASES

    programs, mistakes = [], list[str]()
    for text in texts or ():
        wrong, given = list[str](), dict[str, Any]()
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if not equals or key not in KEYS:
                wrong.append(f"'{part}' is no KEY=VALUE; keys are: {', '.join(KEYS)}")
            elif key in given:
                wrong.append(f"{key} is given twice")
            elif key in NUMBERS and not (value.isascii() and value.isdigit()):
                wrong.append(f"{key} is '{value}'; it must be a whole number")
            else:
                given[key] = int(value) if key in NUMBERS else value
        wrong += [f"{key}= is missing" for key in NEEDED if not wrong and key not in given]
        if given.get("phase", PHASES[0]) not in PHASES:
            wrong.append(f"phase is '{given['phase']}'; allowed: {', '.join(PHASES)}")
        mistakes += [f"--management {text}: {what}" for what in wrong]
        programs.append({"run" if key == "elf" else key: value for key, value in given.items()})
    if mistakes:
        raise RunError("\n".join(mistakes))
    for program in programs:
        program["run"] = Path(program["run"])
    return programs
