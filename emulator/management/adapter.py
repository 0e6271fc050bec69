"""An x86 program as the phases run it: its instructions, messages, spikes and rewards are those of its core."""

from typing import TYPE_CHECKING

from emulator.account import RECEIVE, SEND, SEND_WORDS
from emulator.management.channels import Channel
from emulator.management.core import ManagementCore
from emulator.management.regions import program_inputs, program_populations
from emulator.management.x86 import X86Program
from emulator.network.managed import PHASES, ManagedProgram

if TYPE_CHECKING:
    from emulator.management.phases import Management


class X86Task:
    """What runs an ELF file in the phases of a step.

    Parameters
    ----------
    program : ManagedProgram
        Core, phase and file.
    management : Management
        Whose memory, channels and outbox it works with.
    """

    def __init__(self, program: ManagedProgram, management: "Management") -> None:
        self._management, self._core = management, management.cores[program.core]
        queues, limits = list(management.channels.values()), management.chip.management
        self.x86 = X86Program(
            program.run,  # type: ignore[arg-type]  # a path: functions are no x86 programs
            management.memory,
            queues,
            program.core,
            inputs=program_inputs(management.engine.program),
            populations=program_populations(management.engine.program),
            on_wait=self._wait,
            on_reset=self._reset,
            memory_bytes=limits.memory_bytes // 4096 * 4096,
            budget=limits.instruction_budget,
        )
        # Of each channel of which the core is an end: what is counted, and its total in `Channel.state`.
        self._ends = [(q, SEND, 2, q.target) for q in queues if q.source == program.core]
        self._ends += [(q, RECEIVE, 3, q.source) for q in queues if q.target == program.core]

    def __call__(self, core: ManagementCore) -> None:
        """Run once."""
        management = self._management
        management.know_spikes()
        before = [int(queue.state[total]) for queue, _, total, _ in self._ends]
        try:
            self.x86.run(core.step, PHASES.index(core.phase), core.step + (core.phase != "pre"))
        finally:
            core.instructions += self.x86.n_instructions
        for (queue, kind, total, peer), earlier in zip(self._ends, before, strict=True):
            told = int(queue.state[total]) - earlier
            management.count(core, kind, told, peer)
            if kind == SEND:
                management.count(core, SEND_WORDS, told * queue.words, peer)
        for source, step, payload in self.x86.spikes.tolist():
            management.outbox.add(core.number, source, payload, step)
        if any(self.x86.rewards):
            management.reward(*self.x86.rewards)

    def reset(self) -> None:
        """Give every variable of the program its first value again."""
        self.x86.reset()

    def _wait(self, queue: Channel, sending: bool) -> None:  # as X86Program calls it
        self._management.deliver_to_host(self._core.step)
        if not (queue.has_room if sending else queue.n_waiting):
            self._management.wait(self._core, queue, sending=sending)

    def _reset(self, name: str | None) -> None:
        self._management.reset_state(self._core, () if name is None else (name,))
