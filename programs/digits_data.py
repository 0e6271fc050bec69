"""Real handwritten digits: 1,797 images of 8 x 8 pixels with grey levels from 0 to 16, in digits_images.npz.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (the test part
of it), https://doi.org/10.24432/C50P49, as scikit-learn has them: in the order of its `load_digits`. Its
`train_test_split(..., test_size=0.25, stratify=labels, random_state=0)` made the split.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.encode.latency import latency

IMAGES = Path(__file__).with_name("digits_images.npz")
N_STEPS = 12
"""Steps in which the pixels of one image fire."""


class Split(NamedTuple):
    """Grey levels from 0 to 1 of shape (n_images, 64), and the digits that they show."""

    train_images: NDArray[np.float64]
    test_images: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]


def load_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the grey levels of all images, from 0 to 1, of shape (1797, 64), and the digits that they show."""
    with np.load(IMAGES) as file:
        return file["images"] / 16, file["labels"].astype(np.int64)


def load_split() -> Split:
    """Return 1,347 images to train with and 450 to test with: always the same split."""
    images, labels = load_digits()
    with np.load(IMAGES) as file:
        train, test = file["train"], file["test"]
    return Split(images[train], images[test], labels[train], labels[test])


def encode(images: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (n_images, N_STEPS, 64) spikes: bright pixels early, black ones never."""
    return latency(images, N_STEPS)


def decide(spikes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the digits that output spikes (n_images, n_steps, 10) stand for.

    The output that fired most often wins; of equals, the one that fired first; then the smaller
    digit.
    """
    n_steps = spikes.shape[1]
    first = np.where(spikes.any(axis=1), spikes.argmax(axis=1), n_steps)
    return np.argmax(spikes.sum(axis=1) * (n_steps + 1) - first, axis=1)
