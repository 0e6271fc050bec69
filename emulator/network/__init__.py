"""Networks as a user describes them: populations, projections, joins and probes."""

from emulator.network.network import Network
from emulator.network.parameters import REAL, REGISTERS
from emulator.network.parts import Join, Population, Probe, Projection

__all__ = ["REAL", "REGISTERS", "Join", "Network", "Population", "Probe", "Projection"]
