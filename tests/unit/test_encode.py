"""Encoders against their definitions in plain Python, and their laws."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.encode import checks
from emulator.encode.latency import latency
from emulator.encode.rate import poisson, rate
from emulator.errors import NetworkError
from emulator.streams import philox4x32, random_words

unit = st.sampled_from([0.0, 0.25, 0.5, 1.0, 5e-324]) | st.floats(0, 1)
lengths = st.integers(1, 40)


@given(st.lists(unit, min_size=1, max_size=8), lengths)
def test_latency_is_one_spike_at_its_step(values, n_steps):
    spikes = latency(values, n_steps)
    assert spikes.shape == (n_steps, len(values))
    for neuron, value in enumerate(values):
        step = min(floor((1 - value) * n_steps), n_steps - 1)
        expected = [t == step and value > 0 for t in range(n_steps)]
        assert spikes[:, neuron].tolist() == expected


def test_latency_of_grey_levels():
    steps, neurons = np.nonzero(latency(np.arange(17) / 16, 16))
    assert dict(zip(neurons.tolist(), steps.tolist(), strict=True)) == {
        x: 16 - x for x in range(1, 17)
    }


def test_latency_threshold_is_silent_up_to_and_including():
    assert latency([0.2, 0.25, 0.26], 4, threshold=0.25).sum(axis=0).tolist() == [0, 0, 1]


@given(st.lists(unit, min_size=1, max_size=8), lengths)
def test_rate_has_fired_floor_of_rate_times_steps(values, n_steps):
    counts = np.cumsum(rate(values, n_steps), axis=0)
    for neuron, value in enumerate(values):
        x = Fraction(round(Fraction(value) * 2**32), 2**32)
        assert counts[:, neuron].tolist() == [floor(x * (t + 1)) for t in range(n_steps)]


@given(st.integers(0, 2**64 - 1), lengths, lengths)
def test_poisson_begins_with_the_shorter_train(seed, shorter, longer):
    values = np.linspace(0, 1, 5)
    shorter, longer = sorted((shorter, longer))
    train = poisson(values, longer, seed=seed)
    assert np.array_equal(train[:shorter], poisson(values, shorter, seed=seed))
    assert not train[:, 0].any()
    assert train[:, -1].all()


@pytest.mark.statistical
def test_poisson_has_its_rate():
    # Binomial: a deviation of 6 standard deviations in any of 5 counts has a chance of 1e-8.
    values, n_steps = np.array([0.01, 0.1, 0.5, 0.9, 0.99]), 100_000
    counts = poisson(values, n_steps, seed=3).sum(axis=0)
    assert (np.abs(counts - n_steps * values) < 6 * np.sqrt(n_steps * values * (1 - values))).all()


def test_batches_encode_like_their_rows():
    images = np.linspace(0, 1, 24).reshape(2, 3, 4)
    for code in (latency, rate):
        spikes = code(images, 7)
        assert spikes.shape == (2, 3, 7, 4)
        assert np.array_equal(spikes[1, 2], code(images[1, 2], 7))


def test_philox_known_answers():
    # The published known-answer tests of the generator's authors (Random123, kat_vectors).
    ones = 0xFFFFFFFF
    pi = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]
    cases = [
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([ones] * 4, (ones, ones), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (pi, (0xA4093822, 0x299F31D0), "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ]
    for counter, key, expected in cases:
        words = philox4x32(np.array(counter, np.uint32), key)
        assert " ".join(f"{word:08x}" for word in words) == expected


def test_random_words_depend_on_their_place_only():
    grid = random_words(7, 2, np.arange(5)[:, None], np.arange(9))
    assert grid[3, 4] == random_words(7, 2, 3, 4)
    assert random_words(7, 3, 3, 4) != grid[3, 4]
    assert random_words(7 + 2**32, 2, 3, 4) != grid[3, 4]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: latency([0.5, 1.5, -1], 4), "2 of 3 values lie outside 0 to 1, the first is 1.5"),
        (lambda: rate([float("nan")], 4), "1 of 1 values lie outside 0 to 1, the first is nan"),
        (lambda: latency([0.5], 0), "n_steps is 0; it must be at least 1"),
        (lambda: poisson([0.5], 4, seed=-1), "seed is -1; it must be from 0 to 2**64 - 1"),
        (lambda: poisson([0.5], 4, seed=1.0), "seed is 1.0; it must be from 0 to 2**64 - 1"),
        (lambda: rate([0.5], 2.5), "n_steps is 2.5; it must be a whole number"),
        (lambda: rate([0.5], 2**31), "n_steps is 2147483648; it must be at most 2,147,483,647"),
        (
            lambda: rate(np.ones(100), 2**30),
            "100 values in 1,073,741,824 steps are too many for one array; allowed: 8,589,934,592 of both multiplied",
        ),
        (lambda: latency([0.5], 4, threshold=np.nan), "threshold is nan; it must be a number"),
        (lambda: rate([0.5j], 4), "values are [0.5j]; they must be numbers from 0 to 1"),
        (lambda: rate("half", 4), "values are 'half'; they must be numbers from 0 to 1"),
        (
            lambda: rate([[1], [1, 0]], 4),
            "values have rows of different lengths; they must be numbers from 0 to 1",
        ),
        (
            lambda: rate(np.ma.masked_array([0.5, 1], [0, 1]), 4),
            "values have a masked entry (x.filled(...) gives it a value); they must be numbers from 0 to 1",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(NetworkError) as error:
        call()
    assert str(error.value) == message


def test_values_of_any_type_are_the_same_values():
    values = np.array([[0, 1, 1], [1, 0, 1]])
    for code in (latency, rate, poisson):
        wanted = code(values, 5)
        for form in (
            values.tolist(),
            values > 0,
            values.astype("f2"),
            values.astype("u1"),
            values.astype(np.longdouble),
        ):
            assert np.array_equal(code(form, np.int8(5)), wanted)
        assert np.array_equal(code(0.5, 5), code([0.5], 5))


def test_long_trains_are_made_in_parts(monkeypatch):
    values = np.linspace(0, 1, 7)
    whole = [code(values, 50) for code in (latency, rate, poisson)]
    monkeypatch.setattr(checks, "PART", 20)  # two steps at a time
    for code, wanted in zip((latency, rate, poisson), whole, strict=True):
        assert np.array_equal(code(values, 50), wanted)
