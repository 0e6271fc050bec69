"""Stable counting sorts: the compiler orders synapses and rows by neuron, of which there are far fewer.

Oracle: numpy's stable argsort, in tests/kernels/test_sorting.py.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t

import numpy as np


def stable_order(const int32_t[::1] key, int64_t n_keys, const uint32_t[::1] order=None):
    """Return where each key begins, and the indices in the order of their keys.

    Parameters
    ----------
    key : (n,) int32
        0 to n_keys - 1, of fewer than 2**32 things.
    n_keys : int
    order : (n,) uint32, optional
        An order in which things of equal key stay; by default their own.

    Returns
    -------
    first : (n_keys + 1,) int64
    order : (n,) uint32
    """
    cdef int64_t n = key.shape[0], i, total = 0, count
    cdef bint ordered = order is not None
    cdef uint32_t k
    if n and not 0 <= np.min(key) <= np.max(key) < n_keys:
        raise ValueError(f"keys are {np.min(key)} to {np.max(key)}; allowed: 0 to {n_keys - 1}")
    if ordered and order.shape[0] != n:
        raise ValueError(f"order has {order.shape[0]} entries for {n} keys")
    first_array = np.zeros(n_keys + 1, np.int64)
    order_array = np.empty(n, np.uint32)
    cdef int64_t[::1] first = first_array, place = np.empty(n_keys, np.int64)
    cdef uint32_t[::1] out = order_array
    with nogil:
        for i in range(n):
            first[key[i]] += 1
        for i in range(n_keys + 1):
            count = first[i]
            first[i] = total
            if i < n_keys:
                place[i] = total
            total += count
        for i in range(n):
            k = order[i] if ordered else <uint32_t> i
            out[place[key[k]]] = k
            place[key[k]] += 1
    return first_array, order_array
