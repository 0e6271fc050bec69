"""Features that neurons find without labels: what they are worth, and that labels have no part in them."""

from dataclasses import replace

import numpy as np
import pytest

from emulator import Emulator, Network, compile_network
from emulator.errors import NetworkError
from programs.stdp_digits import CHIP, NEURON, decide, experiment, learn, named
from programs.stdp_digits_data import (
    DIGITS,
    MNIST_NAMES,
    load_mnist,
    load_small,
    pixel_spikes,
)

SHORT = replace(DIGITS, n_cells=40, passes=1)


@pytest.fixture(scope="module")
def data():
    return load_small()


def same_program(one, other):
    tensors = other.tensors()
    return all(np.array_equal(array, tensors[name]) for name, array in one.tensors().items())


def test_features_are_worth_more_than_random_weights(data):
    (trained, tested), (_, plain) = (
        experiment(data, settings, plastic=plastic)
        for settings, plastic in ((DIGITS, True), (replace(DIGITS, passes=1), False))
    )
    right, by_chance = (np.mean(found.digits == data.test_labels) for found in (tested, plain))
    assert right >= DIGITS.accuracy
    assert by_chance < right - 0.1
    assert trained.run.visits("features").sum() > 0
    assert tested.run.visits("features").sum() == 0
    assert (tested.digits >= 0).all()
    # The picture says the same: features differ, and each digit has some.
    assert len(set(tested.digit_of.tolist())) == 10


def test_a_second_run_gives_the_same_numbers_and_labels_have_no_part_in_learning(data):
    shuffled = np.random.default_rng(5).permutation(data.train_labels)
    (one, found), (two, again), (three, misled) = (
        experiment(data._replace(train_labels=labels), SHORT)
        for labels in (data.train_labels, data.train_labels, shuffled)
    )
    assert np.array_equal(found.counts, again.counts)
    assert np.array_equal(found.digits, again.digits)
    for other in (two, three):
        assert same_program(one.program, other.program)
        assert np.array_equal(one.thresholds, other.thresholds)
    assert np.array_equal(found.counts, misled.counts)  # only what neurons stand for has changed
    right, wrong = (np.mean(tested.digits == data.test_labels) for tested in (found, misled))
    assert right > 0.6
    assert wrong < 0.3


def test_weights_that_do_not_learn_stay_and_those_that_do_move(data):
    images, weights = data.train[:50], {}
    for plastic in (False, True):
        run = learn(images, SHORT, plastic=plastic).run
        weights[plastic] = run.weights("features")
    first = np.random.default_rng((SHORT.seed, 0)).integers(0, SHORT.first_weight, (40, 64))
    assert np.array_equal(weights[False], first)
    moved = np.any(weights[True] != first, axis=1)
    assert moved.sum() > 0
    assert weights[True].min() >= 0
    assert weights[True].max() <= 255


def test_pixels_fire_at_the_rate_of_their_grey_level():
    images = np.array([[0, 1, 2, 2], [0, 3, 6, 6]], np.float32)
    fired = pixel_spikes(images, SHORT, np.random.default_rng(1)).reshape(2, SHORT.epoch, 4)
    assert not fired[:, SHORT.shown :].any()
    expected = SHORT.gain * SHORT.shown * np.array([0, 1, 2, 2]) / 3
    assert np.all(np.abs(fired.sum(axis=1) - np.minimum(expected, SHORT.shown)) < 1)


def test_the_threshold_rises_with_spikes_falls_with_input_and_silence_brings_rest():
    net = Network("winner")
    source = net.input("in", 2)
    cells = net.population("cells", 1, model=NEURON, threshold=100 << 8, up=20 << 8, down=1 << 8)
    net.connect(source, cells, weights=[[40, 0]], sign_mode="exc", weight_exp=0)
    net.connect(source, cells, weights=[[0, -250]], sign_mode="inh", weight_exp=0)
    net.probe(cells, "v", "threshold", "spikes")
    spikes = np.zeros((8, 2), bool)
    spikes[[0, 2, 3, 4], 0] = True
    spikes[5, 1] = True
    run = Emulator(CHIP, compile_network(net, CHIP)).run(8, {"in": spikes}, timing="off")
    recorded = run.recordings["cells"]
    # 40 * 64 = 2,560 at once is above any of these thresholds; inhibition alone leaves v at 0.
    assert recorded["spikes"][:, 0].tolist() == [False, True, False, True, True, True, False, False]
    assert (recorded["threshold"][:, 0] >> 8).tolist() == [100, 119, 119, 138, 157, 176, 175, 175]
    assert recorded["v"][:, 0].tolist() == [0] * 8


def test_neurons_are_named_by_mean_and_images_by_votes():
    counts = np.array([[3, 0, 0], [0, 2, 0], [0, 2, 0], [1, 0, 0]], np.int32)
    digit_of = named(counts, np.array([7, 4, 4, 4]))
    assert digit_of[:2].tolist() == [7, 4]
    votes = np.array([[2, 1, 0], [0, 3, 0], [0, 0, 0]], np.int32)
    assert decide(votes, np.array([7, 4, 4])).tolist() == [7, 4, -1]


def mnist(path, **changed):
    """Write a file as small as can be; None leaves an array out."""
    arrays = {
        "train_images": np.arange(3 * 784, dtype=np.uint8).reshape(3, 28, 28),
        "train_labels": np.array([1, 2, 9], np.uint8),
        "test_images": np.ones((2, 28, 28), np.uint8),
        "test_labels": np.array([0, 5]),
    } | changed
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_images_of_mnist_are_read(tmp_path):
    read = load_mnist(mnist(tmp_path / "x.npz"))
    assert (read.train.shape, read.test.shape) == ((3, 784), (2, 784))
    assert (read.train.dtype, read.train_labels.dtype) == (np.float32, np.int64)
    assert (read.train_labels.tolist(), read.test_labels.tolist()) == ([1, 2, 9], [0, 5])
    with np.load(tmp_path / "x.npz") as file:
        names = MNIST_NAMES.items()
        np.savez(tmp_path / "keras.npz", **{other: file[name] for name, other in names})
    again = load_mnist(tmp_path / "keras.npz")
    assert all(np.array_equal(a, b) for a, b in zip(read, again, strict=True))


@pytest.mark.parametrize(
    ("changed", "problems"),
    [
        ({"test_labels": None, "train_images": None}, ["'train_images' is missing", "'test_labels' is missing"]),
        (
            {"train_labels": np.array([1, 2]), "test_labels": np.array([0.0, 1.0])},
            [
                "'train_labels' is int64 of shape (2,); it must be a digit for each of 3 images",
                "'test_labels' is float64 of shape (2,); it must be a digit for each of 2 images",
            ],
        ),
        ({"train_labels": np.array([1, 2, 10])}, ["'train_labels' runs from 1 to 10; allowed: 0 to 9"]),
        (
            {"test_images": np.ones((2, 8, 8))},
            ["'test_images' is float64 of shape (2, 8, 8); it must be grey levels (n, 28, 28)"],
        ),
        (
            {"test_images": np.full((2, 784), -0.5)},
            ["'test_images' must hold images of finite grey levels, from 0"],
        ),
    ],
)  # fmt: skip
def test_what_is_no_mnist_is_refused(tmp_path, changed, problems):
    path = mnist(tmp_path / "x.npz", **changed)
    with pytest.raises(NetworkError) as error:
        load_mnist(path)
    assert str(error.value).splitlines() == [f"{path}: {problem}" for problem in problems]
