"""x86 management programs of the tests: a small world of state, channels and inputs, and C that is compiled for it."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from emulator.management.build import build_management
from emulator.management.channels import Channel
from emulator.management.header import management_header
from emulator.management.memory import MemoryMap, Region
from emulator.management.regions import Input
from emulator.network.managed import HOST

N_CORES = 3


def _has_compiler() -> bool:
    gcc = shutil.which("gcc")
    if gcc is None:
        return False
    command = [
        gcc,
        "-m32",
        "-march=lakemont",
        "-ffreestanding",
        "-x",
        "c",
        "-c",
        "-",
        "-o",
        "/dev/null",
    ]
    return (
        subprocess.run(
            command, input=b"void run(void){}", capture_output=True, check=False
        ).returncode
        == 0
    )


needs_compiler = pytest.mark.skipif(not _has_compiler(), reason="no gcc that knows -m32")
needs_x86 = pytest.mark.skipif(
    not _has_compiler() or find_spec("unicorn") is None or find_spec("elftools") is None,
    reason="no gcc that knows -m32, or the extra x86 is not installed",
)


class World:
    """State of every layout, two channels between core 0 and the host, one between cores, two inputs."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.arrays = {
            "int32": rng.integers(-(2**31), 2**31, 64, np.int32, endpoint=False),
            "uint32": rng.integers(0, 2**32, 64, np.uint32, endpoint=False),
            "int16": rng.integers(-(2**15), 2**15, 64, np.int16, endpoint=False),
            "uint8": rng.integers(0, 256, 64, np.uint8, endpoint=False),
        }

        def region(name, array, n, low, high, **field):
            place = rng.permutation(64)[:n].astype(np.int64)
            core = rng.integers(0, N_CORES, n).astype(np.int32)
            return Region(name, self.arrays[array], place, core, low, high, N_CORES, **field)

        self.regions = [
            region("cells.v", "int32", 40, -(2**31), 2**31 - 1),
            region("cells.u", "int32", 5, -(2**23), 2**23 - 1),
            region("cells.spikes", "uint8", 33, 0, -1, bits=8, is_signed=False),
            region("a->b.weights", "uint32", 50, -256, 254, shift=23, bits=9),
            region("a->b.delays", "uint32", 50, 0, 62, shift=16, bits=6, is_signed=False),
            region("a->b.tags", "int16", 17, -300, 255, bits=16),
            region("half", "int16", 20, -7, 7, shift=5, bits=4),
            region("a->b.x1", "uint8", 12, 0, 127, bits=8, is_signed=False),
            region("nibble", "uint8", 10, 0, 15, shift=3, bits=4, is_signed=False),
        ]  # fmt: skip
        self.memory = MemoryMap(iter(self.regions))
        self.channels = [
            Channel("asks", HOST, 0, 5, 4, "int32"),
            Channel("answers", 0, HOST, 3, 2, "uint32"),
            Channel("others", 1, 2, 3, 1, "int32"),
        ]
        self.inputs = {"in": Input(100, 10, 1, 1), "graded": Input(110, 4, -100, 1000)}
        self.populations = ["in", "cells", "graded"]
        self.resets: list[str | None] = []
        self.waited: list[tuple[str, bool]] = []

    @property
    def header(self) -> str:
        return management_header(self.memory, self.channels, self.inputs, self.populations, "world")

    def build(self, folder: Path, text: str, **options) -> Path:
        source, target = folder / "program.c", folder / "program.elf"
        source.write_text('#include "management.h"\n' + text)
        build_management(source, self.header, target, **options)
        return target

    def program(self, path: Path, core: int = 0, **options):
        from emulator.management.x86 import X86Program  # noqa: PLC0415  # not everywhere installed

        options = {"on_wait": self._wait, "on_reset": self.resets.append} | options
        return X86Program(
            path, self.memory, self.channels, core, inputs=self.inputs, populations=self.populations, **options
        )  # fmt: skip

    def compiled(self, folder: Path, text: str, core: int = 0, **options):
        return self.program(self.build(folder, text), core, **options)

    def _wait(self, channel: Channel, sending: bool) -> None:
        self.waited.append((channel.name, sending))
        if sending:
            channel.get()
        else:
            channel.put([len(self.waited)] * channel.words)
