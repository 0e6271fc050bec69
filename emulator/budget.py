"""What a run takes of memory: estimated before it begins, and watched while spikes, whose number nobody knows, come.

The figures are those of real processes: tests/unit/test_memory.py measures them.
"""

from emulator.errors import RunError
from emulator.growing import STEP
from emulator.learning import TRACES
from emulator.memory import available_bytes, room, size_text
from emulator.observe.checkpoint import Plan
from emulator.observe.records import Probes
from emulator.program import Program

SMALL = 64_000_000
"""What needs no look at how much there is."""
CHUNK_STEPS, CHUNK_BYTES = 600_000, 64_000_000
"""The engine's chunks of steps have no more of either: a tenth of a second."""
BASE_BYTES = 20_000_000
"""What a process needs beside, when it runs for long."""
TIMING_BYTES = 9
"""Of a step: its cycles and its bottleneck."""
ARRAY_BYTES, DICT_BYTES = 160, 232
"""Of an array and a dictionary beside what they hold."""
ROW_BYTES, NEURON_BYTES = 32, 16
"""Of a row of synapses and a neuron, while the engine is made."""
RESERVE = 256_000_000
"""What a run leaves."""
LOOK_EVERY = 64_000_000
"""Bytes of records between two looks at how much there is: a look takes a millisecond."""
WAYS_OUT = "make several runs that continue each other, or probe fewer neurons or less often"


def step_bytes(probes: Probes, plan: Plan, *, held: bool, n_inputs: int, rewarded: bool) -> int:
    """Return the bytes that a run takes for each of its steps, but for spikes and what is learned.

    Parameters
    ----------
    probes : Probes
        What is recorded.
    plan : Plan
        What is asked.
    held : bool
        Whether records are kept in memory.
    n_inputs : int
        Populations for which input spikes are given: where each step's begin is known of each, and of all together.
    rewarded : bool
        Whether rewards are given.
    """
    recorded = probes.step_bytes if held else 0
    timed = 0 if plan.timing == "off" else TIMING_BYTES + TIMING_BYTES // STEP
    begins = 0 if not n_inputs else 8 if n_inputs == 1 else 8 * (n_inputs + 1)
    return recorded + timed + begins + 8 * rewarded


def chunk_bytes(program: Program, probes: Probes, steps: int) -> int:
    """Return the bytes of the steps that the engine does before they are kept, and of what is needed once."""
    each = 4 * (program.n_counts + probes.n_values) + 16
    return BASE_BYTES + min(CHUNK_BYTES, each * min(steps, CHUNK_STEPS))


def learned_bytes(program: Program) -> int:
    """Return the bytes of one state of the plastic synapses, as `weights_every` keeps it."""
    sizes = {p["name"]: p["size"] for p in program.manifest["populations"]}
    total = DICT_BYTES
    for k, rule in program.rules.items():
        projection = program.manifest["projections"][k]
        traces = [name for name in TRACES if getattr(rule, name) is not None]
        largest = max(sizes[projection["source"]], sizes[projection["target"]])
        total += projection["n_synapses"] * (4 + 2 * rule.has_tag) + len(traces) * largest
        total += ARRAY_BYTES * (2 + len(traces)) + DICT_BYTES
    return total


def engine_bytes(program: Program) -> int:
    """Return the bytes that a program takes when it is loaded into an engine, beside itself."""
    slots = program.max_delay_steps + 1
    synapses = program.synapses.nbytes * (2 if program.learns else 1)
    state = program.n_compartments * (4 * slots + NEURON_BYTES) + program.words.nbytes
    return synapses + ROW_BYTES * len(program.rows) + state


def check_run(
    program: Program, probes: Probes, plan: Plan, *, held: bool, n_inputs: int, rewarded: bool,
    loaded: bool,
) -> None:  # fmt: skip
    """Refuse a run that needs more memory than there is, before anything is made.

    Parameters
    ----------
    program : Program
    probes, plan, held, n_inputs, rewarded
        As `step_bytes` takes them.
    loaded : bool
        Whether the engine is there already.

    Raises
    ------
    RunError
        With what the run takes, and how many steps there is room for.
    """
    steps = plan.steps
    each = step_bytes(probes, plan, held=held, n_inputs=n_inputs, rewarded=rewarded)
    states = 0
    if held and plan.weights_every is not None:
        states = steps // plan.weights_every * learned_bytes(program)
    fixed, chunk = 0 if loaded else engine_bytes(program), chunk_bytes(program, probes, steps)
    n_bytes = steps * each + chunk + states + fixed
    if n_bytes <= SMALL:
        return
    allowed = room()
    if allowed is None or n_bytes <= allowed:
        return
    if fixed > allowed:
        raise RunError(
            f"program '{program.name}' takes {size_text(fixed)} of memory when it is loaded; {size_text(allowed)} may "
            "be taken now"
        )
    per_step = max(1, each + states // max(1, steps))
    fits = max(0, (allowed - fixed - chunk) // per_step)
    files = "write the records to files (save_to), " if held else ""
    raise RunError(
        f"steps is {steps:,}: what is recorded takes {per_step:,} bytes a step, {size_text(n_bytes - fixed)}; "
        f"{size_text(allowed - fixed)} of memory may be taken now, which is enough for {fits:,} steps: {files}"
        f"{WAYS_OUT}"
    )


class Watch:
    """Looks now and then at whether memory is left for what a run records.

    Attributes
    ----------
    left : int or None
        Bytes that were left at the last look, where it was too few.
    """

    def __init__(self) -> None:
        self._held, self._next = 0, LOOK_EVERY
        self.left: int | None = None

    def hold(self, n_bytes: int) -> None:
        """Note that so many bytes more are kept."""
        self._held += n_bytes
        if self._held < self._next:
            return
        self._next = self._held + LOOK_EVERY
        available = available_bytes()
        if available is not None and available < RESERVE:
            self.left = available

    def error(self, done: int, steps: int) -> RunError:
        """Return the error of a run that ends for want of memory."""
        return RunError(
            f"stopped after {done:,} of {steps:,} steps: what was recorded takes {size_text(self._held)} of memory and "
            f"{size_text(self.left or 0)} are left; the chip stands there. Write the records to files (save_to), "
            f"{WAYS_OUT}"
        )
