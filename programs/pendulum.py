"""A pendulum swung up and balanced by spiking neurons on an emulated Loihi 2, in a loop with gymnasium's Pendulum-v1.

`python programs/pendulum.py docs/pendulum.svg` runs 100 episodes and draws one. The motor is too weak to lift the
pendulum at once, so the torque is no linear function of angle and speed. In each step one neuron of a row for the
angle fires, and one of a row for the speed; of a hidden layer, which has a neuron for each pair, the one fires that
gets both spikes. Its weights to the motor neurons are the torque that dynamic programming (Bellman 1957), done here,
finds best there.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))
from program_tools import need, need_to_draw, pyplot, run_script, save_picture

from emulator import Network, load_chip
from emulator.world import Episodes, Places, Weighted, World

N_ANGLES, N_SPEEDS, N_MOTORS = 33, 25, 4
"""Neurons for the angle, for the speed, and in each direction of the motor."""
STEPS_PER_ACTION, DEPTH = 8, 2
FASTEST, STRONGEST, INTERVAL = 8.0, 2.0, 0.05
"""Of Pendulum-v1: speed (rad/s), torque (N m) and the time of an action (s); mass and length are 1."""
NEAR_CLASSICAL = 1.05
"""Asked: a mean cost of at most so many times that of the classical controller below."""


def best_torques(angles: np.ndarray, speeds: np.ndarray, sweeps: int = 400) -> np.ndarray:
    """Return the best torque at each angle and speed, (angles, speeds): value iteration over the grid.

    Values between places are interpolated, as the chip does it with torques; costs are those of Pendulum-v1, the
    later ones discounted by 1 % an action.
    """
    torques = np.linspace(-STRONGEST, STRONGEST, 17)
    angle, speed = angles[:, None, None], speeds[:, None]
    faster = np.clip(speed + (15 * np.sin(angle) + 3 * torques) * INTERVAL, -FASTEST, FASTEST)
    turned = (angle + faster * INTERVAL + np.pi) % (2 * np.pi)
    cost = angle**2 + 0.1 * speed**2 + 0.001 * torques**2
    place = turned / (2 * np.pi) * (len(angles) - 1)
    row = np.clip(place.astype(int), 0, len(angles) - 2)
    place_of_speed = (faster + FASTEST) / (2 * FASTEST) * (len(speeds) - 1)
    column = np.clip(place_of_speed.astype(int), 0, len(speeds) - 2)
    down, right = place - row, place_of_speed - column
    value = np.zeros((len(angles), len(speeds)))
    for _ in range(sweeps):
        here, below = (
            (1 - right) * value[i, column] + right * value[i, column + 1] for i in (row, row + 1)
        )
        costs = cost + 0.99 * ((1 - down) * here + down * below)
        value = costs.min(axis=2)
    return torques[costs.argmin(axis=2)]


def angle_and_speed(observation: np.ndarray) -> tuple[float, float]:
    """Return the angle, 0 is upright, and its speed; the environment shows the angle as cosine and sine."""
    return float(np.arctan2(observation[1], observation[0])), float(observation[2])


def pendulum(environment: object, chip_name: str = "loihi2") -> World:
    """Return the pendulum and its controller."""
    code = Places([-np.pi, -FASTEST], [np.pi, FASTEST], (N_ANGLES, N_SPEEDS), of=angle_and_speed)
    torques = best_torques(*code.places).reshape(-1)
    n_pairs = len(torques)
    net = Network("pendulum")
    sensors = net.input("sensors", code.size, core=0)
    # None has a memory: a pair is seen in one step, and the torque is that of this pair.
    # On 13 cores: what a step takes is the neurons of the fullest core.
    pairs = net.population("pairs", n_pairs, neurons_per_core=64, vth_mant=150, du=4095, dv=4095)
    levels = (2 * np.arange(N_MOTORS) + 1) * 254 // (2 * N_MOTORS)
    motors = net.population(
        "motors", 2 * N_MOTORS, vth_mant=np.concatenate([levels, levels]), du=4095, dv=4095
    )
    pair = np.arange(n_pairs)
    ends = np.concatenate([pair // N_SPEEDS, N_ANGLES + pair % N_SPEEDS])
    net.connect(sensors, pairs, weights=(ends, np.tile(pair, 2), np.full(2 * n_pairs, 100)))
    push = 2 * np.rint(127 * torques / STRONGEST).astype(int)
    net.connect(pairs, motors, weights=np.repeat([push, -push], N_MOTORS, axis=0))
    direction = np.repeat([1, -1], N_MOTORS)[None]
    most = N_MOTORS * (STEPS_PER_ACTION - DEPTH)
    return World(
        environment,
        net,
        load_chip(chip_name),
        sensors=(sensors, code),
        motors=(motors, Weighted(direction, STRONGEST / most, low=-STRONGEST, high=STRONGEST)),
        steps_per_action=STEPS_PER_ACTION,
        depth=DEPTH,
    )


def classical(angle: float, speed: float) -> float:
    """Return the torque of a classical controller: energy shaping, and proportional-derivative near the top.

    Following Astrom & Furuta 2000, Automatica 36(2): swing in the sense in which the energy goes to that of rest
    upright.
    """
    if abs(angle) < 0.5 and abs(speed) < 2.5:
        return float(np.clip(-20 * angle - 5 * speed, -STRONGEST, STRONGEST))
    energy = speed**2 / 2 + 15 * (np.cos(angle) - 1)
    return STRONGEST * (1 if speed >= 0 else -1) * (1 if energy < 0 else -1)


def returns(policy: Callable[[float, float], float], n_episodes: int) -> np.ndarray:
    """Return the sum of rewards of each episode, with a policy that is no chip."""
    import gymnasium  # noqa: PLC0415  # an extra

    environment, sums = gymnasium.make("Pendulum-v1"), []
    for seed in range(n_episodes):
        observation, _ = environment.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            torque = policy(*angle_and_speed(observation))
            observation, reward, _, over, _ = environment.step(np.array([torque], np.float32))
            total += float(reward)
        sums.append(total)
    return np.array(sums)


def swing_up(n_episodes: int = 100) -> Episodes:
    """Run episodes with the seeds 0, 1, ..."""
    import gymnasium  # noqa: PLC0415  # an extra

    return pendulum(gymnasium.make("Pendulum-v1")).run(n_episodes, observations=True)


def draw(path: Path, episodes: Episodes, others: dict[str, np.ndarray]) -> None:
    """Draw the episode that begins lowest, its spikes, and the returns of all."""
    plt = pyplot("pendulum")
    one = min(episodes.episodes[:20], key=lambda e: e.observations[0][0])
    figure, axes = plt.subplot_mosaic(
        [["angle", "returns"], ["torque", "returns"], ["spikes", "returns"]],
        figsize=(10, 6), width_ratios=[2, 1], layout="constrained",
    )  # fmt: skip
    seconds = INTERVAL * np.arange(one.n_actions)
    angles = np.degrees([angle_and_speed(o)[0] for o in one.observations])
    axes["angle"].plot(seconds, np.unwrap(angles, period=360), color="tab:blue", linewidth=1)
    axes["angle"].set_ylabel("angle (degrees)")
    axes["angle"].set_title(f"seed {one.seed}", fontsize=9)
    torque = np.array(one.actions)[:, 0]
    axes["torque"].step(seconds, torque, where="post", color="tab:red", linewidth=0.8)
    axes["torque"].set_ylabel("torque (N m)")
    spikes = episodes.spikes("motors")
    time = (spikes[:, 0] - one.first_step) / STEPS_PER_ACTION * INTERVAL
    shown = (time >= 0) & (time < 4)
    for sign, color in enumerate(("tab:green", "tab:orange")):
        mine = shown & (spikes[:, 1] // N_MOTORS == sign)
        axes["spikes"].plot(time[mine], spikes[mine, 1], "|", color=color, markersize=4)
    axes["spikes"].set(ylabel="motor neuron", xlabel="time (s)")
    for name in ("angle", "torque", "spikes"):
        axes[name].set_xlim(0, 4)
    named = others | {"the chip": episodes.rewards}
    for name, values in named.items():
        ordered, part = np.sort(values), np.arange(1, len(values) + 1) / len(values)
        axes["returns"].step(ordered, part, label=f"{name}: mean {values.mean():.1f}")
    axes["returns"].set(xlabel="return of an episode", ylabel="part of episodes with less")
    axes["returns"].legend(loc="center right", bbox_to_anchor=(0.95, 0.6), fontsize=8)
    save_picture(figure, path)


def main() -> None:
    """Run, print, check and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", nargs="?", type=Path, help="where to draw, *.svg")
    parser.add_argument("--episodes", type=int, default=100)
    arguments = parser.parse_args()
    need("gymnasium", "the pendulum")
    need_to_draw(arguments.picture and arguments.picture.parent)
    n = arguments.episodes
    episodes = swing_up(n)
    others = {"no control": returns(lambda *_: 0.0, n), "classical": returns(classical, n)}
    print(episodes.summary())
    mean, idle, known = (x.mean() for x in (episodes.rewards, *others.values()))
    print(f"no control {idle:.1f}, classical {known:.1f}")
    asked = NEAR_CLASSICAL * known
    print(f"asked >= {asked:.1f}, measured {mean:.1f} on average over {n} episodes")
    assert mean >= asked
    if arguments.picture:
        draw(arguments.picture, episodes, others)


if __name__ == "__main__":
    run_script(main)
