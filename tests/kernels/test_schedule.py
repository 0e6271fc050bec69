"""Input spikes as the run loop reads them, from rasters and lists, against sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.kernels import schedule as kernel
from tests.oracle.schedule import schedule, together

sizes = st.sampled_from([0, 1, 2, 7, 8, 9, 63, 64, 65, 130])


@st.composite
def rasters(draw):
    """Draw a raster of bytes, dense or with a spike here and there, and how many steps the run has."""
    n_rows, size = draw(sizes), draw(sizes)
    raster = np.zeros((n_rows, size), np.uint8)
    if raster.size:
        flat = raster.reshape(-1)
        places = st.integers(0, raster.size - 1)
        flat[draw(st.lists(places, max_size=12))] = draw(st.sampled_from([1, 1, 2, 128, 255]))
        if draw(st.booleans()):
            flat[draw(places) :] = 1
    return raster, n_rows + draw(st.integers(0, 3))


@given(rasters(), st.integers(0, 2**31))
def test_rows_and_columns_are_the_oracles(drawn, first):
    raster, n_steps = drawn
    spikes = set(map(tuple, np.argwhere(raster).tolist()))
    expected = schedule(spikes, first, n_steps)
    bits = int(np.bitwise_or.reduce(raster, axis=None)) if raster.size else 0
    for read, given_raster in (
        (kernel.from_rows, raster),
        (kernel.from_columns, np.asfortranarray(raster)),
    ):
        start, source, seen = read(given_raster, first, n_steps)
        assert (start.tolist(), source.tolist()) == expected
        assert seen == bits


@given(rasters())
def test_a_part_of_a_wider_raster_is_read_alone(drawn):
    raster, n_steps = drawn
    wide = np.full((raster.shape[0] + 2, raster.shape[1] + 9), 1, np.uint8)
    inner = wide[1:-1, 4:-5]
    inner[:] = raster
    expected = kernel.from_rows(raster, 3, n_steps)
    found = kernel.from_rows(inner, 3, n_steps)
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


@given(
    st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 4)), max_size=12),
    st.booleans(),
    st.sampled_from([np.int32, np.int64]),
    st.sampled_from("CF"),
)
def test_pairs_are_the_oracles_or_the_first_that_is_outside(pairs, in_order, dtype, order):
    if in_order:
        pairs = sorted(set(pairs))
    rows = np.array(pairs, dtype, order=order).reshape(-1, 2)
    start, source, ordered, outside, twice = kernel.from_pairs(rows, 4, 10, 5)
    wrong = [k for k, (step, neuron) in enumerate(pairs) if not (0 <= step < 5 and 0 <= neuron < 4)]
    assert outside == (wrong[0] if wrong else -1)
    if wrong:
        return
    assert ordered == (pairs == sorted(set(pairs)))
    steps = sorted(step for step, _ in pairs)
    assert start.tolist() == np.searchsorted(steps, np.arange(6)).tolist()
    if len(set(pairs)) == len(pairs):
        assert twice == -1
        assert (start.tolist(), source.tolist()) == schedule(set(pairs), 10, 5)
    else:
        found = steps[twice], source[twice] - 10
        assert pairs.count(found) > 1


@given(
    st.sets(st.tuples(st.integers(0, 1), st.integers(0, 300)), min_size=80, max_size=400),
    st.booleans(),
    st.randoms(),
)
def test_many_pairs_of_a_step_are_sorted_or_one_is_twice(spikes, again, random):
    pairs = sorted(spikes)
    random.shuffle(pairs)
    if again:
        pairs.append(pairs[0])
    start, source, _, _, twice = kernel.from_pairs(np.array(pairs, np.int64), 301, 7, 2)
    if again:
        assert (int(twice >= start[1]), source[twice] - 7) == pairs[0]
    else:
        assert twice == -1
        assert (start.tolist(), source.tolist()) == schedule(spikes, 7, 2)


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_numbers_without_a_sign_that_are_too_large_are_outside(dtype):
    for number in (5, 2**31, np.iinfo(dtype).max):
        for row in ((number, 0), (0, number)):
            rows = np.array([(0, 0), row], dtype)
            assert kernel.from_pairs(rows, 5, 0, 5)[3] == 1


@given(st.lists(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3))), max_size=4))
def test_populations_are_placed_beside_each_other(populations):
    parts = [schedule(spikes, 4 * k, 5) for k, spikes in enumerate(populations)]
    start = np.zeros(6, np.int64)
    for own, _ in parts:
        start += own
    begin, out = start[:-1].copy(), np.zeros(start[-1], np.uint32)
    for own, source in parts:
        kernel.place(np.array(own), np.array(source, np.uint32), begin, out)
    expected = together([(spikes, 4 * k) for k, spikes in enumerate(populations)], 5)
    assert (start.tolist(), out.tolist()) == expected
    assert begin.tolist() == start[1:].tolist()


def test_rasters_that_do_not_fit_are_refused():
    raster = np.zeros((4, 6), np.uint8)
    with pytest.raises(ValueError, match="4 rows of a raster for 3 steps"):
        kernel.from_rows(raster, 0, 3)
    with pytest.raises(ValueError, match="4 rows of a raster for 3 steps"):
        kernel.from_columns(np.asfortranarray(raster), 0, 3)
    with pytest.raises(ValueError, match="the bytes of a raster lie apart"):
        kernel.from_rows(raster[:, ::2], 0, 4)
    with pytest.raises(ValueError, match="the bytes of a raster lie apart"):
        kernel.from_columns(raster, 0, 4)
