"""The programs with an environment: a cart-pole, a pendulum, and an agent that turns away; recordings of events."""

import zlib

import gymnasium
import numpy as np
import pytest

from emulator.errors import NetworkError
from emulator.importers.events import read_events
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


# recordings


@pytest.mark.parametrize(
    ("name", "n", "crc"),
    [("sample_nmnist.bin", 4325, 0xAD44283E), ("sample_ncars.dat", 2009, 0xD8F13142)],
)
def test_recordings_are_read_as_others_read_them(reference, name, n, crc):
    t, x, y, p = read_events(reference / "events" / name)
    assert len(t) == n
    assert zlib.crc32(np.stack([x, y, t, p], axis=1).tobytes()) == crc


def test_events_of_bytes(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes([3, 33, 0x81, 2, 3, 255, 0, 0x7F, 255, 255]))
    assert [c.tolist() for c in read_events(path)] == [
        [66051, 2**23 - 1],
        [3, 255],
        [33, 0],
        [1, 0],
    ]
    path = tmp_path / "a.dat"
    word = 640 | 479 << 14 | 1 << 28
    data = b"% Version 2\n\x0c\x08" + np.array([7, word], "<u4").tobytes()
    path.write_bytes(data)
    assert [c.tolist() for c in read_events(path)] == [[7], [640], [479], [1]]
    path.write_bytes(b"% nothing follows")
    with pytest.raises(NetworkError, match="events of type 0, 0 bytes each"):
        read_events(path)
    path.write_bytes(data[:-1])
    with pytest.raises(NetworkError, match="in 7 bytes; allowed: type 0 or 12, 8 bytes"):
        read_events(path)
    (tmp_path / "b.bin").write_bytes(b"1234")
    with pytest.raises(NetworkError, match="4 bytes are no whole number of events"):
        read_events(tmp_path / "b.bin")
    with pytest.raises(NetworkError, match=r"allowed: \.bin, \.dat"):
        read_events(tmp_path / "a.raw")
    with pytest.raises(NetworkError, match="cannot be read"):
        read_events(tmp_path / "none.bin")
