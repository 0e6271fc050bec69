"""Files that a user names: opened only if they are files, read within a limit; what hinders is said plainly.

A pipe would be waited for without end, and a device read without end: neither is opened.
"""

import os
import stat
import zipfile
import zlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Collection
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import path_of
from emulator.errors import EmulatorError, printable

Failure = Callable[[str], EmulatorError]

MAX_BYTES = 2**32
"""Most bytes of one file that are taken into memory."""
MAX_TEXT_BYTES = 2**26
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
WRITTEN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0}
DAMAGES = (
    ValueError,
    EOFError,
    MemoryError,
    NotImplementedError,  # a compression that zipfile does not know
    OverflowError,
    RuntimeError,  # an encrypted member
    SyntaxError,  # a header that is no Python literal
    zipfile.BadZipFile,
    zlib.error,
)


def regular_file(path: str | Path, error: Failure) -> Path:
    """Return the path of a file that can be opened at once; `error` makes what is raised otherwise.

    Raises
    ------
    EmulatorError
        For what does not exist, cannot be reached, or is a folder, a pipe, a device or a socket.
    """
    path = path_of("path", path, error)
    try:
        mode = path.stat().st_mode
    except OSError as found:
        raise error(hindrance(path, found)) from None
    if stat.S_ISDIR(mode):
        raise error(f"{path}: cannot be read: Is a directory")
    if not stat.S_ISREG(mode):
        raise error(f"{path}: cannot be read: it is {KINDS.get(stat.S_IFMT(mode), 'no file')}")
    return path


def hindrance(path: Path, found: OSError) -> str:
    """Return what to say of a file that the system does not let us read."""
    return f"{path}: cannot be read: {os.strerror(found.errno) if found.errno else found}"


def read_bytes(path: str | Path, error: Failure, limit_bytes: int = MAX_BYTES) -> bytes:
    """Return what a file holds.

    Raises
    ------
    EmulatorError
        As `regular_file`; or when it holds more than `limit_bytes`.
    """
    path = regular_file(path, error)
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as found:
        raise error(hindrance(path, found)) from None
    except MemoryError:
        raise error(f"{path}: cannot be read: there is not enough memory") from None
    if len(content) > limit_bytes:
        raise error(f"{path}: it holds more than {limit_bytes:,} bytes, the most that are read")
    return content


def read_text(path: str | Path, error: Failure, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    r"""Return a text: UTF-8, whatever marks its beginning and its line ends, which become "\n".

    Raises
    ------
    EmulatorError
        As `read_bytes`; or with the line in which it is not UTF-8.
    """
    content = read_bytes(path, error, limit_bytes).removeprefix(BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as found:
        line = len(content[: found.start].decode().replace("\r\n", "\n").split("\n"))
        byte = content[found.start]
        raise error(
            f"{path}: byte 0x{byte:02x} in line {line} is not UTF-8 text; save the file as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_arrays(
    path: str | Path,
    error: Failure,
    names: Collection[str] | None = None,
    limit_bytes: int = MAX_BYTES,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file, by name.

    Parameters
    ----------
    names : collection of str, optional
        Only these are read, where they are there.
    limit_bytes : int
        Most bytes that they may take together.

    Raises
    ------
    EmulatorError
        As `regular_file`; for what is no .npz file, or a damaged one; for arrays of Python objects, and those that
        hold more or less than they declare.
    """
    path = regular_file(path, error)
    problems: list[str] = []
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise error(f"{path}: not an .npz file, or a truncated one")
            with zipfile.ZipFile(file) as archive:
                entries = _entries(archive, names, limit_bytes)
                arrays = {
                    name: _array(archive, *entry, problems) for name, entry in entries.items()
                }
    except OSError as found:
        raise error(hindrance(path, found)) from None
    except DAMAGES as found:
        reason = " ".join(str(found).split()) or type(found).__name__
        raise error(f"{path}: cannot be read: {reason}") from None
    if problems:
        raise error("\n".join(f"{path}: {problem}" for problem in problems))
    return arrays


def _entries(
    archive: zipfile.ZipFile, names: Collection[str] | None, limit_bytes: int
) -> dict[str, tuple[str, zipfile.ZipInfo]]:
    """Return what stands for each array; a name that stands twice has no one meaning."""
    listed = [
        (entry.filename.removesuffix(".npy"), entry)
        for entry in archive.infolist()
        if not entry.is_dir()
    ]
    listed = [(name, entry) for name, entry in listed if names is None or name in names]
    twice = [name for name, n in Counter(name for name, _ in listed).items() if n > 1]
    if twice:
        raise ValueError(f"'{shown_name(twice[0])}' is in it more than once")
    if (needed := sum(entry.file_size for _, entry in listed)) > limit_bytes:
        raise ValueError(f"its arrays take {needed:,} bytes; at most {limit_bytes:,} are read")
    return {name: (shown_name(name), entry) for name, entry in listed}


def _array(
    archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo, problems: list[str]
) -> NDArray[Any]:
    """Return one array: what it declares must be what it holds, or memory would be taken that nothing fills."""
    if not entry.filename.endswith(".npy") or entry.compress_type not in WRITTEN:
        problems.append(f"'{name}' is no array that numpy wrote")
        return np.empty(0)
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        shape, _, dtype = _HEADERS.get(version, np.lib.format.read_array_header_2_0)(file)
        declared, held = prod(shape) * dtype.itemsize, entry.file_size - file.tell()
    if dtype.hasobject:
        problems.append(f"'{name}' holds Python objects; it must be one row of whole numbers")
    elif declared != held:
        problems.append(f"'{name}' declares {declared:,} bytes and holds {held:,}")
    else:
        with archive.open(entry) as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array
    return np.empty(0)


def shown_name(text: str) -> str:
    """Return a name as a message shows it: what a terminal would act on is escaped, a long one cut."""
    safe = printable(text)
    return safe if len(safe) <= 80 else f"{safe[:77]}..."
