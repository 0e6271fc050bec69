"""The chip in a loop with an environment: sensor values become spikes, the spikes of motor neurons become actions."""

from emulator.world.episodes import Episode, Episodes
from emulator.world.motors import Majority, Motors, Weighted
from emulator.world.sensors import Frames, Places, Sensors
from emulator.world.world import World

__all__ = [
    "Episode",
    "Episodes",
    "Frames",
    "Majority",
    "Motors",
    "Places",
    "Sensors",
    "Weighted",
    "World",
]
