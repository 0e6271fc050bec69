"""Equilibrium propagation (Scellier & Bengio 2017): rates, direction of the update, and XOR, on the chip."""

import numpy as np
import pytest

from programs.equilibrium import Weights, X, Y, angle, contrast, equilibrium, gradient, rates, train

BETA = 0.125


@pytest.mark.statistical
@pytest.mark.parametrize("seed", [1, 3])
def test_the_update_points_down_the_gradient(seed):
    weights = Weights.random(seed)
    down = -gradient(weights, X, Y)
    update = contrast(weights, BETA, symmetric=True, repeats=40)
    assert angle(update, down) < 20
    # One hidden layer and the output each do so too, and it is no matter of the biases alone.
    n = weights.hidden.size
    assert angle(update[:n], down[:n]) < 25
    assert angle(update[n:], down[n:]) < 25


@pytest.mark.statistical
def test_free_and_nudged_phases_follow_the_gradient_too():
    weights = Weights.random(3)
    update = contrast(weights, 0.25, symmetric=False, repeats=40)
    assert angle(update, -gradient(weights, X, Y)) < 20


def test_without_a_nudge_there_is_no_direction():
    weights = Weights.random(3)
    nudged = contrast(weights, 0.25, symmetric=False, repeats=8)
    alike = contrast(weights, 0.0, symmetric=False, repeats=8)
    assert np.linalg.norm(alike) < np.linalg.norm(nudged) / 2


def test_the_chip_settles_where_the_network_does():
    for seed in (1, 2):
        for _, on_chip, model in rates(Weights.random(seed), beta=0.25):
            assert np.abs(on_chip - model).max() < 0.03
            assert np.ptp(model) > 0.3


def test_the_gradient_lowers_the_error():
    weights = Weights.random(2)
    slope = gradient(weights, X, Y)

    def error(real):
        return ((Y - equilibrium(real, X)[1]) ** 2).sum() / 2

    n = weights.hidden.size
    step = 1e-3
    changed = [
        part - step * own.reshape(part.shape)
        for part, own in zip(weights.real, (slope[:n], slope[n:]), strict=True)
    ]
    gained = error(weights.real) - error(changed)
    assert gained == pytest.approx(step * slope @ slope, rel=0.05)


@pytest.mark.statistical
def test_xor_is_learned():
    training = train(130)
    assert training.loss[:5].mean() > 0.1
    assert training.accuracy == 1
    assert training.final_loss < 0.04
    assert training.correlation > 0.5
