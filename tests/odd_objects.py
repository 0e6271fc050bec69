"""Objects that no argument wants, or that look like what it wants: made anew each time, by name."""

import datetime as dt
import enum
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from emulator import Network, Trace


class Refuses:
    """Like a tensor that is not converted by itself."""

    shape = (2, 3)

    def __init__(self, error=RuntimeError):
        self._error = error

    def __array__(self, *_args, **_keywords):
        raise self._error("cannot be made dense by itself")


class NoArray:
    """Whose `__array__` returns something else."""

    def __array__(self, *_args, **_keywords):
        return [1, 2]


class Hostile:
    """Which nobody can print, compare, count, hash or ask."""

    def _refuse(self, *_args):
        raise ZeroDivisionError("do not touch")

    __repr__ = __str__ = __eq__ = __bool__ = __len__ = __hash__ = __lt__ = _refuse
    __iter__ = __index__ = __float__ = __contains__ = __getitem__ = _refuse

    def __getattr__(self, name):
        raise ZeroDivisionError(name)


class FakeSparse:
    """Which says that it is a sparse matrix."""

    shape = (2, 3)

    def __init__(self, made):
        self._made = made

    def tocoo(self):
        if isinstance(self._made, Exception):
            raise self._made
        return self._made


class HalfSparse:
    """Whose parts do not fit together."""

    shape = (2, 3)
    row, col, data = np.array([0, 1]), np.array([0.0, 1.0]), np.array([2])

    def tocoo(self):
        return self


class Number(enum.IntEnum):
    """A whole number with a name."""

    ONE = 1


class Text(str):
    """A string of another class."""

    __slots__ = ()


def _looped():
    loop = []
    loop.append(loop)
    return loop


def _masked(*values):
    return np.ma.masked_array(values, np.arange(len(values)) == 1)


NUMBERS = {
    "true": lambda: True,
    "zero": lambda: 0,
    "one": lambda: 1,
    "minus one": lambda: -1,
    "three": lambda: 3,
    "64 bits": lambda: 2**64,
    "400 digits": lambda: 10**400,
    "5000 digits": lambda: -(10**5000),
    "real one": lambda: 1.0,
    "half": lambda: 2.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "minus inf": lambda: -float("inf"),
    "huge": lambda: 1e308,
    "complex": lambda: 1 + 2j,
    "fraction": lambda: Fraction(1, 3),
    "decimal": lambda: Decimal("1.5"),
    "enum": lambda: Number.ONE,
    "int8": lambda: np.int8(1),
    "uint64": lambda: np.uint64(2**64 - 1),
    "float16": lambda: np.float16(1.5),
    "longdouble": lambda: np.longdouble("1e4000"),
    "numpy true": lambda: np.True_,
    "complex128": lambda: np.complex128(1),
}
TEXTS = {
    "empty text": str,
    "nul": lambda: "a\0b",
    "long text": lambda: "x" * 300,
    "letter": lambda: "λ",
    "surrogate": lambda: "\ud800",
    "lines": lambda: "a\nb",
    "text of another class": lambda: Text("cells"),
    "numpy text": lambda: np.str_("cells"),
    "number as text": lambda: "1",
    "bytes": lambda: b"cells",
    "bytearray": lambda: bytearray(b"cells"),
    "path": lambda: Path("there is no such file"),
    "model path": lambda: "there is no.nasm",
    "nul path": lambda: "a\0.nasm",
}
CONTAINERS = {
    "none": lambda: None,
    "empty list": list,
    "empty tuple": tuple,
    "empty dict": dict,
    "list": lambda: [1, 2, 3],
    "list of lists": lambda: [[1, 2, 3], [4, 5, 6]],
    "ragged": lambda: [[1], [1, 2]],
    "looped": _looped,
    "nested": lambda: [[[[1]]]],
    "tuple": lambda: (0, 1, 0),
    "three tuples": lambda: ((0, 1), (0, 1), (2, 4)),
    "three lists": lambda: ([0, 1], [0, 1], [2, 4]),
    "three ragged lists": lambda: ([0, 1], [[0], [1, 2]], [2, 4]),
    "three texts": lambda: ("a", "b", "c"),
    "four arrays": lambda: tuple(np.arange(8).reshape(4, 2)),
    "three with none": lambda: ([0], None, [2]),
    "mixed": lambda: [1, "a", None],
    "bools": lambda: [True, False],
    "huge numbers": lambda: [10**400, 1],
    "set": lambda: {1, 2},
    "dict": lambda: {"a": 1},
    "table": lambda: {"pre": [0], "post": [0], "weight": [2]},
    "range": lambda: range(3),
    "iterator": lambda: iter([1]),
    "chunks": lambda: iter([([0], [0], [2]), ([1], [1], [4])]),
    "odd chunks": lambda: iter([("a", None, [2])]),
    "zip": lambda: zip([0], [0], [2], strict=True),
    "slice": lambda: slice(3),
    "list of refusing": lambda: [Refuses(), Refuses()],
    "masked in a list": lambda: [1, np.ma.masked, 2],
    "masked arrays in a list": lambda: [_masked(1, 2, 3), _masked(1, 2, 3)],
}
ARRAYS = {
    "no axis": lambda: np.array(3),
    "no axis, text": lambda: np.array("lif"),
    "array": lambda: np.array([0, 1, 2]),
    "matrix": lambda: np.full((2, 3), 2),
    "np.matrix": lambda: np.full((2, 3), 2).view(np.matrix),
    "three axes": lambda: np.ones((1, 2, 3), int),
    "no elements": lambda: np.empty((0, 3)),
    "bool array": lambda: np.array([True, False, True]),
    "bool matrix": lambda: np.ones((2, 3), bool),
    "real matrix": lambda: np.full((2, 3), 0.5),
    "objects": lambda: np.array([1, None, "a"], object),
    "object matrix": lambda: np.array([[1, 2, 3], [4, 5, 6]], object),
    "texts": lambda: np.array(["a", "b", "c"]),
    "complex array": lambda: np.full((2, 3), 2j),
    "dates": lambda: np.zeros((2, 3), "M8[s]"),
    "spans": lambda: np.zeros(3, "m8[s]"),
    "structured": lambda: np.zeros(3, [("pre", int), ("post", int)]),
    "masked": lambda: _masked(1, 2, 3),
    "masked matrix": lambda: np.ma.masked_array(np.full((2, 3), 2), np.eye(2, 3) > 0),
    "masked entry": lambda: np.ma.masked,
    "float16 matrix": lambda: np.full((2, 3), 0.5, np.float16),
    "longdouble matrix": lambda: np.full((2, 3), np.longdouble("1e4000")),
    "nan matrix": lambda: np.full((2, 3), np.nan),
    "64 bits matrix": lambda: np.full((2, 3), 2**64 - 1, np.uint64),
    "other byte order": lambda: np.full((2, 3), 2, ">i4"),
    "broadcast": lambda: np.broadcast_to(np.int8(2), (2, 3)),
    "csr": lambda: sparse.csr_array(np.eye(2, 3, dtype=int) * 2),
    "real coo": lambda: sparse.coo_matrix(np.eye(2, 3)),
    "bool csr": lambda: sparse.csr_array(np.eye(2, 3) > 0),
    "complex csc": lambda: sparse.csc_array(np.eye(2, 3) * 1j),
    "vector coo": lambda: sparse.coo_array([0, 1, 2]),
    "coo of three axes": lambda: sparse.coo_array(np.ones((1, 2, 3), int)),
    "series": lambda: pd.Series([1, 2, 3]),
    "nullable series": lambda: pd.Series([1, None, 3], dtype="Int64"),
    "categories": lambda: pd.Categorical(["a", "b"]),
    "frame": lambda: pd.DataFrame(np.full((2, 3), 2)),
    "mixed frame": lambda: pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [0.5, 1]}),
    "frame of synapses": lambda: pd.DataFrame({"pre": [0, 1], "post": [0, 1], "weight": [2, 4]}),
    "index": lambda: pd.Index([0, 1]),
    "missing": lambda: pd.NA,
    "no time": lambda: pd.NaT,
}
STRANGERS = {
    "object": object,
    "class": lambda: int,
    "function": lambda: lambda *_args, **_keywords: None,
    "module": lambda: np,
    "ellipsis": lambda: Ellipsis,
    "date": lambda: dt.date(2026, 1, 1),
    "uuid": lambda: uuid.UUID(int=1),
    "population": lambda: Network("other").input("in", 3),
    "trace": lambda: Trace(1, 2),
    "no array": NoArray,
    "hostile": Hostile,
    "hostile in a list": lambda: [Hostile()],
    "hostile in a tuple": lambda: (Hostile(), Hostile(), Hostile()),
    "sparse that is none": lambda: FakeSparse(None),
    "sparse that raises": lambda: FakeSparse(KeyError("no")),
    "half a sparse matrix": HalfSparse,
    **{
        f"refuses: {error.__name__}": lambda error=error: Refuses(error)
        for error in (RuntimeError, TypeError, ValueError, KeyError, MemoryError, AssertionError)
    },
}
ODD = NUMBERS | TEXTS | CONTAINERS | ARRAYS | STRANGERS
