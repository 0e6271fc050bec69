"""Chip descriptions: what a chip file may say, and how one is read."""

from emulator.chip.exchange import chip_from_json, chip_json_schema, to_json
from emulator.chip.load import load_chip, shipped_chips
from emulator.chip.schema import EVENTS, Chip, fingerprint_of
from emulator.chip.upgrade import unpriced

__all__ = [
    "EVENTS",
    "Chip",
    "chip_from_json",
    "chip_json_schema",
    "fingerprint_of",
    "load_chip",
    "shipped_chips",
    "to_json",
    "unpriced",
]
