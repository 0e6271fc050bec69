"""`emulator models`, `asm`, `disasm` and `step`, as a user types them; and the reference page."""

import numpy as np
import pytest

from emulator import Network, compile_network, load_chip
from emulator.cli import main
from emulator.errors import EmulatorError
from emulator.microcode import load_model, shipped_models
from emulator.microcode.reference import reference_page
from tests.conftest import ROOT


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    chip, net = load_chip("loihi2"), Network("small")
    source = net.input("in", 2, payload_bits=8)
    p = net.population("p", 4, model="if", threshold=[10, 20, 30, 40])
    q = net.population("q", 1, model="sigma_delta", threshold=5)
    net.population("native", 1, vth_mant=1)
    net.connect(source, p, weights=[[2, 0]] * 4, weight_exp=-6)
    net.connect(source, q, weights=[[0, 2]], weight_exp=-6)
    compile_network(net, chip).save("net.program")
    np.savez("in.npz", in_step=[0, 1, 2], in_neuron=[0, 0, 1], in_payload=[12, 12, -50])
    return "net.program"


def done(capsys, line: str) -> str:
    assert main(line.split()) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys, line: str) -> str:
    assert main(line.split()) == 2
    return capsys.readouterr().err


def test_the_library_is_listed(capsys):
    out = done(capsys, "models")
    for name in shipped_models():
        assert name in out


def test_a_program_is_listed_with_cycles_of_its_ways(capsys):
    out = done(capsys, "asm if --chip loihi2")
    assert "   7  2100100000000000        ADD     v, v, r0" in out
    assert "shortest way: 6 instructions, 12 cycles: 0-5" in out
    assert "longest way: 9 instructions, 18 cycles, spikes: 0-8" in out
    assert "8 bytes of state and" not in out
    assert "4 bytes of state and 8 of parameters" in out
    assert "6 instructions, 60 cycles" in done(
        capsys, "asm if --chip loihi2 --set costs.instruction.time_ns=2.5"
    )


def test_every_mistake_of_every_file_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.nasm").write_text("MOV r1, 2\nFOO\n")
    (tmp_path / "b.nasm").write_text(".state v q3\n")
    err = refused(capsys, "asm a.nasm lif b.nasm nothing")
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        "a.nasm:2:1",
        "b.nasm:1:10",
        "no neuron model 'nothing'; there are",
    ]
    assert "give --chip too" in refused(capsys, "asm lif --set mesh.width=2")


def test_programs_are_held_to_the_limits_of_a_chip(capsys, program, tmp_path):
    small = "--chip loihi2 --set microcode.instructions=4 --set microcode.state_bytes=7"
    expected = [
        "emulator: if: 9 instructions; chip 'loihi2' allows 4",
        "emulator: if: 12 bytes of state and parameters; chip 'loihi2' allows 7",
    ]
    assert main(f"asm if {small}".split()) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()) == ("", expected)
    done(
        capsys, "asm if --chip loihi2 --set microcode.instructions=9 --set microcode.state_bytes=12"
    )
    assert refused(capsys, f"disasm {program} --model if {small}").splitlines() == [
        line.replace("if: ", f"{program}: 'if': ") for line in expected
    ]
    done(capsys, f"disasm {program} --chip loihi2")
    listed = done(capsys, f"models {small}").splitlines()
    for line in expected:
        assert line.removeprefix("emulator: ") in listed
    table = done(capsys, "models --chip loihi2").splitlines()
    assert sum(line.endswith(" fits") for line in map(str.rstrip, table)) == len(shipped_models())
    assert "give --chip too" in refused(capsys, "models --set mesh.width=2")
    assert "give --chip too" in refused(capsys, f"disasm {program} --set mesh.width=2")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("sigma_delta", "--set microcode.payload_bits=15", "16 bits of payload; chip 'loihi2' allows 15"),
        (
            "sigma_delta",
            "--set mesh.multicast=tree",
            "header and payload take 48 bits; mesh.multicast 'tree' copies packets of one flit, 32 bits",
        ),
        ("if", "--set microcode.instructions=0", "chip 'loihi2' runs no microcode (microcode.instructions is 0)"),
    ],
)  # fmt: skip
def test_other_limits_of_a_chip(capsys, model, options, message):
    line = f"asm {model} --chip loihi2 {options}"
    assert refused(capsys, line) == f"emulator: {model}: {message}\n"


@pytest.mark.parametrize("model", shipped_models())
@pytest.mark.parametrize("chip", ["tiny", "loihi2", "noc_s"])
def test_what_is_legal_on_a_chip_compiles_for_it(capsys, model, chip):
    """`asm` and the compiler say the same."""
    net = Network("one")
    required = {w.name: w.low for w in load_model(model).parameters if w.default is None}
    net.population("cell", 1, model=f"microcode:{model}", **required)
    status = main(f"asm {model} --chip {chip}".split())
    if status == 0:
        assert compile_network(net, load_chip(chip)).n_compartments == 1
    else:
        with pytest.raises(EmulatorError, match=r"microcode|allows"):
            compile_network(net, load_chip(chip))


def test_what_is_disassembled_can_be_assembled(capsys, program, tmp_path):
    text = done(capsys, f"disasm {program} --model if")
    (tmp_path / "again.nasm").write_text(text)
    assert "again.nasm: legal" in done(capsys, "asm again.nasm")
    both = done(capsys, f"disasm {program}")
    assert "; if\n" in both
    assert "; sigma_delta\n" in both
    assert "no neuron program 'lif'; there are: if, sigma_delta" in refused(
        capsys, f"disasm {program} --model lif"
    )


def test_a_neuron_is_shown_instruction_by_instruction(capsys, program):
    out = done(capsys, f"step {program} --neuron p[1] --steps 3 --input in.npz")
    first, second, third = out.split("step ")[1:]
    assert first.startswith("0: p[1], input 0: no spike; 6 instructions")
    assert "not on its way" in first
    assert second.startswith("1: p[1], input 24: a spike; 9 instructions")
    assert "v = 24" in second
    assert "c = 0" in second
    assert "changed: v 0 -> 4" in second
    assert third.startswith("2: p[1], input 24: a spike")
    graded = done(capsys, f"step {program} --neuron q[0] --steps 1 --skip 3 --input in.npz")
    assert graded.startswith("step 3: q[0], input -100: a spike with payload -100")
    assert "payload = -100" in graded


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        ("p", "--neuron p: it must be a population and a number, like cells[3]"),
        ("p[4]", "population 'p' has neurons 0 to 3, no 4"),
        ("z[0]", "no population 'z'; there are: in, p, q, native"),
        ("in[0]", "population 'in' is an input"),
        (
            "native[0]",
            "population 'native' runs the native model 'lif'; only microcode has instructions",
        ),
    ],
)
def test_a_neuron_that_cannot_be_shown(capsys, program, neuron, message):
    assert message in refused(capsys, f"step {program} --neuron {neuron} --input in.npz")


def test_the_reference_page_is_up_to_date():
    assert (ROOT / "docs" / "microcode.md").read_text() == reference_page()
