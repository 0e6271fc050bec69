"""What comes with the emulator is found by name, or it is said where it was looked for."""

import json

import pytest

from emulator import Program, load_chip, shipped
from emulator.chip import shipped_chips
from emulator.cli import main
from emulator.errors import ChipError, MicrocodeError
from emulator.microcode import load_model, shipped_models
from tests.conftest import ROOT
from tests.unit.chip_base import BASE

NETWORKS = "digits, full_chip, readout"


@pytest.fixture
def nothing_shipped(tmp_path, monkeypatch):
    """Let the package be one without any of its files; return the message that follows for a folder and a pattern."""
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "site" / "emulator")
    monkeypatch.chdir(tmp_path)

    def message(name, pattern):
        return (
            f"this installation is not whole: no {pattern} in {tmp_path}/site/emulator/{name} or {tmp_path}/site/{name}; "
            "install the emulator again, with pip install . in its checkout or from a wheel"
        )

    return message


@pytest.fixture
def refused(capsys):
    def run(*line):
        assert main(list(line)) == 2
        out, err = capsys.readouterr()
        assert out == ""
        return err.removeprefix("emulator: ").removesuffix("\n")

    return run


def test_chips_are_those_of_the_checkout():
    assert shipped_chips() == sorted((ROOT / "chipconfigs").glob("*.yaml"))


@pytest.mark.parametrize("installed", [False, True])
def test_files_inside_the_package_come_first(tmp_path, monkeypatch, installed):
    folder = (
        tmp_path / "site" / "emulator" / "chipconfigs"
        if installed
        else tmp_path / "site" / "chipconfigs"
    )
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(BASE)
    if installed:  # somebody else's folder of this name
        (tmp_path / "site" / "chipconfigs").mkdir()
        (tmp_path / "site" / "chipconfigs" / "theirs.yaml").write_text(BASE)
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "site" / "emulator")
    assert shipped_chips() == [folder / "mine.yaml"]
    assert load_chip("mine").name == "base"


def test_no_chips_are_an_error(nothing_shipped, refused):
    message = nothing_shipped("chipconfigs", "*.yaml")
    for call in (shipped_chips, lambda: load_chip("loihi")):
        with pytest.raises(ChipError) as error:
            call()
        assert str(error.value) == message
    assert refused("chips") == message
    assert refused("check", "loihi") == message


def test_a_chip_file_of_ones_own_needs_no_shipped_one(nothing_shipped, tmp_path):
    (tmp_path / "mine.yaml").write_text(BASE)
    assert load_chip("mine.yaml").name == "base"


def test_no_models_are_an_error(nothing_shipped, refused):
    message = nothing_shipped("microcode/library", "*.nasm")
    with pytest.raises(MicrocodeError) as error:
        shipped_models()
    assert str(error.value) == message
    assert refused("models") == message
    with pytest.raises(MicrocodeError):
        load_model("no_such_model")


def test_no_programs_are_an_error(nothing_shipped, refused):
    message = nothing_shipped("programs", "*.py")
    assert refused("programs") == message
    assert refused("run", "digits", "--chip", "loihi", "-o", "out") == message


# programs by name


def test_programs_are_listed_with_how_they_run(capsys):
    assert main(["programs", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)["programs"]}
    assert ", ".join(n for n, one in listed.items() if one["network"]) == NETWORKS
    assert {n for n, one in listed.items() if not one["script"]} == {"full_chip"}
    assert not {"digits_data", "equilibrium_network", "program_tools"} & set(listed)
    assert listed["digits"] == {
        "name": "digits",
        "path": str(ROOT / "programs" / "digits.py"),
        "network": True,
        "script": True,
        "description": "Classify real handwritten digits on an emulated chip, and show what it cost.",
    }
    assert main(["programs"]) == 0
    table = capsys.readouterr().out
    assert all(f" {name} " in table for name in listed)
    assert table.endswith(
        f"network: emulator run NAME --chip CHIP\nscript:  python {ROOT}/programs/NAME.py\n"
    )
    assert main(["programs", "--folder"]) == 0
    assert capsys.readouterr().out == f"{ROOT}/programs\n"


def test_a_shipped_network_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()  # such as the folder of an earlier run
    by_name = ["compile", "digits", "--chip", "loihi", "-o", "a.program"]
    by_path = [
        "compile",
        str(ROOT / "programs" / "digits.py"),
        "--chip",
        "loihi",
        "-o",
        "b.program",
    ]
    assert main(by_name) == main(by_path) == 0
    assert (tmp_path / "a.program").read_bytes() == (tmp_path / "b.program").read_bytes()


def test_a_file_of_ones_own_comes_before_a_shipped_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compile", "readout", "--chip", "loihi", "-o", "digits"]) == 0
    assert (
        main(["run", "digits", "--chip", "loihi", "--steps", "1", "-o", "out", "--timing", "off"])
        == 0
    )
    assert Program.load(tmp_path / "digits").name == "readout"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("digit", f"'digit' is neither a file nor a shipped network ({NETWORKS}); did you mean 'digits'?"),
        ("programs/digits.py", f"'programs/digits.py' is neither a file nor a shipped network ({NETWORKS}); did you mean 'digits'?"),
        ("some/net", f"'some/net' is neither a file nor a shipped network ({NETWORKS})"),
        ("cartpole", f"cartpole: this is a script, which runs by itself: python {ROOT}/programs/cartpole.py"),
        ("mine.py", "mine.py: cannot be read: No such file or directory"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["run", "compile"])
def test_what_is_no_network_is_refused(tmp_path, monkeypatch, refused, command, given, message):
    monkeypatch.chdir(tmp_path)
    assert refused(command, given, "--chip", "loihi", "-o", "out") == message
