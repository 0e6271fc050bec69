"""Install a wheel and an sdist into empty environments, and use each as a stranger would, from another folder.

    python tests/wheel_check.py        # or: make wheel-check; it needs a C compiler and a package index, and 3 minutes

What is tried is what README.md shows: its first example in Python, and the commands of its section "Installed".
"""

import doctest
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BESIDE = ("chipconfigs", "programs")
"""Folders beside the package that become part of it."""
FEWEST_EXAMPLES = 10


def expect(what: str, *, holds: bool, shown: object = "") -> None:
    """Stop where something does not hold."""
    if not holds:
        sys.exit(f"FAILED: {what}\n{shown}")


def run(*command: str | Path, folder: Path) -> str:
    """Run a command that must end with status 0, and return what it printed."""
    began = monotonic()
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=clean | {"COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    line = " ".join([Path(command[0]).name, *map(str, command[1:])])
    expect(f"{line}: status {done.returncode}", holds=not done.returncode, shown=done.stdout + done.stderr)  # fmt: skip
    print(f"  {monotonic() - began:6.1f} s  {line}", flush=True)
    return done.stdout


def environment(folder: Path) -> Path:
    """Make an empty environment, and return the folder of its commands."""
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def shipped(name: str) -> set[str]:
    """Return the names of the files of a folder beside the package."""
    return {path.name for path in (ROOT / name).iterdir() if path.is_file()}


def build(folder: Path) -> tuple[Path, Path]:
    """Return an sdist of this checkout, and the wheel that is built from it."""
    commands = environment(folder / "builder")
    run(commands / "pip", "install", "--quiet", "build", folder=folder)
    run(commands / "python", "-m", "build", "--outdir", folder / "dist", ROOT, folder=folder)
    (sdist,), (wheel,) = (
        list((folder / "dist").glob(pattern)) for pattern in ("*.tar.gz", "*.whl")
    )
    return sdist, wheel


def check_contents(sdist: Path, wheel: Path) -> None:
    """Hold what is in both against the checkout."""
    with tarfile.open(sdist) as archive:
        packed = [Path(*Path(name).parts[1:]) for name in archive.getnames()]
    with zipfile.ZipFile(wheel) as archive:
        installed = [Path(name) for name in archive.namelist()]
    for name in BESIDE:
        for what, found, place in (("sdist", packed, Path(name)), ("wheel", installed, Path("emulator", name))):  # fmt: skip
            there = {path.name for path in found if path.parent == place and path.suffix}
            expect(f"the {what} holds all of {name}", holds=there == shipped(name), shown=there ^ shipped(name))  # fmt: skip
    tops = {path.parts[0] for path in installed if not path.parts[0].endswith(".dist-info")}
    expect("the wheel holds nothing but the package", holds=tops == {"emulator"}, shown=tops)


def readme_example() -> str:
    """Return the first example in Python that README.md shows."""
    match = re.search(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    text = match[1] if match else ""
    n = len(doctest.DocTestParser().get_examples(text))
    expect(f"README.md has an example of {FEWEST_EXAMPLES} lines or more", holds=n >= FEWEST_EXAMPLES, shown=n)  # fmt: skip
    return text


def readme_commands() -> list[list[str]]:
    """Return the commands of the emulator in the README's section "Installed"."""
    section = README.partition("\n## Installed\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^emulator (.*)", section, re.MULTILINE)
    commands = [line.partition("#")[0].split() for line in lines]
    first = {command[0] for command in commands}
    asked = {"chips", "check", "programs", "run", "report"}
    expect(f"README.md shows {sorted(asked)}", holds=asked <= first, shown=first)
    return commands


def try_out(what: str, file: Path, folder: Path) -> None:
    """Install a file into an empty environment, and use it from a folder with nothing in it."""
    print(f"{what}: {file.name}", flush=True)
    commands, here = environment(folder / what), folder / f"{what}_elsewhere"
    here.mkdir()
    run(commands / "pip", "install", "--quiet", file, folder=here)
    run(commands / "pip", "check", folder=here)
    where = run(commands / "python", "-c", "import emulator; print(emulator.__file__)", folder=here)
    expect("the installed package is used", holds=Path(where).is_relative_to(folder), shown=where)

    (here / "example.txt").write_text(readme_example(), "utf-8")
    run(commands / "python", "-m", "doctest", "-o", "NORMALIZE_WHITESPACE", "example.txt", folder=here)  # fmt: skip
    printed = {c[0]: run(commands / "emulator", *c, folder=here) for c in readme_commands()}
    for name in shipped("chipconfigs"):
        stem = Path(name).stem
        expect(f"'emulator chips' lists {stem}", holds=f" {stem} " in printed["chips"], shown=printed["chips"])  # fmt: skip
        run(commands / "emulator", "check", stem, folder=here)
    expect("'emulator programs' lists digits", holds=" digits " in printed["programs"], shown=printed["programs"])  # fmt: skip
    for command in ("run", "report"):
        expect(f"'emulator {command}' shows spikes", holds=" spikes " in printed[command], shown=printed[command])  # fmt: skip

    programs = Path(run(commands / "emulator", "programs", "--folder", folder=here).strip())
    expect("programs are in the installed package", holds=programs.is_relative_to(folder), shown=programs)  # fmt: skip
    found = run(commands / "python", programs / "digits.py", folder=here)
    expect("digits.py classifies", holds="441 of 450" in found, shown=found)


def main() -> None:
    """Build both, look into them, try both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        sdist, wheel = build(folder)
        check_contents(sdist, wheel)
        for what, file in (("wheel", wheel), ("sdist", sdist)):
            try_out(what, file, folder)
    print("ok: the wheel and the sdist do what README.md shows")


if __name__ == "__main__":
    main()
