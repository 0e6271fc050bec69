"""The crossbar learns, and hardly worse where its devices differ by half: a small version of programs/memristor.py."""

from dataclasses import replace

import numpy as np
import pytest

from programs import memristor
from programs.memristor import SPREADS, STUCK, accuracy, check, curves, digits, learn, with_device

SEEDS = range(1, 3)


@pytest.fixture(scope="module")
def task():
    return replace(digits(400, 300), n_neurons=30, ups=(400, 200))


def test_learning_survives_devices_that_differ_by_half(task):
    none, ideal, half, stuck = (
        np.mean([accuracy(task, rule, seed) for seed in SEEDS])
        for rule in (
            None,
            with_device(),
            with_device(range_spread=0.5, step_spread=0.5, cycle_spread=0.5),
            with_device(stuck_low=0.05, stuck_high=0.05),
        )
    )
    assert none < 0.7
    assert ideal > none + 0.1
    assert half > ideal - 0.05
    assert stuck > ideal - 0.05


def test_weights_stay_within_the_range_and_leave_its_middle(task):
    weights, thresholds = learn(task, with_device(), 1)
    low, high = memristor.DEVICE.minimum, memristor.DEVICE.maximum
    assert low <= weights.min()
    assert weights.max() <= high
    before = np.random.default_rng(1).integers(low, high + 1, weights.shape)
    assert weights.std() > before.std()
    assert len(np.unique(thresholds)) == task.n_neurons


def test_labels_of_the_test_are_not_used(task):
    shuffled = replace(task, test_labels=np.random.default_rng(5).permutation(task.test_labels))
    assert accuracy(shuffled, with_device()) < 0.2
    # Learning knows no labels at all.
    wrong = replace(task, labels=np.zeros_like(task.labels), ups=(400,))
    same = replace(task, ups=(400,))
    for a, b in zip(learn(wrong, with_device(), 2), learn(same, with_device(), 2), strict=True):
        np.testing.assert_array_equal(a, b)


def test_results_that_fall_too_fast_are_refused():
    good = {name: np.full((len(values), 2), 0.88) for name, (values, _) in curves().items()}
    good["no learning"] = np.full((1, 2), 0.7)
    check(good)
    for name, value in (
        ("from device to device", 0.5),
        ("from pulse to pulse", 0.5),
        ("stuck", 0.1),
    ):
        bad = {key: line.copy() for key, line in good.items()}
        bad[name][(STUCK if name == "stuck" else SPREADS).index(value)] = 0.8
        with pytest.raises(AssertionError):
            check(bad)
    with pytest.raises(AssertionError):
        check(good | {"no learning": np.full((1, 2), 0.8)})
