"""Files and folders that appear whole or not at all: a crash leaves the old state or the new."""

import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

AT_FDCWD = -100
RENAME_EXCHANGE = 2  # linux/fs.h


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces `path` when the block ends without an error.

    The bytes go to a temporary file in the same folder, reach the disk, and are then renamed.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "it is not a regular file", str(path))
    temporary = _beside(path)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def atomic_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a new folder to fill, which becomes `path` when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        The folder to make. Its parent must exist.
    replace : bool
        Whether `path` may be a folder already; it is then replaced at one instant and removed. An empty one always may.

    Raises
    ------
    FileExistsError
        When there is something at `path` and `replace` is false.
    """
    path = Path(path).resolve()
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _sync(file)
        _sync_folder(temporary)
        _put(temporary, path, replace=replace)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(temporary, ignore_errors=True)  # what `path` was before, if anything
    _sync_folder(path.parent)


def is_empty_folder(path: Path) -> bool:
    """Return whether there is a folder that another one can take the place of: an empty one, and no place of others."""
    try:
        if not path.is_dir() or any(path.iterdir()):
            return False
        return not (path.is_mount() or path.samefile(Path.cwd()))
    except OSError:  # it may hold something
        return False


def _beside(path: Path) -> Path:
    """Return an unused name in the same folder; made by open or mkdir, it respects the umask."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def _put(temporary: Path, path: Path, *, replace: bool) -> None:
    if not os.path.lexists(path) or is_empty_folder(path):
        temporary.rename(path)  # fails when a folder that holds something appeared meanwhile
    elif replace:
        _exchange(temporary, path)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _exchange(first: Path, second: Path) -> None:
    """Swap two folders in one system call where there is one, else by renaming."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = os.fsencode(first), os.fsencode(second)
    if renameat2 and renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
        return
    aside = second.with_name(f".{second.name}.previous")
    second.rename(aside)
    try:
        first.rename(second)
    except BaseException:
        aside.rename(second)
        raise
    aside.rename(first)


def _sync(file: Path) -> None:
    if file.is_dir():
        _sync_folder(file)
        return
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with suppress(OSError):  # some file systems cannot sync a folder
            os.fsync(handle)
    finally:
        os.close(handle)
