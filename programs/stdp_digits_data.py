"""Digits for programs/stdp_digits.py: images, pixels that fire at the rate of their grey level, and all settings."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from digits_data import load_split
from numpy.typing import NDArray

from emulator import Trace

Grey = NDArray[np.float32]


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
    """Return the images of a file with train_images (n, 28, 28), train_labels, test_images and test_labels."""
    with np.load(path) as file:
        train, test = (
            file[name].reshape(len(file[name]), -1).astype(np.float32)
            for name in ("train_images", "test_images")
        )
        labels = (file[name].astype(np.int64) for name in ("train_labels", "test_labels"))
        return Images(train, test, *labels)


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
