"""A whole program, step by step, with lists and dictionaries: no rows, no packing, no slots, no cores."""

from collections import defaultdict

from tests.oracle.neuron_lif import Compartment, Rules


def run(
    neurons: list[Compartment],
    synapses: list[tuple[int, int, int, int]],
    inputs: list[set[int]],
    rules: Rules,
) -> tuple[list[tuple[int, int]], list[list[tuple[int, int]]], int]:
    """Run a network.

    Parameters
    ----------
    synapses : list of (source, target, weight, delay)
        Sources 0..len(neurons) - 1 are the neurons; the rest are inputs.
    inputs : list of set of int
        Input sources that spike in each step.

    Returns
    -------
    spikes : list of (step, source)
    states : per step, (u, v) of every neuron
    n_events : int
        Synaptic events.
    """
    out_of = defaultdict(list)
    for source, target, weight, delay in synapses:
        out_of[source].append((target, weight, delay))
    due = defaultdict(list)  # (step, target) -> weights
    spikes, states, n_events = [], [], 0
    for step, outside in enumerate(inputs):
        fired = [
            i for i, neuron in enumerate(neurons) if neuron.step(due.pop((step, i), []), rules)
        ]
        fired += sorted(outside)
        for source in fired:
            spikes.append((step, source))
            for target, weight, delay in out_of[source]:
                due[step + 1 + delay, target].append(weight)
                n_events += 1
        states.append([(neuron.u, neuron.v) for neuron in neurons])
    return spikes, states, n_events
