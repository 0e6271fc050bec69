"""Chip files from before there were neuron programs, learning or management cores: what such a file lacks is filled in.

A file is older than one of these when it has none of its keys, and none of what came later; one that has only some of
them has a mistake. What is filled in means what the chip was when its file was written: it runs no neuron programs and
learns nothing. Events that the file does not know cost nothing and take no time, which their sources say.
"""

from dataclasses import replace
from typing import Any, NamedTuple

from emulator.chip.schema import EVENTS, Chip
from emulator.chip.tree import Node, from_python

UNPRICED = "not priced: "
"""How the source of a cost begins that no file says."""
COST = {"energy_pj": 0.0, "time_ns": 0.0, "source": f"{UNPRICED}the file is older than this event"}
MICROCODE = {
    "instructions": 0,
    "state_bytes": 0,
    "payload_bits": 0,
    "source": "none: the file is older than neuron programs",
}
LEARNING = {
    "instructions": 0,
    "accumulator_limits": {"minimum": -32_769, "maximum": 32_767},
    "mixed_weight_limits": {"minimum": -256, "maximum": 255},
    "tag_limits": {"minimum": -257, "maximum": 255},
    "source": "none: the file is older than learning engines",
}


class _Addition(NamedTuple):
    """What chip files had to have from some day on."""

    sections: dict[str, dict[str, Any]]
    costs: tuple[str, ...]


ADDITIONS = (
    _Addition({"microcode": MICROCODE}, ("instruction", "dendrite_join")),
    _Addition({"learning": LEARNING}, ("learning_instruction",)),
    _Addition(
        {},
        (
            "management_call",
            "management_instruction",
            "management_word",
            "message",
            "host_message",
        ),
    ),
)
"""In the order in which they came."""


def fill_in(root: Node) -> None:
    """Add what an older file lacks to its tree, before it is checked; a file of today stays as it is."""
    if "costs" not in root.value:
        return
    place, costs = root.value["costs"]
    if not isinstance(costs.value, dict):
        return
    costs = replace(costs, value=dict(costs.value))  # an alias may share it
    root.value["costs"] = place, costs
    for addition in reversed(ADDITIONS):
        if set(addition.sections) & set(root.value) or set(addition.costs) & set(costs.value):
            return
        for name, section in addition.sections.items():
            root.value[name] = root.place, from_python(section, root.place)
        for event in addition.costs:
            costs.value[event] = place, from_python(COST, place)


def unpriced(chip: Chip) -> list[str]:
    """Return the events that the chip's file is too old to price: they cost nothing and take no time."""
    return [event for event in EVENTS if getattr(chip.costs, event).source.startswith(UNPRICED)]
