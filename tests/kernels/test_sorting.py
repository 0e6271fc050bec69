import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.kernels.sorting import stable_order


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(7, 9), st.booleans(), st.randoms())
def test_the_order_is_numpys(keys, n_keys, again, random):
    key = np.array(keys, np.int32)
    before = np.arange(len(key), dtype=np.uint32)
    if again:
        random.shuffle(before)
    first, order = stable_order(key, n_keys, before if again else None)
    assert order.tolist() == before[np.argsort(key[before], kind="stable")].tolist()
    assert first.tolist() == np.searchsorted(np.sort(key), np.arange(n_keys + 1)).tolist()


def test_keys_and_orders_that_do_not_fit_are_refused():
    key = np.array([0, 3, -1], np.int32)
    with pytest.raises(ValueError, match="keys are -1 to 3; allowed: 0 to 3"):
        stable_order(key, 4)
    with pytest.raises(ValueError, match="keys are 0 to 3; allowed: 0 to 2"):
        stable_order(key[:2], 3)
    with pytest.raises(ValueError, match="order has 1 entries for 2 keys"):
        stable_order(key[:2], 4, np.zeros(1, np.uint32))
