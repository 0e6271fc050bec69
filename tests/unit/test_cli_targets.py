"""Where commands write without -o: a new name after the program, which no other process gets."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from emulator import Program, Run
from emulator.atomic import atomic_folder, is_empty_folder
from emulator.cli import main
from emulator.cli.targets import new_file, new_folder
from tests.conftest import ROOT

NETWORK = """
import numpy as np
from emulator import Network

def network(weight=120):
    net = Network("other")
    net.connect(net.input("in", 2), net.population("cells", 2, vth_mant=100), weights=np.eye(2, dtype=int) * weight)
    return net

def inputs(steps, seed):
    return {"in": np.ones((steps, 2), bool)}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NETWORK)
    return tmp_path


def names(folder=".") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def last_line(capsys, line: str) -> str:
    assert main(line.split()) == 0
    return capsys.readouterr().out.splitlines()[-1]


def test_runs_are_numbered_after_their_program(here, capsys):
    for steps, name in ((3, "net_run"), (4, "net_run_2"), (5, "net_run_3")):
        said = last_line(capsys, f"run net.py --chip tiny --steps {steps}")
        assert (
            said == f"saved in {name}; emulator report {name} shows energy by event, cores and more"
        )
        assert Run.load(name).n_steps == steps
    assert Run.load("net_run").n_steps == 3


def test_programs_are_numbered_and_none_is_replaced(here, capsys):
    for weight, name in ((100, "net.program"), (120, "net_2.program")):
        said = last_line(capsys, f"compile net.py --chip tiny --param weight={weight}")
        assert said.startswith(f"written to {name}: ")
    first, second = Program.load("net.program"), Program.load("net_2.program")
    assert first.sha256 != second.sha256
    last_line(capsys, "run net_2.program --chip tiny --steps 2")
    assert Run.load("net_2_run").program.sha256 == second.sha256


def test_they_are_made_where_the_user_is(here, capsys, monkeypatch):
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    last_line(capsys, "run ../net.py --chip tiny --steps 2")
    assert names() == ["net_run"]


def test_whatever_has_the_name_stays(here, capsys):
    Path("net_run").write_text("mine")
    Path("net_run_2").symlink_to("nowhere")
    Path("net_run_3").mkdir()
    assert last_line(capsys, "run net.py --chip tiny --steps 2").startswith("saved in net_run_4;")
    assert Path("net_run").read_text() == "mine"
    assert is_empty_folder(Path("net_run_3"))


def test_nothing_is_left_where_a_command_fails(here, capsys):
    loud = NETWORK.replace("vth_mant=100", "vth_mant=100, du=0").replace(
        "weights=", "weight_exp=7, weights="
    )
    Path("loud.py").write_text(loud)
    assert (
        main(
            [
                "run",
                "loud.py",
                "--chip",
                "tiny",
                "--strict",
                "--param",
                "weight=254",
                "--steps",
                "200",
            ]
        )
        == 2
    )
    assert main(["run", "net.py", "--chip", "tiny", "--weights-every", "2"]) == 2
    assert (
        main(
            [
                "compile",
                "net.py",
                "--chip",
                "noc_s",
                "--set",
                "core.neurons=1",
                "--set",
                "mesh.width=1",
                "--set",
                "mesh.height=1",
            ]
        )
        == 2
    )
    assert names() == ["loud.py", "net.py"]


def test_a_run_with_checkpoints_has_its_folder_from_the_first_step(here, capsys):
    said = last_line(capsys, "run net.py --chip tiny --steps 20 --checkpoint-every 5")
    assert said.startswith("saved in net_run;")
    assert Run.load("net_run").status == "complete"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_said(here, capsys):
    Path("fixed").mkdir(mode=0o500)
    os.chdir("fixed")
    assert main(["run", "../net.py", "--chip", "tiny", "--steps", "2"]) == 2
    assert capsys.readouterr().err == (
        "emulator: net_run: cannot be written: Permission denied; -o gives another name\n"
    )


def test_long_and_odd_names(here, capsys):
    long = "n" * 240 + ".py"
    Path(long).write_text(NETWORK)
    said = last_line(capsys, f"run {long} --chip tiny --steps 2")
    assert said.startswith(f"saved in {'n' * 200}_run;")
    Path("größe [1].v2.py").write_text(NETWORK)
    assert main(["run", "größe [1].v2.py", "--chip", "tiny", "--steps", "2"]) == 0
    assert Run.load("größe [1].v2_run").n_steps == 2
    assert main(["run", "größe [1].v2.py", "--chip", "tiny", "--steps", "2", "-o", "[bold]x"]) == 0
    assert "saved in [bold]x; " in capsys.readouterr().out


def test_of_two_processes_each_gets_its_own(here):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "emulator", "run", "net.py", "--chip", "tiny", "--steps", "50"]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate()[0].splitlines()[-1] for process in started]
    folders = sorted(line.split()[2].rstrip(";") for line in said)
    assert folders == ["net_run", "net_run_2", "net_run_3"]
    assert {Run.load(folder).n_steps for folder in folders} == {50}


def test_of_many_threads_each_gets_its_own(here):
    """The names are taken at one instant, however many want one."""
    n, made, together = 12, list[str](), threading.Barrier(12)

    def take():
        together.wait()
        with new_folder(Path("a.py")) as folder, new_file(Path("a.py"), ".program") as file:
            (folder / "x").touch()
            file.write_text("x")
            made.extend((str(folder), str(file)))

    threads = [threading.Thread(target=take) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"a_run_{k}" for k in range(2, n + 1)} | {f"a_{k}.program" for k in range(2, n + 1)}
    assert set(made) == expected | {"a_run", "a.program"}
    assert len(made) == 2 * n


# an empty folder may be given


def test_a_run_may_be_put_into_an_empty_folder(here, capsys):
    Path("out").mkdir()
    last_line(capsys, "run net.py --chip tiny --steps 2 -o out")
    assert Run.load("out").n_steps == 2


def test_the_current_folder_is_not_replaced(here, capsys):
    Path("empty").mkdir()
    os.chdir("empty")
    assert main(["run", "../net.py", "--chip", "tiny", "--steps", "2", "-o", "."]) == 2
    assert ".: exists already" in capsys.readouterr().err


def test_a_folder_that_is_filled_meanwhile_is_not_replaced(here):
    Path("empty").mkdir()

    def fill():
        with atomic_folder("empty") as folder:
            (folder / "new").touch()
            Path("empty/other").touch()

    with pytest.raises(FileExistsError):
        fill()
    assert names("empty") == ["other"]
    assert names() == ["empty", "net.py"]
