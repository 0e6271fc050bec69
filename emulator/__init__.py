"""A cycle-level emulator of many-core spiking chips of the Loihi 2 kind.

`Network -> compile_network(network, chip) -> Program -> Emulator(chip, program).run(steps) -> Run -> energy, report`
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.chip import Chip, load_chip
    from emulator.compiler import compile_network
    from emulator.emulator import Emulator, resume_run
    from emulator.errors import EmulatorError
    from emulator.learning import Memristor, Rule, Trace
    from emulator.mapping import Mapping
    from emulator.network import Network
    from emulator.observe.run import Run
    from emulator.program import Program

__all__ = [
    "Chip",
    "Emulator",
    "EmulatorError",
    "Mapping",
    "Memristor",
    "Network",
    "Program",
    "Rule",
    "Run",
    "Trace",
    "compile_network",
    "load_chip",
    "resume_run",
]
_HOMES = {
    "Chip": "chip",
    "Emulator": "emulator",
    "EmulatorError": "errors",
    "Mapping": "mapping",
    "Memristor": "learning",
    "Network": "network",
    "Program": "program",
    "Rule": "learning",
    "Run": "observe.run",
    "Trace": "learning",
    "compile_network": "compiler",
    "load_chip": "chip",
    "resume_run": "emulator",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `emulator --help` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'emulator' has no attribute '{name}'")
    value = getattr(import_module(f"emulator.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
