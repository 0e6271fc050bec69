"""`emulator build-management`, as a user types it."""

import pytest

from emulator import Network, compile_network, load_chip
from emulator.cli import main
from tests.management_tools import needs_compiler

SOURCE = (
    '#include "management.h"\nvoid run(void) { cells_threshold[1] = cells_v[0] + N_INPUT_in; }\n'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = Network("small")
    net.connect(net.input("in", 2), net.population("cells", 3, vth_mant=100), weights=[[2, 2]] * 3)
    compile_network(net, load_chip("loihi")).save("net.program")
    (tmp_path / "a.c").write_text(SOURCE)
    return tmp_path


def refused(capsys, line: str) -> str:
    assert main(line.split()) == 2
    return capsys.readouterr().err


@needs_compiler
def test_a_file_is_compiled(capsys, folder):
    assert main(["build-management", "a.c", "--program", "net.program", "-o", "a.elf"]) == 0
    assert "written to a.elf: " in capsys.readouterr().out
    assert (folder / "a.elf").read_bytes().startswith(b"\x7fELF")


@needs_compiler
def test_warnings_are_shown_and_errors_end_it(capsys, folder):
    (folder / "w.c").write_text('#include "management.h"\nvoid run(void) { int unused; }\n')
    assert main(["build-management", "w.c", "--program", "net.program", "-o", "w.elf"]) == 0
    assert "warning: unused variable 'unused'" in capsys.readouterr().err
    (folder / "e.c").write_text("void run(void) { cells_v[0] = 1; }\n")
    assert "error: 'cells_v' undeclared" in refused(
        capsys, "build-management e.c --program net.program -o e.elf"
    )
    assert not (folder / "e.elf").exists()


def test_the_header_alone(capsys, folder):
    assert (
        main(
            ["build-management", "--header-only", "--program", "net.program", "-o", "management.h"]
        )
        == 0
    )
    text = (folder / "management.h").read_text()
    assert "static volatile int32_t *const cells_v " in text
    assert "/* cells.v: -8388607 to 8388607 */" in text
    assert "#define INPUT_in 3u" in text
    changed = "build-management --header-only --program net.program -o other.h --chip loihi --set arithmetic.u_bits=20"
    assert main(changed.split()) == 0
    assert "/* cells.u: -524288 to 524287 */" in (folder / "other.h").read_text()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--program net.program -o a.elf", "either a C file or --header-only must be given"),
        ("a.c --header-only --program net.program -o a.elf", "either a C file or --header-only must be given"),
        ("none.c --program net.program -o a.elf", "none.c: cannot be read: No such file or directory"),
        ("a.c --program a.c -o a.elf", "a.c"),
        ("a.c --program net.program -o a.elf --cc none", "there is no compiler 'none'"),
        ("a.c --program net.program -o a.c", "a.c: this is the source itself; choose another name"),
        ("--header-only --program net.program -o none/a.h", "none/a.h: cannot be written: No such file"),
    ],
)  # fmt: skip
def test_mistakes_are_named(capsys, folder, line, expected):
    assert expected in refused(capsys, f"build-management {line}")
    assert (folder / "a.c").read_text() == SOURCE
