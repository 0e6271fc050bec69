"""Checks of what a caller gave: the wrong kind of thing is said in words, not found out later.

`docs/networks.md`, section "What arguments may be", has the rules that these functions are.
"""

import os
from collections.abc import Callable, Container
from os import PathLike
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from emulator.errors import EmulatorError

Array = TypeVar("Array", bound=NDArray[Any])
Error = Callable[[str], EmulatorError]
LONG = 10**18
"""Numbers beyond are not written out in messages."""
MAX_DEPTH = 64
"""Of lists in lists: an array has no more axes."""


class NoArrayError(Exception):
    """Something is no array; the message is what it has instead, as "3 masked entries"."""


def require_kind(name: str, value: object, kind: type, how: str, error: Error) -> None:
    """Raise `error` unless a value is of a kind; `how` says where such a one comes from."""
    if not isinstance(value, kind):
        raise error(f"{name} is {shown(value)}; it must be a {kind.__name__}, {how}")


def whole(name: str, value: Any, least: int, most: int, error: Error) -> int:
    """Return a whole number of a range as an int; True and 5.0 are none."""
    if not is_whole(value):
        raise error(f"{name} is {shown(value)}; it must be a whole number from {least} to {most:,}")
    if not least <= value <= most:
        number = f"{int(value):,}" if abs(int(value)) < LONG else shown(int(value))
        raise error(f"{name} is {number}; it must be a whole number from {least} to {most:,}")
    return int(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is a whole number, of Python or NumPy; True, 5.0 and a span of time are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a real number that a double holds, of Python or NumPy, finite or not; True is none."""
    if not (isinstance(value, float | np.floating) or is_whole(value)):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def plain(value: float) -> int | float:
    """Return a number of Python or NumPy as Python's own."""
    return int(value) if isinstance(value, int | np.integer) else float(value)


def is_flag(value: object) -> TypeGuard[bool]:
    """Return whether a value is True or False; 1 and "no" are neither."""
    return isinstance(value, bool | np.bool_)


def flag(name: str, value: Any, error: Error) -> bool:
    """Return True or False; reject all else."""
    if not is_flag(value):
        raise error(f"{name} is {shown(value)}; it must be True or False")
    return bool(value)


def is_path(value: object) -> TypeGuard[str | PathLike[str]]:
    """Return whether a value can be the path of a file."""
    if not isinstance(value, str | PathLike):
        return False
    try:
        text = os.fspath(value)
        return isinstance(text, str) and "\0" not in text and bool(os.fsencode(text))
    except Exception:  # characters that no file name has, or a stranger's class
        return False


def path_of(name: str, value: Any, error: Error) -> Path:
    """Return a path that was given as a string or as a Path."""
    if not is_path(value):
        raise error(f"{name} is {shown(value)}; it must be a path")
    return Path(value)


def is_one_of(value: object, allowed: Container[str]) -> TypeGuard[str]:
    """Return whether a value is one of some strings; whatever else it is, it is none."""
    return isinstance(value, str) and value in allowed


def shown(value: object) -> str:
    """Return a value as it is named in a message."""
    try:
        text = repr(value)
    except Exception:  # of a stranger's class, or of a number with thousands of digits
        text = ""
    return text if 0 < len(text) <= 60 and "\n" not in text else f"a {type(value).__name__}"


def quoted(name: object) -> str:
    """Return what should have been a name as it stands in a message."""
    return f"'{name}'" if isinstance(name, str) else shown(name)


def callable_or_none(name: str, value: Any, error: Error) -> None:
    """Raise `error` unless a value is a function, or None."""
    if value is not None and not callable(value):
        raise error(f"{name} is {shown(value)}; it must be a function")


def as_array(value: Any) -> NDArray[Any]:
    """Return what a caller gave as an array, which may share its memory.

    Raises
    ------
    NoArrayError
        When it is none, or holds masked entries, which an array would forget.
    """
    try:
        n_masked = _n_masked(value)
        array = None if n_masked else np.asarray(value)
    except Exception as error:  # whatever a stranger's class raises
        if isinstance(value, list | tuple) and "inhomogeneous" in str(error):
            raise NoArrayError("rows of different lengths") from None
        said = " ".join(str(error).split())[:120]
        raise NoArrayError(
            f"the type {type(value).__name__}, which does not become an array "
            f"({type(error).__name__}{': ' * bool(said)}{said})"
        ) from None
    if array is None:
        entries, them = (
            ("a masked entry", "it") if n_masked == 1 else (f"{n_masked} masked entries", "them")
        )
        raise NoArrayError(f"{entries} (x.filled(...) gives {them} a value)")
    return array


def doubles(array: NDArray[Any]) -> NDArray[np.float64]:
    """Return real numbers of any width as doubles, in a copy; what none holds is infinite, without a warning."""
    with np.errstate(over="ignore"):
        return array.astype(np.float64)


def _n_masked(value: Any, depth: int = 0) -> int:
    """Return how many entries are masked, of an array or of lists of them."""
    if isinstance(value, np.ma.MaskedArray):
        return int(np.count_nonzero(np.ma.getmaskarray(value)))
    if isinstance(value, list | tuple) and depth < MAX_DEPTH:
        kinds = set(map(type, value))
        if not any(issubclass(kind, np.ma.MaskedArray | list | tuple) for kind in kinds):
            return 0
        return sum(_n_masked(part, depth + 1) for part in value)
    return 0


def frozen(array: Array) -> Array:
    """Return an array of ours after making it read-only, so that whoever gets it cannot change what we hold."""
    if array.size:  # empty ones are shared by all who have nothing, and there is nothing to change
        array.flags.writeable = False
    return array
