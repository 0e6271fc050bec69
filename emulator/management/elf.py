"""ELF files of x86 management programs: what of them is loaded where, and which line an address belongs to.

A file may hold anything. What cannot be read, or does not fit, is an error that says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from emulator.errors import EmulatorError, ManagementError
from emulator.files import read_bytes
from emulator.management.header import SECTION

IMAGE_ADDRESS = 0x0010_0000
MOST_FILE_BYTES = 64 << 20
WRITE, EXECUTE = 2, 4


def missing(name: str) -> EmulatorError:
    """Return the error where a package for x86 programs is not installed."""
    return EmulatorError(
        f"x86 management programs need the package {name}: pip install unicorn pyelftools"
    )


@dataclass(frozen=True)
class Segment:
    """Bytes to be loaded, and what may be done with them: 1 read, 2 write, 4 execute."""

    address: int
    data: bytes
    n_bytes: int
    protection: int


class Image:
    """What an ELF file holds.

    Parameters
    ----------
    path : str or Path
        The file.
    memory_bytes : int
        How much memory there is for it.

    Attributes
    ----------
    entry : int
        Address of `run`.
    digest : bytes
        Of the memory map against which it was compiled.
    segments : list of Segment
        By rising address.

    Raises
    ------
    ManagementError
        When it is no such file, or does not fit.
    """

    def __init__(self, path: str | Path, memory_bytes: int) -> None:
        self._content = read_bytes(path, ManagementError, MOST_FILE_BYTES)
        self.path = Path(path)
        self._elf = self._guarded(self._open)
        self.segments = self._guarded(lambda: self._segments(memory_bytes))
        self.entry, self._functions = self._guarded(self._symbols)
        self.digest = self._guarded(self._map)
        code = [s for s in self.segments if s.protection & EXECUTE]
        if not any(s.address <= self.entry < s.address + s.n_bytes for s in code):
            self._refuse(f"its run() at {self.entry:#x} lies in no code")

    def where(self, address: int) -> str:
        """Return the function, file and line of an address, as far as they are known."""
        name = next(
            (n for first, size, n in self._functions if first <= address < first + max(size, 1)),
            None,
        )
        try:
            line = self._line(address)
        except Exception:  # debug information may be anything too; it is only shown
            line = None
        known = [f"in {name}()"] * (name is not None) + [f"at {line}"] * (line is not None)
        return " ".join(known) or "(no debug information)"

    def _refuse(self, why: str) -> NoReturn:
        raise ManagementError(f"{self.path}: {why}")

    def _guarded(self, read: Callable[[], Any]) -> Any:
        """Call what reads the file: whatever a library makes of garbage is an error of the file."""
        try:
            return read()
        except EmulatorError:
            raise
        except Exception as error:  # the library raises nearly everything
            self._refuse(f"is damaged, or no ELF file ({type(error).__name__}: {error!s:.100})")

    def _open(self) -> Any:
        try:
            from elftools.elf.elffile import ELFFile  # noqa: PLC0415  # of an extra
        except ModuleNotFoundError:
            raise missing("pyelftools") from None
        if not self._content.startswith(b"\x7fELF"):
            self._refuse("is no ELF file; `emulator build-management` makes one of a C file")
        elf = ELFFile(BytesIO(self._content))
        kind, machine = elf.header["e_type"], elf.header["e_machine"]
        if elf.elfclass != 32 or not elf.little_endian or machine != "EM_386":
            self._refuse(
                f"is for {machine}, {elf.elfclass} bits; a management core is EM_386 (gcc -m32)"
            )
        if kind != "ET_EXEC":
            self._refuse(f"is {kind}; it must be ET_EXEC: linked, static, not position-independent")
        return elf

    def _segments(self, memory_bytes: int) -> list[Segment]:
        found: list[Segment] = []
        end = IMAGE_ADDRESS + memory_bytes
        for header in self._elf.iter_segments():
            if header["p_type"] in {"PT_DYNAMIC", "PT_INTERP"}:
                self._refuse("is linked dynamically; it must be static")
            if header["p_type"] != "PT_LOAD" or not header["p_memsz"]:
                continue
            address, n_bytes, flags = header["p_vaddr"], header["p_memsz"], header["p_flags"]
            if not IMAGE_ADDRESS <= address <= address + n_bytes <= end:
                self._refuse(
                    f"has a segment at {address:#x} to {address + n_bytes:#x}; memory is {IMAGE_ADDRESS:#x} to {end:#x}"
                )
            if flags & 1 and flags & WRITE:
                self._refuse(f"has a segment at {address:#x} that is both code and writable")
            data = header.data()
            if len(data) != header["p_filesz"] or len(data) > n_bytes:
                self._refuse(f"is cut off: the segment at {address:#x} has {len(data)} bytes")
            protection = (flags >> 2 & 1) | flags & WRITE | (flags & 1) << 2
            found.append(Segment(address, data, n_bytes, protection))
        if not found:
            self._refuse("holds nothing to be loaded")
        found.sort(key=lambda segment: segment.address)
        for before, after in pairwise(found):
            if (before.address + before.n_bytes - 1) >> 12 >= after.address >> 12:
                self._refuse(f"has two segments on the page at {after.address & ~4095:#x}")
        return found

    def _symbols(self) -> tuple[int, list[tuple[int, int, str]]]:
        table = self._elf.get_section_by_name(".symtab")
        symbols = [] if table is None else list(table.iter_symbols())
        functions = [s for s in symbols if s["st_info"]["type"] == "STT_FUNC"]
        entries = [s["st_value"] for s in functions if s.name == "run"]
        if len(entries) != 1:
            self._refuse("has no function `void run(void)`")
        return entries[0], [(s["st_value"], s["st_size"], s.name) for s in functions]

    def _map(self) -> bytes:
        section = self._elf.get_section_by_name(SECTION)
        data = b"" if section is None else bytes(section.data())
        parts = {data[k : k + 32] for k in range(0, len(data), 32)}
        if len(parts) != 1 or len(data) % 32:
            self._refuse("does not include management.h, or several of different programs")
        return parts.pop()

    def _line(self, address: int) -> str | None:
        if not self._elf.has_dwarf_info():
            return None
        info = self._elf.get_dwarf_info()
        for unit in info.iter_CUs():
            program = info.line_program_for_CU(unit)
            before = None
            for entry in () if program is None else program.get_entries():
                state = entry.state
                if state is None:
                    continue
                if before is not None and before.address <= address < state.address:
                    line = f"{_file_name(program, before.file)}:{before.line}"
                    return line + _called_from(info, unit, program, address)
                before = None if state.end_sequence else state
        return None


def _called_from(info: Any, unit: Any, program: Any, address: int) -> str:
    """Return where the function that was put in line there is called, if the address is in one."""
    for entry in unit.iter_DIEs():  # an outer one comes before those within it
        if entry.tag == "DW_TAG_inlined_subroutine" and _covers(info, unit, entry, address):
            file = _file_name(program, entry.attributes["DW_AT_call_file"].value)
            return f", called at {file}:{entry.attributes['DW_AT_call_line'].value}"
    return ""


def _covers(info: Any, unit: Any, entry: Any, address: int) -> bool:
    found = entry.attributes
    if "DW_AT_ranges" in found:
        base = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        start = 0 if base is None else base.value
        for part in info.range_lists().get_range_list_at_offset(found["DW_AT_ranges"].value, unit):
            if hasattr(part, "base_address"):
                start = part.base_address
            elif start + part.begin_offset <= address < start + part.end_offset:
                return True
    if "DW_AT_low_pc" not in found or "DW_AT_high_pc" not in found:
        return False
    low, high = found["DW_AT_low_pc"].value, found["DW_AT_high_pc"]
    stop = high.value if high.form == "DW_FORM_addr" else low + high.value
    return bool(low <= address < stop)


def _file_name(program: Any, number: int) -> str:
    index = number if program.header["version"] >= 5 else number - 1
    name: bytes = program["file_entry"][index].name
    return Path(name.decode(errors="replace")).name
