"""A command that is given the wrong file says what the file is, and which command reads it."""

import gzip
import json
import os
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Mapping, Network, compile_network, load_chip
from emulator.chip import to_json
from emulator.cli import main
from emulator.cli.kinds import KINDS, MOST_BYTES, kind_of
from emulator.errors import RunError
from emulator.microcode import disassemble, load_model, shipped_models
from tests.conftest import ROOT
from tests.test_checkpoints import stop_after

CHIP = load_chip("loihi2")
FILES = {
    "chip.yaml": "chip", "made/chip.json": "chip", "net.py": "python", "net.nir": "nir", "data.h5": "hdf5",
    "p.program": "program", "made/program.safetensors": "program", "made": "run", "part": "unfinished",
    "part/checkpoint.safetensors": "checkpoint", "in.npz": "inputs", "rewards.npz": "inputs", "t.csv": "trace",
    "t.npz": "trace", "arrivals.npz": "arrivals", "sweep.csv": "sweep", "sweep.npz": "sweep", "map.txt": "mapping",
    "m.nasm": "nasm", "m.txt": "nasm", "code.c": "c", "code.elf": "elf", "made/spikes.parquet": "table",
    "made/manifest.json": "manifest", "report.json": "printed", "other.npz": "npz", "plain": "folder", "net.gz": "gzip",
}  # fmt: skip
# Each command, the place of the file, and the kinds that it reads.
COMMANDS = [
    ("check {}", {"chip"}),
    ("compile {} --chip loihi2 --dt 1e-3", {"python", "nir"}),
    ("compile net.py --chip {}", {"chip"}),
    ("compile net.py --chip loihi2 --mapping {}", {"mapping"}),
    ("run {} --chip loihi2 --dt 1e-3", {"python", "nir", "program"}),
    ("run p.program --chip loihi2 --input {}", {"inputs"}),
    ("run net.py --chip loihi2 --mapping {}", {"mapping"}),
    ("run p.program --chip loihi2 --management core=0,phase=post,elf={}", {"elf"}),
    ("run --resume {}", {"unfinished", "run", "folder"}),
    ("report {}", {"run", "unfinished", "folder"}),
    ("retime {} --chip loihi2", {"run", "unfinished", "folder"}),
    ("noc replay {} --chip noc_s -o new.npz", {"trace"}),
    ("asm {}", {"nasm"}),
    ("disasm {}", {"program"}),
    ("step {} --neuron p[0]", {"program"}),
    ("step p.program --neuron p[0] --input {}", {"inputs"}),
    ("learn show {}", {"program"}),
    ("learn save {} -o new.program", {"run", "unfinished", "folder"}),
    ("build-management {} --program p.program -o new.elf", {"c"}),
    ("build-management --header-only --program {} -o new.h", {"program"}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here, before = tmp_path_factory.mktemp("kinds"), Path.cwd()
    os.chdir(here)
    net = Network("small")
    p = net.population("p", 4, model="if", threshold=10)
    net.connect(net.input("in", 2), p, weights=[[2, 0]] * 4)
    program = compile_network(net, CHIP)
    program.save("p.program")
    emulator = Emulator(CHIP, program)
    emulator.run(5).save("made")
    with pytest.raises(RunError, match="interrupted"):
        emulator.run(200, save_to="part", checkpoint_every=10, progress=stop_after(1))
    shutil.copy(ROOT / "chipconfigs" / "loihi.yaml", "chip.yaml")
    shutil.copy(ROOT / "programs" / "digits.nir", "net.nir")
    Path("net.py").write_text("raise SystemExit('this file was executed')\n")
    with h5py.File("data.h5", "w") as file:
        file["x"] = np.zeros(3)
    np.savez("in.npz", in_step=[0], in_neuron=[1])
    np.savez("rewards.npz", r1=[1])
    Path("t.csv").write_text("cycle,src,dst,size\n0,0,63,1\n")
    np.savez("t.npz", cycle=[0], src=[0], dst=[1], size=[1])
    assert main(["noc", "replay", "t.csv", "--chip", "noc_s", "-o", "arrivals.npz"]) == 0
    for ending in ("csv", "npz"):
        line = f"noc sweep --chip noc_s --traffic uniform --loads 0.1 --cycles 50 -o sweep.{ending}"
        assert main(line.split()) == 0
    Mapping([("p", 0, 4, 0)]).save("map.txt")
    for name in ("m.nasm", "m.txt"):
        Path(name).write_text(disassemble(load_model("if")))
    Path("code.c").write_text("void run(void) {}\n")
    Path("code.elf").write_bytes(b"\x7fELF\x01\x01\x01" + bytes(60))
    Path("report.json").write_text(
        json.dumps({"format": "emulator-report", "version": 1}, indent=1)
    )
    np.savez("other.npz", x=np.zeros(3))
    Path("plain").mkdir()
    Path("net.gz").write_bytes(gzip.compress(b"x"))
    os.chdir(before)
    return here


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(("name", "kind"), FILES.items())
def test_each_file_is_told(here, name, kind):
    assert kind_of(name) == kind


def test_every_kind_has_a_file():
    assert set(FILES.values()) == set(KINDS)


@pytest.mark.parametrize(("line", "wanted"), COMMANDS)
def test_what_a_command_does_not_read_is_named_with_who_does(here, capsys, line, wanted):
    before = sorted(path.name for path in here.iterdir())
    for name, kind in FILES.items():
        if kind in wanted:
            continue
        what, who = KINDS[kind]
        assert main(line.format(name).split()) == 2, name
        out, err = capsys.readouterr()
        assert out == ""
        message = err.removeprefix("emulator: ").rstrip("\n")
        if kind == "folder" and line.startswith("run --resume"):
            continue
        assert message.startswith(f"{name}: this is {what}, where "), (name, message)
        assert message.endswith(f"needed; {who}" if who else "needed")
        assert "executed" not in message
    assert sorted(path.name for path in here.iterdir()) == before


PROGRAM_READERS = "emulator run, disasm, step, learn show and build-management read it"
RUN_NEEDED = "a run folder or the folder of an unfinished run is needed"
NETWORK_NEEDED = "a compiled program or a Python file or a .nir file is needed"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("check p.program", f"p.program: this is a compiled program, where a chip file is needed; {PROGRAM_READERS}"),
        ("report p.program", f"p.program: this is a compiled program, where {RUN_NEEDED}; {PROGRAM_READERS}"),
        ("run made --chip loihi2", f"made: this is a run folder, where {NETWORK_NEEDED}; emulator report, retime and learn save read it"),
        ("report plain", "plain: not a run folder: it has no manifest.json"),
        ("asm other.npz", "other.npz: this is a file of other arrays, where a neuron program is needed"),
    ],
)  # fmt: skip
def test_whole_messages(here, capsys, line, message):
    assert main(line.split()) == 2
    assert capsys.readouterr().err == f"emulator: {message}\n"


def test_the_page_shows_what_is_said(here, capsys):
    text = (ROOT / "docs" / "commands.md").read_text()
    line, shown = re.search(r"```\n\$ emulator (.*)\n(.*\n)```", text).groups()
    shutil.copy("p.program", "net.program")
    assert main(line.split()) == 2
    assert capsys.readouterr().err == shown
    assert f"first and last {MOST_BYTES >> 10} KiB" in text


def test_names_of_chips_and_models_stand_before_files(here, capsys):
    Path("tiny").mkdir()
    try:
        assert main(["check", "tiny", "--set", "mesh.widht=3"]) == 2
        assert "mesh.widht" in capsys.readouterr().err
        assert main(["check", "tiny"]) == 0
    finally:
        Path("tiny").rmdir()


def test_every_chip_and_model_that_is_shipped_is_told(tmp_path):
    for path in (ROOT / "chipconfigs").glob("*.yaml"):
        shutil.copy(path, tmp_path / "chip")
        assert kind_of(tmp_path / "chip") == "chip", path
    (tmp_path / "json").write_text(to_json(CHIP))
    assert kind_of(tmp_path / "json") == "chip"
    for name in shipped_models():
        (tmp_path / "model").write_text(disassemble(load_model(name)))
        assert kind_of(tmp_path / "model") == "nasm", name


@given(
    st.binary(max_size=300) | st.text().map(str.encode),
    st.sampled_from(["", ".npz", ".py", ".csv"]),
)
def test_nothing_makes_it_fail(tmp_path_factory, content, ending):
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_bytes(content)
    assert kind_of(path) in {*KINDS, None}


@pytest.mark.parametrize(
    "content",
    [b" " * (1 << 22), b"\n" * (1 << 22), b"a[" * (1 << 21), b"a.npy" * (1 << 20), b"PK\x03\x04" + b"a" * (1 << 22), b"{" * (1 << 22), b"\xff" * (1 << 22), b"cycle,src," * (1 << 20)],
    ids=["blanks", "lines", "brackets", "names", "zip", "braces", "bytes", "columns"],
)  # fmt: skip
def test_little_of_a_large_file_is_read(tmp_path, monkeypatch, content):
    path, n_read = tmp_path / "large", []
    path.write_bytes(content)
    opened = Path.open

    def counting(self, *args, **options):
        file = opened(self, *args, **options)
        read = file.read

        class Counted:
            seek = file.seek

            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def read(self, n):
                n_read.append(n)
                return read(n)

        return Counted()

    monkeypatch.setattr(Path, "open", counting)
    kind_of(path)
    assert sum(n_read) <= 2 * MOST_BYTES


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert kind_of(tmp_path / "pipe") is None  # to open it would wait for ever
    assert kind_of("/dev/zero") is None
    assert kind_of(tmp_path / "none") is None
    assert kind_of("a\0b") is None
    assert kind_of("x" * 5000) is None
