"""Mapping: which neurons sit on which core, as a small text file that any tool can write.

One line for each segment, `population[start:stop] core`; `#` begins a comment:

    hidden[0:64]    0
    hidden[64:128]  4
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

from emulator.arguments import is_whole, path_of, shown
from emulator.atomic import atomic_file
from emulator.errors import NetworkError
from emulator.files import read_text

Segment = tuple[str, int, int, int]
LARGEST = 2**62
"""No number of a segment is larger; what a chip and a network allow is the compiler's to say."""
LINE = re.compile(r"(\S+)\[(\d{1,10}):(\d{1,10})\]\s+(\d{1,10})")


class Mapping:
    """Segments (population, start, stop, core); the compiler holds them to the network and the chip's capacities.

    Neurons of a core are numbered in the order of the segments.

    Parameters
    ----------
    segments : sequence or iterator of (str, int, int, int)
        Tuples or lists; they are copied. Numbers are whole, of Python or NumPy: True and 10.0 are none.

    Raises
    ------
    NetworkError
        With every segment that is none.
    """

    def __init__(self, segments: Iterable[Sequence[Any]] = ()) -> None:
        if not isinstance(segments, list | tuple | Iterator):
            raise NetworkError(
                f"mapping: segments are {shown(segments)}; they must be a list of (population, start, stop, core)"
                + (
                    ", and Mapping.load reads a file"
                    if isinstance(segments, str | PathLike)
                    else ""
                )
            )
        self._segments: list[Segment] = _checked(list(segments))

    @property
    def segments(self) -> list[Segment]:
        """The segments, checked; a list to which more may be appended."""
        self._segments[:] = _checked(self._segments)
        return self._segments

    def __eq__(self, other: object) -> bool:
        return self.segments == other.segments if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # holds a list

    def __repr__(self) -> str:
        return f"Mapping(segments={self._segments!r})"

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a mapping file.

        Raises
        ------
        NetworkError
            With every line that is not `population[start:stop] core`.
        """
        text = read_text(path_of("mapping: path", path, NetworkError), NetworkError)
        segments: list[Segment] = []
        mistakes = []
        for number, line in enumerate(text.split("\n"), 1):
            content = line.partition("#")[0].strip()
            if not content:
                continue
            match = LINE.fullmatch(content)
            if match is None:
                mistakes.append(
                    f"{path}:{number}: '{content:.80}' is not 'population[start:stop] core'"
                )
            else:
                name, start, stop, core = match.groups()
                segments.append((name, int(start), int(stop), int(core)))
        if mistakes:
            raise NetworkError("\n".join(mistakes))
        return cls(segments)

    def save(self, path: str | Path) -> None:
        """Write the mapping as a text file, atomically.

        Raises
        ------
        NetworkError
            When it cannot be written.
        """
        path = path_of("mapping: path", path, NetworkError)
        lines = [f"{name}[{start}:{stop}] {core}\n" for name, start, stop, core in self.segments]
        try:
            with atomic_file(path) as file:
                file.write("".join(lines).encode())
        except OSError as error:
            raise NetworkError(
                f"{path}: the mapping cannot be written: {error.strerror or error}"
            ) from None


def _checked(segments: Sequence[Any]) -> list[Segment]:
    """Return segments as tuples of Python's own numbers."""
    mistakes, found = [], list[Segment]()
    for k, segment in enumerate(segments):
        if not isinstance(segment, tuple | list) or len(segment) != 4:
            mistakes.append(f"segment {k} is {shown(segment)}")
            continue
        name, *numbers = segment
        wrong = [
            f"{what} is {shown(number)}"
            for what, number in zip(("start", "stop", "core"), numbers, strict=True)
            if not is_whole(number) or abs(int(number)) > LARGEST
        ]
        if not isinstance(name, str):
            wrong.insert(0, f"population is {shown(name)}")
        mistakes += [f"segment {k}: {what}" for what in wrong]
        if not wrong:
            start, stop, core = map(int, numbers)
            found.append((str(name), start, stop, core))
    if mistakes:
        wanted = "it must be (population, start, stop, core): a name and three whole numbers"
        raise NetworkError("\n".join(f"mapping: {mistake}; {wanted}" for mistake in mistakes))
    return found
