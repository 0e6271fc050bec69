"""What several keys of a chip description must satisfy together."""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Rule(NamedTuple):
    """A demand on the values of some keys.

    Attributes
    ----------
    key : str
        The dotted key a mistake is reported at.
    needs : tuple of str
        The dotted keys whose values `check` gets, in this order.
    check : callable
        Says what is wrong, or returns None.
    """

    key: str
    needs: tuple[str, ...]
    check: Callable[..., str | None]


def _cores_fit_16_bits(width: int, height: int, per_tile: int) -> str | None:
    n_cores = width * height * per_tile
    if n_cores <= 65_535:
        return None
    return f"{width} x {height} tiles of {per_tile} cores are {n_cores} cores; allowed: 1 to 65535"


def _ports_are_tiles(ports: list[int], width: int, height: int) -> str | None:
    outside = [port for port in ports if port >= width * height]
    return f"{_join(outside)} off the mesh; allowed: 0 to {width * height - 1}" if outside else None


def _delay_fits_accumulators(entries: int | None, max_delay: int) -> str | None:
    if entries is None or entries >= max_delay + 2:
        return None
    return (
        f"{entries} is too few for a synapses.max_delay_steps of {max_delay}, with which a neuron "
        f"takes {max_delay + 2} entries; allowed: {max_delay + 2} or more"
    )


def _index_reaches_neurons(index_bits: list[int], formats: list[str], neurons: int) -> str | None:
    widest = max(index_bits)
    if "sparse" not in formats or 2**widest >= neurons:
        return None
    return (
        f"{widest} bits tell {2**widest} neurons apart, but core.neurons is {neurons}; "
        f"add a width of {(neurons - 1).bit_length()} or more"
    )


def _barrier_grows(all_tiles_ns: float, one_tile_ns: float) -> str | None:
    if all_tiles_ns >= one_tile_ns:
        return None
    return f"{all_tiles_ns} is less than barrier.one_tile_ns; allowed: {one_tile_ns} or more"


def _trees_need_single_flits(multicast: str, header_bits: int, flit_bits: int) -> str | None:
    if multicast == "none" or header_bits <= flit_bits:
        return None
    return (
        f"'tree' copies packets of one flit; mesh.header_bits {header_bits} is more than mesh.flit_bits {flit_bits}; "
        "allowed: none"
    )


def _rings_need_two_classes(topology: str, n_vcs: int) -> str | None:
    if topology != "torus" or n_vcs % 2 == 0:
        return None
    return f"{n_vcs} on a torus, where packets that cross an edge have half of them; allowed: 2, 4, 6, 8"


def _plastic_weights_fit(minimum: int, maximum: int) -> str | None:
    if minimum >= -256 and maximum <= 255:
        return None
    return (
        f"{minimum} to {maximum} does not fit the 9 bits of a plastic weight; allowed: -256 to 255"
    )


def _tags_fit(minimum: int, maximum: int) -> str | None:
    if minimum >= -512 and maximum <= 511:
        return None
    return (
        f"{minimum} to {maximum} does not fit a factor of 9 bits and a sign; allowed: -512 to 511"
    )


def _no_repeats(values: Sequence[object]) -> str | None:
    repeated = list(dict.fromkeys(value for value in values if values.count(value) > 1))
    return f"{_join(repeated)} given more than once; write each once" if repeated else None


def _join(values: Sequence[object]) -> str:
    """Return "3 is", or "3, 5 are"."""
    return f"{', '.join(map(str, values))} {'is' if len(values) == 1 else 'are'}"


_LISTS = (
    "core.models",
    "synapses.weight_bits",
    "synapses.index_bits",
    "synapses.formats",
    "host.ports",
)

RULES = (
    Rule(
        "mesh.width",
        ("mesh.width", "mesh.height", "mesh.cores_per_tile"),
        _cores_fit_16_bits,
    ),
    Rule(
        "mesh.multicast",
        ("mesh.multicast", "mesh.header_bits", "mesh.flit_bits"),
        _trees_need_single_flits,
    ),
    Rule(
        "mesh.virtual_channels",
        ("mesh.topology", "mesh.virtual_channels"),
        _rings_need_two_classes,
    ),
    Rule("host.ports", ("host.ports", "mesh.width", "mesh.height"), _ports_are_tiles),
    Rule(
        "core.accumulator_entries",
        ("core.accumulator_entries", "synapses.max_delay_steps"),
        _delay_fits_accumulators,
    ),
    Rule(
        "synapses.index_bits",
        ("synapses.index_bits", "synapses.formats", "core.neurons"),
        _index_reaches_neurons,
    ),
    Rule(
        "barrier.all_tiles_ns",
        ("barrier.all_tiles_ns", "barrier.one_tile_ns"),
        _barrier_grows,
    ),
    Rule(
        "management.tiles",
        ("management.tiles", "mesh.width", "mesh.height"),
        _ports_are_tiles,
    ),
    Rule(
        "learning.mixed_weight_limits",
        ("learning.mixed_weight_limits.minimum", "learning.mixed_weight_limits.maximum"),
        _plastic_weights_fit,
    ),
    Rule(
        "learning.tag_limits",
        ("learning.tag_limits.minimum", "learning.tag_limits.maximum"),
        _tags_fit,
    ),
    *(Rule(key, (key,), _no_repeats) for key in _LISTS),
)
