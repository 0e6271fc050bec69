"""A chip in a loop with an environment: what is sent, when, what it costs, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Mapping, Network, load_chip
from emulator.account import KINDS
from emulator.errors import ManagementError, NetworkError, WorldError
from emulator.network.managed import HOST
from emulator.world import Frames, Majority, Places, Weighted, World

TINY = load_chip("tiny")
N = 4


class Space:
    """An action space as those of gymnasium: numbered actions, or real values."""

    def __init__(self, n=None, shape=None):
        if n is not None:
            self.n = n
        self.shape = () if shape is None else shape

    def __repr__(self):
        return f"Space({vars(self)})"


class Guess:
    """Shows a number from 0 to 2, and rewards who names it; it is over after some actions."""

    action_space = Space(n=3)

    def __init__(self, n_actions=10):
        self.n_actions, self.seen = n_actions, []

    def reset(self, *, seed):
        self.rng, self.n = np.random.default_rng(seed), 0
        return self._show(), {}

    def step(self, action):
        self.n += 1
        reward = float(action == self.number)
        return self._show(), reward, self.n == self.n_actions, False, {}

    def _show(self):
        self.number = int(self.rng.integers(3))
        return np.array([self.number], np.float32)


def parts(core=0, dv=4095, threshold=100, delay=0):
    """Return a network in which each place of one sensor makes one of three motor neurons fire, and its parts."""
    net, code = Network("guess"), Places([0], [2], 3)
    sensors = net.input("sensors", code.size, core=core)
    motors = net.population("motors", 3, vth_mant=threshold, du=4095, dv=dv)
    net.connect(sensors, motors, weights=120 * np.eye(3, dtype=int), delay=delay)
    return net, {"sensors": (sensors, code), "motors": (motors, Majority(3))}


def guessing(environment=None, **options):
    net, ends = parts(**options)
    return World(environment or Guess(), net, TINY, **ends, steps_per_action=N)


def lines_of(episodes, core, kind):
    """Return the lines of the account of one kind, with the step since the first."""
    found, first = [], 0
    for run in episodes.runs:
        lines = run.records.managed.lines
        mine = lines[(lines[:, 2] == core) & (lines[:, 3] == KINDS.index(kind))]
        found.append(mine + np.array([first, 0, 0, 0, 0, 0]))
        first += run.n_steps
    return np.concatenate(found)


# the loop


def test_every_action_answers_what_was_shown_before_it():
    episodes = guessing(Guess(200)).run(3, observations=True)  # longer than a piece of a run
    assert len(episodes.runs) > 1
    assert episodes.rewards.tolist() == [200, 200, 200]
    for one in episodes.episodes:
        assert one.actions == [int(shown[0]) for shown in one.observations]
    assert [e.first_step for e in episodes.episodes] == [N, 201 * N, 401 * N]
    assert {e.ended for e in episodes.episodes} == {"terminated"}
    assert episodes.table()["n_actions"].tolist() == [200, 200, 200]


@pytest.mark.parametrize("core", [0, 2])
def test_messages_go_through_channels_and_spikes_through_the_chip(core):
    world = guessing(core=core)
    episodes = world.run(2)
    channels = {c["name"]: c for c in world.emulator.program.manifest["channels"]}
    assert channels["world.sensors"]["source"] == channels["world.action"]["target"] == HOST
    assert channels["world.sensors"]["target"] == channels["world.action"]["source"] == core
    received, sent = lines_of(episodes, core, "receive"), lines_of(episodes, core, "send")
    assert received[:, 0].tolist() == [N * (1 + k) for k in range(20)]
    assert sent[:, 0].tolist() == [N * (2 + k) - 1 for k in range(20)]
    assert set(received[:, 4]) == set(sent[:, 4]) == {HOST}
    # one spike of the sensor in all steps of an action but the last, one of the motors in all but the first
    assert episodes.spikes("sensors")[:, 0].tolist() == [
        s for s in range(N, 21 * N) if s % N != N - 1
    ]
    assert episodes.spikes("motors")[:, 0].tolist() == [s for s in range(N, 21 * N) if s % N]


def test_latency_and_energy_are_those_of_the_steps_between_the_messages():
    episodes = guessing(Guess(45)).run(2)
    cycles = np.concatenate([run.timing.step_cycles for run in episodes.runs])
    starts, ends = (lines_of(episodes, 0, kind)[:, 0] for kind in ("receive", "send"))
    expected = [cycles[a : b + 1].sum() for a, b in zip(starts, ends, strict=True)]
    assert episodes.latency_cycles.tolist() == expected
    mhz = episodes.runs[0].timing.clock_mhz
    assert episodes.latency_us == pytest.approx(np.array(expected) / mhz, rel=1e-12)
    each = [run.energy(start=s, stop=s + 1) for run in episodes.runs for s in range(run.n_steps)]
    within = each[starts[0] : ends[-1] + 1]
    dynamic, static = episodes.energy_pj
    assert dynamic == sum(e.dynamic_pj for e in within) > 0
    assert static == sum(e.static_pj for e in within) > 0
    assert f"{np.mean(expected):,.0f} cycles" in episodes.summary()
    assert f"{float(dynamic) / 90e3:,.4g} nJ an action" in episodes.summary()


def test_without_timing_there_is_energy_of_events_but_no_latency():
    timed, untimed = (guessing().run(1, timing=mode) for mode in ("cycle", "off"))
    assert untimed.energy_pj == (timed.energy_pj[0], None)
    assert untimed[0].actions == timed[0].actions
    assert "not timed" in untimed.summary()
    with pytest.raises(WorldError, match='timing="off"'):
        _ = untimed.latency_cycles


def test_a_seed_is_an_episode_whatever_came_before_it():
    # motors that integrate: what an episode leaves in them must not reach the next
    world = guessing(Guess(7), dv=0, threshold=500)
    together = {e.seed: e.actions for e in world.run([5, 3, 8]).episodes}
    for seed in (3, 8, 5):
        assert world.run([seed])[0].actions == together[seed]
    assert together[3] != together[5]


def test_a_mapping_changes_what_a_round_takes_and_nothing_else():
    found = {}
    for cores in (0, TINY.mesh.n_cores - 1):
        net, ends = parts()
        mapping = Mapping([("motors", 0, 3, cores)])
        world = World(Guess(), net, TINY, **ends, steps_per_action=N, mapping=mapping)
        found[cores] = world.run(2)
    near, far = found.values()
    assert [e.actions for e in near.episodes] == [e.actions for e in far.episodes]
    assert (far.latency_cycles > near.latency_cycles).all()


def test_an_environment_without_end_is_ended():
    episodes = guessing(Guess(10**6)).run(2, max_actions=9)
    assert [(e.n_actions, e.ended) for e in episodes.episodes] == [(9, "max_actions")] * 2


# codes


@given(
    st.lists(st.tuples(st.integers(2, 40), st.floats(-0.5, 1.5)), min_size=1, max_size=5),
    st.integers(1, 24),
)
def test_places_fire_in_proportion_to_their_fields(sensors, n_steps):
    n, values = zip(*sensors, strict=True)
    code = Places([0] * len(n), [1] * len(n), n)
    fired = code.spikes(code.words(values), n_steps)
    assert len(fired) == n_steps
    counts = np.bincount(np.concatenate(fired), minlength=code.size)
    for first, places, value in zip(code.first, code.places, values, strict=True):
        mine = counts[first : first + len(places)]
        assert mine.sum() == n_steps
        field = np.maximum(0, 1 - np.abs(np.clip(value, 0, 1) - places) * (len(places) - 1))
        assert np.abs(mine - n_steps * field).max() <= 0.5 + 1e-3 * n_steps


def test_coincidences_of_places_are_products_of_fields():
    code, n_steps = Places([0, 0], [1, 1], 2), 36
    for value in [(0.3, 0.6), (0.5, 0.5), (0.8, 0.1)]:
        fired = np.array(code.spikes(code.words(value), n_steps)) - code.first
        both = np.mean(fired.prod(axis=1))
        assert abs(both - value[0] * value[1]) < 0.04


@given(st.integers(1, 9), st.integers(1, 9), st.randoms(use_true_random=False))
def test_frames_are_pixels(height, width, random):
    picture = np.array([[random.random() < 0.5 for _ in range(width)] for _ in range(height)])
    code = Frames((height, width))
    words = code.words(picture)
    assert len(words) == code.n_words
    (fired,) = code.spikes(words.astype(np.int32), 3)
    assert fired.tolist() == np.flatnonzero(picture).tolist()


@pytest.mark.parametrize(
    ("counts", "last", "options", "action"),
    [
        ([1, 4, 2], None, {}, 1),
        ([3, 0, 3], [2], {}, 2),
        ([3, 0, 3], [1], {}, 0),
        ([0, 0, 0], None, {}, 0),
        ([0, 0, 0], [1], {}, 1),
        ([0, 0, 0], [1], {"silent": 2}, 2),
        ([0, 2, 1, 2, 2, 0], None, {"neurons": 2}, 1),
    ],
)
def test_the_majority_acts(counts, last, options, action):
    motors = Majority(3, **options)
    words = motors.words(np.array(counts), None if last is None else np.array(last))
    assert motors.action(words) == action


def test_weighted_sums_are_kept_within_limits():
    motors = Weighted([[2, -1], [0, 1]], 0.25, low=-1, high=1)
    words = motors.words(np.array([3, 1]), None)
    assert words.tolist() == [5, 1]
    action = motors.action(words)
    assert action.dtype == np.float32
    assert action.tolist() == [1.0, 0.25]


# what is refused


def refused(environment=None, network=None, message="", steps_per_action=N, depth=1, **changed):
    net, ends = parts()
    with pytest.raises(WorldError, match=re.escape(message)):
        World(
            environment or Guess(), network or net, TINY, **(ends | changed),
            steps_per_action=steps_per_action, depth=depth,
        )  # fmt: skip


def test_delays_count_in_the_depth():
    message = "depth is 1; a spike of 'sensors' needs 3 steps to 'motors', delays included"
    net, ends = parts(delay=2)
    with pytest.raises(WorldError, match=re.escape(message)):
        World(Guess(), net, TINY, **ends, steps_per_action=N)
    net, ends = parts(delay=2)
    World(Guess(), net, TINY, **ends, steps_per_action=N, depth=3)


def test_parts_that_do_not_fit():
    net, ends = parts()
    (source, code), (cells, majority) = ends["sensors"], ends["motors"]
    refused(environment=object(), message="it has no method reset(), as those of gymnasium have")
    refused(network=net, message="sensors: 'sensors' belongs to another network")
    refused(sensors=code, message="sensors is <emulator.world.sensors.Places")
    refused(motors=(cells, Majority(2)), message="'motors' has 3 neurons, its code 2")
    refused(motors=(cells, Majority(2)), message="it has 3 actions, the decoder 2")
    refused(
        motors=(cells, Weighted([[1, 0, -1]], 1.0)),
        message="the actions do not fit the environment: it takes Space({'n': 3, 'shape': ()}); the decoder makes 1",
    )
    refused(sensors=(cells, code), message="must be an input whose spikes a management core sends")
    refused(motors=(source, majority), message="'sensors' is an input; it has no motor neurons")
    refused(steps_per_action=1, message="steps_per_action is 1")
    refused(depth=4, message="depth is 4; it must be a whole number from 1 to 3")
    continuous = Guess()
    continuous.action_space = Space(shape=(2,))
    refused(environment=continuous, message="a majority needs numbered actions")
    World(Guess(), net, TINY, **ends, steps_per_action=N)
    with pytest.raises(NetworkError, match="the network has one of this name already"):
        World(Guess(), net, TINY, **ends, steps_per_action=N)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Places([0], [0], 3), "sensor 0: low is 0 and high 0; it must be larger"),
        (lambda: Places([0, 1], [1], 3), "each sensor has one"),
        (lambda: Places([0], [np.inf], 3), "must be finite"),
        (lambda: Places([0], [1], 1), "n is 1; each sensor has 2 to"),
        (lambda: Places([0] * 13, [1] * 13, 2), "there are 13 sensors; allowed: 12"),
        (lambda: Places([0], [1], 3).words([1, 2]), "the observation has (2,) values; the code"),
        (lambda: Places([0], [1], 3).words([np.nan]), "it must be finite"),
        (lambda: Frames((3, 0)), "it must be (height, width)"),
        (lambda: Frames((3, 2)).words(np.zeros((2, 3))), "the observation is (2, 3); the code"),
        (lambda: Majority(1), "n_actions is 1; it must be a whole number from 2"),
        (lambda: Majority(2, silent=2), "silent is 2; allowed: 0 to 1"),
        (lambda: Weighted([[0.5]], 1), "weights must be whole numbers"),
        (lambda: Weighted([[1]], 0), "scale is 0"),
        (lambda: guessing().run(0), "there must be an episode to run"),
        (lambda: guessing().run([-1]), "seed is -1"),
    ],
)  # fmt: skip
def test_codes_and_runs_say_what_is_wrong(make, message):
    with pytest.raises(WorldError, match=re.escape(message)):
        make()


def test_sensors_that_fire_after_their_steps_are_refused():
    net, ends = parts()
    _, code = ends["sensors"]
    code.spikes = lambda words, n_steps: [np.array([0])] * (n_steps + 1)
    world = World(Guess(), net, TINY, **ends, steps_per_action=N)
    with pytest.raises(ManagementError, match="the sensors fire in 4 steps; there are 3"):
        world.run(1)


@pytest.mark.parametrize(
    ("method", "answer", "message"),
    [
        ("reset", lambda **_: np.zeros(1), "reset returned array([0.]); it must return an observation and a dict"),
        ("step", lambda _: (0, 0.0, True, {}), "step returned (0, 0.0, True, {}); it must return an observation"),
        ("step", lambda _: 1 / 0, "ZeroDivisionError: division by zero"),
        ("reset", lambda **_: (np.zeros(2), {}), "the observation has (2,) values; the code has (1,) sensors"),
    ],
)  # fmt: skip
def test_an_environment_that_fails_is_named_with_the_step(method, answer, message):
    environment = Guess()
    world = guessing(environment)
    setattr(environment, method, answer)
    with pytest.raises(ManagementError, match=re.escape(message)) as caught:
        world.run(1)
    assert re.match(r"step \d+, phase 'host', the host: program '\w+'", str(caught.value))
    delattr(environment, method)
    assert world.run(1).rewards.tolist() == [10]  # what failed left nothing behind


@pytest.mark.parametrize("seeds", [1.5, None, True])
def test_seeds_are_whole_numbers(seeds):
    with pytest.raises(WorldError, match="seeds is "):
        guessing().run(seeds)
