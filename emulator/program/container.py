"""The program's file: a valid safetensors file with a manifest and a checksum for everything.

Layout (https://huggingface.co/docs/safetensors): 8 bytes little-endian header length, a JSON header with
dtype, shape and offsets of each tensor, then the tensors. Our `__metadata__` adds the format and its version,
the manifest, and a SHA-256 over the manifest and over the digest of every tensor. Nothing in it is code.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import frozen
from emulator.atomic import atomic_file
from emulator.errors import EmulatorError, ProgramError
from emulator.files import regular_file
from emulator.program.manifest import FORMAT, VERSION

SAFETENSORS_NAME = {
    "<u1": "U8",
    "<i2": "I16",
    "<u2": "U16",
    "<u4": "U32",
    "<i4": "I32",
    "<i8": "I64",
    "<u8": "U64",
}
DTYPE = {name: dtype for dtype, name in SAFETENSORS_NAME.items()}
ALIGNMENT = 64  # bytes; so that the first tensor starts on a cache line
MAX_HEADER_BYTES = 100_000_000  # as the format's own reader allows


@dataclass(frozen=True)
class Kind:
    """What a file holds, and what to say when it does not; versions from the oldest on are read."""

    format: str
    version: int
    noun: str
    remedy: str
    error: type[EmulatorError]
    oldest: int = 1

    def damaged(self, path: Path, reason: str) -> NoReturn:
        """Raise the error of a damaged file."""
        raise self.error(f"{path}: this {self.noun} file is damaged: {reason}; {self.remedy}")


class Contents(NamedTuple):
    """What a file holds, in the version in which it was written."""

    manifest: dict[str, Any]
    tensors: dict[str, NDArray[Any]]
    sha256: str
    version: int


class _Metadata(NamedTuple):
    manifest: dict[str, Any]
    digests: dict[str, str]
    sha256: str
    version: int


PROGRAM = Kind(FORMAT, VERSION, "program", "compile the network again", ProgramError)


def as_tensor(name: str, array: object, dtype: str, n_columns: int) -> NDArray[Any]:
    """Return one table as a contiguous little-endian array of the type a program stores, which nobody can write."""
    if not isinstance(array, np.ndarray):
        raise ProgramError(f"program: table '{name}' is missing")
    if array.dtype.names:
        array = array.view("<u4").reshape(len(array), n_columns)
    wanted = np.dtype(dtype)
    shape_ok = array.ndim == 1 + bool(n_columns) and (not n_columns or array.shape[1] == n_columns)
    if array.dtype != wanted or not shape_ok:
        columns = f", {n_columns}" if n_columns else ""
        raise ProgramError(
            f"program: table '{name}' is {array.dtype} of shape {array.shape}; "
            f"it must be {wanted} of shape (n{columns})"
        )
    kept = np.ascontiguousarray(array)
    return frozen(kept.copy() if _is_writable(kept) else kept.view())


def _is_writable(array: NDArray[Any]) -> bool:
    """Return whether somebody can change an array: it, or one whose memory it shares."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return True
        owner = owner.base
    return False


def _tensor_digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data if array.size else b"").hexdigest()


def _metadata(kind: Kind, manifest: dict[str, Any], digests: dict[str, str]) -> dict[str, str]:
    body = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    sums = json.dumps(digests, sort_keys=True, separators=(",", ":"))
    return {
        "format": kind.format,
        "version": str(kind.version),
        "manifest": body,
        "sha256": sums,
        "program_sha256": hashlib.sha256((body + sums).encode()).hexdigest(),
    }


def digest(manifest: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> str:
    """Return the SHA-256 that identifies a program."""
    digests = {name: _tensor_digest(array) for name, array in tensors.items()}
    return _metadata(PROGRAM, manifest, digests)["program_sha256"]


def write(
    path: Path, kind: Kind, manifest: dict[str, Any], tensors: dict[str, NDArray[Any]]
) -> None:
    """Write a file atomically: a crash leaves the old file or the new one."""
    # Widest types first keeps every tensor aligned to its own type without gaps, which the format forbids.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].itemsize)
    header: dict[str, Any] = {
        "__metadata__": _metadata(
            kind, manifest, {name: _tensor_digest(array) for name, array in ordered}
        )
    }
    offset = 0
    for name, array in ordered:
        header[name] = {
            "dtype": SAFETENSORS_NAME[array.dtype.newbyteorder("<").str.replace("|", "<")],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    with atomic_file(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for _, array in ordered:
            file.write(np.ascontiguousarray(array).data if array.size else b"")


def identity(path: Path, kind: Kind) -> str:
    """Return the SHA-256 that a file says it has, without reading its tensors.

    Raises
    ------
    EmulatorError
        Of the kind's class, saying what is wrong with the file.
    """
    return _opened(path, kind)[2].sha256


def _opened(path: Path, kind: Kind) -> tuple[dict[str, Any], tuple[int, int], _Metadata]:
    """Return a file's entries, where its tensors begin and its size, and its metadata."""
    regular_file(path, kind.error)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header, start = _read_header(path, kind, file.read(8), size, file.read)
    except OSError as error:
        raise kind.error(f"{path}: cannot be read: {error.strerror}") from None
    return header, (start, size), _read_metadata(path, kind, header.pop("__metadata__", None))


def read(path: Path, kind: Kind) -> Contents:
    """Memory-map a file and return its manifest, tensors, identity and version, every checksum verified.

    Raises
    ------
    EmulatorError
        Of the kind's class, saying what is wrong with the file.
    """
    header, (start, size), metadata = _opened(path, kind)
    digests = metadata.digests
    if set(header) != set(digests):
        kind.damaged(
            path, f"tables {sorted(set(header) ^ set(digests))} are not in both lists of the header"
        )
    mapped = np.memmap(path, np.uint8, "r") if size else np.empty(0, np.uint8)
    tensors = {}
    for name, begin, end, dtype, shape in _entries(path, kind, header, size - start):
        raw = mapped[start + begin : start + end]
        if hashlib.sha256(raw.data).hexdigest() != digests[name]:
            kind.damaged(path, f"the checksum of table '{name}' is wrong")
        # A copy of a misaligned table costs little and only a foreign writer makes one.
        aligned = raw if (start + begin) % dtype.itemsize == 0 else raw.copy()
        tensors[name] = np.asarray(aligned).view(dtype).reshape(shape)
    return Contents(metadata.manifest, tensors, metadata.sha256, metadata.version)


def _read_header(
    path: Path, kind: Kind, prefix: bytes, size: int, read_bytes: Any
) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or not 2 <= length <= MAX_HEADER_BYTES:
        raise kind.error(
            f"{path}: not a {kind.noun} file: it must begin with the length of a safetensors header"
        )
    if size < 8 + length:
        kind.damaged(path, f"it ends after {size} bytes, within its header of {length}")
    try:
        header = json.loads(read_bytes(length))
    except (ValueError, RecursionError):
        kind.damaged(path, "its header is not JSON")
    if not isinstance(header, dict):
        kind.damaged(path, "its header is not a JSON object")
    return header, 8 + length


def _read_metadata(path: Path, kind: Kind, metadata: object) -> _Metadata:
    if not isinstance(metadata, dict) or metadata.get("format") != kind.format:
        raise kind.error(
            f"{path}: a safetensors file, but not a {kind.noun}: its __metadata__ has no format '{kind.format}'"
        )
    versions = {str(k): k for k in range(kind.oldest, kind.version + 1)}
    version = metadata.get("version")
    if not isinstance(version, str) or version not in versions:
        raise kind.error(
            f"{path}: {kind.noun} format {version!r}; this version reads {kind.oldest} to {kind.version}: "
            f"{kind.remedy}"
        )
    try:
        manifest, digests = json.loads(metadata["manifest"]), json.loads(metadata["sha256"])
        recorded = metadata["program_sha256"]
        expected = hashlib.sha256((metadata["manifest"] + metadata["sha256"]).encode()).hexdigest()
    except (KeyError, TypeError, ValueError, RecursionError):
        kind.damaged(path, "its __metadata__ is incomplete")
    if recorded != expected:
        kind.damaged(path, "the checksum of its manifest is wrong")
    if not isinstance(manifest, dict) or not isinstance(digests, dict):
        kind.damaged(path, "its manifest is not a JSON object")
    return _Metadata(manifest, digests, expected, versions[version])


def _entries(
    path: Path, kind: Kind, header: dict[str, Any], n_bytes: int
) -> Iterator[tuple[str, int, int, np.dtype[Any], tuple[int, ...]]]:
    covered = 0
    for name, entry in header.items():
        try:
            begin, end = entry["data_offsets"]
            dtype, shape = np.dtype(DTYPE[entry["dtype"]]), tuple(entry["shape"])
            sound = all(type(n) is int and n >= 0 for n in (begin, end, *shape))
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            kind.damaged(path, f"the entry of table '{name}' makes no sense")
        if not (end <= n_bytes and end - begin == math.prod(shape) * dtype.itemsize):
            kind.damaged(path, f"table '{name}' needs bytes {begin} to {end} of {n_bytes}")
        covered += end - begin
        yield name, begin, end, dtype, shape
    if covered != n_bytes:
        kind.damaged(path, f"its tables cover {covered} of {n_bytes} bytes")
