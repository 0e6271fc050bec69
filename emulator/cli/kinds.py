"""What a file is: told from its first and last bytes, so that a command given the wrong one can name the right command.

Nothing of a file is executed, and of a large one little is read.
"""

import json
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emulator.errors import EmulatorError, RunError

MOST_BYTES = 1 << 16
"""Of the beginning, and of the end, of a file that are looked at."""

KINDS = {
    "chip": ("a chip file", "emulator check reads it, and others take it as --chip"),
    "python": (
        "a Python file",
        "if it has a function network(), emulator compile and emulator run read it",
    ),
    "nir": ("a .nir file", "emulator compile and emulator run read it"),
    "hdf5": (
        "an HDF5 file",
        "if it is a network in NIR, give it a name that ends in .nir for emulator compile",
    ),
    "program": (
        "a compiled program",
        "emulator run, disasm, step, learn show and build-management read it",
    ),
    "run": ("a run folder", "emulator report, retime and learn save read it"),
    "unfinished": (
        "the folder of an unfinished run",
        "emulator run --resume goes on with it, emulator report shows what is there",
    ),
    "inputs": ("a file of inputs", "emulator run and emulator step take it as --input"),
    "trace": ("a trace of packets", "emulator noc replay reads it"),
    "arrivals": ("what emulator noc replay wrote", "numpy.load reads it"),
    "sweep": ("what emulator noc sweep wrote", "other programs read it"),
    "mapping": ("a mapping", "emulator compile and emulator run take it as --mapping"),
    "nasm": ("a neuron program", "emulator asm reads it, and networks name it as their model"),
    "c": ("a C file", "emulator build-management reads it"),
    "elf": (
        "an ELF file, x86 code",
        "emulator run takes that of a management core as --management core=K,phase=PHASE,elf=FILE",
    ),
    "checkpoint": (
        "the checkpoint of an unfinished run",
        "give its folder to emulator run --resume or emulator report",
    ),
    "table": (
        "a table of a run folder (Parquet)",
        "give its folder to emulator report; pandas.read_parquet reads the table",
    ),
    "manifest": ("the manifest of a run folder", "give its folder to emulator report"),
    "printed": ("what an emulator command printed with --json", "other programs read it"),
    "npz": ("a file of other arrays", ""),
    "folder": ("a folder without a run", ""),
    "gzip": ("a compressed file", "unpack it first"),
}
"""What each kind is, and who reads it."""

MARKS = {
    b"\x7fELF": "elf",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"PAR1": "table",
    b"PK\x03\x04": "npz",
    b"\x1f\x8b": "gzip",
}
SUFFIXES = {".py": "python", ".nasm": "nasm", ".c": "c", ".h": "c"}
SAFETENSORS = re.compile(rb'"format"\s*:\s*"emulator-(program|checkpoint)"')
NPZ_NAME = re.compile(rb"([\w ./-]{1,200}?)\.npy")
TEXTS = (
    ("chip", re.compile(r"^ ?\"?(?:mesh|core|costs|arithmetic|clock)\"?\s*:", re.MULTILINE), 2),
    ("nasm", re.compile(r"^[ \t]*\.(?:state|param|payload)\s", re.MULTILINE), 1),
    ("trace", re.compile(r"\A(?=.*\bcycle\b)(?=.*\bsrc\b)(?=.*\bdst\b).*,"), 1),
    ("sweep", re.compile(r"\Aload,offered,accepted,"), 1),
    (
        "mapping",
        re.compile(
            r"^[ \t]*\S{1,200}\[\d{1,10}:\d{1,10}\][ \t]+\d{1,10}[ \t]*(?:#.*)?$", re.MULTILINE
        ),
        1,
    ),
    ("nasm", re.compile(r"^[ \t]*(?:RDC|RMW|MUL_SHR|SKP_C|JMP_C|SPIKE)\b", re.MULTILINE), 1),
)
"""Signs of the kinds of text, and how many there must be."""
TRACE_NAMES = {"cycle", "src", "dst", "size"}


@contextmanager
def reading(path: str | Path, *wanted: str) -> Iterator[None]:
    """Where the block cannot read a file because it is of another kind, say which, and who reads that.

    Parameters
    ----------
    path : str or Path
        The file.
    *wanted : str
        The kinds, of `KINDS`, that the block reads, or has words of its own for.
    """
    try:
        yield
    except EmulatorError:
        expect(path, *wanted)
        raise


def expect(path: str | Path, *wanted: str) -> None:
    """Refuse a file that is known to be of another kind.

    Raises
    ------
    RunError
        Saying what it is, and who reads it.
    """
    found = kind_of(path)
    if found is not None and found not in wanted:
        what, who = KINDS[found]
        needed = " or ".join(KINDS[kind][0] for kind in wanted if kind != "folder")
        raise RunError(
            f"{path}: this is {what}, where {needed} is needed" + (f"; {who}" if who else "")
        )


def kind_of(path: str | Path) -> str | None:
    """Return which of `KINDS` a file or folder is, None where that cannot be told."""
    path = Path(path)
    with suppress(OSError, ValueError):  # ValueError: no name at all
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder_kind(path)
        if stat.S_ISREG(mode):
            head, tail = _ends(path)
            return _marked(path, head, tail) or SUFFIXES.get(path.suffix.lower()) or _text(head)
    return None


def _folder_kind(folder: Path) -> str:
    with suppress(OSError):
        head, _ = _ends(folder / "manifest.json")
        if b'"emulator-run"' in head:
            return "unfinished" if b'"unfinished"' in head else "run"
    return "folder"


def _ends(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(MOST_BYTES)
        file.seek(max(0, path.stat().st_size - MOST_BYTES))
        return head, file.read(MOST_BYTES)


def _marked(path: Path, head: bytes, tail: bytes) -> str | None:
    """Return the kind of a file whose first bytes tell it."""
    kind = next((kind for mark, kind in MARKS.items() if head.startswith(mark)), None)
    if kind == "npz":
        return _npz_kind(
            {name.decode().rpartition("/")[2] for name in NPZ_NAME.findall(head + tail)}
        )
    if kind == "hdf5" and path.suffix.lower() == ".nir":
        return "nir"
    if kind is None and head[8:9] == b"{" and (match := SAFETENSORS.search(head)):
        return match[1].decode()
    return kind


def _npz_kind(names: set[str]) -> str:
    if {"inject_cycle", "arrive_cycle"} & names:
        return "arrivals"
    if len(TRACE_NAMES & names) > 1:
        return "trace"
    if {"load", "accepted"} <= names:
        return "sweep"
    ends = ("_step", "_neuron")
    return "inputs" if {"r0", "r1"} & names or any(n.endswith(ends) for n in names) else "npz"


def _text(head: bytes) -> str | None:
    """Return the kind of a text."""
    try:
        text = head.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # no text, rather than a character that was cut
            return None
        text = head[: error.start].decode()
    if text.lstrip().startswith("{") and '"format"' in text:
        if '"emulator-run"' in text:
            return "manifest"
        with suppress(ValueError):
            if str(json.loads(text).get("format")).startswith("emulator-"):
                return "printed"
    for kind, sign, n in TEXTS:
        if len(set(sign.findall(text))) >= n:
            return kind
    return None
