"""The names and sizes in a program file, as a closed model: a stranger's file is checked before it is used."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.errors import ProgramError

FORMAT = "emulator-program"
VERSION = 2
Name = Annotated[str, Field(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=0, le=2**32 - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Chip(_Part):
    name: str
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    function: dict[str, dict[str, Any]]


class _Population(_Part):
    name: Name
    size: Annotated[int, Field(ge=1, le=2**31 - 1)]
    model: str
    is_input: bool


class _Projection(_Part):
    name: Name
    source: Name
    target: Name
    weight_exp: Annotated[int, Field(ge=-8, le=7)]
    sign_mode: Literal["mixed", "exc", "inh"]
    weight_bits: Annotated[int, Field(ge=1, le=8)]
    n_synapses: Count
    quantisation: dict[str, Any] | None


class _Probe(_Part):
    population: Name
    variable: Literal["u", "v", "spikes"]
    neurons: list[Count] | None


class _Manifest(_Part):
    format: Literal["emulator-program"]
    version: Literal[2]
    name: Name
    chip: _Chip
    seed: int
    dt_ms: Annotated[float, Field(gt=0)]
    max_delay_steps: Annotated[int, Field(ge=0, le=63)]
    populations: Annotated[list[_Population], Field(min_length=1)]
    projections: list[_Projection]
    probes: list[_Probe]
    assumptions: list[str]
    warnings: list[str] = []


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
    for probe in model.probes:
        size = sizes.get(probe.population)
        if size is None:
            mistakes.append(f"a probe names an unknown population '{probe.population}'")
        elif probe.neurons and max(probe.neurons) >= size:
            mistakes.append(
                f"a probe of '{probe.population}' names neuron {max(probe.neurons)} of {size}"
            )
    return mistakes
