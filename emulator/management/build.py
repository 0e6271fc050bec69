"""Compiling x86 management programs with gcc, against the header of a program."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.atomic import atomic_file
from emulator.chip import Chip
from emulator.errors import ManagementError
from emulator.files import regular_file
from emulator.management.header import management_header
from emulator.management.memory import MemoryMap
from emulator.management.regions import (
    empty_state,
    program_channels,
    program_inputs,
    program_populations,
    program_regions,
)
from emulator.program import Program

HEADER = "management.h"
TARGET = (
    "-m32",
    "-march=lakemont",
    "-ffreestanding",
    "-fno-pic",
    "-fno-stack-protector",
    "-fcf-protection=none",
)
COMPILE = (
    *TARGET, "-g", "-gdwarf-4", "-O2", "-std=gnu11", "-Wall", "-Werror=implicit-function-declaration",
    "-fno-asynchronous-unwind-tables", "-fno-tree-loop-distribute-patterns", "-fno-strict-aliasing",
)  # fmt: skip
LINK = (
    *TARGET,
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,-m,elf_i386",
    "-Wl,--build-id=none",
    "-Wl,--require-defined=run",
)


def compiler(cc: str | None = None) -> str:
    """Return the compiler to use: `cc`, or gcc.

    Raises
    ------
    ManagementError
        When there is none.
    """
    name = cc or "gcc"
    path = shutil.which(name)
    if path is None:
        raise ManagementError(
            f"there is no compiler '{name}': management programs in C need a gcc that knows -m32 "
            "(on a processor that is no x86: a cross compiler, --cc i686-linux-gnu-gcc)"
        )
    return path


def header_of(program: Program, chip: Chip) -> str:
    """Return management.h of a program, without an engine that runs it."""
    return management_header(
        MemoryMap(program_regions(program, chip, empty_state(program))),
        program_channels(program),
        program_inputs(program),
        program_populations(program),
        program.name,
    )


def build_for(program: Program, chip: Chip, source: str | Path, output: str | Path) -> str:
    """Compile a management program for a program on a chip; see `build_management`."""
    return build_management(source, header_of(program, chip), output)


def build_management(
    source: str | Path,
    header: str,
    output: str | Path,
    *,
    cc: str | None = None,
    flags: Sequence[str] = (),
) -> str:
    """Compile a management program to an ELF file, which appears whole or not at all.

    Parameters
    ----------
    source : str or Path
        A file in C, with `void run(void)`.
    header : str
        What `management_header` returns: `management.h` for this program.
    output : str or Path
        The ELF file.
    cc : str, optional
        The compiler.
    flags : sequence of str
        More of its options, behind ours.

    Returns
    -------
    str
        The compiler's warnings.

    Raises
    ------
    ManagementError
        With the compiler's own words.
    """
    source, path = regular_file(source, ManagementError), compiler(cc)
    if source.suffix != ".c":
        raise ManagementError(f"{source}: the name of a management program in C ends in .c")
    if Path(output).exists() and source.samefile(output):
        raise ManagementError(f"{output}: this is the source itself; choose another name")
    with TemporaryDirectory() as folder:
        work = Path(folder)
        (work / HEADER).write_text(header, encoding="utf-8")
        warnings, objects = "", []
        with as_file(files("emulator.management")) as here:
            for k, file in enumerate((source.absolute(), here / "runtime.c")):
                objects.append(str(work / f"{k}.o"))
                command = [
                    path,
                    *COMPILE,
                    f"-I{work}",
                    f"-ffile-prefix-map={work}=.",
                    *flags,
                    "-c",
                    str(file),
                    "-o",
                ]
                warnings += _run([*command, objects[-1]], source)
            linked = work / "image.elf"
            script = f"-Wl,-T,{here / 'image.ld'}"
            warnings += _run([path, *LINK, script, *objects, "-o", str(linked)], source)
        try:
            with atomic_file(output) as file_out:
                file_out.write(linked.read_bytes())
        except OSError as error:
            raise ManagementError(
                f"{output}: cannot be written: {error.strerror or error}"
            ) from None
    return warnings


def _run(command: list[str], source: Path) -> str:
    environment = os.environ | {
        "LC_ALL": "C"
    }  # its quotes are those of this terminal or not; ASCII always works
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=environment, check=False
    )
    if done.returncode:
        hint = ""
        if "undefined reference to `__" in done.stderr:
            hint = "\n(an undefined __ function is floating point or another part of libgcc, which is not there)"
        raise ManagementError(
            f"{source}: {Path(command[0]).name} failed:\n{done.stderr.rstrip()}{hint}"
        )
    return done.stderr
