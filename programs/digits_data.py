"""Real handwritten digits: the 1,797 images of 8 x 8 pixels that come with scikit-learn.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository (the test part of it), with grey levels from 0 to 16.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from emulator.encode.latency import latency

N_STEPS = 12
"""Steps in which the pixels of one image fire."""


class Split(NamedTuple):
    """Grey levels from 0 to 1 of shape (n_images, 64), and the digits that they show."""

    train_images: NDArray[np.float64]
    test_images: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]


def load_split() -> Split:
    """Return 1,347 images to train with and 450 to test with: always the same split."""
    digits = load_digits()
    parts = train_test_split(
        digits.data / 16, digits.target, test_size=0.25, stratify=digits.target, random_state=0
    )
    return Split(*parts)


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
