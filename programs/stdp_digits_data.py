"""Digits for programs/stdp_digits.py: images, pixels that fire at the rate of their grey level, and all settings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from digits_data import load_split
from numpy.typing import NDArray

from emulator import Trace
from emulator.errors import NetworkError
from emulator.files import read_arrays

Grey = NDArray[np.float32]
MNIST_NAMES = {
    "train_images": "x_train",
    "train_labels": "y_train",
    "test_images": "x_test",
    "test_labels": "y_test",
}
"""What the arrays of a file are called, here and in Keras."""


class Images(NamedTuple):
    """Grey levels (n, n_pixels), none negative, and the digits that they show."""

    train: Grey
    test: Grey
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """How images are shown, and how neurons learn.

    Attributes
    ----------
    n_cells : int
        Neurons.
    passes : int
        How often all training images are shown.
    gain : float
        Spikes in a step of a pixel, for a grey level of 1 in an image whose grey levels have a Euclidean norm of 1.
    rule : str
        What is added to the weights.
    x1 : Trace
        What spikes of pixels leave.
    shown, silent : int
        Steps in which an image is shown, and of silence behind it: together an epoch of the rule.
    first_weight : int
        Weights begin at random below this.
    threshold : float
        Where thresholds begin, in units of weights.
    up : tuple of float
        What a spike adds to the threshold, with the first and with the last image; geometric in between.
    spikes : float
        Spikes per image, of all neurons, at which thresholds are in balance.
    sensitivity : float
        Part of its threshold at which a neuron fires after learning, so that more than one have a say.
    n_named : int
        Training images whose labels say what neurons stand for.
    accuracy : float
        What is asked of the test images.
    seed : int
        Of first weights, order and phases.
    """

    n_cells: int
    passes: int
    gain: float
    rule: str
    x1: Trace
    shown: int
    silent: int
    first_weight: int
    threshold: float
    up: tuple[float, float]
    spikes: float
    sensitivity: float
    n_named: int
    accuracy: float
    seed: int = 1

    @property
    def epoch(self) -> int:
        """Steps of one image."""
        return self.shown + self.silent


MNIST = Settings(
    n_cells=400, passes=1, gain=1.0, rule="2^-1*x1*y0 - 2^-5*w*y0", x1=Trace(12, 10), shown=48, silent=8,
    first_weight=120, threshold=30_000, up=(3000, 300), spikes=1.5, sensitivity=0.45, n_named=20_000, accuracy=0.85,
)  # fmt: skip
DIGITS = replace(
    MNIST,
    n_cells=100,
    passes=5,
    gain=1.5,
    rule="2^-2*x1*y0 - 2^-5*w*y0",
    threshold=9000,
    up=(900, 90),
    sensitivity=0.6,
    accuracy=0.8,
)


def load_mnist(path: Path) -> Images:
    """Return the images of a file with train_images (n, 28, 28), train_labels, test_images and test_labels.

    The same called x_train, y_train, x_test and y_test, as Keras has it, is read as well.

    Raises
    ------
    NetworkError
        With everything in the file that is no image or no digit.
    """
    arrays = read_arrays(path, NetworkError, [*MNIST_NAMES, *MNIST_NAMES.values()])
    given = {name: arrays.get(name, arrays.get(other)) for name, other in MNIST_NAMES.items()}
    mistakes = [f"'{name}' is missing" for name, array in given.items() if array is None]
    for part in () if mistakes else ("train", "test"):
        mistakes += _image_mistakes(part, given[f"{part}_images"], given[f"{part}_labels"])
    if mistakes:
        raise NetworkError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    train, test = (
        given[name].reshape(len(given[name]), -1).astype(np.float32)
        for name in ("train_images", "test_images")
    )
    return Images(train, test, *(given[f"{p}_labels"].astype(np.int64) for p in ("train", "test")))


def _image_mistakes(part: str, images: NDArray[Any], labels: NDArray[Any]) -> Iterator[str]:
    """Yield why images and labels are none, or not of each other."""
    if images.dtype.kind not in "uif" or images.shape[1:] not in ((28, 28), (784,)):
        yield f"'{part}_images' is {images.dtype} of shape {images.shape}; it must be grey levels (n, 28, 28)"
    elif not len(images) or not (np.isfinite(images).all() and images.min() >= 0):
        yield f"'{part}_images' must hold images of finite grey levels, from 0"
    if labels.dtype.kind not in "ui" or labels.shape != images.shape[:1]:
        kind = f"{labels.dtype} of shape {labels.shape}"
        yield f"'{part}_labels' is {kind}; it must be a digit for each of {len(images)} images"
    elif labels.size and not 0 <= labels.min() <= labels.max() <= 9:
        yield f"'{part}_labels' runs from {labels.min()} to {labels.max()}; allowed: 0 to 9"


def load_small() -> Images:
    """Return the small digits: 1,347 to train with, 450 to test with."""
    split = load_split()
    train, test = (x.astype(np.float32) for x in (split.train_images, split.test_images))
    return Images(train, test, split.train_labels, split.test_labels)


def pixel_spikes(
    images: Grey, settings: Settings, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Return spikes (n * epoch, n_pixels), evenly spaced from a random phase on; each image as bright as any other."""
    norm = np.linalg.norm(images, axis=1, keepdims=True)
    rates = np.minimum(settings.gain * images / np.maximum(norm, 1e-9), 1)[:, None]
    phase = random.random(rates.shape, dtype=np.float32)
    passed = np.floor(rates * np.arange(settings.shown + 1, dtype=np.float32)[:, None] + phase)
    fired = np.zeros((len(images), settings.epoch, images.shape[1]), bool)
    fired[:, : settings.shown] = np.diff(passed, axis=1) > 0
    return fired.reshape(-1, images.shape[1])
