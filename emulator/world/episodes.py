"""What came of episodes: rewards, and how long and how much energy an action took."""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import WorldError
from emulator.observe.run import Run
from emulator.units import seconds_from_cycles


@dataclass(eq=False)
class Episode:
    """From one reset of the environment to its end.

    Attributes
    ----------
    seed : int
        That it was reset with.
    reward : float
        Sum of the rewards.
    actions : list
        What the chip did.
    observations : list
        What the sensors saw before each action; empty unless asked for.
    first_step : int
        Step of the chip, since `World.run` began, in which the first sensor message arrives.
    ended : str
        "terminated" or "truncated" by the environment, "max_actions".
    """

    seed: int
    reward: float = 0.0
    actions: list[Any] = field(default_factory=list)
    observations: list[Any] = field(default_factory=list)
    first_step: int = 0
    ended: str = ""

    @property
    def n_actions(self) -> int:
        """How many there were."""
        return len(self.actions)


@dataclass(frozen=True, eq=False)
class Episodes:
    """The episodes of a `World.run`, one after another, and the chip's runs that cover them.

    Attributes
    ----------
    episodes : tuple of Episode
        In the order of their seeds.
    runs : tuple of Run
        Pieces that continue each other. In the first `steps_per_action` steps the chip waits for the first message,
        and at the end it idles until the piece is over.
    steps_per_action : int
        From the step in which a sensor message arrives to the one in which the action leaves, both included.
    """

    episodes: tuple[Episode, ...]
    runs: tuple[Run, ...]
    steps_per_action: int

    @property
    def rewards(self) -> NDArray[np.float64]:
        """Sum of rewards of each episode."""
        return np.array([e.reward for e in self.episodes])

    @property
    def n_actions(self) -> int:
        """Actions of all episodes."""
        return sum(e.n_actions for e in self.episodes)

    @property
    def steps(self) -> tuple[int, int]:
        """Steps that belong to actions: the first, and the first that does not; the loop never pauses in between."""
        return self.steps_per_action, self.steps_per_action * (1 + self.n_actions)

    @cached_property
    def latency_cycles(self) -> NDArray[np.int64]:
        """Cycles of each action, (n_actions,): from its sensor message on the chip to its own message to the host.

        What the environment and the host's program need is not in it; the message's way is.

        Raises
        ------
        WorldError
            When the runs were not timed.
        """
        parts = [run.timing.step_cycles for run in self.runs if run.timing is not None]
        if len(parts) < len(self.runs):
            raise WorldError('latency: the world was run with timing="off"')
        start, stop = self.steps
        cycles: NDArray[np.int64] = np.concatenate(parts)[start:stop]
        of_action: NDArray[np.int64] = cycles.reshape(-1, self.steps_per_action).sum(axis=1)
        return of_action

    @cached_property
    def latency_us(self) -> NDArray[np.float64]:
        """The same in microseconds."""
        timing = self.runs[0].timing
        cycles = self.latency_cycles.astype(np.float64)
        assert timing is not None
        return cycles * float(seconds_from_cycles(1_000_000, timing.clock_mhz))

    @cached_property
    def energy_pj(self) -> tuple[Fraction, Fraction | None]:
        """Energy of all actions together: of events, and the static part; None where it was not timed."""
        start, stop = self.steps
        dynamic, static, first = Fraction(), Fraction(), 0
        timed = all(run.timing is not None for run in self.runs)
        for run in self.runs:
            part = run.energy(
                start=max(0, start - first), stop=max(0, min(run.n_steps, stop - first))
            )
            dynamic += part.dynamic_pj
            static += part.static_pj or 0
            first += run.n_steps
        return dynamic, static if timed else None

    def spikes(self, population: str) -> NDArray[np.int64]:
        """Return the spikes of a population in all runs, (n, 2): step since the first, and neuron."""
        parts, first = [], 0
        for run in self.runs:
            parts.append(run.spikes[population].astype(np.int64) + np.array([first, 0]))
            first += run.n_steps
        return np.concatenate(parts)

    def table(self) -> dict[str, NDArray[Any]]:
        """Return columns: seed, reward, n_actions, first_step, ended; a line for each episode."""
        names = ("seed", "reward", "n_actions", "first_step", "ended")
        return {name: np.array([getattr(e, name) for e in self.episodes]) for name in names}

    def summary(self) -> str:
        """Return what there is to say, in lines."""
        rewards = self.rewards
        mean, least, most = rewards.mean(), rewards.min(), rewards.max()
        dynamic, static = (
            None if part is None else float(part) / self.n_actions / 1e3 for part in self.energy_pj
        )
        lines = [
            f"episodes   {len(rewards)}, reward {mean:.4g} on average, {least:.4g} to {most:.4g}",
            f"actions    {self.n_actions:,}, each in {self.steps_per_action} steps",
        ]
        if static is None:
            return "\n".join([*lines, f"energy     {dynamic:,.4g} nJ an action, not timed"])
        cycles, us = self.latency_cycles, self.latency_us
        slow, slow_us = (np.quantile(x, 0.99, method="higher") for x in (cycles, us))
        lines += [
            f"latency    {cycles.mean():,.0f} cycles, {us.mean():.4g} us on average",
            f"           99 % within {slow:,.0f} cycles, {slow_us:.4g} us",
            f"energy     {dynamic:,.4g} nJ an action, and {static:,.4g} nJ static",
        ]
        return "\n".join(lines)

    def __len__(self) -> int:
        return len(self.episodes)

    def __getitem__(self, index: int) -> Episode:
        return self.episodes[index]
