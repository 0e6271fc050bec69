"""Spikes that management cores and the host have sent, until their step comes."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import NoArrayError, as_array, is_whole, quoted, shown
from emulator.errors import ManagementError
from emulator.management.channels import end_text
from emulator.network.managed import HOST
from emulator.program import Program

FURTHEST = 1 << 20
"""Steps ahead for which a spike may be sent."""


class Outbox:
    """Spikes by the step in which they are to be.

    Parameters
    ----------
    program : Program
        Whose inputs they are of.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._populations = {p["name"]: p for p in program.manifest["populations"]}
        self._spikes: dict[int, dict[int, int]] = {}

    @property
    def next_step(self) -> int:
        """The first step in which there is any, -1: there are none."""
        return min(self._spikes, default=-1)

    def clear(self) -> None:
        """Forget them."""
        self._spikes.clear()

    def put(
        self,
        core: int,
        population: str,
        neurons: ArrayLike,
        payload: ArrayLike,
        step: int,
        earliest: int,
    ) -> None:
        """Add spikes of an input.

        Raises
        ------
        ManagementError
            When the input is not this core's, has no such neuron or payload, the step is past, or a neuron fires
            twice in it.
        """
        entry = self._populations.get(population) if isinstance(population, str) else None
        if entry is None or not entry["is_input"]:
            known = ", ".join(name for name, p in self._populations.items() if p["is_input"])
            raise ManagementError(
                f"there is no input {quoted(population)}; there are: {known or 'none'}"
            )
        self._require_sender(core, population)
        if not is_whole(step) or not earliest <= step <= earliest + FURTHEST:
            raise ManagementError(
                f"spikes of '{population}' at step {shown(step)}: allowed from here: {earliest} to "
                f"{earliest + FURTHEST}"
            )
        index, values = self._checked(population, entry, neurons, payload)
        first = self.program.input_start[self.program.population_index[population]]
        for neuron, value in zip(index.tolist(), values.tolist(), strict=True):
            self.add(core, first + neuron, value, int(step))

    def add(self, core: int, source: int, payload: int, step: int) -> None:
        """Add a spike of a source.

        Raises
        ------
        ManagementError
            When it is another core's, or fires twice in the step.
        """
        population = self._name_of(source)
        self._require_sender(core, population)
        spikes = self._spikes.setdefault(step, {})
        if source in spikes:
            neuron = int(self.program.source_neuron[source])
            raise ManagementError(
                f"neuron {neuron} of '{population}' was sent twice for step {step}"
            )
        spikes[source] = payload

    def _require_sender(self, core: int, population: str) -> None:
        sent_by = self._populations[population]["sent_by"]
        sender = HOST if sent_by is None else sent_by
        if sender != core:
            raise ManagementError(
                f"{end_text(core)} cannot send spikes of '{population}', which {end_text(sender)} sends: see "
                "net.input(..., core=)"
            )

    def _checked(
        self, population: str, entry: dict[str, Any], neurons: ArrayLike, payload: ArrayLike
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        index = np.atleast_1d(_array(f"neurons of '{population}'", neurons))
        size = entry["size"]
        if (index.dtype.kind not in "iu" and index.size) or index.ndim != 1:
            raise ManagementError(
                f"neurons of '{population}' are {shown(neurons)}; they must be whole numbers"
            )
        index = index.astype(np.int64)
        if index.size and not 0 <= index.min() <= index.max() < size:
            raise ManagementError(
                f"neurons of '{population}' are {index.min()} to {index.max()}; it has 0 to {size - 1}"
            )
        values = _array(f"payload of '{population}'", payload)
        limits = entry["payload"] or {"low": 1, "high": 1}
        low, high = limits["low"], limits["high"]
        if values.dtype.kind not in "iu" or values.shape not in ((), index.shape):
            raise ManagementError(
                f"payload of '{population}' is {shown(payload)}; it must be a whole number, or one for each spike"
            )
        if values.size and not low <= values.min() <= values.max() <= high:
            raise ManagementError(
                f"payload of '{population}' is {values.min()} to {values.max()}; allowed: {low} to {high}"
            )
        return index, np.broadcast_to(values, index.shape).astype(np.int64)

    def merged(
        self, step: int, source: NDArray[np.uint32], payload: NDArray[np.int32] | None
    ) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
        """Return the spikes of a step, ascending: those that a run was given, and those sent.

        Raises
        ------
        ManagementError
            When a neuron fires twice.
        """
        spikes = self._spikes.pop(step, {})
        both = set(source.tolist()) & set(spikes)
        if both:
            first = min(both)
            population = self._name_of(first)
            raise ManagementError(
                f"step {step}: a neuron of '{population}' fires because the run's inputs say so, and a management "
                "program sent the same spike"
            )
        values = np.ones(len(source), np.int32) if payload is None else payload
        sources = np.concatenate([source, np.array(list(spikes), np.uint32)])
        order = np.argsort(sources, kind="stable")
        payloads = np.concatenate([values, np.array(list(spikes.values()), np.int32)])
        return np.ascontiguousarray(sources[order]), np.ascontiguousarray(payloads[order])

    def _name_of(self, source: int) -> str:
        index = int(self.program.source_population[source])
        return str(self.program.manifest["populations"][index]["name"])


def _array(what: str, values: ArrayLike) -> NDArray[Any]:
    try:
        return as_array(values)
    except NoArrayError as error:
        raise ManagementError(f"{what} have {error}; they must be whole numbers") from None
