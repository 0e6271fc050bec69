"""The programs with an environment: a cart-pole, a pendulum, and an agent that turns away; recordings of events."""

import gymnasium
import pytest

from emulator.errors import NetworkError
from programs import cartpole, looming, pendulum


def test_the_cart_pole_is_balanced():
    episodes = cartpole.cartpole(gymnasium.make("CartPole-v1")).run(4)
    assert episodes.rewards.mean() >= cartpole.ASKED
    assert max(cartpole.random_lengths(4)) < 100


def test_without_its_weights_the_pole_falls(monkeypatch):
    true = cartpole.weights
    monkeypatch.setattr(cartpole, "weights", lambda code: -true(code))
    episodes = cartpole.cartpole(gymnasium.make("CartPole-v1")).run(3, timing="off")
    assert episodes.rewards.max() < 30


def test_the_pendulum_is_swung_up():
    n = 4
    episodes = pendulum.pendulum(gymnasium.make("Pendulum-v1")).run(n, observations=True)
    classical = pendulum.returns(pendulum.classical, n).mean()
    idle = pendulum.returns(lambda *_: 0.0, n).mean()
    assert episodes.rewards.mean() >= pendulum.NEAR_CLASSICAL * classical > 0.3 * idle
    for one in episodes.episodes:
        angle, speed = pendulum.angle_and_speed(one.observations[-1])
        assert abs(angle) < 0.2
        assert abs(speed) < 0.2


@pytest.mark.parametrize("kind", looming.KINDS)
def test_the_agent_turns_from_what_approaches_only(kind):
    episodes = looming.trials(looming.made_up(), kind, 12, timing="off")
    if kind == "approaches":
        assert episodes.rewards.tolist() == [1] * 12
    else:
        assert looming.turned(episodes) == 0


def test_turning_and_the_inhibition_are_what_does_it():
    frames = looming.made_up()
    assert looming.avoided_blindly(frames, 12) == 0
    without = looming.trials(frames, "crosses", 12, inhibition=0, timing="off")
    assert looming.turned(without) > 0.2


@pytest.mark.parametrize("name", ["sample_nmnist.bin", "sample_ncars.dat"])
def test_recordings_alone_make_no_turn(reference, name):
    frames = looming.recorded(reference / "events" / name)
    assert looming.turned(looming.trials(frames, "alone", 6, timing="off")) == 0
    assert looming.trials(frames, "approaches", 6, timing="off").rewards.mean() == 1


def test_a_recording_without_what_is_looked_for_is_refused(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes([3, 4, 0x80, 0, 0]))
    with pytest.raises(NetworkError) as error:
        looming.recorded(path)
    said = "of its 1 events none is of a pixel that became darker"
    assert str(error.value) == f"{path}: {said}"
    path.write_bytes(
        bytes([3, 4, 0, 0, 0]) + bytes([0, 240, 0, 0, 0]) * 30_000 + bytes([3, 4, 0, 0, 0])
    )
    with pytest.raises(NetworkError) as error:
        looming.recorded(path)
    said = "it has 122,881 frames of 2,000 us; at most 100,000 are used"
    assert str(error.value) == f"{path}: {said}"


def test_what_is_odd_in_a_recording_is_printed(tmp_path, capsys):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes([3, 4, 0, 0, 9]) + bytes([0, 240, 0, 0, 0]) + bytes([3, 4, 0, 0, 0]))
    assert looming.recorded(path).shape == (5, 32, 32)
    assert capsys.readouterr().out == f"{path}: dropped: 1 marks of time\n"
