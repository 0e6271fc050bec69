"""What a management program sees: its core, and through it the chip."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.account import RECEIVE, SEND, SEND_WORDS
from emulator.arguments import is_whole, shown
from emulator.errors import ManagementError
from emulator.network.managed import HOST, MOST_INSTRUCTIONS, PHASES

if TYPE_CHECKING:
    from emulator.management.phases import Management


class ManagementCore:
    """A management core, or the host, as a program in Python sees it; it sees steps, never cycles.

    Attributes
    ----------
    memory : dict
        The program's own: it lasts until the chip is reset.
    instructions : int
        What it has said that it took, and is not noted yet.
    was_busy : bool
        Whether there is anything to be noted.
    """

    def __init__(self, number: int, management: "Management") -> None:
        self._number, self._management = number, management
        self.memory: dict[str, Any] = {}
        self._step, self._phase = 0, PHASES[0]
        self.instructions = 0
        self.was_busy = False

    @property
    def number(self) -> int:
        """Which core; -1 is the host."""
        return self._number

    @property
    def step(self) -> int:
        """Steps that the chip did before this one, since it was loaded or reset."""
        return self._step

    @property
    def phase(self) -> str:
        """One of `PHASES`."""
        return self._phase

    def begin(self, step: int, phase: str) -> None:
        """Set where it is; for who runs its programs."""
        self._step, self._phase = step, phase

    @property
    def name(self) -> str:
        """What people call it."""
        return "the host" if self.number == HOST else f"core {self.number}"

    def read(self, name: str, which: ArrayLike | None = None) -> NDArray[np.int32]:
        """Return words of neuron cores.

        Parameters
        ----------
        name : str
            A region of the memory map, like "cells.v", "cells.spikes" (1: it fired in this step), "a->b.weights".
        which : array of int, optional
            Neurons, or synapses in the order of (pre, post); all by default.

        Raises
        ------
        ManagementError
            When there is no such region or word.
        """
        self.was_busy = True
        region = self._management.memory[name]
        if name.endswith(".spikes"):
            self._management.know_spikes()
        return region.read(which)

    def write(self, name: str, values: ArrayLike, which: ArrayLike | None = None) -> None:
        """Set words of neuron cores, as `read` returns them.

        Raises
        ------
        ManagementError
            When there is no such word, it can only be read, or a value is out of range.
        """
        self.was_busy = True
        self._management.memory[name].write(values, which)

    def send_spikes(
        self, population: str, neurons: ArrayLike, payload: ArrayLike = 1, at: int | None = None
    ) -> None:
        """Make neurons of an input fire.

        Parameters
        ----------
        population : str
            An input whose spikes this core sends, or the host: see `Network.input`.
        neurons : int or array of int
            Which fire.
        payload : int or array of int
            Of each spike, where the input has payloads.
        at : int, optional
            The step in which they fire: by default this one in phase "pre", and the next one in others.

        Raises
        ------
        ManagementError
            With what is wrong.
        """
        self.was_busy = True
        self._management.send_spikes(self, population, neurons, payload, at)

    def reward(self, r0: int = 0, r1: int = 0) -> None:
        """Add to the rewards that learning rules read at the end of their epoch."""
        for name, value in (("r0", r0), ("r1", r1)):
            if not is_whole(value) or not -128 <= value <= 127:
                raise ManagementError(f"reward {name} is {shown(value)}; allowed: -128 to 127")
        self._management.reward(int(r0), int(r1))

    def reset(self, *populations: str) -> None:
        """Restore the state with which populations began, all by default, and forget the input on its way to them.

        Parameters stay as they were written, and synapses keep what they learned; when all populations are reset,
        their traces are zero.
        """
        self.was_busy = True
        self._management.reset_state(self, populations)

    def send(self, channel: str, message: int | Sequence[int] | NDArray[Any]) -> None:
        """Send a message; wait for room in the channel.

        Raises
        ------
        ManagementError
            When this is not its source, or the message has not its words.
        """
        queue = self._management.channel(channel, self, sending=True)
        if not queue.has_room:
            self._management.wait(self, queue, sending=True)
        queue.put(message)
        self._management.count(self, SEND, 1, queue.target)
        self._management.count(self, SEND_WORDS, queue.words, queue.target)

    def receive(self, channel: str) -> NDArray[Any]:
        """Return the next message, (words,); wait for one.

        Raises
        ------
        ManagementError
            When this is not its target.
        """
        queue = self._management.channel(channel, self, sending=False)
        if not queue.n_waiting:
            self._management.wait(self, queue, sending=False)
        self._management.count(self, RECEIVE, 1, queue.source)
        return queue.get()

    def waiting(self, channel: str) -> int:
        """Return how many messages wait in a channel of which this is an end; it can be asked without waiting."""
        return self._management.channel(channel, self, sending=None).n_waiting

    def has_room(self, channel: str) -> bool:
        """Return whether a message can be sent without waiting."""
        return self._management.channel(channel, self, sending=True).has_room

    def spend(self, instructions: int) -> None:
        """Say that the program took so many instructions of its core."""
        if not is_whole(instructions) or not 0 <= instructions <= MOST_INSTRUCTIONS:
            raise ManagementError(
                f"spend({shown(instructions)}): it must be a number of instructions, 0 to {MOST_INSTRUCTIONS:,}"
            )
        self.was_busy = True
        self.instructions += int(instructions)
