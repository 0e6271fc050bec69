"""What a sweep found under each load, and the files it is kept in."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from emulator.atomic import atomic_file
from emulator.errors import RunError

SUFFIXES = (".csv", ".npz")


@dataclass(frozen=True)
class SweepPoint:
    """What the mesh did under one load.

    Attributes
    ----------
    load : float
        Flits for each tile and cycle that were asked for.
    offered, accepted : float
        Flits for each tile and cycle that were made, and that arrived, while measuring.
    packets : int
        That were made while measuring.
    latency_mean, latency_p50, latency_p99, latency_max : float
        Cycles from when they were made to their arrival, waiting at the source included; NaN without packets.
        Of packets that had not arrived when the run ended, the cycles until then.
    network_latency_mean : float
        The same from when they left their source, of those that arrived.
    undrained : int
        Packets that had not arrived when the run ended.
    saturated : bool
        Whether the mean latency is above 500 cycles, packets were left, or less than 97 % of what was offered was
        accepted, short by more than two packets for each tile.
    """

    load: float
    offered: float
    accepted: float
    packets: int
    latency_mean: float
    latency_p50: float
    latency_p99: float
    latency_max: float
    network_latency_mean: float
    undrained: int
    saturated: bool


COLUMNS = tuple(field.name for field in fields(SweepPoint))


def save_points(points: Sequence[SweepPoint], path: str | Path) -> None:
    """Write a sweep to a .csv or .npz file, whole or not at all: a column for each field of `SweepPoint`."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise RunError(f"{path}: the name of a sweep ends in {' or '.join(SUFFIXES)}")
    with atomic_file(path) as file:
        if path.suffix.lower() == ".npz":
            columns = {name: np.array([getattr(p, name) for p in points]) for name in COLUMNS}
            np.savez(file, **columns)  # type: ignore[arg-type]  # allow_pickle is no column of ours
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)
        file.write(text.getvalue().encode())
