"""Management cores: programs that run beside the neuron cores, in the phases of a step."""

from emulator.management.checks import check_attached
from emulator.management.core import ManagementCore
from emulator.management.phases import Management

__all__ = ["Management", "ManagementCore", "check_attached"]
