"""The mesh of a chip on its own: packets of a trace cross it, or synthetic traffic loads it."""

from emulator.chip.routes import PORTS
from emulator.noc.points import SweepPoint
from emulator.noc.replaying import Replayed, replay
from emulator.noc.sweeping import sweep
from emulator.noc.trace import Trace, load_trace, make_trace
from emulator.noc.traffic import TRAFFIC

__all__ = [
    "PORTS",
    "TRAFFIC",
    "Replayed",
    "SweepPoint",
    "Trace",
    "load_trace",
    "make_trace",
    "replay",
    "sweep",
]
