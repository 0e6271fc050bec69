"""The phases of a step: which management programs run, in turn, until all are done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from greenlet import GreenletExit, getcurrent, greenlet
from numpy.typing import ArrayLike, NDArray

from emulator.account import (
    CALL,
    INSTRUCTIONS,
    MESSAGE_COLUMNS,
    READ,
    WRITE,
    Account,
    Managed,
)
from emulator.arguments import is_one_of, quoted
from emulator.chip import Chip
from emulator.engine import Engine
from emulator.errors import EmulatorError, ManagementError
from emulator.management.channels import Channel, end_text
from emulator.management.core import ManagementCore
from emulator.management.memory import MemoryMap
from emulator.management.regions import program_regions
from emulator.management.sending import Outbox
from emulator.network.managed import HOST, PHASES, ManagedProgram

PRE = PHASES.index("pre")
OWN_CODE = Path(__file__).parents[1]


@dataclass(eq=False)
class Task:
    """A program that runs in a phase, and what it waits for."""

    program: ManagedProgram
    core: ManagementCore
    stack: greenlet
    channel: Channel | None = None
    sending: bool = False

    @property
    def can_go(self) -> bool:
        """Whether what it waits for is there."""
        if self.channel is None:
            return True
        return self.channel.has_room if self.sending else self.channel.n_waiting > 0

    def waits_for(self) -> str:
        """Say what it waits for, and of whom."""
        assert self.channel is not None
        queue = self.channel
        if self.sending:
            what = f"room in channel '{queue.name}', which holds {queue.n_waiting} of {queue.depth} messages, for "
            return f"{self.core.name} ('{self.program.name}') waits for {what}{end_text(queue.target)} to receive"
        return (
            f"{self.core.name} ('{self.program.name}') waits for a message in channel '{queue.name}' from "
            f"{end_text(queue.source)}"
        )


class Management:
    """The management cores of a chip with a program loaded: what the run loop calls in the phases of a step.

    Parameters
    ----------
    engine : Engine
        Whose state they read and write.
    chip : Chip
        How many there are.
    programs : sequence of ManagedProgram
        What they run.

    Attributes
    ----------
    memory : MemoryMap
        The state of neuron cores, as words.
    channels : dict of str to Channel
        By name.
    account : Account
        What they did.
    """

    def __init__(self, engine: Engine, chip: Chip, programs: Sequence[ManagedProgram]) -> None:
        self.engine, self.chip, self.programs = engine, chip, tuple(programs)
        program = engine.program
        self.fired = np.zeros(program.n_sources, np.uint8)
        self.memory = MemoryMap(
            program_regions(program, chip, engine.arrays() | {"spikes": self.fired})
        )
        self.channels = {c["name"]: Channel(**c) for c in program.manifest["channels"]}
        self.account = Account()
        self.outbox = Outbox(program)
        numbers = [*range(chip.management.cores), HOST]
        self.cores = {number: ManagementCore(number, self) for number in numbers}
        self._runs = [self._runner(p) for p in self.programs]
        self._by_phase = [
            [(p, run) for p, run in zip(self.programs, self._runs, strict=True) if p.phase == phase]
            for phase in PHASES
        ]
        self._now: list[Task] = []
        self._is_hosted = hosted = any(p.core == HOST for p in self.programs)
        listed = enumerate(self.channels.values())
        self._to_host = [(k, c) for k, c in listed if c.target == HOST and not hosted]
        self._messages: list[tuple[int, int, int, int, int]] = []
        self._fired = np.empty(0, np.uint32)
        self._place: int | None = None  # of the step in its chunk; None: its neurons are to come
        self._knows_spikes = False
        guards = [(PHASES.index(p.phase), p.every, p.first) for p in self.programs]
        engine.manage(self, np.array(guards, np.int64).reshape(-1, 3))

    def reset(self) -> None:
        """Forget everything: memories of programs, messages, spikes that were to come."""
        for core in self.cores.values():
            core.memory.clear()
        for channel in self.channels.values():
            channel.clear()
        for run in self._runs:
            if hasattr(run, "reset"):
                run.reset()
        self.outbox.clear()
        self.take()
        self.fired.fill(0)
        self.engine.machine.expect_spikes(-1)

    def phase(self, step: int, t: int, phase: int) -> None:
        """Run the programs of a phase whose guards hold; `t` is the step's place in the chunk."""
        tasks = self._now
        self._place = None if phase == PRE else t
        self._knows_spikes = False
        for program, run in self._by_phase[phase]:
            since = step - program.first
            if since < 0 or since % program.every:
                continue
            core = self.cores[program.core]
            core.begin(step, program.phase)
            if program.when is None or self._holds(program, core, (step, phase, program.core)):
                tasks.append(Task(program, core, greenlet(run)))
        if tasks:
            try:
                self._run(step, phase, tasks)
            finally:
                self._end(tasks)
            self.engine.machine.expect_spikes(self.outbox.next_step)

    def sent(
        self, step: int, source: NDArray[np.uint32], payload: NDArray[np.int32] | None
    ) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
        """Return the input spikes of a step together with those that were sent for it."""
        merged = self.outbox.merged(step, source, payload)
        self.engine.machine.expect_spikes(self.outbox.next_step)
        return merged

    def know_spikes(self) -> None:
        """Mark in `fired` who fired in this step; before the neurons were advanced nobody has."""
        if self._knows_spikes:
            return
        self.fired[self._fired] = 0
        none, place = np.empty(0, np.uint32), self._place
        self._fired = none if place is None else self.engine.machine.fired_now(place)
        self.fired[self._fired] = 1
        self._knows_spikes = True

    def _holds(
        self, program: ManagedProgram, core: ManagementCore, where: tuple[int, int, int]
    ) -> bool:
        """Return whether a guard holds; what it did is its core's."""
        when = program.when
        if isinstance(when, str):
            return self.channels[when].n_waiting > 0
        assert when is not None
        try:
            return bool(when(core))
        except (Exception, SystemExit) as error:
            raise self._failure(error, program, core, "guard") from error
        finally:
            if core.was_busy:
                self._book(core, where)
                self.engine.machine.expect_spikes(self.outbox.next_step)

    def _run(self, step: int, phase: int, tasks: list[Task]) -> None:
        """Let tasks run in turn; who has to wait lets others go on."""
        waiting = list(tasks)
        while waiting:
            able = [task for task in waiting if task.can_go]
            if not able:
                who = "; ".join(task.waits_for() for task in waiting)
                if self._is_hosted and any(t.channel and t.channel.target == HOST for t in waiting):
                    who += "; the host has programs, so they must receive what is sent to it"
                raise ManagementError(f"step {step}, phase '{PHASES[phase]}': deadlock: {who}")
            for task in able:
                if task.can_go:
                    task.channel = None
                    self._go(task, (step, phase, task.core.number))
            waiting = [task for task in waiting if not task.stack.dead]

    def _go(self, task: Task, where: tuple[int, int, int]) -> None:
        """Switch to a task until it ends or waits, and note what it did."""
        core = task.core
        try:
            task.stack.switch(core)
        except (Exception, SystemExit) as error:
            raise self._failure(error, task.program, core, "program") from error
        finally:
            self.deliver_to_host(where[0])
            self._book(core, where)
            if task.stack.dead:
                self.account.add(where, CALL, 1)

    def _book(self, core: ManagementCore, where: tuple[int, int, int]) -> None:
        """Note what a core read, wrote and computed since it was noted last."""
        account = self.account
        account.add_words(where, READ, self.memory.reads)
        account.add_words(where, WRITE, self.memory.writes)
        account.add(where, INSTRUCTIONS, core.instructions)
        core.instructions, core.was_busy = 0, False

    def deliver_to_host(self, step: int) -> None:
        """Take messages to the host, where it has no program of its own that receives them."""
        for index, channel in self._to_host:
            while channel.n_waiting:
                number = int(channel.state[3])
                words = channel.get().tolist()
                self._messages += [(step, index, number, k, word) for k, word in enumerate(words)]

    def take(self) -> Managed:
        """Return what was done, and what the host was told, since it was taken last."""
        messages = np.array(self._messages, np.int64).reshape(-1, len(MESSAGE_COLUMNS))
        self._messages.clear()
        return Managed(self.account.take(), messages)

    def _failure(
        self,
        error: Exception | SystemExit,
        program: ManagedProgram,
        core: ManagementCore,
        what: str,
    ) -> ManagementError:
        if isinstance(error, ManagementError) and str(error).startswith("management core "):
            return error  # of x86 code, which says where
        text = (
            str(error) if isinstance(error, EmulatorError) else f"{type(error).__name__}: {error}"
        )
        place = _place_of(error)
        return ManagementError(
            f"step {core.step}, phase '{core.phase}', {core.name}: {what} '{program.name}': {place}{text}"
        )

    @staticmethod
    def _end(tasks: list[Task]) -> None:
        """Unwind those that will never go on."""
        for task in tasks:
            if not task.stack.dead and task.stack:
                task.stack.throw(GreenletExit)
        tasks.clear()

    # what cores ask for

    def channel(self, name: str, core: ManagementCore, *, sending: bool | None) -> Channel:
        """Return a channel of which a core is the source, the target, or (None) either."""
        if not is_one_of(name, self.channels):
            known = ", ".join(self.channels) or "none"
            raise ManagementError(f"there is no channel {quoted(name)}; there are: {known}")
        queue = self.channels[name]
        ends = {True: (queue.source,), False: (queue.target,), None: (queue.source, queue.target)}[
            sending
        ]
        if core.number not in ends:
            verb = {True: "send to", False: "receive from", None: "look into"}[sending]
            raise ManagementError(
                f"{core.name} cannot {verb} channel '{name}', which goes from {end_text(queue.source)} to "
                f"{end_text(queue.target)}"
            )
        return queue

    def wait(self, core: ManagementCore, queue: Channel, *, sending: bool) -> None:
        """Let others go on until a message, or room for one, is there."""
        task = next((task for task in self._now if task.stack is getcurrent()), None)
        if task is None:
            raise ManagementError(
                f"only a program can wait for channel '{queue.name}', no guard: ask waiting or has_room"
            )
        task.channel, task.sending = queue, sending
        parent = task.stack.parent
        assert parent is not None
        parent.switch()

    def count(self, core: ManagementCore, kind: int, count: int, peer: int) -> None:
        """Note messages, or their words."""
        self.account.add((core.step, PHASES.index(core.phase), core.number), kind, count, peer)

    def send_spikes(
        self,
        core: ManagementCore,
        population: str,
        neurons: ArrayLike,
        payload: ArrayLike,
        at: int | None,
    ) -> None:
        """Put spikes into the outbox."""
        earliest = core.step + (core.phase != "pre")
        self.outbox.put(
            core.number, population, neurons, payload, earliest if at is None else at, earliest
        )

    def reward(self, r0: int, r1: int) -> None:
        """Add to the rewards of the epoch."""
        if self.engine.plastic is None:
            raise ManagementError("there is nothing to reward: no synapse of this program learns")
        self.engine.plastic.reward(r0, r1)

    def reset_state(self, core: ManagementCore, populations: tuple[str, ...]) -> None:
        """Restore the state of populations, each word of it written."""
        self.memory.writes += self.engine.reset_populations(populations)

    def _runner(self, program: ManagedProgram) -> Callable[[ManagementCore], object]:
        """Return what runs a program: the function itself, with what a call counts as."""
        run, instructions = program.run, program.instructions
        if isinstance(run, Path):
            from emulator.management.adapter import X86Task  # noqa: PLC0415  # needs the extra x86

            return X86Task(program, self)
        if not instructions:
            return run

        def counted(core: ManagementCore) -> None:
            core.instructions += instructions
            run(core)

        return counted


def _place_of(error: BaseException) -> str:
    """Return file and line of the user's own code in which an error arose, or nothing."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if not Path(code.co_filename).is_relative_to(OWN_CODE):
            place = f"{code.co_filename}:{trace.tb_lineno}: "
        trace = trace.tb_next
    return place
