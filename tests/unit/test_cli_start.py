"""What the command line imports, and completion in shells."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import shellingham

from emulator.chip import shipped_chips
from emulator.cli import app, main
from emulator.cli.noc import MEASURED_CYCLES, SUFFIXES, TRAFFIC, WARMUP_CYCLES
from emulator.cli.options import TIMING
from emulator.cli.programs import shipped_programs
from emulator.microcode import shipped_models
from emulator.noc import points, sweeping, traffic
from emulator.timing import TIMING_MODES
from tests.conftest import ROOT

HEAVY = {
    "h5py", "networkx", "numpy", "pandas", "pyarrow", "pydantic", "rich.progress", "scipy", "unicorn", "yaml",
}  # fmt: skip
NAMES = [name for name, _ in app.all_commands()]


def imported(line: str) -> set[str]:
    """Return what a process has imported when a command has ended."""
    code = (
        "import sys; from emulator.cli import main; status = main(sys.argv[1:]); "
        "print('modules', status, *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *line.split()], capture_output=True, text=True, cwd=ROOT, check=True
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "line",
    ["--help", "--version", "frobnicate", "chek", "--show-completion bash", "noc --help", "learn --help", *(f"{name} --help" for name in NAMES)],
)  # fmt: skip
def test_help_imports_nothing_heavy(line):
    modules = imported(line)
    assert HEAVY & modules == set()
    assert not [name for name in modules if name.startswith("emulator.kernels")]


def test_help_of_all_imports_no_command():
    modules = imported("--help")
    assert not {f"emulator.cli.{module}" for module, _ in app.COMMANDS.values()} & modules


def test_the_package_imports_nothing_until_it_is_used():
    code = (
        "import sys; before = set(sys.modules); import emulator; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert {name for name in done.stdout.split() if not name.startswith("_")} <= {
        "emulator", "importlib", "typing", "collections", "collections.abc", "functools", "re", "operator",
        "keyword", "reprlib", "contextlib", "warnings", "copyreg", "enum", "types",
    } | {name for name in done.stdout.split() if name.startswith(("re.", "typing."))}  # fmt: skip


def test_what_is_written_twice_is_the_same():
    assert TIMING == TIMING_MODES
    assert TRAFFIC == traffic.TRAFFIC
    assert set(SUFFIXES) == set(points.SUFFIXES)
    assert (MEASURED_CYCLES, WARMUP_CYCLES) == (sweeping.MEASURED_CYCLES, sweeping.WARMUP_CYCLES)


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name):
    assert app.command_of(name).help.partition("\n")[0] == app.COMMANDS[name][1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chek loihi", "No such command 'chek'. Did you mean 'check'? (see emulator --help)"),
        ("noc replya", "No such command 'replya'. Did you mean 'replay'? (see emulator noc --help)"),
        ("frobnicate", "No such command 'frobnicate' (see emulator --help)"),
    ],
)  # fmt: skip
def test_a_command_that_was_mistyped_is_guessed(capsys, line, message):
    assert main(line.split()) == 2
    assert capsys.readouterr().err == f"emulator: {message}\n"


def documented() -> list[str]:
    """Return the command lines that pages show."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text() for page in pages)
    lines = re.findall(r"^(?:\$ )?emulator (.+)$", text, re.MULTILINE)
    return [line.partition(" #")[0].strip() for line in lines] + re.findall(
        r"`emulator ([^`]+)`", text
    )


def test_the_command_lines_that_pages_show_can_be_typed():
    known = {
        name: {o for p in command.params for o in p.opts} for name, command in app.all_commands()
    }
    lines = documented()
    assert len(lines) > 20
    for line in lines:
        words = re.sub(r"\$\(.*?\)|'", "", line).split()
        if words[0].startswith("-") or words[0] in ("COMMAND", "..."):
            continue
        name = " ".join(words[:2]) if words[0] in ("noc", "learn") and len(words) > 1 else words[0]
        if name in ("noc", "learn"):
            continue
        assert name in known, line
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known[name] | {"--help"}, line


def test_the_table_of_commands_names_commands():
    text = (ROOT / "README.md").read_text()
    table = text[text.index("| command | reads | answers |") :].partition("\n\n")[0]
    named = {
        name
        for line in table.splitlines()[2:]
        for name in re.findall(r"`([a-z -]+)`", line.split("|")[1])
    }
    assert set(NAMES) - named == {"learn save", "build-management"}
    assert named <= set(NAMES)


# completion


def test_completing_names_imports_nothing_heavy(monkeypatch):
    monkeypatch.setenv("_EMULATOR_COMPLETE", "complete_bash")
    for words in ("emulator run net.py --chip t", "emulator asm li", "emulator run di"):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert imported("") & (HEAVY - {"pydantic"}) == set()  # typer reads by it what was typed


def completed(capsys, monkeypatch, words: str) -> list[str]:
    """Return what bash is told when Tab is pressed behind some words."""
    monkeypatch.setenv("_EMULATOR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    assert main([]) == 0
    return capsys.readouterr().out.split()


NETWORKS = [name for name, one in shipped_programs().items() if one.is_network]
CHIPS = [path.stem for path in shipped_chips()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("emulator ch", ["chips", "check"]),
        ("emulator noc ", ["replay", "sweep"]),
        ("emulator learn s", ["show", "save"]),
        ("emulator check noc", ["noc_d", "noc_l", "noc_s"]),
        ("emulator check tiny loihi2", ["loihi2", "loihi2_full"]),
        ("emulator run net.py --chip ", CHIPS),
        ("emulator run none --chip ti", ["tiny"]),
        ("emulator run dig", ["digits"]),
        ("emulator compile loo", ["looming"] if "looming" in NETWORKS else []),
        ("emulator compile net.py -c ti", ["tiny"]),
        ("emulator asm ", shipped_models()),
        ("emulator asm lif glif", [f"glif{k}" for k in range(1, 6)]),
        ("emulator disasm a.program --model iz", ["izhikevich"]),
        ("emulator run net.py --timing ", ["off", "analytic", "cycle"]),
        ("emulator noc sweep --traffic h", ["hotspot"]),
        ("emulator run --check", ["--checkpoint-every"]),
        ("emulator run net.py --chip my_ch", []),
    ],
)
def test_names_are_completed(capsys, monkeypatch, words, expected):
    assert completed(capsys, monkeypatch, words) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_shown_and_installed(capsys, monkeypatch, tmp_path, shell):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["--show-completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_EMULATOR_COMPLETE=complete_{shell}" in script
    assert main(["--install-completion", shell]) == 0
    out = capsys.readouterr().out
    path = out.split(" is in ")[1].split(";")[0]
    assert out == f"completion for {shell} is in {path}; new shells have it\n"
    assert Path(path).read_text().strip() == script.strip()


def test_the_shell_in_use_is_taken_where_none_is_named(capsys, monkeypatch):
    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("zsh", "/bin/zsh"))
    assert main(["--show-completion"]) == 0
    assert "complete_zsh" in capsys.readouterr().out

    def unknown():
        raise shellingham.ShellDetectionFailure

    monkeypatch.setattr(shellingham, "detect_shell", unknown)
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert main(["--show-completion"]) == 0
    assert "complete_fish" in capsys.readouterr().out
    monkeypatch.setenv("SHELL", "")
    assert main(["--show-completion"]) == 2
    assert capsys.readouterr().err == (
        "emulator: --show-completion: a shell that cannot be told; give one of: bash, zsh, fish, powershell, pwsh\n"
    )


def test_a_shell_that_is_not_known_is_refused(capsys):
    assert main(["--install-completion", "tcsh"]) == 2
    assert capsys.readouterr().err == (
        "emulator: --install-completion: 'tcsh'; give one of: bash, zsh, fish, powershell, pwsh\n"
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_with_the_script(tmp_path):
    command = tmp_path / "emulator"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m emulator "$@"\n')
    command.chmod(0o755)
    ask = """
    eval "$(emulator --show-completion bash)"
    COMP_WORDS=(emulator check tin); COMP_CWORD=2
    _emulator_completion emulator; echo "${COMPREPLY[@]}"
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", ask], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "tiny\n"
