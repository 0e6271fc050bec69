"""Checkpoints: all that a run needs to go on where it was, as one file in its run folder.

The file appears at one instant and has checksums; until the next one is there, it is the state that a crash leaves.
It holds the state of the chip and the sums of the run so far. What was recorded stands in the parts of the run's
tables, of which it says how many belong to it, and how long each step took in parts of `timing`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.engine import Schedule, plastic_sizes
from emulator.errors import RunError
from emulator.observe.parquet import read_columns, read_parts, write_columns
from emulator.observe.tables import PARTS, STEPS
from emulator.observe.upgrade import PAYLOAD, upgraded_checkpoint
from emulator.program import Program
from emulator.program.container import Kind, as_tensor, read, write
from emulator.timing import CORE_ARRAYS, SUMS, Timing

CHECKPOINT = "checkpoint.safetensors"
INPUTS, REWARDS = "inputs.parquet", "rewards.parquet"
KIND = Kind("emulator-checkpoint", 3, "checkpoint", "start the run again", RunError)
STATE = {
    "u": "<i4",
    "v": "<i4",
    "refractory_left": "<u1",
    "accumulators": "<i4",
    "words": "<i4",
    "step": "<i8",
}
PLASTIC = {"plastic": "<u4", "traces": "<u1", "tags": "<i2", "rewards": "<i4"}
"""State of programs that learn."""


class Plan(BaseModel):
    """What was asked of a run."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    steps: int = Field(ge=0)
    timing: Literal["off", "analytic", "cycle"]
    seed: int = Field(ge=0)
    strict: bool
    reset_every: int | None = Field(default=None, ge=1)
    checkpoint_every: int | None = Field(default=None, ge=1)
    weights_every: int | None = Field(default=None, ge=1)


class _Timed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    mode: str
    clock_mhz: float = Field(gt=0)
    barrier_cycles: int = Field(ge=0)
    bottleneck_names: list[str]


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    plan: Plan
    program_sha256: str
    step: int = Field(ge=0)
    n_parts: int = Field(ge=0)
    n_synaptic_events: int = Field(ge=0)
    n_overflows: int = Field(ge=0)
    wall_seconds: float = Field(ge=0)
    timed: _Timed | None


@dataclass
class Standing:
    """How far a run is.

    Attributes
    ----------
    step : int
        Steps done.
    n_synaptic_events, n_overflows : int
        Counted by the kernels in these steps.
    wall_seconds : float
        How long they took.
    timing : Timing or None
        Of the steps that were timed so far.
    state : dict of str to ndarray
        The chip's state, as `Engine.snapshot` gives it; empty while the engine holds it.
    spikes_per_source, active_per_segment : (n,) int64
        Sums over the steps.
    """

    step: int = 0
    n_synaptic_events: int = 0
    n_overflows: int = 0
    wall_seconds: float = 0.0
    timing: Timing | None = None
    state: dict[str, NDArray[Any]] = field(default_factory=dict)
    spikes_per_source: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    active_per_segment: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


def write_checkpoint(
    folder: Path, plan: Plan, program: Program, standing: Standing, n_parts: int
) -> None:
    """Replace the checkpoint of a run folder, at one instant."""
    timing = standing.timing
    manifest = _Manifest(
        plan=plan,
        program_sha256=program.sha256,
        step=standing.step,
        n_parts=n_parts,
        n_synaptic_events=standing.n_synaptic_events,
        n_overflows=standing.n_overflows,
        wall_seconds=standing.wall_seconds,
        timed=None
        if timing is None
        else _Timed(
            mode=timing.mode,
            clock_mhz=timing.clock_mhz,
            barrier_cycles=timing.barrier_cycles,
            bottleneck_names=list(timing.bottleneck_names),
        ),
    )
    tensors = dict(standing.state)
    tensors["spikes_per_source"] = standing.spikes_per_source
    tensors["active_per_segment"] = standing.active_per_segment
    if timing is not None:
        tensors |= {name: getattr(timing, name).reshape(-1) for name in SUMS}
    write(folder / CHECKPOINT, KIND, manifest.model_dump(mode="json"), tensors)


def read_plan(folder: Path) -> tuple[Plan, int]:
    """Return what was asked of an unfinished run, and how many of its steps are kept."""
    manifest = _manifest(folder / CHECKPOINT)[0]
    return manifest.plan, manifest.step


def _manifest(path: Path) -> tuple[_Manifest, dict[str, NDArray[Any]]]:
    found = read(path, KIND)
    content, tensors = upgraded_checkpoint(found.version, found.manifest, found.tensors)
    try:
        return _Manifest.model_validate(content), tensors
    except ValidationError as error:
        KIND.damaged(path, f"its manifest: {error.errors()[0]['msg']}")


def read_checkpoint(folder: Path, program: Program) -> tuple[Plan, Standing, int]:
    """Return the plan of a run, how far it is, and how many parts its tables have.

    Raises
    ------
    RunError
        When the checkpoint is missing, damaged, or of another program.
    """
    path = folder / CHECKPOINT
    manifest, tensors = _manifest(path)
    if not program.is_known_as(manifest.program_sha256):
        raise RunError(f"{path}: it was made by another program than the one in its folder")
    sizes = {
        "u": program.n_compartments,
        "v": program.n_compartments,
        "refractory_left": program.n_compartments,
        "accumulators": program.n_compartments * (program.max_delay_steps + 1),
        "words": len(program.words),
        "step": 1,
        "spikes_per_source": program.n_sources,
        "active_per_segment": program.n_counts,
    }
    sizes |= plastic_sizes(program)
    kept = STATE | (PLASTIC if program.learns else {})
    dtypes = kept | {"spikes_per_source": "<i8", "active_per_segment": "<i8"}
    arrays = {}
    for name, size in sizes.items():
        array = tensors.get(name)
        if array is None or array.shape != (size,) or array.dtype != np.dtype(dtypes[name]):
            KIND.damaged(path, f"table '{name}' is not what program '{program.name}' needs")
        arrays[name] = np.array(as_tensor(name, array, dtypes[name], 0))
    return (
        manifest.plan,
        Standing(
            step=manifest.step,
            n_synaptic_events=manifest.n_synaptic_events,
            n_overflows=manifest.n_overflows,
            wall_seconds=manifest.wall_seconds,
            timing=_timing(path, manifest, tensors),
            state={name: arrays[name] for name in kept},
            spikes_per_source=arrays["spikes_per_source"],
            active_per_segment=arrays["active_per_segment"],
        ),
        manifest.n_parts,
    )


def _timing(path: Path, manifest: _Manifest, tensors: dict[str, NDArray[Any]]) -> Timing | None:
    timed = manifest.timed
    if timed is None:
        return None
    names = tuple(timed.bottleneck_names)
    folder = path.parent
    rows = read_parts(
        folder / STEPS, folder / PARTS, manifest.n_parts, cycles="int64", bottleneck="uint8"
    )
    missing = [name for name in SUMS if name not in tensors or tensors[name].dtype != np.int64]
    if (
        missing
        or len(rows["cycles"]) != manifest.step
        or rows["bottleneck"].max(initial=0) >= len(names)
    ):
        KIND.damaged(path, "the times of its steps are incomplete")
    return Timing(
        mode=timed.mode,
        clock_mhz=timed.clock_mhz,
        step_cycles=rows["cycles"],
        bottleneck=rows["bottleneck"],
        bottleneck_names=names,
        barrier_cycles=timed.barrier_cycles,
        **{name: np.array(tensors[name]) for name in CORE_ARRAYS},
        link_flits=np.array(tensors["link_flits"]).reshape(-1, 4),
        latency_packets=np.array(tensors["latency_packets"]),
    )


def write_inputs(folder: Path, schedule: Schedule) -> None:
    """Keep the input spikes of a run, so that it can go on from its folder alone."""
    start = schedule.start
    step = np.repeat(np.arange(len(start) - 1, dtype=np.uint32), np.diff(start))
    payload = schedule.payload if len(schedule.payload) else np.ones(len(step), np.int32)
    write_columns(folder / INPUTS, {"step": step, "source": schedule.source, "payload": payload})
    if len(schedule.rewards):
        r0, r1 = np.ascontiguousarray(schedule.rewards.T)
        write_columns(folder / REWARDS, {"r0": r0, "r1": r1})


def read_inputs(path: Path, program: Program, steps: int) -> Schedule:
    """Return the input spikes that `write_inputs` kept.

    Raises
    ------
    RunError
        When they do not belong to the program.
    """
    table = read_columns(path, step="uint32", source="uint32", payload=PAYLOAD)
    step, source = table["step"], table["source"].copy()  # the kernels take no read-only one
    order = np.lexsort((source, step))
    if len(step) and (
        np.any(np.diff(order) != 1)
        or source.min() < program.n_compartments
        or source.max() >= program.n_sources
        or step.max() >= steps
    ):
        raise RunError(f"{path}: these are not input spikes of program '{program.name}'")
    start = np.searchsorted(step, np.arange(steps + 1)).astype(np.int64)
    payload = table["payload"].copy() if program.is_graded else np.empty(0, np.int32)
    rewards = np.empty((0, 2), np.int32)
    if (path.parent / REWARDS).exists():
        given = read_columns(path.parent / REWARDS, r0="int32", r1="int32")
        rewards = np.stack([given["r0"], given["r1"]], axis=1)
        if len(rewards) != steps:
            raise RunError(
                f"{path.parent / REWARDS}: it has {len(rewards)} lines for {steps} steps"
            )
    return Schedule(start, source, payload, rewards)
