"""Names of populations, projections and channels as identifiers of C."""

import re
from collections.abc import Iterable

from emulator.errors import ManagementError


def identifier(name: str) -> str:
    """Return a name with what C does not allow replaced by `_`."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "_"
    return f"_{text}" if text[0].isdigit() else text


class Identifiers:
    """Every identifier of a header, each for one thing only."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self._owner = dict.fromkeys(reserved, "the header's own")

    def take(self, text: str, owner: str) -> str:
        """Return an identifier for a thing.

        Raises
        ------
        ManagementError
            When something else has it.
        """
        if text in self._owner:
            raise ManagementError(
                f"{owner} and {self._owner[text]} are both '{text}' in C; rename one of them"
            )
        self._owner[text] = owner
        return text
