"""A chip and an environment that step together.

In each round the environment shows something, and the host sends it to a management core as one message (phase
`host`). The management core makes spikes of it (phase `pre` of the next step), counts those of the motor neurons (phase
`post`), and in the last step of the round sends what to do as one message to the host, which lets the environment
step (phase `host` of the same step).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import flag, is_whole, shown, whole
from emulator.chip import Chip
from emulator.compiler import compile_network
from emulator.emulator import Emulator
from emulator.errors import WorldError
from emulator.management.core import ManagementCore
from emulator.mapping import Mapping
from emulator.network import Network
from emulator.network.parts import Population
from emulator.observe.run import Run
from emulator.program import Program
from emulator.program.paths import fewest_steps
from emulator.timing import TimingMode
from emulator.world.episodes import Episode, Episodes
from emulator.world.motors import Motors
from emulator.world.sensors import Sensors

SENSE, ACT = "world.sensors", "world.action"
"""Channels from the host to the management core, and back."""
PARTS = {
    "sensors": ("size", "n_words", "instructions", "words", "spikes"),
    "motors": ("size", "n_words", "instructions", "words", "action", "misfit"),
}
"""What a code must have: the parts of `Sensors` and of `Motors`."""
LONGEST = 2**20
MOST_SEED = 2**31 - 1
PIECE = 1024
"""Actions in a piece of a run, at most: the chip idles for the rest of the last one."""


class World:
    """An environment, and a network on a chip that senses it and acts on it.

    Parameters
    ----------
    environment : object
        `reset(seed=...)` returns an observation and a dict; `step(action)` an observation, a reward, whether it is
        over by itself, whether it was cut off, and a dict: as environments of gymnasium.
    network : Network
        Gets two channels and three management programs.
    chip : Chip
        Where it runs.
    sensors : (Population, Sensors)
        An input whose spikes a management core sends (`net.input(..., core=0)`), and the code that makes them.
    motors : (Population, Motors)
        Neurons whose spikes are read, and what makes an action of them.
    steps_per_action : int
        Steps of the chip for each action.
    depth : int
        Steps from a spike of the sensors to the first of the motors that follows: on the shortest way, 1 and its
        delay for each projection; less than that is refused. Sensors fire in all steps of an action but the last
        `depth`, motor spikes are counted in all but the first.
    mapping : Mapping, optional
        Where neurons are.

    Attributes
    ----------
    emulator : Emulator
        The chip with the compiled network.

    Raises
    ------
    WorldError
        With every mistake.
    """

    def __init__(
        self,
        environment: Any,
        network: Network,
        chip: Chip,
        *,
        sensors: tuple[Population, Sensors],
        motors: tuple[Population, Motors],
        steps_per_action: int,
        depth: int = 1,
        mapping: Mapping | None = None,
    ) -> None:
        self.environment = environment
        self.steps_per_action = whole("steps_per_action", steps_per_action, 2, 2**16, WorldError)
        self.depth = whole("depth", depth, 1, self.steps_per_action - 1, WorldError)
        mistakes = _mistakes(environment, network, sensors, motors)
        if mistakes:
            raise WorldError("\n".join(mistakes))
        (self._input, self.sensors), (self._output, self.motors) = sensors, motors
        core, n = self._input.sent_by, self.steps_per_action
        assert core is not None
        network.channel(SENSE, "host", core, words=1 + self.sensors.n_words)
        network.channel(ACT, core, "host", words=self.motors.n_words)
        network.manage(core, "pre", self._sense, every=n, when=SENSE)
        network.manage(core, "post", self._count, when=self._counts)
        network.manage("host", "host", self._step, every=n)
        program = compile_network(network, chip, mapping=mapping)
        self._require_depth(program)
        self.emulator = Emulator(chip, program)
        self._seeds: list[int] = []
        self._done: list[Episode] = []
        self._episode: Episode | None = None
        self._max_actions, self._keeps = LONGEST, False

    def _require_depth(self, program: Program) -> None:
        """Refuse a depth in which no spike gets from the sensors to the motors: it would count in the next action."""
        source, target = self._input.name, self._output.name
        needed = fewest_steps(program, source, target)
        if needed is not None and needed > self.depth:
            raise WorldError(
                f"depth is {self.depth}; a spike of '{source}' needs {needed} steps to '{target}', delays included"
            )

    def run(
        self,
        seeds: int | Iterable[int],
        *,
        max_actions: int = LONGEST,
        timing: TimingMode = "cycle",
        observations: bool = False,
    ) -> Episodes:
        """Run episodes one after another, on the freshly loaded program; neurons are reset before each.

        Parameters
        ----------
        seeds : int or sequence of int
            What the environment is reset with; a number n stands for 0 to n - 1.
        max_actions : int
            An episode is ended after so many.
        timing : {"cycle", "analytic", "off"}
            As `Emulator.run`.
        observations : bool
            Keep what the sensors saw.

        Returns
        -------
        Episodes

        Raises
        ------
        WorldError, ManagementError
            When there is nothing to run; when the environment fails, or shows what the sensors cannot code.
        """
        self._seeds = [whole("seed", seed, 0, MOST_SEED, WorldError) for seed in _each(seeds)]
        if not self._seeds:
            raise WorldError(f"seeds is {shown(seeds)}; there must be an episode to run")
        self._max_actions = whole("max_actions", max_actions, 1, LONGEST, WorldError)
        n_episodes, self._keeps = len(self._seeds), flag("observations", observations, WorldError)
        self._done, self._episode = [], None
        self.emulator.reset()
        runs: list[Run] = []
        while len(self._done) < n_episodes:
            actions = min(PIECE, 64 << len(runs))
            runs.append(self.emulator.run(actions * self.steps_per_action, timing=timing))
        return Episodes(tuple(self._done), tuple(runs), self.steps_per_action)

    # on the host

    def _step(self, core: ManagementCore) -> None:
        """Let the environment step, and send what it shows; in the first round, reset it."""
        if core.waiting(ACT):
            observation = self._act(core.receive(ACT))
        elif self._episode is None and self._seeds:
            observation = None
        else:
            return
        begins = self._episode is None
        if begins:
            if not self._seeds:
                return
            observation = self._begin(core.step + 1)
        assert self._episode is not None
        if self._keeps:
            self._episode.observations.append(np.copy(observation))
        core.send(SENSE, np.concatenate([[begins], self.sensors.words(observation)]))

    def _begin(self, step: int) -> Any:
        """Reset the environment and return what it shows."""
        self._episode = Episode(self._seeds.pop(0), first_step=step)
        answer = self.environment.reset(seed=self._episode.seed)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise WorldError(
                f"reset returned {shown(answer)}; it must return an observation and a dict"
            )
        return answer[0]

    def _act(self, words: NDArray[Any]) -> Any:
        """Act and return what the environment shows; end the episode where it is over."""
        episode = self._episode
        assert episode is not None
        action = self.motors.action(words)
        kept = (
            action.copy() if isinstance(action, np.ndarray) else action
        )  # it may be changed there
        answer = self.environment.step(action)
        if not (isinstance(answer, tuple) and len(answer) == 5):
            raise WorldError(
                f"step returned {shown(answer)}; it must return an observation, a reward, terminated, truncated and "
                "a dict"
            )
        observation, reward, terminated, truncated, _ = answer
        episode.actions.append(kept)
        episode.reward += float(reward)
        limited = episode.n_actions == self._max_actions
        ends = {"terminated": terminated, "truncated": truncated, "max_actions": limited}
        episode.ended = next((name for name, over in ends.items() if over), "")
        if episode.ended:
            self._done.append(episode)
            self._episode = None
        return observation

    # on the management core

    def _sense(self, core: ManagementCore) -> None:
        """Make spikes of what the sensors say."""
        begins, *_ = message = core.receive(SENSE)
        memory = core.memory
        if begins:
            core.reset()
            memory["last"] = None
        memory["counts"] = np.zeros(self.motors.size, np.int64)
        memory["from"], memory["to"] = core.step + self.depth, core.step + self.steps_per_action - 1
        n_steps = self.steps_per_action - self.depth
        fired = self.sensors.spikes(message[1:], n_steps)
        if len(fired) > n_steps:
            raise WorldError(f"the sensors fire in {len(fired)} steps; there are {n_steps}")
        for later, neurons in enumerate(fired):
            core.send_spikes(self._input.name, neurons, at=core.step + later)
        core.spend(self.sensors.instructions + sum(map(len, fired)))

    @staticmethod
    def _counts(core: ManagementCore) -> bool:
        """Whether motor spikes of this step count."""
        return bool(core.memory.get("from", 1) <= core.step <= core.memory.get("to", 0))

    def _count(self, core: ManagementCore) -> None:
        """Count motor spikes, and in the end say what to do."""
        memory = core.memory
        memory["counts"] += core.read(f"{self._output.name}.spikes")
        core.spend(2 * self.motors.size)
        if core.step == memory["to"]:
            memory["last"] = self.motors.words(memory["counts"], memory["last"])
            core.spend(self.motors.instructions)
            core.send(ACT, memory["last"])


def _each(seeds: Any) -> Iterable[Any]:
    """Return the seeds that were asked for: several, or a number n for 0 to n - 1."""
    if is_whole(seeds):
        return range(whole("seeds", seeds, 0, MOST_SEED, WorldError))
    try:
        if not isinstance(seeds, str | bytes):
            return list(seeds)
    except Exception:  # whatever a stranger's class raises
        pass
    raise WorldError(f"seeds is {shown(seeds)}; it must be a whole number, or several")


def _mistakes(environment: Any, network: Any, sensors: Any, motors: Any) -> list[str]:
    """Return what is wrong with the parts of a world."""
    if not isinstance(network, Network):
        return [f"network is {shown(network)}; it must be a Network"]
    mistakes = [
        f"the environment is {shown(environment)}; it has no method {name}(), as those of gymnasium have"
        for name in ("reset", "step")
        if not _has(environment, name)
    ]
    for name, pair in (("sensors", sensors), ("motors", motors)):
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], Population)):
            mistakes.append(f"{name} is {shown(pair)}; it must be (population, {name[:-1]} code)")
            continue
        found = _part_mistakes(name, *pair, environment, network)
        mistakes += [f"{name}: {mistake}" for mistake in found]
    return mistakes


def _has(thing: object, name: str) -> bool:
    try:
        return hasattr(thing, name)
    except Exception:  # of a stranger's class
        return False


def _part_mistakes(
    name: str, population: Population, code: Any, environment: Any, network: Network
) -> list[str]:
    """Return what is wrong with the sensors, or the motors, of a world."""
    lacking = [part for part in PARTS[name] if not _has(code, part)]
    if lacking:
        return [f"the code is {shown(code)}, which has no {', '.join(lacking)}"]
    mistakes = []
    if network.populations.get(population.name) is not population:
        mistakes.append(f"'{population.name}' belongs to another network")
    if population.size != code.size:
        mistakes.append(f"'{population.name}' has {population.size} neurons, its code {code.size}")
    if name == "sensors" and (not population.is_input or population.sent_by is None):
        mistakes.append(
            f"'{population.name}' must be an input whose spikes a management core sends: "
            "net.input(..., core=0)"
        )
    if name == "motors":
        if population.is_input:
            mistakes.append(f"'{population.name}' is an input; it has no motor neurons")
        space = environment.action_space if _has(environment, "action_space") else None
        misfit = "" if space is None else code.misfit(space)
        if misfit:
            mistakes.append(f"the actions do not fit the environment: {misfit}")
    return mistakes
