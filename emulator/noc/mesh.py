"""A chip's mesh as the router kernel wants it, and what is said when it is stuck."""

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.chip.routes import PORTS
from emulator.kernels.router import SETTINGS

SHOWN = 5

Occupied = tuple[int, int, int, int, int, bool, int]


def mesh_settings(chip: Chip, blocked_tile: int = -1) -> NDArray[np.int64]:
    """Return the settings of the router kernel, in its order; its routes are `chip.mesh.routes`.

    Parameters
    ----------
    chip : Chip
        Its section `mesh` decides all of them.
    blocked_tile : int
        A tile whose terminal takes nothing, to see what happens; -1 for none.
    """
    mesh = chip.mesh
    values = {
        "input_first": mesh.allocator == "separable_input_first",
        "iterations": mesh.allocator_iterations,
        "latency_ew": mesh.link_latency_cycles.east_west,
        "latency_ns": mesh.link_latency_cycles.north_south,
        "blocked_tile": blocked_tile,
    }
    return np.array(
        [values[name] if name in values else getattr(mesh, name) for name in SETTINGS], np.int64
    )


def stuck_message(chip: Chip, occupied: list[Occupied]) -> str:
    """Say which routers hold flits that can never move.

    Parameters
    ----------
    chip : Chip
        Whose mesh it is.
    occupied : list
        As `Replay.occupied()` returns it.
    """
    width, depth = chip.mesh.width, chip.mesh.buffer_flits
    lines = ["the mesh is stuck: packets are left and nothing can move"]
    for tile, port, vc, n_flits, towards, has_output, n_credits in occupied[:SHOWN]:
        state = f"{n_credits} of {depth} credits left" if has_output else "no virtual channel there"
        lines.append(
            f"  router at x {tile % width}, y {tile // width}: input {PORTS[port]}, virtual channel {vc}: "
            f"{n_flits} flits towards {PORTS[towards]}, {state}"
        )
    if len(occupied) > SHOWN:
        lines.append(f"  and {len(occupied) - SHOWN} more buffers")
    return "\n".join(lines)
