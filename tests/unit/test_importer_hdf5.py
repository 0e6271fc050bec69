"""HDF5 files of strangers: each either loads or is refused in words; nothing outside the file is opened."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from emulator.errors import NetworkError
from emulator.importers.hdf5 import MAX_DEPTH, read_tree
from tests.conftest import ROOT

LIMIT = 2**20
ONLY_HERE = "only data in the file itself is read"
TWICE = "is a second link to an object of this file; each must occur once"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.nir"


def external_link(file, folder):
    with h5py.File(folder / "secret.h5", "w") as other:
        other["data"] = [1.0]
    file["x"] = h5py.ExternalLink("secret.h5", "/data")


def soft_link(file, _):
    file["data"] = [1.0]
    file["x"] = h5py.SoftLink("/data")


def dangling_link(file, _):
    file["x"] = h5py.SoftLink("/nothing")


def inside_itself(file, _):
    group = file.create_group("a/b")
    group["c"] = file["a"]


def root_inside_itself(file, _):
    file.create_group("a")["b"] = file["/"]


def shared(file, _):
    file["a"] = [1.0]
    file["b"] = file["a"]


def virtual(file, folder):
    with h5py.File(folder / "secret.h5", "w") as other:
        other["data"] = np.ones(4)
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "data", (4,))
    file.create_virtual_dataset("x", layout)


def external_storage(file, folder):
    (folder / "secret").write_bytes(bytes(32))
    file.create_dataset("x", (4,), "f8", external=[(str(folder / "secret"), 0, 32)])


def terabytes(file, _):
    file.create_dataset("x", (2**20, 2**20), "f8", chunks=(2**7, 2**7))


def two_together(file, _):
    for name in "ab":
        file[name] = np.zeros(LIMIT // 16 + 1)


def zipped(file, _):
    file.create_dataset("x", (LIMIT,), "f8", data=np.zeros(LIMIT), compression="gzip")


def not_stored(file, _):
    file.create_dataset("x", (100, 100), "f8", chunks=(10, 100))[:10] = 1


def not_stored_in_one(file, _):
    file.create_dataset("x", (100,), "f8")


def large_chunks(file, _):
    one = file.create_dataset(
        "x", (1,), "f8", maxshape=(None,), chunks=(LIMIT,), compression="gzip"
    )
    one[:] = 1


def unknown_filter(file, _):
    file.create_dataset("x", data=np.zeros(100), compression="lzf")


def references(file, _):
    file.create_dataset("x", data=np.array([file.ref]), dtype=h5py.ref_dtype)


def ragged(file, _):
    file.create_dataset("x", (2,), h5py.vlen_dtype(np.float64))[:] = [[1.0], [1.0, 2.0]]


def compound(file, _):
    file["x"] = np.zeros(3, "f8,i4")


def complex_numbers(file, _):
    file["x"] = np.zeros(3, complex)


def no_data(file, _):
    file["x"] = h5py.Empty("f8")


def named_type(file, _):
    file["x"] = np.dtype("f8")


def deep(file, _):
    file.create_group("/".join("d" * (MAX_DEPTH + 2)))


def many_texts(file, _):
    file.create_dataset("x", (100_001,), "S1", data=np.full(100_001, b"a"))


REFUSED = {
    external_link: [f"/x is a link to another file; {ONLY_HERE}"],
    soft_link: [f"/x is a soft link; {ONLY_HERE}"],
    dangling_link: [f"/x is a soft link; {ONLY_HERE}"],
    inside_itself: [f"/a/b/c {TWICE}"],
    root_inside_itself: [f"/a/b {TWICE}"],
    shared: [f"/b {TWICE}"],
    virtual: [f"/x has its data in another file; {ONLY_HERE}"],
    external_storage: [f"/x has its data in another file; {ONLY_HERE}"],
    terabytes: [
        "/x declares 67108864 chunks but stores 0",
        "its data sets declare 8796093022208 bytes; at most 1048576 are allowed",
    ],
    two_together: ["its data sets declare 1048592 bytes; at most 1048576 are allowed"],
    zipped: ["its data sets declare 8388608 bytes; at most 1048576 are allowed"],
    not_stored: ["/x declares 10 chunks but stores 1"],
    not_stored_in_one: ["/x declares 800 bytes but stores 0"],
    large_chunks: ["/x has chunks of 8388608 bytes; at most 1048576 are allowed"],
    unknown_filter: ["/x uses the HDF5 filters [32000]; allowed are gzip, shuffle, fletcher32"],
    references: ["/x holds object; allowed are texts and numbers of at most 8 bytes"],
    ragged: ["/x holds object; allowed are texts and numbers of at most 8 bytes"],
    compound: [
        "/x holds [('f0', '<f8'), ('f1', '<i4')]; allowed are texts and numbers of at most 8 bytes"
    ],
    complex_numbers: ["/x holds complex128; allowed are texts and numbers of at most 8 bytes"],
    no_data: ["/x is empty"],
    named_type: ["/x is neither a group nor a data set"],
    deep: [f"{'/d' * (MAX_DEPTH + 1)} lies deeper than {MAX_DEPTH} groups"],
    many_texts: ["/x holds 100001 texts; at most 100000 are allowed"],
}


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_what_is_unsafe_is_refused(path, tmp_path, build):
    with h5py.File(path, "w") as file:
        build(file, tmp_path)
    assert path.stat().st_size < 2 * LIMIT
    with pytest.raises(NetworkError) as error:
        read_tree(path, LIMIT)
    assert str(error.value).splitlines() == [f"{path}: {problem}" for problem in REFUSED[build]]


def test_a_safe_file_is_read_whole(path):
    numbers = np.arange(6, dtype=">i2").reshape(2, 3)
    with h5py.File(path, "w") as file:
        file["a/b"] = numbers
        file.create_dataset(
            "a/c", data=np.ones(500), compression="gzip", shuffle=True, fletcher32=True
        )
        file["a/d"] = [["one", "zwölf"]]
        file["a/e"] = "text"
        file["a/f"] = np.bytes_(b"fixed")
        file["a/g"] = np.zeros((0, 2))
        file["/".join("d" * MAX_DEPTH)] = 1.5
    tree = read_tree(path, LIMIT)
    assert np.array_equal(tree["a"]["b"], numbers)
    assert tree["a"]["c"].tolist() == [1.0] * 500
    assert tree["a"]["d"].tolist() == [["one", "zwölf"]]
    assert (tree["a"]["e"], tree["a"]["f"], tree["a"]["g"].shape) == ("text", "fixed", (0, 2))
    for _ in range(MAX_DEPTH - 1):
        tree = tree["d"]
    assert tree["d"] == 1.5


def test_texts_that_share_their_bytes_are_counted_each(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (3,), f"S{LIMIT // 4}", data=[b"a" * (LIMIT // 4)] * 3)
        file["y"] = "b" * (LIMIT // 2)
    with pytest.raises(NetworkError) as error:
        read_tree(path, LIMIT)
    assert str(error.value) == (
        f"{path}: not a readable HDF5 file: the texts of /y take more memory than is allowed"
    )


def test_what_is_no_hdf5_file_is_refused(path, tmp_path):
    with pytest.raises(NetworkError) as error:
        read_tree(path, LIMIT)
    assert str(error.value) == f"{path}: cannot be read: No such file or directory"
    for content in (b"", b"hello", bytes(4096)):
        path.write_bytes(content)
        with pytest.raises(NetworkError) as error:
            read_tree(path, LIMIT)
        assert str(error.value).startswith(f"{path}: not a readable HDF5 file: ")
        assert "\n" not in str(error.value)
    with pytest.raises(NetworkError, match=r"cannot be read: Is a directory"):
        read_tree(tmp_path, LIMIT)


def heap_of(path):
    """Return a file with one text, and where its heap begins."""
    with h5py.File(path, "w") as file:
        file["x"] = "some text"
    content = bytearray(path.read_bytes())
    return content, content.index(b"GCOL")


DAMAGE = {  # bytes from the heap's begin, what is put there, and the message; it holds a text and free space
    "size": (8, 2**40, "has no valid size"),
    "no size": (8, 0, "has no valid size"),
    "length": (24, 2**40, "is damaged"),
    "length beyond 64 bits": (24, 2**64 - 1, "is damaged"),
    "free space of no size": (48 + 8, 0, "is damaged"),
    "free space too small": (48 + 8, 64, "is damaged"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_heap_is_not_read(path, name):
    """The HDF5 library walks it without looking, for ever where free space has no size."""
    content, heap = heap_of(path)
    at, value, problem = DAMAGE[name]
    content[heap + at : heap + at + 8] = value.to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(NetworkError) as error:
        read_tree(path, LIMIT)
    assert str(error.value) == (
        f"{path}: not a readable HDF5 file: the heap of texts at byte {heap} {problem}"
    )


def test_a_text_longer_than_the_file_is_not_read(path):
    content, heap = heap_of(path)
    reference = content.index(heap.to_bytes(8, "little") + (1).to_bytes(4, "little"))
    content[reference - 1] = 0x80
    path.write_bytes(content)
    with pytest.raises(NetworkError) as error:
        read_tree(path, LIMIT)
    assert str(error.value) == (
        f"{path}: not a readable HDF5 file: a text of /x declares {2**31 + 9} bytes, more than the file"
    )


BATCH = """
import sys
from pathlib import Path
import h5py, numpy as np
from emulator.errors import NetworkError
from emulator.importers.nir import load_nir

whole, path = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
rng = np.random.default_rng(7)
lengths = np.linspace(0, len(whole) - 1, 40).astype(int)
cases = [whole, *(whole[:length] for length in lengths)]
# Two thirds of the flips where something stands: a file is mostly zeros.
used = np.flatnonzero(np.frombuffer(whole, np.uint8))
for k in range(200):
    flipped = bytearray(whole)
    at = rng.choice(used) if k % 3 else rng.integers(len(whole))
    flipped[at] ^= 1 << int(rng.integers(8))
    cases.append(bytes(flipped))
outcomes = []
for case in cases:
    path.write_bytes(case)
    try:
        load_nir(path, 1.0)
        outcomes.append("loaded")
    except NetworkError as error:
        assert str(error).startswith(str(path)), error
        str(error).encode()
        outcomes.append("refused")
assert outcomes[0] == "loaded"
assert set(outcomes[1:41]) == {"refused"}, outcomes[1:41]
print(outcomes[41:].count("loaded"), outcomes[41:].count("refused"))
"""


def small_network(path):
    with h5py.File(path, "w") as file:
        top = file.create_group("node")
        top["type"] = "NIRGraph"
        top["edges"] = [["in", "w"], ["w", "a"], ["a", "out"]]
        top["nodes/in/type"], top["nodes/in/shape"] = "Input", [3]
        top["nodes/w/type"] = "Affine"
        top.create_dataset("nodes/w/weight", data=np.ones((2, 3)), compression="gzip")
        top["nodes/w/bias"] = [1.0, 2.0]
        top["nodes/a/type"] = "LIF"
        for field in ("tau", "r", "v_leak", "v_threshold"):
            top[f"nodes/a/{field}"] = [2.0, 4.0]
        top["nodes/out/type"], top["nodes/out/shape"] = "Output", [2]


def test_damaged_files_load_or_are_refused(path, tmp_path):
    """In a process of its own, as the HDF5 library could end it; warnings are errors there too."""
    small_network(path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BATCH, path, tmp_path / "damaged.nir"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded, refused = map(int, done.stdout.split())
    assert loaded > 20
    assert refused > 20
