"""Input spikes by step and source, from sets: no bytes, no columns, no order that was given."""


def schedule(
    spikes: set[tuple[int, int]], first_source: int, n_steps: int
) -> tuple[list[int], list[int]]:
    """Return where each step begins, and the sources, ascending in each step.

    Parameters
    ----------
    spikes : set of (step, neuron)
    first_source : int
        Source of neuron 0.
    n_steps : int
    """
    start, sources = [0], []
    for step in range(n_steps):
        sources += sorted(first_source + neuron for when, neuron in spikes if when == step)
        start.append(len(sources))
    return start, sources


def together(
    parts: list[tuple[set[tuple[int, int]], int]], n_steps: int
) -> tuple[list[int], list[int]]:
    """Return the schedule of several populations: of each its spikes and its first source."""
    everything = {(step, first + neuron) for spikes, first in parts for step, neuron in spikes}
    return schedule(everything, 0, n_steps)
