"""Reading chip files: every mistake of a file at once, each with its line, column and key."""

from codecs import BOM_UTF8
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from os import PathLike
from pathlib import Path

from emulator.chip.check import check
from emulator.chip.keys import NOUNS, root_key
from emulator.chip.override import marked, override
from emulator.chip.parse import parse, place_of
from emulator.chip.schema import Chip
from emulator.chip.tree import Mistake, Place, one_line, shortened
from emulator.chip.upgrade import fill_in
from emulator.errors import ChipError
from emulator.shipped import shipped_files

MAX_BYTES = 256 * 1024


def shipped_chips() -> list[Path]:
    """Return the chip files that come with the emulator, by name.

    Raises
    ------
    ChipError
        When there is none; says where they were looked for.
    """
    return shipped_files("chipconfigs", "*.yaml", ChipError)


def load_chip(
    chip: str | Path,
    set: Mapping[str, object] | None = None,  # noqa: A002 (as --set on the command line)
) -> Chip:
    """Read a chip file.

    Parameters
    ----------
    chip : str or Path
        A path, or the name of a shipped chip such as "loihi".
    set : mapping of str to object, optional
        Values to use instead of those in the file, by dotted key: `{"core.neurons": 512}`. A string
        is read as the command line's `--set` is: a YAML value.

    Returns
    -------
    Chip
        Checked and immutable.

    Raises
    ------
    ChipError
        With a line for each mistake: where, key, what was read and what is allowed.
    """
    if not isinstance(set, Mapping | None):
        raise ChipError(f"set is {set!r:.60}; it must be a mapping such as {{'core.neurons': 512}}")
    path = find_chip(chip)
    root, mistakes = parse(_read(path))
    if root is None and not mistakes:
        mistakes = [Mistake(Place(1, 1), "", f"the file is empty; allowed: {root_key().allowed}")]
    if root is not None and not isinstance(root.value, dict):
        what = f"{root.shown()} is not {NOUNS['section']}; allowed: {root_key().allowed}"
        mistakes.append(Mistake(root.place, "", what))
        root = None
    if root is None:
        raise _error(path, mistakes)
    fill_in(root)
    for order, (key, value) in enumerate((set or {}).items(), 1):
        mistakes += override(root, str(key), value, order)
    loaded, found = check(root)
    if mistakes or loaded is None:
        raise _error(path, mistakes + found)
    return marked(loaded, set or {})


def find_chip(chip: str | Path) -> Path:
    """Return the file that a path or the name of a shipped chip stands for.

    Raises
    ------
    ChipError
        When there is no such file; names the shipped chip that may have been meant.
    """
    if not isinstance(chip, str | PathLike):
        raise ChipError(
            f"chip is {chip!r:.60}; it must be a path or the name of a shipped chip such as 'loihi'"
        )
    path, name = Path(chip), str(chip)
    shipped: dict[str, Path] = {}
    with suppress(ChipError):  # a file of one's own needs none of them
        shipped = {file.stem: file for file in shipped_chips()}
    if name in shipped:
        return shipped[name]
    with suppress(OSError):  # such as a name too long for a file
        if path.is_file():
            return path
        if path.is_dir():
            raise ChipError(f"{name}: this is a folder, not a chip file")
        if path.exists():
            raise ChipError(f"{name}: this is not a regular file")
    names = [file.stem for file in shipped_chips()]
    close = get_close_matches(path.stem, names, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise ChipError(
        f"'{shortened(one_line(name))}' is neither a file nor a shipped chip ({', '.join(names)}){hint}"
    )


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ChipError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise ChipError(f"{path}: more than {MAX_BYTES} bytes; this is no chip file")
    raw = raw.removeprefix(BOM_UTF8)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        what = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise _error(path, [Mistake(place_of(before, len(before)), "", what)]) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _error(path: Path, mistakes: list[Mistake]) -> ChipError:
    """Return one error with a line for each mistake, in the order of the file."""
    ordered = sorted(mistakes, key=lambda m: (m.place.order, m.place.line, m.place.column))
    # What an alias repeats is one mistake, told of the key where it stands.
    once = {(m.place, m.text, m.place.order and m.key): m for m in reversed(ordered)}
    return ChipError("\n".join(_line(path, mistake) for mistake in reversed(once.values())))


def _line(path: Path, mistake: Mistake) -> str:
    place, key = mistake.place, mistake.key
    where = place.label or f"{path}:{place.line}:{place.column}"
    said = "" if not key or key == place.key else f"{key}: "
    return f"{where}: {said}{mistake.text}"
