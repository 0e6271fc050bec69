"""What ext/devices.pyx must compute, in plain Python: a memristor's answer to one pulse."""

from dataclasses import dataclass
from functools import cache
from math import exp
from statistics import NormalDist

WORD = 0xFFFFFFFF


def mixed(x, k0, k1):
    """Return 32 random bits for x under two keys."""
    x = (x + k0) & WORD
    x = (x ^ x >> 17) * 0xED5AD4BB & WORD
    x = ((x ^ x >> 11) + k1) * 0xAC4C1B51 & WORD
    x = (x ^ x >> 15) * 0x31848BAB & WORD
    return x ^ x >> 14


def philox(counter, seed):
    """Return four random words (Salmon et al. 2011)."""
    c, k = list(counter), [seed & WORD, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & WORD, a >> 32 ^ c[3] ^ k[1], a & WORD]
        k = [(k[0] + 0x9E3779B9) & WORD, (k[1] + 0xBB67AE85) & WORD]
    return c


def drawn(spread, bits):
    """Return 4096 times (1 + spread x a normal number), at least 0; of the bits the lower ten count."""
    return max(0, 4096 + (round(spread * 4096) * normal(bits % 1024) >> 12))


@cache
def normal(place):
    """Return 4096 times one of 1,024 equally likely normal numbers, by its place among them."""
    return round(4096 * NormalDist().inv_cdf((place + 0.5) / 1024))


@dataclass
class Device:
    """One memristor of a projection."""

    low: int
    high: int
    up: int
    down: int
    stuck: str


def device(memristor, limits, number, pre, post, repeat=0):
    """Return the device of a synapse."""
    a, b, c, d = philox((0, number, 5, 0), memristor.seed)
    k0, k1 = mixed(pre, a, b), mixed(pre, c, d)
    first = mixed(post + repeat * 0x9E3779B9, k0, k1)
    second = mixed(first, k1, k0)
    third = mixed(second, k0, k1) % 65536
    ends = [
        min(max(nominal * drawn(memristor.range_spread, bits) + 2048 >> 12, limits[0]), limits[1])
        for nominal, bits in ((memristor.minimum, first), (memristor.maximum, first >> 10))
    ]
    stuck = "no"
    if third < round(65536 * memristor.stuck_low):
        stuck = "low"
    elif third < round(65536 * (memristor.stuck_low + memristor.stuck_high)):
        stuck = "high"
    up, down = (drawn(memristor.step_spread, bits) for bits in (second, second >> 10))
    return Device(ends[0], max(ends), up, down, stuck)


def answer(memristor, own, weight, pulse, bits):
    """Return the weight x 128 after a pulse, which is in units of 2^-7; `bits` are those of this pulse."""
    if pulse == 0:
        return 128 * weight
    if own.stuck != "no":
        return 128 * (own.low if own.stuck == "low" else own.high)
    weight = min(max(weight, own.low), own.high)
    span = own.high - own.low
    place = (2 * 511 * (weight - own.low) + span) // (2 * span) if span else 0
    if pulse > 0:
        left = round(32768 * exp(-memristor.nonlinearity_up * (place / 511))) * own.up
    else:
        left = round(32768 * exp(-memristor.nonlinearity_down * (1 - place / 511))) * own.down
    change = pulse * left * drawn(memristor.cycle_spread, bits) + 2**38 >> 39
    return min(max(128 * weight + change, 128 * own.low), 128 * own.high)


def cycle_bits(number, step, seed, pre, post, repeat=0):
    """Return the random bits of a pulse in a step."""
    a, b, c, d = philox((step, number, 5, 1), seed)
    return mixed(post + repeat * 0x9E3779B9, mixed(pre, a, b), mixed(pre, c, d))
