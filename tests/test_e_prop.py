"""E-prop on the chip: its neurons in plain integers, its tags and updates in floating point, and that it learns."""

import numpy as np
import pytest

from programs import e_prop


@pytest.fixture(scope="module")
def still():
    """Return an untrained learner with all gains 0, and a trial of it."""
    learner = e_prop.Learner(seed=3)
    return learner, learner.trial(weights_every=40)


def toward_zero(product):
    return np.sign(product) * (np.abs(product) >> 12)


def arriving(run, *sources, target):
    """Return what spikes bring to each neuron in each step."""
    current = 0
    for source in sources:
        weights = run.learned.matrix(f"{source}->{target}", "weights")
        current = current + e_prop.raster(run, source).astype(int) @ weights.T
    return np.concatenate([np.zeros_like(current[:1]), current[:-1]])


def test_neurons_tell_currents_from_the_broadcast_signal(still):
    _, run = still
    current, fired = arriving(run, "in", "cells", target="cells"), e_prop.raster(run, "cells")
    v, keep = np.zeros(e_prop.N_CELLS, int), round(4096 * e_prop.KEEP)
    for t in range(e_prop.N_STEPS):
        v = toward_zero(v * keep) + current[t]
        np.testing.assert_array_equal(v > e_prop.THRESHOLD, fired[t])
        v = v - e_prop.THRESHOLD * fired[t]
        np.testing.assert_array_equal(v, run.recordings["cells"]["v"][t])
    assert current.min() < 0 < current.max()
    error = run.recordings["out"]["error"]
    assert error.min() < -300
    assert error.max() > 300


def test_the_readout_compares_itself_with_the_target(still):
    learner, run = still
    current, keep = arriving(run, "cells", target="out")[:, 0], round(4096 * e_prop.KEEP_READOUT)
    y = 0
    for t in range(e_prop.N_STEPS):
        y = toward_zero(y * keep) + current[t]
        assert y == run.recordings["out"]["y"][t, 0]
        error = y - (learner.task.target[t - 1] if t else 0)
        assert run.recordings["out"]["error"][t, 0] == np.clip(error, -1023, 1023)


@pytest.mark.parametrize("source", ["in", "cells"])
def test_tags_follow_the_eligibilities(still, source):
    _, run = still
    eligibilities, _ = e_prop.reference(run, source, 40)
    tags = run.recordings[f"{source}->cells"]["tags"]
    assert tags.shape == eligibilities.shape
    assert np.corrcoef(tags.ravel(), eligibilities.ravel())[0, 1] > 0.98
    # An eligibility of 1 is a tag of x1 = 32 x 127 parts of psi x 2**-6, less the three bits that a product loses.
    scale = e_prop.IMPULSE * e_prop.KEEP * 127 / 8 / 64
    assert np.sum(tags * eligibilities) / np.sum(eligibilities**2) == pytest.approx(scale, rel=0.05)


def test_nothing_learns_with_all_gains_zero(still):
    _, run = still
    for name in ("in->cells", "cells->cells", "cells->out"):
        weights = run.recordings[name]["weights"]
        assert (weights == weights[0]).all()
    assert run.recordings["in->cells"]["tags"].any()


def test_weights_change_as_e_prop_asks():
    for r, cosine in e_prop.check_rule(seed=4).values():
        assert r > 0.94
        assert cosine > 0.7


def test_a_short_training_lowers_the_loss():
    learner = e_prop.Learner(seed=3)
    untrained = learner.task.loss(learner.trial())
    losses, last, trained = learner.train(12)
    assert losses[0] > 2 * losses[-1]
    assert learner.task.loss(trained) < min(untrained, 1) / 2
    assert not trained.program.learns
    assert last.energy().by("event")["learning_instruction"] > 0
