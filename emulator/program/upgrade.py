"""Program files of earlier formats as programs of today's: a function for each step from one version to the next.

A step takes and returns the manifest and the tables of a file, and says what the earlier format did not know. Nothing
is checked here: what is wrong in a file is found by the checks of today's format, which follow.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import fingerprint_of
from emulator.program.manifest import VERSION

Manifest = dict[str, Any]
Tables = dict[str, NDArray[Any]]
NO_MICROCODE = {"instructions": 0, "state_bytes": 0, "payload_bits": 0}
"""What chips could do with neuron programs before there were any."""


def from_1(manifest: Manifest, tables: Tables) -> tuple[Manifest, Tables, str]:
    """Format 1 had no shards: the targets of synapses counted from the first compartment of their own core."""
    start = tables.get("core_start")
    shards = {"shard_start": start[:-1]} if start is not None and start.ndim == 1 else {}
    return manifest, tables | shards, "each core is a shard"


def from_2(manifest: Manifest, tables: Tables) -> tuple[Manifest, Tables, str]:
    """Format 2 had native neurons alone: no neuron programs, no payloads, no compartments that are joined."""
    manifest = manifest | {
        "populations": _each(manifest.get("populations"), payload=None),
        "models": [],
        "joins": [],
    }
    chip = manifest.get("chip")
    if isinstance(chip, dict) and isinstance(chip.get("function"), dict):
        function = chip["function"] | {"microcode": NO_MICROCODE}
        chip = chip | {"function": function, "fingerprint": fingerprint_of(function)}
        manifest["chip"] = chip
    tables = tables | {"code": np.empty(0, np.uint64), "words": np.empty(0, np.int32)}
    return manifest, tables, "no neuron runs a program, has a payload or is joined to another"


def from_3(manifest: Manifest, tables: Tables) -> tuple[Manifest, Tables, str]:
    """Format 3 had no learning: no rules, and no neurons that stand for an input as the target of one."""
    manifest = manifest | {
        "populations": _each(manifest.get("populations"), clamped_by=None),
        "projections": _each(manifest.get("projections"), learning=None),
    }
    return manifest, tables, "no synapse learns"


def from_4_unmanaged(manifest: Manifest, tables: Tables) -> tuple[Manifest, Tables, str]:
    """Format 4 had no management cores at first: no channels, no programs of theirs, no inputs that they send."""
    manifest = manifest | {
        "populations": _each(manifest.get("populations"), sent_by=None),
        "channels": [],
        "managed": [],
    }
    return manifest, tables, "no management core does anything"


STEPS: dict[int, Callable[[Manifest, Tables], tuple[Manifest, Tables, str]]] = {
    1: from_1,
    2: from_2,
    3: from_3,
}
"""By the version they start from."""


def upgraded(version: int, manifest: Manifest, tables: Tables) -> tuple[Manifest, Tables]:
    """Return manifest and tables of a file as today's format has them, with a note of what was assumed.

    Parameters
    ----------
    version : int
        In which the file was written, from 1 to today's.
    manifest : dict
        Of the file; is not changed.
    tables : dict of str to ndarray
        Of the file.
    """
    if manifest.get("version") != version:
        return manifest, tables  # which is a mistake that the checks find
    assumed = []
    for earlier in range(version, VERSION):
        manifest, tables, what = STEPS[earlier](manifest, tables)
        assumed.append(what)
    if not {"channels", "managed"} & set(manifest):
        manifest, tables, what = from_4_unmanaged(manifest, tables)
        assumed.append(what)
    if not assumed:
        return manifest, tables
    notes = manifest.get("assumptions")
    if isinstance(notes, list):
        note = f"read from program format {version}: {'; '.join(assumed)}"
        manifest = manifest | {"assumptions": [*notes, note]}
    return manifest | {"version": VERSION}, tables


def _each(entries: object, **added: object) -> object:
    """Return a list of mappings with more keys in each; whatever else it is, as it is."""
    if not isinstance(entries, list):
        return entries
    return [entry | added if isinstance(entry, dict) else entry for entry in entries]
