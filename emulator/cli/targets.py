"""Where commands write when no `-o` says so: a new name after the file that was given, never one that is in use."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from emulator.errors import RunError

LONGEST = 200
"""Bytes of a name that are kept; file systems allow 255."""


@contextmanager
def new_folder(source: Path) -> Iterator[Path]:
    """Make an empty folder NAME_run here, or NAME_run_2 and so on; it goes when the block leaves it empty."""
    folder = _new(source, "_run", "", Path.mkdir)
    try:
        yield folder
    finally:
        with suppress(OSError):  # it holds something
            folder.rmdir()


@contextmanager
def new_file(source: Path, ending: str) -> Iterator[Path]:
    """Make an empty file NAME.ending here, or NAME_2.ending and so on; it goes when the block leaves it empty."""
    file = _new(source, "", ending, lambda path: path.touch(exist_ok=False))
    try:
        yield file
    finally:
        with suppress(OSError):
            if not file.stat().st_size:
                file.unlink()


def _new(source: Path, word: str, ending: str, make: Callable[[Path], None]) -> Path:
    """Make something under the first free name; of two processes each gets its own."""
    stem = os.fsdecode(os.fsencode(source.stem)[:LONGEST])
    for number in count(1):
        path = Path(f"{stem}{word}{'' if number == 1 else f'_{number}'}{ending}")
        try:
            make(path)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(
                f"{path}: cannot be written: {error.strerror or error}; -o gives another name"
            ) from None
        return path
    raise AssertionError("numbers do not end")
