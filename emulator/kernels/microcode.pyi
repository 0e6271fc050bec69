"""The interpreter of neuron microcode."""

ACTIONS: tuple[str, ...]
"""What an instruction can do, by the number in its field `action`."""
FITS: tuple[str, ...]
"""How a result is fitted to low..high, by the number in its field `fit`."""
BLOCK_LANES: int
"""Compartments that are advanced together; each number of a program is stored so many times."""
