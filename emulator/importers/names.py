"""Names of other tools' files, which may be anything, as names of a network."""

import re
import unicodedata
from collections.abc import Iterable

from emulator.network.checks import NAME

MOST = 200
"""Characters of a name."""


def cleaned(names: Iterable[str], fallback: str) -> dict[str, str]:
    """Return a name of a network for each name: itself where it can be, and otherwise what is left of it.

    Parameters
    ----------
    names : iterable of str
        Any texts.
    fallback : str
        The name of what nothing is left of.

    Returns
    -------
    dict of str to str
        All different; the same names, in any order, get the same ones.
    """
    given = sorted(set(names))
    taken = {name for name in given if NAME.fullmatch(name)}
    found = {name: name for name in taken}
    for name in given:
        if name not in found:
            found[name] = _free(_plain(name) or fallback, taken)
            taken.add(found[name])
    return found


def _plain(name: str) -> str:
    """Return the letters, digits and marks that a network's names have; accents are left off."""
    letters = (c for c in unicodedata.normalize("NFKD", name) if unicodedata.category(c) != "Mn")
    text = re.sub(r"[^A-Za-z0-9_.\-]+", "_", "".join(letters)[: 2 * MOST])
    return text.strip("_").lstrip(".-_")[:MOST]


def _free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken: itself, or with a number."""
    k, free = 1, name
    while free in taken:
        k += 1
        free = f"{name[: MOST - len(f'_{k}')]}_{k}"
    return free
