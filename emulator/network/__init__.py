"""Networks as a user describes them: populations, projections and probes."""

from emulator.network.network import Network, Population, Probe, Projection
from emulator.network.parameters import REAL, REGISTERS

__all__ = ["REAL", "REGISTERS", "Network", "Population", "Probe", "Projection"]
