"""The names and sizes in a program file, as a closed model: a stranger's file is checked before it is used."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.errors import LearningError, ProgramError
from emulator.learning import TRACE_MAX, described_rule

FORMAT = "emulator-program"
VERSION = 4
NATIVE = ("lif",)
"""Neuron models that a kernel of their own runs."""
Name = Annotated[str, Field(min_length=1, max_length=300)]
"""A network's names have 200 characters at most; files of neuron programs, and clamped inputs, may have more."""
Register = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**32 - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Chip(_Part):
    name: str
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    function: dict[str, dict[str, Any]]


class _Payload(_Part):
    low: Register
    high: Register


class _Population(_Part):
    name: Name
    size: Annotated[int, Field(ge=1, le=2**31 - 1)]
    model: Name
    is_input: bool
    payload: _Payload | None
    clamped_by: Name | None
    sent_by: Annotated[int, Field(ge=0, lt=16)] | None


class _Word(_Part):
    name: Name
    low: Register
    high: Register
    overflow: Literal["wrap", "saturate", "clip"]
    default: Register | None
    like: Literal[""]


class _Model(_Part):
    """A neuron program but for its instructions, which are the table `code`."""

    name: Name
    text: str
    states: list[_Word]
    parameters: list[_Word]
    numbers: list[Register]
    payload: _Word | None
    n_instructions: Annotated[int, Field(ge=1, le=65_535)]


class _Join(_Part):
    source: Name
    target: Name
    op: Literal["add", "max", "pass", "block"]
    value: Name


class _Trace(_Part):
    impulse: float
    tau: float


class _Device(_Part):
    minimum: int
    maximum: int
    nonlinearity_up: float
    nonlinearity_down: float
    range_spread: float
    step_spread: float
    cycle_spread: float
    stuck_low: float
    stuck_high: float
    seed: int


class _Learning(_Part):
    """A learning rule; what it says is checked where it is read."""

    dw: str | None
    dt: str | None
    dd: str | None
    x1: _Trace | None
    x2: _Trace | None
    y1: _Trace | Name | None
    y2: _Trace | Name | None
    y3: _Trace | Name | None
    epoch: int
    device: _Device | None = None


class _Projection(_Part):
    name: Annotated[str, Field(min_length=1, max_length=500)]  # of two populations, and an arrow
    source: Name
    target: Name
    weight_exp: Annotated[int, Field(ge=-8, le=7)]
    sign_mode: Literal["mixed", "exc", "inh"]
    weight_bits: Annotated[int, Field(ge=1, le=8)]
    n_synapses: Count
    quantisation: dict[str, Any] | None
    learning: _Learning | None


class _Channel(_Part):
    name: Name
    source: Annotated[int, Field(ge=-1, lt=16)]
    target: Annotated[int, Field(ge=-1, lt=16)]
    depth: Annotated[int, Field(ge=1, le=65_536)]
    words: Annotated[int, Field(ge=1, le=512)]
    dtype: Literal["int32", "uint32"]


class _Managed(_Part):
    """A management program that the network had; a file cannot hold its code."""

    core: Annotated[int, Field(ge=-1, lt=16)]
    phase: Literal["pre", "post", "pre_learning", "post_learning", "host"]
    every: Annotated[int, Field(ge=1)]
    first: Count
    name: Name


class _Probe(_Part):
    population: Name
    variable: Name
    neurons: list[Count] | None


class _Rounding(_Part):
    """A real parameter of a population that registers do not hold as asked: its neuron where that matters most."""

    population: Name
    parameter: Name
    neuron: Count
    asked: float
    held: float | None
    unit: Literal["ms", ""]
    relative_error: float | None


class _Manifest(_Part):
    format: Literal["emulator-program"]
    version: Literal[4]
    name: Name
    chip: _Chip
    seed: int
    dt_ms: Annotated[float, Field(gt=0)]
    max_delay_steps: Annotated[int, Field(ge=0, le=63)]
    populations: Annotated[list[_Population], Field(min_length=1)]
    models: list[_Model]
    joins: list[_Join]
    projections: list[_Projection]
    channels: list[_Channel]
    managed: list[_Managed]
    probes: list[_Probe]
    assumptions: list[str]
    warnings: list[str] = []
    rounding: list[_Rounding] = []


def check_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest when its names, sizes and references are sound.

    Raises
    ------
    ProgramError
        With every mistake.
    """
    try:
        model = _Manifest.model_validate(manifest)
    except ValidationError as error:
        lines = [
            f"manifest: {'.'.join(map(str, e['loc']))}: {e['msg']} (read {e.get('input')!r:.60})"
            for e in error.errors()
        ]
        raise ProgramError("\n".join(lines)) from None

    mistakes = _dangling(model)
    if mistakes:
        raise ProgramError("\n".join(f"manifest: {mistake}" for mistake in mistakes))
    return model.model_dump()


def _dangling(model: _Manifest) -> list[str]:
    """Find names that are double, or stand for nothing."""
    sizes = {p.name: p.size for p in model.populations}
    inputs = {p.name for p in model.populations if p.is_input}
    mistakes = ["two populations have the same name"] if len(sizes) < len(model.populations) else []
    for projection in model.projections:
        mistakes += [
            f"projection '{projection.name}' names an unknown population '{end}'"
            for end in (projection.source, projection.target)
            if end not in sizes
        ]
        if projection.target in inputs:
            mistakes.append(
                f"projection '{projection.name}' ends at the input '{projection.target}'"
            )
    mistakes += _wrong_learning(model, {p.name: p for p in model.populations})
    mistakes += _unknown_words(model, {p.name: p for p in model.populations})
    for probe in model.probes:
        size = sizes.get(probe.population)
        if size is None:
            mistakes.append(f"a probe names an unknown population '{probe.population}'")
        elif probe.neurons and max(probe.neurons) >= size:
            mistakes.append(
                f"a probe of '{probe.population}' names neuron {max(probe.neurons)} of {size}"
            )
    return mistakes


def _wrong_learning(model: _Manifest, populations: dict[str, _Population]) -> list[str]:
    """Find rules that are none, words that supply nothing, and stand-ins of inputs that do not exist."""
    programs, mistakes = {m.name: m for m in model.models}, []
    for population in model.populations:
        clamp = populations.get(population.clamped_by or "")
        if population.clamped_by is not None and (
            clamp is None or not clamp.is_input or clamp.size != population.size
        ):
            mistakes.append(f"population '{population.name}' stands for no input of its size")
    for projection in model.projections:
        if projection.learning is None or projection.target not in populations:
            continue
        try:
            rule = described_rule(projection.learning.model_dump())
        except LearningError as error:
            mistakes.append(f"projection '{projection.name}': {str(error).splitlines()[0]}")
            continue
        own = programs.get(populations[projection.target].model)
        words = {} if own is None else {w.name: w for w in own.states}
        mistakes += [
            f"projection '{projection.name}': {trace} is '{name}', no state word of 0 to 127"
            for trace, name in rule.supplied.items()
            if name not in words or words[name].low < 0 or words[name].high > TRACE_MAX
        ]
    return mistakes


def _unknown_words(model: _Manifest, populations: dict[str, _Population]) -> list[str]:
    """Find models, and variables of joins and probes, that do not exist."""
    programs = {m.name: m for m in model.models}
    mistakes = ["two models have the same name"] if len(programs) < len(model.models) else []
    mistakes += [
        f"model '{name}' has the name of a native one" for name in NATIVE if name in programs
    ]
    for population in model.populations:
        wrong = _wrong_model(population, programs)
        if wrong:
            mistakes.append(f"population '{population.name}' has {wrong}")

    def variables(name: str) -> set[str]:
        population = populations.get(name)
        if population is None or population.is_input:
            return set()
        own = programs.get(population.model)
        return {"u", "v"} if own is None else {word.name for word in own.states}

    mistakes += [
        f"a probe of '{probe.population}' names an unknown variable '{probe.variable}'"
        for probe in model.probes
        if probe.variable not in variables(probe.population) | {"spikes"}
    ]
    for join in model.joins:
        if join.source not in populations or join.target not in populations:
            mistakes.append("a join names an unknown population")
        elif join.value not in variables(join.source):
            mistakes.append(f"a join of '{join.source}' passes an unknown variable '{join.value}'")
        elif populations[join.source].size != populations[join.target].size:
            mistakes.append(f"a join of '{join.source}' ends at a population of another size")
    return mistakes


def _wrong_model(population: _Population, programs: dict[str, _Model]) -> str:
    """Say what is wrong with the model and the payload of a population; nothing if nothing is."""
    own, payload = programs.get(population.model), population.payload
    if payload is not None and payload.low >= payload.high:
        return "a payload without a range"
    if population.is_input:
        return (
            ""
            if population.model == "input"
            else f"an unknown model '{population.model}' of inputs"
        )
    if own is None:
        if population.model not in NATIVE:
            return f"an unknown model '{population.model}'"
        return "a payload; its model sends none" if payload is not None else ""
    return "another payload than its model" if _range(own.payload) != _range(payload) else ""


def _range(payload: _Payload | _Word | None) -> tuple[int, int] | None:
    return None if payload is None else (payload.low, payload.high)
