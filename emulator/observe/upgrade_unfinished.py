"""Unfinished runs of earlier formats, made runs of today's before they go on: all that is written fits together."""

import json
from pathlib import Path

from emulator.atomic import atomic_file
from emulator.chip import Chip, to_json
from emulator.observe.checkpoint import Plan, Standing, write_checkpoint
from emulator.observe.folder import CHIP, MANIFEST, PROGRAM, UNFINISHED
from emulator.observe.parquet import add_column
from emulator.observe.tables import PARTS
from emulator.observe.upgrade import INSTRUCTIONS
from emulator.program import Program


def upgrade_unfinished(
    folder: Path, program: Program, chip: Chip, plan: Plan, standing: Standing, n_parts: int
) -> None:
    """Write the files of an unfinished run in today's formats, where they are of earlier ones.

    Each file is replaced at one instant, and what a crash leaves in between is read as well: the program that is
    still the old one is known as today's too, which the checkpoint names.

    Parameters
    ----------
    folder : Path
        Of the run, which nobody else goes on with.
    program, chip, plan, standing, n_parts
        What was read from it.
    """
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    if manifest == UNFINISHED and program.former_sha256 is None:
        return
    for part in sorted((folder / PARTS).glob("active.*.parquet")):
        add_column(part, "instructions", INSTRUCTIONS)
    write_checkpoint(folder, plan, program, standing, n_parts)
    program.save(folder / PROGRAM)
    for name, text in ((CHIP, to_json(chip)), (MANIFEST, json.dumps(UNFINISHED, indent=1) + "\n")):
        with atomic_file(folder / name) as file:
            file.write(text.encode())
