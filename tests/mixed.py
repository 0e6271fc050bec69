"""Networks that have everything at once: native neurons, microcode, graded spikes, random bits, joined compartments."""

from dataclasses import replace

import numpy as np

from emulator.microcode import load_model
from emulator.network import Network


def mixed(seed: int = 3, scale: int = 1) -> tuple[Network, dict[str, np.ndarray], int]:
    """Return a network, its inputs and how many steps they take."""
    rng = np.random.default_rng(seed)
    net, steps = Network("mixed"), 40
    plain, graded = net.input("plain", 4), net.input("graded", 3, payload_bits=18)
    n = 9 * scale
    lif = net.population(
        "lif", n, du=900, dv=100, vth_mant=90, bias_mant=50, bias_exp=2, refractory=2
    )
    coded = net.population(
        "coded", n, model="microcode:lif", pack=True, du=2000, dv=50, vth_mant=60
    )
    sigma = net.population("sigma", 6 * scale, model="sigma_delta", threshold=900)
    coin = net.population(
        "coin", 5 * scale, model="stochastic", temperature=3000 * 256, cooling=4090
    )
    dendrite = net.population("dendrite", 7 * scale, dv=300, vth_mant=2**17 - 1)
    soma = net.population("soma", 7 * scale, model="microcode:lif", du=4095, dv=900, vth_mant=50)
    net.join(dendrite, soma, "add", "v")
    gate = net.population("gate", 7 * scale, model="if", threshold=5000)
    net.join(gate, dendrite, "block", "v")

    def connect(pre, post, density, **options):
        weights = 2 * rng.integers(-60, 90, (post.size, pre.size))
        weights[rng.random(weights.shape) > density] = 0
        net.connect(pre, post, weights=weights, **options)

    connect(plain, lif, 0.7, delay=1)
    connect(plain, gate, 0.7)
    connect(graded, sigma, 0.8, weight_exp=-6)
    connect(graded, dendrite, 0.8, weight_exp=-6, delay=2)
    connect(sigma, coded, 0.5, weight_exp=-6)
    connect(sigma, coin, 0.5, weight_exp=-5)
    connect(lif, dendrite, 0.4)
    connect(lif, coin, 0.4)
    connect(coin, lif, 0.3)
    connect(coded, sigma, 0.3, weight_exp=-1)
    connect(soma, lif, 0.3, delay=1)
    net.probe(sigma, "sigma", "sent", "spikes")
    net.probe(coin, "temperature", neurons=[4, 0])
    net.probe(lif, "u", "v")
    net.probe(soma, "u", "v")
    net.probe(dendrite, "v")
    inputs = {"plain": rng.random((steps, 4)) < 0.4}
    step, neuron = np.nonzero(rng.random((steps, 3)) < 0.6)
    payload = rng.integers(-90, 90, len(step))
    inputs["graded"] = np.stack([step, neuron, payload], axis=1)
    return net, inputs, steps


def in_microcode(network: Network) -> Network:
    """Return the same network with "lif" in microcode."""
    other = Network(network.name, dt_ms=network.dt_ms)
    model = load_model("microcode:lif")
    for name, p in network.populations.items():
        coded = replace(p, model="microcode:lif", program=model)
        other.populations[name] = p if p.is_input else coded
    other.projections = [
        replace(p, source=other.populations[p.source.name], target=other.populations[p.target.name])
        for p in network.projections
    ]
    other.probes = network.probes
    return other
