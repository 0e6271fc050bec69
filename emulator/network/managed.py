"""What management cores do: programs with their phase and guard, and channels, as plain data."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import iscoroutinefunction, isgeneratorfunction
from pathlib import Path
from typing import Any

from emulator.arguments import is_one_of, is_path, is_whole, shown
from emulator.errors import NetworkError

HOST = -1
"""The host, where a management core is asked for."""
PHASES = ("pre", "post", "pre_learning", "post_learning", "host")
"""Before the neurons of a step; after its spikes are delivered; around the learning of an epoch's end; at its end."""
WORD_TYPES = ("int32", "uint32")
MOST_DEPTH, MOST_WORDS, MOST_CHANNELS, MOST_CORES = 65_536, 512, 1024, 16
MOST_STEPS = 2**32 - 1
MOST_INSTRUCTIONS = 2**40
"""That one call of a program can be said to take."""


@dataclass(frozen=True)
class ManagedProgram:
    """A program of a management core.

    Attributes
    ----------
    core : int
        Management core, or `HOST`.
    phase : str
        One of `PHASES`.
    run : callable or Path
        A Python function of the core, or an ELF file of x86 code.
    every : int
        It runs in one of so many steps.
    first : int
        The first of them.
    when : str, callable or None
        Runs only if a message waits in this channel, or if this function of the core returns true.
    instructions : int
        What one call of a Python function counts as, beside what it says itself.
    """

    core: int
    phase: str
    run: Callable[[Any], object] | Path
    every: int
    first: int
    when: str | Callable[[Any], object] | None
    instructions: int

    @property
    def name(self) -> str:
        """The program's name, for people."""
        return (
            self.run.name
            if isinstance(self.run, Path)
            else getattr(self.run, "__name__", "a function")
        )

    def described(self) -> dict[str, Any]:
        """Return it as plain data, without the program itself."""
        return {
            "core": self.core,
            "phase": self.phase,
            "every": self.every,
            "first": self.first,
            "name": self.name,
        }


@dataclass(frozen=True)
class ChannelPlan:
    """A channel: messages of some words from one end to the other, of which so many can wait."""

    name: str
    source: int
    target: int
    depth: int
    words: int
    dtype: str


def managed(
    core: object, phase: Any, run: Any, every: Any, first: Any, when: Any, instructions: Any
) -> ManagedProgram:
    """Return a checked program of a management core.

    Raises
    ------
    NetworkError
        With every mistake.
    """
    mistakes: list[str] = []
    number = _end("core", core, mistakes)
    if not is_one_of(phase, PHASES):
        mistakes.append(f"phase is {shown(phase)}; allowed: {', '.join(PHASES)}")
    if not (callable(run) or is_path(run)):
        mistakes.append(
            f"run is {shown(run)}; it must be a function of a core, or the path of an ELF file"
        )
    elif isgeneratorfunction(run) or iscoroutinefunction(run):
        mistakes.append(
            "run is a generator or async function; it must be a plain one, which may wait in the middle"
        )
    if number == HOST and isinstance(run, str | Path):
        mistakes.append("run is a file; the host runs Python functions only")
    _whole("every", every, 1, MOST_STEPS, mistakes)
    if first is not None:
        _whole("first", first, 0, MOST_STEPS, mistakes)
    if not (when is None or isinstance(when, str) or callable(when)):
        mistakes.append(
            f"when is {shown(when)}; it must be the name of a channel, or a function of a core"
        )
    _whole("instructions", instructions, 0, MOST_INSTRUCTIONS, mistakes)
    if mistakes:
        raise NetworkError("\n".join(f"management program: {mistake}" for mistake in mistakes))
    if first is None:
        first = 0 if phase == "pre" else int(every) - 1
    program = run if callable(run) else Path(run)
    return ManagedProgram(number, phase, program, int(every), int(first), when, int(instructions))


def channel(
    name: str,
    source: int | str,
    target: int | str,
    depth: int,
    words: int,
    dtype: str,
    others: Mapping[str, ChannelPlan],
) -> ChannelPlan:
    """Return a checked channel.

    Raises
    ------
    NetworkError
        With every mistake.
    """
    mistakes: list[str] = []
    ends = _end("source", source, mistakes), _end("target", target, mistakes)
    if not mistakes and ends[0] == ends[1]:
        mistakes.append("source and target are the same")
    if name in others:
        mistakes.append("the network has one of this name already")
    if len(others) == MOST_CHANNELS:
        mistakes.append(f"there are {MOST_CHANNELS} channels already")
    _whole("depth", depth, 1, MOST_DEPTH, mistakes)
    _whole("words", words, 1, MOST_WORDS, mistakes)
    if not is_one_of(dtype, WORD_TYPES):
        mistakes.append(f"dtype is {shown(dtype)}; allowed: {', '.join(WORD_TYPES)}")
    if mistakes:
        raise NetworkError("\n".join(f"channel '{name}': {mistake}" for mistake in mistakes))
    return ChannelPlan(name, *ends, int(depth), int(words), dtype)


def core_number(core: int | str | None, what: str) -> int | None:
    """Return the management core that sends an input's spikes, or None: the host, or what `run` is given.

    Raises
    ------
    NetworkError
        When there can be no such core.
    """
    if core is None:
        return None
    mistakes: list[str] = []
    number = _end("core", core, mistakes)
    if mistakes:
        raise NetworkError(f"{what}: {mistakes[0]}")
    return None if number == HOST else number


def missing_cores(
    chip: str,
    n_cores: int,
    programs: Iterable[ManagedProgram],
    channels: Iterable[ChannelPlan],
    senders: Mapping[str, int] | None = None,
) -> list[str]:
    """Return what names a management core, or a channel, that is not there.

    Parameters
    ----------
    chip : str
        Its name.
    n_cores : int
        Its management cores.
    programs, channels
        What is to run on it.
    senders : mapping of str to int, optional
        Management cores that send the spikes of an input, by its name.
    """
    channels = list(channels)
    ends = [(f"management program '{p.name}'", p.core) for p in programs]
    ends += [(f"channel '{c.name}'", end) for c in channels for end in (c.source, c.target)]
    ends += [(f"input '{name}'", core) for name, core in (senders or {}).items()]
    there = f"management cores 0 to {n_cores - 1}" if n_cores else "no management cores"
    mistakes = [
        f"{what}: core {end}: chip '{chip}' has {there}" for what, end in ends if end >= n_cores
    ]
    names = [c.name for c in channels]
    return mistakes + [
        f"management program '{p.name}': it waits for channel '{p.when}'; there are: {', '.join(names) or 'none'}"
        for p in programs
        if isinstance(p.when, str) and p.when not in names
    ]


def _end(key: str, core: object, mistakes: list[str]) -> int:
    if is_one_of(core, ("host",)):
        return HOST
    if is_whole(core) and 0 <= core < MOST_CORES:
        return int(core)
    mistakes.append(f"{key} is {shown(core)}; allowed: 0 to {MOST_CORES - 1}, and 'host'")
    return HOST


def _whole(key: str, value: object, low: int, high: int, mistakes: list[str]) -> None:
    if not is_whole(value) or not low <= value <= high:
        mistakes.append(f"{key} is {shown(value)}; allowed: {low:,} to {high:,}")
