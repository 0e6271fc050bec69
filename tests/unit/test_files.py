"""Every reader, given what is no file of its kind: one of the project's errors, and no waiting."""

import contextlib
import io
import os
import socket
import stat
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Mapping, Program, load_chip
from emulator.errors import EmulatorError, NetworkError
from emulator.files import read_arrays, read_bytes, read_text, shown_name
from emulator.importers.events import read_events
from emulator.importers.nir import load_nir
from emulator.importers.python_file import PythonFile
from emulator.inputs import read_inputs, read_rewards
from emulator.management.elf import Image
from emulator.microcode import load_model
from emulator.noc.trace import load_trace

READERS = {
    "chip": (load_chip, ".yaml"),
    "program": (Program.load, ".program"),
    "mapping": (Mapping.load, ".map"),
    "inputs": (read_inputs, ".npz"),
    "rewards": (read_rewards, ".npz"),
    "N-MNIST": (read_events, ".bin"),
    "Prophesee": (read_events, ".dat"),
    "NIR": (lambda path: load_nir(path, 1.0), ".nir"),
    "Python": (PythonFile, ".py"),
    "trace": (load_trace, ".npz"),
    "table of packets": (load_trace, ".csv"),
    "microcode": (lambda path: load_model(str(path)), ".nasm"),
    "ELF": (lambda path: Image(path, 1 << 20), ".elf"),
}


def pipe(path):
    os.mkfifo(path)


def local_socket(path):
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


NO_FILES = {
    "nothing": (lambda path: None, "No such file or directory"),
    "a folder": (lambda path: path.mkdir(), "Is a directory"),
    "a pipe": (pipe, "it is a pipe"),
    "a socket": (local_socket, "it is a socket"),
    "zeros without end": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "a link to itself": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
}


@pytest.mark.parametrize("what", NO_FILES)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_not_opened(tmp_path, reader, what):
    read, ending = READERS[reader]
    make, why = NO_FILES[what]
    path = tmp_path / f"x{ending}"
    make(path)
    with pytest.raises(EmulatorError) as error:
        read(path)
    if reader != "chip":  # which may be a name as well, and says so
        assert str(error.value) == f"{path}: cannot be read: {why}"


@pytest.mark.parametrize("path", [None, 3, b"bytes", "a\0b.npz", "x" * 5000 + ".npz", ""])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_path_is_said(reader, path):
    with pytest.raises(EmulatorError):
        (load_model if reader == "microcode" and isinstance(path, str) else READERS[reader][0])(
            path
        )


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
@pytest.mark.parametrize("reader", READERS)
def test_what_may_not_be_read_is_said(tmp_path, reader):
    read, ending = READERS[reader]
    path = tmp_path / f"x{ending}"
    path.touch()
    path.chmod(stat.S_IWUSR)
    with pytest.raises(EmulatorError, match="cannot be read: Permission denied"):
        read(path)


JUNK = [
    b"",
    b"\0" * 64,
    b"\xff" * 63,
    b"\xff\xfe\x00a",
    "\ufefft\u00e9xt\r\n".encode(),
    b"PK\x05\x06" + b"\0" * 18,
]


@pytest.mark.parametrize("content", JUNK)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_of_another_kind_is_refused(tmp_path, reader, content):
    """Or read, where it can be: nothing but an error of the project comes out."""
    read, ending = READERS[reader]
    path = tmp_path / f"x{ending}"
    path.write_bytes(content)
    with contextlib.suppress(EmulatorError):
        read(path)
        assert reader in {"mapping", "rewards", "N-MNIST", "Prophesee", "inputs"}


@given(content=st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
@pytest.mark.parametrize("reader", sorted(READERS.keys() - {"Python"}))
def test_any_bytes_are_read_or_refused(tmp_path_factory, reader, content):
    read, ending = READERS[reader]
    path = tmp_path_factory.mktemp("any") / f"x{ending}"
    path.write_bytes(content)
    with contextlib.suppress(EmulatorError):
        read(path)


def test_a_link_to_a_file_is_the_file(tmp_path):
    (tmp_path / "a.map").write_text("cells[0:1] 0\n")
    (tmp_path / "b.map").symlink_to("a.map")
    assert Mapping.load(tmp_path / "b.map") == Mapping([("cells", 0, 1, 0)])


def test_marks_and_line_ends_of_texts(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes("\ufeffa\r\nb\rc\u2028d\x0ce\n".encode())
    assert read_text(path, NetworkError) == "a\nb\nc\u2028d\x0ce\n"
    path.write_bytes(b"one\r\ntwo\r\nth\xe9ee\r\n")
    with pytest.raises(NetworkError) as error:
        read_text(path, NetworkError)
    said = "byte 0xe9 in line 3 is not UTF-8 text; save the file as UTF-8"
    assert str(error.value) == f"{path}: {said}"


def test_no_more_is_read_than_allowed(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bytes(path, NetworkError, 5) == b"12345"
    with pytest.raises(NetworkError) as error:
        read_bytes(path, NetworkError, 4)
    assert str(error.value) == f"{path}: it holds more than 4 bytes, the most that are read"


# arrays


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


ROW = npy(np.arange(3))


@pytest.mark.parametrize(
    ("members", "options", "problem"),
    [
        ([("a.npy", ROW), ("a.npy", ROW)], {}, "cannot be read: 'a' is in it more than once"),
        ([("a.npy", ROW), ("a", ROW)], {}, "cannot be read: 'a' is in it more than once"),
        ([("a", ROW)], {}, "'a' is no array that numpy wrote"),
        ([("a.npy", ROW)], {"compression": zipfile.ZIP_LZMA}, "'a' is no array that numpy wrote"),
        ([("a.npy", ROW + b"12345678")], {}, "'a' declares 24 bytes and holds 32"),
        ([("a.npy", ROW[:-1])], {}, "'a' declares 24 bytes and holds 23"),
        ([("a.npy", npy(np.array([{}])))], {}, "'a' holds Python objects; it must be one row of whole numbers"),
        ([("a.npy", b"text")], {}, "cannot be read: EOF: reading magic string, expected 8 bytes got 4"),
        ([("\x1b[31m", ROW)], {}, r"'\x1b[31m' is no array that numpy wrote"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_do_not_hold_what_they_say(tmp_path, members, options, problem):
    path = archive(tmp_path / "x.npz", members, **options)
    with pytest.raises(NetworkError) as error:
        read_arrays(path, NetworkError)
    assert str(error.value) == f"{path}: {problem}"


def test_declared_sizes_take_no_memory(tmp_path):
    header = ROW[:-24].replace(b"(3,), }        ", b"(999999999,), }")
    assert len(header) == len(ROW) - 24
    assert b"(999999999,)" in header
    path = archive(tmp_path / "x.npz", [("a.npy", header)])
    with pytest.raises(NetworkError, match="'a' declares 7,999,999,992 bytes and holds 0"):
        read_arrays(path, NetworkError)
    np.savez_compressed(path, a=np.zeros(10**6, np.int8))
    with pytest.raises(NetworkError, match="its arrays take 1,000,128 bytes; at most 10,000 are"):
        read_arrays(path, NetworkError, limit_bytes=10_000)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(tmp_path, save):
    given = {
        "a": np.arange(6).reshape(2, 3),
        "b": np.array(1.5),
        "c": np.asfortranarray(np.ones((2, 3))),
    }
    save(tmp_path / "x.npz", **given)
    read = read_arrays(tmp_path / "x.npz", NetworkError)
    assert {name: array.tolist() for name, array in read.items()} == {
        name: array.tolist() for name, array in given.items()
    }
    assert list(read_arrays(tmp_path / "x.npz", NetworkError, ("b", "none"))) == ["b"]


def test_durations_are_no_numbers_of_steps(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, in_step=np.array([5], "m8[us]"), in_neuron=[0])
    with pytest.raises(NetworkError) as error:
        read_inputs(path)
    said = "'in_step' is timedelta64[us] of shape (1,); it must be one row of integers"
    assert str(error.value) == f"{path}: {said}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", "plain"),
        ("caf\u00e9", "caf\u00e9"),
        ("\x1b[2J\n", r"\x1b[2J\n"),
        ("a" * 100, "a" * 77 + "..."),
    ],
)
def test_names_are_shown_safely(name, expected):
    assert shown_name(name) == expected


class OfBytes:
    """A path as bytes, which `Path` does not take."""

    def __str__(self):
        return "a path of bytes"

    def __fspath__(self):
        return b"net.program"


@pytest.mark.parametrize("path", [OfBytes(), b"net.program", 3, None, "", "a\0b"], ids=str)
def test_what_is_no_path_is_refused(path):
    for read in (read_bytes, read_text, read_arrays):
        with pytest.raises(NetworkError, match=r"^path is .*; it must be a path$"):
            read(path, NetworkError)
