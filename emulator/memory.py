"""How much memory this process may still take: of the machine, of its container, of its own limit."""

import os
from collections.abc import Iterator
from pathlib import Path

from emulator.errors import EmulatorError

SHARE = 0.85
"""Part of what is available that may be asked for: other processes go on taking some."""
UNLIMITED = 1 << 60
"""Limits from here on are none: so one kind of container writes it."""
UNKNOWN_SHARE = 0.5
"""Part of all memory that is taken to be free where nothing says how much is."""


def available_bytes(root: Path = Path("/")) -> int | None:
    """Return how many bytes can be taken before something is swapped out or killed; None where nothing says it.

    Parameters
    ----------
    root : Path
        Where `proc` and `sys` are.
    """
    found = [*_of_machine(root), *_of_containers(root), *_of_process(root)]
    return max(0, min(found)) if found else None


def room(root: Path = Path("/")) -> int | None:
    """Return how many bytes may be asked for: `SHARE` of those available."""
    available = available_bytes(root)
    return None if available is None else int(SHARE * available)


def require_room(what: str, n_bytes: int, instead: str, error: type[EmulatorError]) -> None:
    """Raise `error` unless so many bytes may be taken.

    Parameters
    ----------
    what : str
        Who takes them: the beginning of the message.
    n_bytes : int
    instead : str
        What to do: its end.
    error : type
        Of the project's errors.
    """
    allowed = room()
    if allowed is not None and n_bytes > allowed:
        raise error(
            f"{what} takes {size_text(n_bytes)} of memory; {size_text(allowed)} may be taken now: {instead}"
        )


def size_text(n_bytes: float) -> str:
    """Return a number of bytes for people."""
    unit, name = (1e9, "GB") if n_bytes >= 1e9 else (1e6, "MB")
    return f"{n_bytes / unit:,.1f} {name}"


def _of_machine(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024
            return
    try:  # not Linux
        yield int(UNKNOWN_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return


def _of_containers(root: Path) -> Iterator[int]:
    """Yield what each control group that this process is in leaves, of both versions."""
    top = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        inner = path.strip("/")
        if not controllers:  # version 2
            names = ("memory.max", "memory.current", "inactive_file")
            yield from _of_groups(top, inner, names)
            yield from _of_groups(top / "unified", inner, names)
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _of_groups(top / "memory", inner, names)


def _of_groups(top: Path, inner: str, names: tuple[str, str, str]) -> Iterator[int]:
    """Yield what a group and those around it leave; in a container its path may not be there, but its top is."""
    limit_name, used_name, cache_name = names
    group = top / inner
    for folder in dict.fromkeys([group, *group.parents, top]):
        if not folder.is_relative_to(top):
            continue
        limit, used = _number(folder / limit_name), _number(folder / used_name)
        if limit is None or used is None or limit >= UNLIMITED:
            continue
        # Files that nobody uses are given back when memory is short.
        cached = (line.split() for line in _lines(folder / "memory.stat"))
        given_back = sum(int(words[1]) for words in cached if words[:1] == [cache_name])
        yield limit - used + given_back


def _of_process(root: Path) -> Iterator[int]:
    """Yield what the limit of this process's addresses leaves (`ulimit -v`)."""
    try:
        import resource  # noqa: PLC0415  # not on every system
    except ImportError:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    sizes = [line.split() for line in _lines(root / "proc/self/statm")]
    if limit != resource.RLIM_INFINITY and sizes:
        yield limit - int(sizes[0][0]) * resource.getpagesize()


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, ValueError):
        return []
