"""One management program in C and its twin in Python: from the interface, and from the command line."""

import runpy

import numpy as np
import pytest

from emulator import Emulator, Mapping, Run, compile_network, load_chip
from emulator.cli import main
from emulator.errors import ManagementError
from emulator.management.build import build_for
from tests.conftest import ROOT
from tests.management_tools import needs_x86

READOUT = runpy.run_path(str(ROOT / "programs" / "readout.py"))
LOIHI = load_chip("loihi")


@pytest.fixture(scope="module")
def program():
    return compile_network(READOUT["network"](), LOIHI)


def assert_twins(one, other):
    for name in ("in", "cells"):
        np.testing.assert_array_equal(one.spikes[name], other.spikes[name])
    np.testing.assert_array_equal(one.messages["best"], other.messages["best"])
    for event in (
        "management_call",
        "management_word",
        "host_message",
        "packet",
        "hop_ew",
        "hop_ns",
    ):
        assert one.counters.total(event) == other.counters.total(event), event


@needs_x86
def test_c_and_python_do_the_same_for_a_thousand_steps(program, tmp_path):
    python = READOUT["run_with"](program, READOUT["readout"])
    x86 = READOUT["run_with"](program, READOUT["built"](program, tmp_path))
    assert_twins(x86, python)
    assert len(x86.messages["best"]) == 1000
    assert len(np.unique(x86.messages["best"][:, 1])) > 1
    assert x86.counters.total("management_instruction") > 30 * 1000
    assert (x86.timing.step_cycles > python.timing.step_cycles).all()


@needs_x86
def test_the_same_file_runs_on_any_mapping_and_any_number_of_threads(program, tmp_path):
    elf = READOUT["built"](program, tmp_path)
    expected = READOUT["run_with"](program, elf, 200)
    spread = Mapping([("cells", 0, 3, 4), ("cells", 3, 10, 1)])
    mapped = compile_network(READOUT["network"](), LOIHI, mapping=spread)
    for other, threads in ((program, 2), (mapped, 1), (mapped, 2)):
        emulator = Emulator(LOIHI, other, threads=threads)
        emulator.manage(0, "post", elf)
        run = emulator.run(200, READOUT["inputs"](200, 0))
        np.testing.assert_array_equal(run.messages["best"], expected.messages["best"])


@needs_x86
def test_a_reset_gives_an_x86_program_its_first_values_again(program, tmp_path):
    emulator = Emulator(LOIHI, program)
    emulator.manage(0, "post", READOUT["built"](program, tmp_path))
    first = emulator.run(50, READOUT["inputs"](50, 0))
    emulator.reset()
    assert_twins(emulator.run(50, READOUT["inputs"](50, 0)), first)


@needs_x86
def test_the_commands_do_it_too(program, tmp_path, capsys):
    paths = {name: str(tmp_path / name) for name in ("readout.program", "readout.elf", "run")}
    source = str(ROOT / "programs" / "readout.py")
    assert main(["compile", source, "--chip", "loihi", "-o", paths["readout.program"]]) == 0
    c_file = str(ROOT / "programs" / "readout.c")
    built = [
        "build-management",
        c_file,
        "--program",
        paths["readout.program"],
        "-o",
        paths["readout.elf"],
    ]
    assert main(built) == 0
    option = f"core=0,phase=post,elf={paths['readout.elf']},every=2"
    run = [
        "run",
        source,
        "--chip",
        "loihi",
        "--steps",
        "100",
        "-o",
        paths["run"],
        "--management",
        option,
    ]
    assert main(run) == 0
    assert "management" in capsys.readouterr().out
    assert len(Run.load(paths["run"]).messages["best"]) == 50


@needs_x86
def test_an_endless_loop_is_an_error_with_its_line(program, tmp_path):

    source, elf = tmp_path / "loop.c", tmp_path / "loop.elf"
    source.write_text(
        '#include "management.h"\nvolatile int x;\nvoid run(void)\n{\n    for (;;)\n        x++;\n}\n'
    )
    chip = load_chip("loihi", {"management.instruction_budget": "1000"})
    build_for(program, chip, source, elf)
    emulator = Emulator(chip, program)
    emulator.manage(2, "pre", elf, first=3, every=5)
    with pytest.raises(ManagementError, match=r"loop\.c:") as caught:
        emulator.run(10)
    text = str(caught.value)
    assert text.startswith("management core 2, phase pre, step 3: loop.elf: ")
    assert "1,000" in text


@needs_x86
def test_an_x86_program_that_resets_between_samples_makes_fresh_runs(program, tmp_path):
    source, elf = tmp_path / "reset.c", tmp_path / "reset.elf"
    source.write_text('#include "management.h"\nvoid run(void)\n{\n    reset_all();\n}\n')
    build_for(program, LOIHI, source, elf)
    emulator = Emulator(LOIHI, program)
    emulator.manage(1, "pre", elf, every=20)
    spikes = READOUT["inputs"](60, 3)
    found = emulator.run(60, spikes).spikes["cells"]
    fresh = []
    for k in range(3):
        sample = {"in": spikes["in"][20 * k : 20 * k + 20]}
        alone = Emulator(LOIHI, program).run(20, sample).spikes["cells"]
        fresh.append(alone + np.array([20 * k, 0]))
    assert len(found) > 50
    np.testing.assert_array_equal(found, np.concatenate(fresh))


def test_the_twin_in_python_alone(capsys):
    assert READOUT["main"]([]) == 0
    assert "fired most" in capsys.readouterr().out
