"""The engine: runs a program's function. It knows neither time, energy, YAML nor networks."""

from emulator.engine.engine import FIRST_STEPS, MAX_THREADS, Chunk, Engine, Probed
from emulator.engine.inputs import Schedule, reward_schedule, spike_schedule
from emulator.engine.interrupts import ctrl_c
from emulator.engine.plastic import plastic_places, plastic_sizes

__all__ = [
    "FIRST_STEPS", "MAX_THREADS", "Chunk", "Engine", "Probed", "Schedule", "ctrl_c", "plastic_places", "plastic_sizes",
    "reward_schedule", "spike_schedule",
]  # fmt: skip
