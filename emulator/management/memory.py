"""The memory map: state of neuron cores as arrays of 32-bit words, by population and variable, wherever they lie.

A region shows one variable of all neurons of a population, or of all synapses of a projection, in their own order:
a program reads the same at the same address, whatever the mapping. Each word read or written is counted for the
neuron core that holds it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import NoArrayError, as_array, is_one_of, quoted, shown
from emulator.errors import ManagementError

FIRST_ADDRESS = 0x9000_0000
LAST_ADDRESS = 0xFFFF_0000
PAGE = 4096
Places = NDArray[np.int64]
Cores = NDArray[np.int32]
WORD_BYTES = 4


@dataclass(eq=False)
class Region:
    """Words of neuron cores that management programs read and write.

    Attributes
    ----------
    name : str
        Population or projection, a dot, and the variable.
    data : (m,) ndarray
        The state itself, of 1, 2 or 4 bytes an element.
    place : (n,) int64
        Where each word stands in `data`.
    core : (n,) int32
        The neuron core that holds each word.
    low, high : int
        What may be written; nothing where `low` is above `high`.
    shift, bits, is_signed : int, int, bool
        The field of an element that a word is.
    address : int
        Of the first word, in the memory map of x86 programs.
    reads, writes : (n_cores,) int64
        Words read and written so far, by neuron core; all regions of a `MemoryMap` share them.
    """

    name: str
    data: NDArray[Any]
    place: NDArray[np.int64]
    core: NDArray[np.int32]
    low: int
    high: int
    n_cores: int
    shift: int = 0
    bits: int = 32
    is_signed: bool = True
    address: int = 0
    reads: NDArray[np.int64] = field(init=False)
    writes: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.reads = np.zeros(self.n_cores, np.int64)
        self.writes = np.zeros(self.n_cores, np.int64)

    def __len__(self) -> int:
        return len(self.place)

    @property
    def is_writable(self) -> bool:
        """Whether anything can be written."""
        return self.low <= self.high

    @property
    def is_field(self) -> bool:
        """Whether a word is a part of an element only."""
        return self.bits < 8 * self.data.itemsize

    def read(self, which: Any = None) -> NDArray[np.int32]:
        """Return words, all or those of some neurons or synapses; each is counted."""
        place, core = self._chosen(which, "read")
        self.reads += np.bincount(core, minlength=self.n_cores)
        values = self.data[place]
        if not self.is_field:
            return values.astype(np.int32)
        values = (values.astype(np.int64) >> self.shift) & ((1 << self.bits) - 1)
        if self.is_signed:
            values -= (values >> self.bits - 1) << self.bits
        return values.astype(np.int32)

    def write(self, values: Any, which: Any = None) -> None:
        """Set words, all or some; each is counted.

        Raises
        ------
        ManagementError
            When the region is read only, or a value is out of range.
        """
        place, core = self._chosen(which, "written")
        given = self._array(values)
        if not self.is_writable:
            raise ManagementError(f"{self.name} can only be read")
        if given.dtype.kind not in "iub" or given.shape not in ((), place.shape):
            raise ManagementError(
                f"{self.name}: {given.dtype} of shape {given.shape} was written; it must be whole numbers, one or "
                f"{place.shape}"
            )
        if given.size and (int(given.min()) < self.low or int(given.max()) > self.high):
            raise ManagementError(
                f"{self.name}: {given.min()} to {given.max()} was written; allowed: {self.low} to {self.high}"
            )
        self.writes += np.bincount(core, minlength=self.n_cores)
        if self.is_field:
            mask = ((1 << self.bits) - 1) << self.shift
            old = self.data[place].astype(np.int64) & ~mask
            self.data[place] = old | (given.astype(np.int64) << self.shift & mask)
        else:
            self.data[place] = given

    def _array(self, values: Any) -> NDArray[Any]:
        try:
            return as_array(values)
        except NoArrayError as error:
            raise ManagementError(
                f"{self.name}: what was given has {error}; it must be whole numbers"
            ) from None

    def _chosen(self, which: Any, done: str) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        if which is None:
            return self.place, self.core
        index = self._array(which)
        if not index.size:
            index = index.astype(np.int64)
        is_whole_numbers = index.dtype.kind in "iu" and index.ndim <= 1
        if not is_whole_numbers or (index.size and not 0 <= index.min() <= index.max() < len(self)):
            raise ManagementError(
                f"{self.name}: {shown(which)} cannot be {done}; it has words 0 to {len(self) - 1}"
            )
        return self.place[index.reshape(-1)], self.core[index.reshape(-1)]


class LateRegion(Region):
    """A region whose words are found when one of them is needed.

    Parameters
    ----------
    n : int
        How many there are.
    where : callable
        Returns `place` and `core`.
    """

    def __init__(  # the fields of a region
        self,
        name: str,
        data: NDArray[Any],
        n: int,
        where: Callable[[], tuple[Places, Cores]],
        low: int,
        high: int,
        n_cores: int,
        *,
        shift: int,
        bits: int,
        is_signed: bool,
    ) -> None:
        self.name, self.data, self.low, self.high, self.n_cores = name, data, low, high, n_cores
        self.shift, self.bits, self.is_signed, self.address = shift, bits, is_signed, 0
        self._n, self._where = n, where
        self.__post_init__()

    def __len__(self) -> int:
        return self._n

    def __getattr__(self, name: str) -> Any:
        """Find `place` and `core`, which are not there before."""
        if name not in ("place", "core"):
            raise AttributeError(name)
        self.place, self.core = self._where()
        return self.__dict__[name]


class MemoryMap:
    """All regions of a program, by name, each with an address.

    Parameters
    ----------
    regions : iterable of Region
        In the order of their addresses.

    Attributes
    ----------
    reads, writes : (n_cores,) int64
        Words read from and written to each neuron core so far: who runs a program takes and clears them.

    Raises
    ------
    ManagementError
        When they do not fit 32-bit addresses.
    """

    def __init__(self, regions: Iterable[Region]) -> None:
        self._regions: dict[str, Region] = {}
        self.reads = self.writes = np.empty(0, np.int64)
        address = FIRST_ADDRESS
        for region in regions:
            if not self._regions:
                self.reads, self.writes = region.reads, region.writes
            region.reads, region.writes = self.reads, self.writes
            region.address = address
            address += (
                -(-len(region) * WORD_BYTES // PAGE) * PAGE + PAGE
            )  # a page between two is a wild pointer's
            if address > LAST_ADDRESS:
                raise ManagementError(
                    f"{region.name} ends at {address:#x}: the state of this network does not fit 32-bit addresses; "
                    "manage fewer populations"
                )
            self._regions[region.name] = region

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions.values())

    def __getitem__(self, name: str) -> Region:
        """Return a region by name.

        Raises
        ------
        ManagementError
            When there is none of this name.
        """
        if not is_one_of(name, self._regions):
            known = ", ".join(self._regions)
            raise ManagementError(f"there is no {quoted(name)}; there are: {known}")
        return self._regions[name]
