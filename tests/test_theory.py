"""LIF against the closed form: interspike interval over constant drive."""

import numpy as np
import pytest

from emulator import Emulator, Network, compile_network, load_chip
from programs.sigma_delta_theory import CHATTERING, follow, noise_spectrum, slope_db_per_decade

STEPS = 3000
VTH = 4_000  # mantissa; the voltage it stands for is 64 times larger


def intervals(dv: int, drive: float, refractory: int) -> np.ndarray:
    """Return the interspike intervals of one neuron whose bias would settle at `drive` x threshold."""
    bias = round(drive * VTH * 64 * dv / 4096)
    exponent = max(0, bias.bit_length() - 12)
    chip = load_chip("loihi")
    net = Network("drive")
    net.population(
        "cell",
        1,
        dv=dv,
        vth_mant=VTH,
        bias_mant=bias >> exponent,
        bias_exp=exponent,
        refractory=refractory,
    )
    spikes = Emulator(chip, compile_network(net, chip)).run(STEPS, timing="off").spikes["cell"]
    return np.diff(spikes[:, 0])


@pytest.mark.parametrize("dv", [64, 128, 400, 1000])
@pytest.mark.parametrize("drive", [1.2, 1.5, 2.0, 5.0])
@pytest.mark.parametrize("refractory", [1, 10])
def test_interval_follows_the_logarithm(dv, drive, refractory):
    bias = round(drive * VTH * 64 * dv / 4096)
    shift = max(0, bias.bit_length() - 12)
    effective = (
        (bias >> shift << shift) * 4096 / dv / (VTH * 64)
    )  # the drive that the bias register can hold
    tau = -1 / np.log(1 - dv / 4096)
    expected = (refractory - 1) + tau * np.log(effective / (effective - 1))
    found = intervals(dv, drive, refractory)
    assert len(found) > 3
    assert np.all(np.abs(found - expected) <= 2)


@pytest.mark.parametrize("dv", [64, 128, 400, 1000])
def test_below_threshold_it_is_silent(dv):
    assert len(intervals(dv, 0.98, 1)) == 0


def test_noise_of_a_sigma_delta_encoder_rises_by_20_db_per_decade():
    frequency, power = noise_spectrum()
    assert abs(slope_db_per_decade(frequency, power, 1e-3, 3e-2) - 20) < 1
    assert abs(slope_db_per_decade(frequency, power, 3e-3, 1e-1) - 20) < 1
    # Each octave of oversampling is worth 9 dB of the noise below the signal's band, not 3.
    inside = [
        10 * np.log10(power[(frequency > 0) & (frequency <= band)].sum()) for band in (0.02, 0.01)
    ]
    assert 8 < inside[0] - inside[1] < 10


def test_a_threshold_under_noise_chatters_and_hysteresis_ends_it():
    quiet, chattering, calm = (np.count_nonzero(np.diff(follow(*case)[1])) for case in CHATTERING)
    assert chattering > 2.5 * quiet
    assert calm < quiet / 2
    # Whatever it does, what was sent stays within the threshold of the input.
    for noise, threshold in CHATTERING:
        signal, sent = follow(noise, threshold)
        assert np.abs(signal - sent).max() < threshold
