"""Mapping: which neurons sit on which core, as a small text file that any tool can write.

One line for each segment, `population[start:stop] core`; `#` begins a comment:

    hidden[0:64]    0
    hidden[64:128]  4
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from emulator.atomic import atomic_file
from emulator.errors import NetworkError
from emulator.files import read_text

Segment = tuple[str, int, int, int]
LINE = re.compile(r"(\S+)\[(\d{1,10}):(\d{1,10})\]\s+(\d{1,10})")


@dataclass(frozen=True)
class Mapping:
    """Segments (population, start, stop, core); the compiler holds them to the network and the chip's capacities.

    Neurons of a core are numbered in the order of the segments.
    """

    segments: list[Segment] = field(default_factory=list)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a mapping file.

        Raises
        ------
        NetworkError
            With every line that is not `population[start:stop] core`.
        """
        text = read_text(path, NetworkError)
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
        """Write the mapping as a text file, atomically."""
        lines = [f"{name}[{start}:{stop}] {core}\n" for name, start, stop, core in self.segments]
        with atomic_file(Path(path)) as file:
            file.write("".join(lines).encode())
