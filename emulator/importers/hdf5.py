"""Read an HDF5 file from a stranger into plain dictionaries.

An HDF5 file can point to other files, declare terabytes in a few kilobytes, or contain itself.
Everything is looked at before anything is read: hard links only, each object once, data inside the
file, known filters, all declared bytes stored and their sum under a limit. Texts lie in heaps that
the HDF5 library reads for ever, or beyond their end, if they are damaged: they are checked first.
"""

import re
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from emulator.errors import NetworkError
from emulator.files import hindrance, regular_file, shown_name

Tree = dict[str, Any]
"""Groups as dictionaries; data sets as arrays, texts as `str` or arrays of `str`."""

MAX_DEPTH = 16
MAX_OBJECTS = 100_000
MAX_TEXTS = 100_000
FILTERS = {
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
}
LINKS = {h5py.SoftLink: "a soft link", h5py.ExternalLink: "a link to another file"}


def read_tree(path: Path, limit_bytes: int) -> Tree:
    """Read a whole HDF5 file, after checking that it is safe to read.

    Parameters
    ----------
    path : Path
        The file.
    limit_bytes : int
        Most bytes that its data sets may declare together.

    Returns
    -------
    Tree
        Nested dictionaries, by name, of arrays and texts.

    Raises
    ------
    NetworkError
        With every unsafe object, one per line, or why the file cannot be read.
    """
    path = regular_file(path, NetworkError)
    try:
        with (
            h5py.File(path, "r", locking=False) as file,
            path.open("rb") as raw,
            mmap(raw.fileno(), 0, access=ACCESS_READ) as content,
        ):
            _check_heaps(content)
            return _load(_checked(file, path, limit_bytes), content, [limit_bytes])
    except NetworkError:
        raise
    except PermissionError as error:
        raise NetworkError(hindrance(path, error)) from None
    except Exception as error:
        # A damaged file fails anywhere in the HDF5 library, as almost any kind of exception.
        raise NetworkError(
            f"{path}: not a readable HDF5 file: {' '.join(str(error).split())}"
        ) from error


def readable(text: str | bytes) -> str:
    """Return a text, whatever its bytes: those that are not UTF-8 stand as surrogates, equal where they are."""
    return text.decode(errors="surrogateescape") if isinstance(text, bytes) else str(text)


def _check_heaps(content: mmap) -> None:
    """Walk every heap of texts to its end, as the HDF5 library does without looking where it goes."""
    for found in re.finditer(rb"GCOL\x01\0\0\0", content):
        at = found.end() + 8
        end = found.start() + int.from_bytes(content[found.end() : at], "little")
        if not at <= end <= len(content):
            raise ValueError(f"the heap of texts at byte {found.start()} has no valid size")
        while end - at >= 16:
            index = int.from_bytes(content[at : at + 2], "little")
            size = int.from_bytes(content[at + 8 : at + 16], "little")
            # Number 0 is what is left free, its header included; others are padded to 8 bytes.
            at += 16 + -(-size // 8) * 8 if index else size
            if at > end or (index == 0 and at != end):
                raise ValueError(f"the heap of texts at byte {found.start()} is damaged")


def _checked(file: Any, path: Path, limit_bytes: int) -> Tree:
    """Return the file's data sets, unread but known to be safe."""
    walk = _Walk(limit_bytes)
    tree = walk.group(file, "", 0)
    if walk.declared_bytes > limit_bytes:
        walk.problems.append(
            f"its data sets declare {walk.declared_bytes} bytes; at most {limit_bytes} are allowed"
        )
    if walk.problems:
        raise NetworkError("\n".join(f"{path}: {problem}" for problem in walk.problems))
    return tree


class _Walk:
    """Looks at every object of a file without reading data, and collects what is wrong with it."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.declared_bytes = 0
        self.problems: list[str] = []
        self.seen: set[int] = set()

    def group(self, group: Any, where: str, depth: int) -> Tree:
        """Return the group's data sets, unread, by name."""
        tree: Tree = {}
        for name in group:
            here = f"{where}/{shown_name(readable(name))}"
            if isinstance(name, bytes):
                self.problems.append(f"{here} has a name that is not UTF-8 text")
                continue
            link = type(group.get(name, getlink=True))
            if link is not h5py.HardLink:
                self.problems.append(
                    f"{here} is {LINKS.get(link, 'a link of an unknown kind')}; "
                    "only data in the file itself is read"
                )
                continue
            thing = group[name]
            address = h5py.h5o.get_info(thing.id).addr
            if address in self.seen or thing == thing.file:
                self.problems.append(
                    f"{here} is a second link to an object of this file; each must occur once"
                )
                continue
            self.seen.add(address)
            if len(self.seen) > MAX_OBJECTS:
                raise ValueError(f"it holds more than {MAX_OBJECTS} objects")
            if isinstance(thing, h5py.Group):
                if depth == MAX_DEPTH:
                    self.problems.append(f"{here} lies deeper than {MAX_DEPTH} groups")
                else:
                    tree[name] = self.group(thing, here, depth + 1)
            elif isinstance(thing, h5py.Dataset):
                self.problems += (f"{here} {problem}" for problem in self.dataset(thing))
                tree[name] = thing
            else:
                self.problems.append(f"{here} is neither a group nor a data set")
        return tree

    def dataset(self, data: Any) -> Iterator[str]:
        """Yield why a data set must not be read."""
        if data.is_virtual or data.external:
            yield "has its data in another file; only data in the file itself is read"
            return
        is_text = h5py.check_string_dtype(data.dtype) is not None
        if data.shape is None:
            yield "is empty"
        elif not is_text and (data.dtype.kind not in "fiub" or data.dtype.itemsize > 8):
            yield f"holds {data.dtype}; allowed are texts and numbers of at most 8 bytes"
        elif is_text and data.size > MAX_TEXTS:
            yield f"holds {data.size} texts; at most {MAX_TEXTS} are allowed"
        else:
            self.declared_bytes += data.nbytes
            yield from _stored(data, self.limit_bytes)


def _stored(data: Any, limit_bytes: int) -> Iterator[str]:
    """Yield where a data set declares more than it stores, or is costly to read."""
    plist = data.id.get_create_plist()
    codes = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    if unknown := [code for code in codes if code not in FILTERS]:
        yield f"uses the HDF5 filters {unknown}; allowed are {', '.join(FILTERS.values())}"
    if data.nbytes == 0:
        return
    if data.chunks is None:
        if data.id.get_storage_size() < data.nbytes:
            yield f"declares {data.nbytes} bytes but stores {data.id.get_storage_size()}"
        return
    expected = 1
    for extent, chunk in zip(data.shape, data.chunks, strict=True):
        expected *= -(-extent // chunk)
    if data.id.get_num_chunks() < expected:
        yield f"declares {expected} chunks but stores {data.id.get_num_chunks()}"
    if (chunk_bytes := int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize) > limit_bytes:
        yield f"has chunks of {chunk_bytes} bytes; at most {limit_bytes} are allowed"


def _load(tree: Tree, content: mmap, room_bytes: list[int]) -> Tree:
    """Read the data sets of a checked tree; `room_bytes` holds what texts may still take."""
    return {
        name: _load(thing, content, room_bytes)
        if isinstance(thing, dict)
        else _value(thing, content, room_bytes)
        for name, thing in tree.items()
    }


def _value(data: Any, content: mmap, room_bytes: list[int]) -> Any:
    if h5py.check_string_dtype(data.dtype) is None:
        return data[()]
    _check_lengths(data, content)
    # One by one: elements may share one long text, so the file's size does not bound their sum.
    texts = np.empty(data.shape, object)
    for index in np.ndindex(data.shape):
        text = data[index]
        room_bytes[0] -= len(text)
        if room_bytes[0] < 0:
            raise ValueError(f"the texts of {data.name} take more memory than is allowed")
        texts[index] = readable(text)
    return texts if data.shape else str(texts[()])


def _check_lengths(data: Any, content: mmap) -> None:
    """Refuse texts longer than the file; the library would take that memory before it looks."""
    start = data.id.get_offset()
    if h5py.check_string_dtype(data.dtype).length is not None or start is None or not data.size:
        return
    n_bytes = data.id.get_storage_size() // data.size
    for at in range(start, start + data.size * n_bytes, n_bytes):
        length = int.from_bytes(content[at : at + 4], "little")
        if length > len(content):
            raise ValueError(f"a text of {data.name} declares {length} bytes, more than the file")
