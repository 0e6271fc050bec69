"""Published neuron equations in floating point, one neuron a call: what models in microcode are held against."""

import math


def izhikevich(pattern) -> list[float]:
    """Return the spike times (ms) of one of the twenty patterns, stepped as the author's script does."""
    v, u, times = pattern.v, pattern.u_begin, []
    for t, current in zip(pattern.times.tolist(), pattern.currents().tolist(), strict=True):
        v += pattern.dt * (0.04 * v * v + pattern.k1 * v + pattern.k0 - u + current)
        u += pattern.dt * pattern.a * (pattern.b * (v + pattern.u_offset) - pattern.u_leak * u)
        if v > 30:
            times.append(t)
            v, u = pattern.c, u + pattern.d
    return times


def alif(currents, tau_m, tau_a, threshold, beta):
    """Bellec et al. 2018, equations of LSNN, dt = 1: return spikes, v and a of each step."""
    v = a = 0.0
    rows = []
    for current in currents:
        v = v * math.exp(-1 / tau_m) + current
        a *= math.exp(-1 / tau_a)
        spike = v > threshold + a
        if spike:
            v, a = v - threshold, a + beta * threshold
        rows.append((spike, v, a))
    return rows


def glif(level, currents, p):
    """Teeter et al. 2018, levels 1 to 5, exponential Euler with dt = 1; p has the real parameters."""
    v, left, i1, i2, ts, tv = 0.0, 0, 0.0, 0.0, 0.0, 0.0
    after_spike, reset_rules = level in (3, 4, 5), level in (2, 4, 5)
    rows = []
    for current in currents:
        total = current
        if after_spike:
            total += i1 + i2
            i1, i2 = i1 * math.exp(-p["k1"]), i2 * math.exp(-p["k2"])
        if left == 0:
            v = v * math.exp(-1 / p["tau"]) + total
        if reset_rules:
            ts *= math.exp(-p["b_s"])
        if level == 5:
            tv = tv * math.exp(-p["b_v"]) + p["a_v"] * v
        threshold = p["threshold"] + (ts if reset_rules else 0) + (tv if level == 5 else 0)
        spike = left == 0 and v > threshold
        left = max(left - 1, 0)
        if spike:
            v = p["f_v"] * v - p["drop"] if reset_rules else p["reset"]
            ts += p["step_s"]
            i1, i2 = p["f_1"] * i1 + p["step_1"], p["f_2"] * i2 + p["step_2"]
            left = p["refractory"]
        rows.append((spike, v))
    return rows


def resonate_and_fire(currents, tau, frequency, threshold):
    """Izhikevich 2001, dt = 1: exact rotation and decay of z between steps."""
    z, rows = 0j, []
    turn = complex(-1 / tau, 2 * math.pi * frequency)
    factor = math.e ** (turn.real) * complex(math.cos(turn.imag), math.sin(turn.imag))
    for current in currents:
        z = z * factor + current
        spike = z.imag > threshold
        if spike:
            z = complex(0, threshold)
        rows.append((spike, z))
    return rows


def sigmoid(x):
    return 1 / (1 + math.exp(-x))
