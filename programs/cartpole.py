"""A cart-pole balanced by spiking neurons on an emulated Loihi 2, in a loop with gymnasium's CartPole-v1.

`python programs/cartpole.py docs/cartpole.svg` runs 100 episodes and draws one. Four sensors, each a row of neurons
with receptive fields (`emulator.world.Places`), make two motor neurons fire: push left and push right. The weights are
a linear-quadratic regulator of the linearised cart-pole, computed here: the place of a sensor neuron times its gain.
The cart is pushed to the side whose neuron fires more.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))
from program_tools import need, need_to_draw, pyplot, run_script, save_picture

from emulator import Network, load_chip
from emulator.world import Episodes, Majority, Places, World

ASKED = 475
LIMITS = np.array([2.4, 3.0, 0.21, 3.0])
"""Of position, speed, angle and its speed (m, m/s, rad, rad/s): the first and third end an episode."""
N_PLACES = 33
STEPS_PER_ACTION = 5
GRAVITY, CART, POLE, HALF_LENGTH, PUSH, INTERVAL = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
"""Of CartPole-v1, in SI units; after Barto, Sutton & Anderson 1983, IEEE Trans. SMC 13(5)."""


def regulator() -> np.ndarray:
    """Return the gains (4,) of a linear-quadratic regulator: the force is gains @ state.

    The pole is upright and slow, so that sines are angles; the Riccati equation is iterated until it stands.
    """
    mass = CART + POLE
    inertia = HALF_LENGTH * (4 / 3 - POLE / mass)
    rate = np.zeros((4, 4))
    rate[0, 1] = rate[2, 3] = 1
    rate[3, 2] = GRAVITY / inertia
    rate[1, 2] = -POLE * HALF_LENGTH / mass * rate[3, 2]
    force = np.zeros((4, 1))
    force[3] = -1 / (mass * inertia)
    force[1] = 1 / mass - POLE * HALF_LENGTH / mass * force[3]
    a, b = np.eye(4) + INTERVAL * rate, INTERVAL * force
    state_cost, force_cost = np.diag([1.0, 1.0, 10.0, 1.0]), np.array([[0.01]])
    value = state_cost
    for _ in range(5000):
        gains = np.linalg.solve(force_cost + b.T @ value @ b, b.T @ value @ a)
        value = state_cost + a.T @ value @ (a - b @ gains)
    return -gains[0]


def weights(code: Places) -> np.ndarray:
    """Return mantissas (2, n) from sensor neurons to the two motor neurons: gain times place."""
    pull = np.concatenate(
        [gain * places for gain, places in zip(regulator(), code.places, strict=True)]
    )
    right = 2 * np.rint(127 * pull / np.abs(pull).max()).astype(int)
    return np.stack([-right, right])


def cartpole(environment: object, chip_name: str = "loihi2") -> World:
    """Return the cart-pole and its controller."""
    code = Places(-LIMITS, LIMITS, N_PLACES)
    net = Network("cartpole")
    sensors = net.input("sensors", code.size, core=0)
    # They have no memory: with one, the neuron that is inhibited for long would answer a change too late.
    motors = net.population("motors", 2, vth_mant=0, du=4095, dv=4095)
    net.connect(sensors, motors, weights=weights(code))
    return World(
        environment,
        net,
        load_chip(chip_name),
        sensors=(sensors, code),
        motors=(motors, Majority(2)),
        steps_per_action=STEPS_PER_ACTION,
    )


def balance(n_episodes: int = 100) -> Episodes:
    """Run episodes with the seeds 0, 1, ..."""
    import gymnasium  # noqa: PLC0415  # an extra

    world = cartpole(gymnasium.make("CartPole-v1"))
    return world.run(n_episodes, observations=True)


def random_lengths(n_episodes: int) -> list[int]:
    """Return how long the pole stays up where pushes are random."""
    import gymnasium  # noqa: PLC0415  # an extra

    environment, lengths = gymnasium.make("CartPole-v1"), []
    rng = np.random.default_rng(0)
    for seed in range(n_episodes):
        environment.reset(seed=seed)
        n, over = 0, False
        while not over:
            over = any(environment.step(int(rng.integers(2)))[2:4])
            n += 1
        lengths.append(n)
    return lengths


def draw(path: Path, episodes: Episodes) -> None:
    """Draw the first episode, its motor spikes, and the lengths of all."""
    plt = pyplot("cartpole")
    one, n_steps = episodes[0], episodes.steps_per_action
    figure, axes = plt.subplot_mosaic(
        [["angle", "lengths"], ["position", "lengths"], ["spikes", "lengths"]],
        figsize=(10, 6), width_ratios=[2, 1], layout="constrained",
    )  # fmt: skip
    seen, seconds = np.array(one.observations), INTERVAL * np.arange(one.n_actions)
    for name, column, label, scale in (
        ("angle", 2, "angle (degrees)", 180 / np.pi),
        ("position", 0, "position (m)", 1),
    ):
        axes[name].plot(seconds, seen[:, column] * scale, color="tab:blue", linewidth=0.8)
        axes[name].set(ylabel=label, xlim=(0, seconds[-1]))
    spikes = episodes.spikes("motors")
    time = (spikes[:, 0] - one.first_step) / n_steps * INTERVAL
    for neuron, color in enumerate(("tab:orange", "tab:green")):
        fired = time[(spikes[:, 1] == neuron) & (time < 1)]
        axes["spikes"].eventplot(
            fired, lineoffsets=neuron, linelengths=0.7, color=color, linewidth=0.6
        )
    axes["spikes"].set(
        yticks=[0, 1], yticklabels=["left", "right"], xlim=(0, 1), xlabel="time (s)",
        ylabel="motor spikes", title="the first second",
    )  # fmt: skip
    bins = np.arange(0, 526, 25)
    lengths = [e.n_actions for e in episodes.episodes]
    others = random_lengths(len(lengths))
    for values, color, who in ((others, "lightgrey", "random"), (lengths, "tab:blue", "the chip")):
        label = f"{who}: {np.mean(values):.1f} on average"
        axes["lengths"].hist(values, bins=bins, color=color, label=label)
    axes["lengths"].set(
        xlabel="actions until the end (500 at most)",
        ylabel="episodes",
        title=f"{len(lengths)} episodes",
    )
    axes["lengths"].legend(loc="upper center", fontsize=8)
    save_picture(figure, path)


def main() -> None:
    """Run, print, check and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", nargs="?", type=Path, help="where to draw, *.svg")
    parser.add_argument("--episodes", type=int, default=100)
    arguments = parser.parse_args()
    need("gymnasium", "the cart-pole")
    need_to_draw(arguments.picture and arguments.picture.parent)
    episodes = balance(arguments.episodes)
    print(episodes.summary())
    mean = episodes.rewards.mean()
    print(f"asked >= {ASKED}, measured {mean:.1f} on average over {len(episodes)} episodes")
    assert mean >= ASKED
    if arguments.picture:
        draw(arguments.picture, episodes)


if __name__ == "__main__":
    run_script(main)
