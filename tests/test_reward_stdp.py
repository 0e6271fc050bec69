"""Distal reward (Izhikevich 2007): the rewarded synapse grows, whatever brings the reward, and nothing else does."""

import numpy as np
import pytest

from programs.reward_stdp import WITHIN, learn, one_reward, successes

N_CHUNKS = 800


@pytest.fixture(scope="module")
def told():
    return learn(N_CHUNKS)


@pytest.mark.statistical
def test_the_rewarded_synapse_alone_grows_to_its_maximum(told):
    assert told.chosen[0] == 0
    assert told.chosen.max() == 255
    assert told.chosen[-50:].mean() > 240
    assert told.z_score > 5
    assert told.others[-1].mean() < 30
    assert len(told.reward_steps) > 40


@pytest.mark.statistical
def test_rewards_at_other_times_teach_nothing():
    shuffled = learn(N_CHUNKS, "shuffled")
    assert len(shuffled.reward_steps) > 40
    assert abs(shuffled.z_score) < 2
    assert shuffled.chosen.max() < 100


def test_without_rewards_tags_change_and_weights_do_not():
    none = learn(20, "none")
    assert none.reward_steps == []
    assert (none.weights == none.weights[0]).all()


def test_a_reward_through_the_cells_teaches_the_same_to_the_bit(told):
    through_cells = learn(100, supplied_by="cells")
    assert through_cells.reward_steps
    assert np.array_equal(through_cells.weights, told.weights[:100])
    assert (through_cells.weights[0] != through_cells.weights[-1]).any()


def test_a_reward_moves_the_weight_by_what_is_left_of_the_tag():
    tag, weight = one_reward()
    assert tag[199] == 0
    # The trace of a spike 4 to 5 steps ago, 88 * exp(-5 / 20); after 700 steps a half of it, rounded at random.
    assert 60 <= tag[210] <= 75
    assert abs(tag[899] / tag[210] - np.exp(-690 / 1024)) < 0.15
    assert weight[899] == 0
    assert abs(weight[910] - 3 / 16 * tag[899]) <= 1
    # The reversed pair makes the tag negative, and the same reward lowers the weight.
    assert tag[1890] < -10
    assert weight[-1] < weight[910]


def test_a_success_is_a_spike_of_the_cell_soon_after_one_of_the_input():
    pre, post = np.array([10, 30, 50, 52, 90]), np.array([10, 20, 41, 55, 80])
    assert successes(pre, post).tolist() == [20, 55]
    assert WITHIN == 10
