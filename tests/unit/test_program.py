"""Program files: what is saved is what is loaded; what is damaged never runs and never crashes."""

import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from emulator import Emulator, Network, Program, compile_network, load_chip
from emulator.errors import ProgramError
from emulator.program import TENSORS, container

CHIP = load_chip("tiny")


def make_program() -> Program:
    net = Network("saved")
    source = net.input("in", 4)
    cells = net.population("cells", 20, vth_mant=40, dv=100, bias_mant=np.arange(20))
    net.connect(
        source,
        cells,
        weights=(np.arange(80) % 4, np.arange(80) % 20, 2 * np.arange(-40, 40)),
        delay=2,
    )
    net.connect(
        cells, cells, weights=(np.arange(19), np.arange(1, 20), np.full(19, 64)), sign_mode="exc"
    )
    net.probe(cells, "v")
    return compile_network(net, CHIP)


PROGRAM = make_program()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "saved.program"
    PROGRAM.save(path)
    return path


def test_load_gives_what_was_saved(path):
    loaded = Program.load(path)
    assert loaded.manifest == PROGRAM.manifest
    assert loaded.sha256 == PROGRAM.sha256
    for name in TENSORS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(PROGRAM, name))
        assert not getattr(loaded, name).flags.writeable


def test_the_safetensors_library_reads_it(path):
    with safe_open(path, framework="np") as file:
        assert set(file.keys()) == set(TENSORS)
        np.testing.assert_array_equal(file.get_tensor("synapses"), PROGRAM.synapses)
        assert file.metadata()["format"] == "emulator-program"


def test_saving_twice_gives_the_same_bytes(path, tmp_path):
    again = tmp_path / "again.program"
    make_program().save(again)
    assert again.read_bytes() == path.read_bytes()


@given(st.data())
def test_a_changed_byte_is_always_found(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flipped")
    PROGRAM.save(folder / "p")
    raw = bytearray((folder / "p").read_bytes())
    header = 8 + int.from_bytes(raw[:8], "little")
    # Half of the flips in the header and in the first tables, where they do the most harm.
    at = data.draw(st.integers(0, len(raw) - 1) | st.integers(0, min(header + 200, len(raw) - 1)))
    raw[at] ^= data.draw(st.integers(1, 255))
    (folder / "p").write_bytes(raw)
    try:
        loaded = Program.load(folder / "p")
    except ProgramError:
        return
    # What is left are flips of white space between header and tables: the program is the same.
    assert loaded.sha256 == PROGRAM.sha256


@given(st.data())
def test_a_truncated_file_is_always_found(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    PROGRAM.save(folder / "p")
    raw = (folder / "p").read_bytes()
    (folder / "p").write_bytes(raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(ProgramError):
        Program.load(folder / "p")


@given(st.binary(max_size=300))
def test_any_other_file_is_refused(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("other") / "p"
    path.write_bytes(raw)
    with pytest.raises(ProgramError):
        Program.load(path)


def rewrite(path, change):
    """Write a program file with valid checksums whose tables or manifest were changed: a forger's file."""
    manifest, tensors = (
        deepcopy(PROGRAM.manifest),
        {k: v.copy() for k, v in PROGRAM.tensors().items()},
    )
    change(manifest, tensors)
    container.write(path, container.PROGRAM, manifest, tensors)


def _set(table, index, value):
    def change(_manifest, tensors):
        tensors[table][index] = value

    return change


def _manifest(key, value):
    def change(manifest, _tensors):
        manifest[key] = value

    return change


FORGED = {
    "row beyond the synapses": (_set("rows", (0, 0), 10**9), "program: row 0 points outside its table, its core or the 2 delay steps"),
    "synapse beyond its core": (_set("synapses", 0, 0xFFFF), "program: row {row} points outside its table, its core or the 2 delay steps"),
    "delay beyond the slots": (_set("synapses", 0, 63 << 16), "program: row {row} points outside its table, its core or the 2 delay steps"),
    "row_start falls": (_set("row_start", 1, 0xFFFFFFFF), "program: table 'row_start' does not rise from 0 to the {n_rows} rows"),
    "core_start falls": (_set("core_start", 1, -1), "program: table 'core_start' does not rise from 0 to the 20 compartments"),
    "block on no core": (_set("blocks", (0, 0), 99), "program: table 'blocks' holds core 0 to 99; 0 to 1 is allowed"),
    "shift too far": (_set("blocks", (0, 2), 40), "program: table 'blocks' holds shift 6 to 40; 0 to 13 is allowed"),
    "retain above one": (_set("u_retain", 0, 5000), "program: table 'u_retain' holds 5000; at most 4096 is allowed"),
    "negative threshold": (_set("threshold", 0, -1), "program: table 'threshold' holds a negative value"),
    "bias beyond the sums": (_set("bias", 0, 2**30), "program: table 'bias' exceeds +-536870912"),
    "segment of an input": (_set("segments", (0, 0), 0), "program: segment 0 names population 0"),
    "segment too long": (_set("segments", (0, 2), 999), "program: segment 0 covers neurons 0 to 999 of 20"),
    "segment twice": (_set("segments", (1, slice(1, 3)), [0, 4]), "program: segment 1 places neurons of population 1 a second time"),
    "segment elsewhere": (_set("segments", (1, 4), 3), "program: segment 1 begins at compartment 3 of core 1, not at 16"),
    "no population": (_manifest("populations", []), "manifest: populations: List should have at least 1 item after validation, not 0 (read [])"),
    "unknown key": (_manifest("surprise", 1), "manifest: surprise: Extra inputs are not permitted (read 1)"),
    "delay range": (_manifest("max_delay_steps", 64), "manifest: max_delay_steps: Input should be less than or equal to 63 (read 64)"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_file_is_refused_before_it_runs(tmp_path, name):
    change, message = FORGED[name]
    rewrite(tmp_path / "forged", change)
    first = int(np.flatnonzero(PROGRAM.rows["start"] == 0)[0])
    with pytest.raises(ProgramError) as error:
        Program.load(tmp_path / "forged")
    assert str(error.value) == message.format(row=first, n_rows=len(PROGRAM.rows))


def test_a_table_of_another_type_is_named(tmp_path):
    tensors = PROGRAM.tensors() | {"bias": PROGRAM.bias.astype(np.uint32)}
    container.write(tmp_path / "p", container.PROGRAM, PROGRAM.manifest, tensors)
    with pytest.raises(
        ProgramError,
        match=r"program: table 'bias' is uint32 of shape \(20,\); it must be int32 of shape \(n\)",
    ):
        Program.load(tmp_path / "p")


def _edit_header(path, edit):
    raw = path.read_bytes()
    n = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + n])
    edit(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + n :])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda h: h["__metadata__"].update(version="9"), "{path}: program format '9'; this version reads 1 to 4: compile the network again"),
        (lambda h: h["__metadata__"].update(format="x"), "{path}: a safetensors file, but not a program: its __metadata__ has no format 'emulator-program'"),
        (lambda h: h["__metadata__"].pop("manifest"), "{path}: this program file is damaged: its __metadata__ is incomplete; compile the network again"),
        (lambda h: h.pop("bias"), "{path}: this program file is damaged: tables ['bias'] are not in both lists of the header; compile the network again"),
        (lambda h: h["bias"].update(shape=[-1]), "{path}: this program file is damaged: the entry of table 'bias' makes no sense; compile the network again"),
        (lambda h: h["bias"].update(shape=[10**15]), "{path}: this program file is damaged: table 'bias' needs bytes {begin} to {end} of {n}; compile the network again"),
    ],
)  # fmt: skip
def test_a_damaged_header_says_what_is_wrong(path, edit, message):
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    begin, end = header["bias"]["data_offsets"]
    _edit_header(path, edit)
    with pytest.raises(ProgramError) as error:
        Program.load(path)
    n = len(raw) - 8 - int.from_bytes(raw[:8], "little")
    assert str(error.value) == message.format(path=path, begin=begin, end=end, n=n)


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(ProgramError, match="cannot be read: No such file or directory"):
        Program.load(tmp_path / "none")
    with pytest.raises(ProgramError, match="cannot be read: Is a directory"):
        Program.load(tmp_path)


def test_a_program_for_another_chip_is_refused():
    with pytest.raises(ProgramError) as error:
        Emulator(
            load_chip("loihi", {"arithmetic.u_bits": 20, "arithmetic.u_decay_offset": 0}), PROGRAM
        )
    assert str(error.value) == (
        "program 'saved' was compiled for chip 'tiny'; 'loihi' differs in what it computes: arithmetic.u_bits is 20, "
        "the program's 24; arithmetic.u_decay_offset is 0, the program's 1; compile the network for 'loihi'"
    )


def test_costs_and_mesh_may_differ():
    wider = load_chip("tiny", set={"mesh.width": 4, "costs.neuron_active.energy_pj": 7.0})
    run = Emulator(wider, PROGRAM).run(5)
    assert run.n_steps == 5


def test_projection_synapses_names_what_there_is():
    with pytest.raises(KeyError, match=r"no projection 'x->y'; there are: in->cells, cells->cells"):
        PROGRAM.projection_synapses("x->y")
