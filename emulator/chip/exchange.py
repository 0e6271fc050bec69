"""Chips as JSON, exactly, and the JSON Schema that editors check chip files with."""

import json
from typing import Any

from emulator.chip.check import check
from emulator.chip.schema import Chip
from emulator.chip.tree import Place, from_python
from emulator.chip.upgrade import fill_in
from emulator.errors import ChipError


def to_json(chip: Chip) -> str:
    """Return a chip as JSON text, from which `chip_from_json` makes an equal chip."""
    return chip.model_dump_json(indent=1) + "\n"


def chip_from_json(text: str) -> Chip:
    """Return the chip that `to_json` wrote, in this version or an earlier one.

    Raises
    ------
    ChipError
        With a line for each mistake.
    """
    try:
        data = json.loads(text, object_pairs_hook=_no_repeated_keys)
    except (ValueError, RecursionError) as error:
        raise ChipError(f"this is not the JSON of a chip: {error}") from None
    if not isinstance(data, dict):
        raise ChipError(f"this is not the JSON of a chip, but of a {type(data).__name__}")
    root = from_python(data, Place())
    fill_in(root)
    chip, mistakes = check(root)
    if chip is None:
        raise ChipError("\n".join(f"{mistake.key}: {mistake.text}" for mistake in mistakes))
    return chip


def chip_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of chip files; it knows nothing of `rules.py`."""
    schema = Chip.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated!r} is repeated")
    return keys
