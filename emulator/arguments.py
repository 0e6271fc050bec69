"""Checks of what a caller gave: the wrong kind of thing is said in words, not found out later."""

from collections.abc import Callable
from typing import Any

import numpy as np

from emulator.errors import EmulatorError


def require_kind(
    name: str, value: object, kind: type, how: str, error: Callable[[str], EmulatorError]
) -> None:
    """Raise `error` unless a value is of a kind; `how` says where such a one comes from."""
    if not isinstance(value, kind):
        raise error(f"{name} is {shown(value)}; it must be a {kind.__name__}, {how}")


def whole(
    name: str, value: Any, least: int, most: int, error: Callable[[str], EmulatorError]
) -> int:
    """Return a whole number of a range as an int; True and 5.0 are none."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise error(f"{name} is {shown(value)}; it must be a whole number from {least} to {most:,}")
    if not least <= value <= most:
        raise error(f"{name} is {int(value):,}; it must be a whole number from {least} to {most:,}")
    return int(value)


def shown(value: object) -> str:
    """Return a value as it is named in a message."""
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else f"a {type(value).__name__}"
