import numpy as np
import pytest

from emulator.errors import NetworkError
from emulator.inputs import as_tables, read_inputs, read_rewards


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spikes.npz"


def test_columns_become_pairs(path):
    none = np.array([])
    np.savez(
        path, a_step=[5, 1], a_neuron=np.array([3, 4], np.uint8), b_c_step=none, b_c_neuron=none
    )
    spikes = read_inputs(path)
    assert list(spikes) == ["a", "b_c"]
    assert spikes["a"].tolist() == [[5, 3], [1, 4]]
    assert spikes["b_c"].shape == (0, 2)
    assert {array.dtype for array in spikes.values()} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "it holds no arrays"),
        ({"a_step": [1]}, "'a_neuron' is missing"),
        ({"a_neuron": [1]}, "'a_step' is missing"),
        (
            {"a_step": [1, 2], "a_neuron": [1]},
            "entries of 'a_step' 2 and 'a_neuron' 1: each spike needs one of each",
        ),
        (
            {"a_step": [1.5], "a_neuron": [1]},
            "'a_step' is float64 of shape (1,); it must be one row",
        ),
        (
            {"a_step": [[1]], "a_neuron": [1]},
            "'a_step' is int64 of shape (1, 1); it must be one row",
        ),
        ({"a_step": 1, "a_neuron": 1}, "'a_step' is int64 of shape (); it must be one row"),
        ({"a_step": [True], "a_neuron": [1]}, "'a_step' is bool of shape (1,); it must be one row"),
        (
            {"a_step": [-1, 2], "a_neuron": [1, 1]},
            "'a_step' runs from -1 to 2; allowed: 0 to 21474",
        ),
        (
            {"a_step": [0], "a_neuron": [2**40]},
            "'a_neuron' runs from 1099511627776 to 1099511627776",
        ),
        (
            {"spikes": [1]},
            "'spikes': it must be named <population>_step, <population>_neuron or <population>_payload",
        ),
        (
            {"_step": [1]},
            "'_step': it must be named <population>_step, <population>_neuron or <population>_payload",
        ),
        ({"a_payload": [1]}, "'a_neuron' is missing"),
        (
            {"a_step": np.array([{}]), "a_neuron": [1]},
            "'a_step' holds Python objects; it must be one row of whole numbers",
        ),
    ],
)
def test_what_does_not_fit_is_named(path, arrays, message):
    np.savez(path, **arrays)
    with pytest.raises(NetworkError) as error:
        read_inputs(path)
    assert f"{path}: " in str(error.value)
    assert message in str(error.value)


def test_all_mistakes_come_at_once(path):
    np.savez(path, a_step=[1.5], b_neuron=[-1], x=[0])
    with pytest.raises(NetworkError) as error:
        read_inputs(path)
    assert len(str(error.value).splitlines()) == 5


def test_a_damaged_file_is_refused(path):
    np.savez(path, a_step=np.arange(1000), a_neuron=np.arange(1000))
    content = path.read_bytes()
    for n_bytes in (0, 10, 5000, len(content) - 5):
        path.write_bytes(content[:n_bytes])
        with pytest.raises(NetworkError, match=r"not an \.npz file, or a truncated one"):
            read_inputs(path)
    flipped = bytearray(content)
    flipped[3000] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(NetworkError, match=r"cannot be read: Bad CRC-32 for file 'a_step\.npy'"):
        read_inputs(path)


def test_what_is_no_file_is_refused(path, tmp_path):
    with pytest.raises(
        NetworkError, match=r"spikes\.npz: cannot be read: No such file or directory"
    ):
        read_inputs(path)
    with pytest.raises(NetworkError, match="cannot be read: Is a directory"):
        read_inputs(tmp_path)
    np.save(tmp_path / "one.npy", [1])
    with pytest.raises(NetworkError, match=r"not an \.npz file"):
        read_inputs(tmp_path / "one.npy")


def test_columns_of_a_file_are_never_a_raster(path):
    np.savez(path, a_step=[1, 0], a_neuron=[0, 1], b_step=[1], b_neuron=[0], b_payload=[-7])
    tables = as_tables(read_inputs(path))
    assert {
        name: {column: values.tolist() for column, values in table.items()}
        for name, table in tables.items()
    } == {
        "a": {"step": [1, 0], "neuron": [0, 1]},
        "b": {"step": [1], "neuron": [0], "payload": [-7]},
    }


def test_rewards_stand_beside_spikes(path):
    np.savez(path, r0_step=[4], r0_neuron=[0], r1=np.array([1, -2, 3], np.int8))
    assert list(read_inputs(path)) == ["r0"]
    rewards = read_rewards(path)
    assert list(rewards) == ["r1"]
    assert rewards["r1"].tolist() == [1, -2, 3]
    assert rewards["r1"].dtype == np.int64
    assert read_rewards(path, 2)["r1"].tolist() == [1, -2]
    assert read_rewards(path, 5)["r1"].tolist() == [1, -2, 3, 0, 0]


@pytest.mark.parametrize("values", [1, [[1]], [0.5], ["a"]])
def test_rewards_are_rows_of_whole_numbers(path, values):
    np.savez(path, r0=values)
    with pytest.raises(NetworkError, match=r"'r0' is .* it must be one row of whole numbers"):
        read_rewards(path)
