"""The compiler: a network and a chip become a program, in four passes."""

import numpy as np

from emulator.arguments import frozen, require_kind, whole
from emulator.chip import Chip
from emulator.compiler.managing import check_managed
from emulator.compiler.mapped import check_mapping
from emulator.compiler.partition import partition
from emulator.compiler.plastic import check_epochs, with_clamped
from emulator.compiler.quantize import Quantised, quantise
from emulator.compiler.room import check_room
from emulator.compiler.route import place, route
from emulator.compiler.storage import delay_reach
from emulator.errors import CapacityError, ChipError, NetworkError
from emulator.mapping import Mapping
from emulator.network import Network
from emulator.program import STATE_TENSORS, TENSORS, Program

__all__ = ["compile_network"]

MAX_INPUTS = 2**26
"""Input neurons of a network: each takes a few bytes in a program, whether it is connected or not."""


def compile_network(
    network: Network,
    chip: Chip,
    mapping: Mapping | None = None,
    *,
    neurons_per_core: int | None = None,
    seed: int = 0,
) -> Program:
    """Quantise, partition, place and route a network for one chip.

    Parameters
    ----------
    network : Network
        Registers or real units.
    chip : Chip
        Widths in bits and capacities per core.
    mapping : Mapping, optional
        Which neurons sit on which core; without one they are placed in order, row by row of tiles.
    neurons_per_core : int, optional
        At most so many neurons of a population on a core: fewer make a step shorter and the chip fuller.
    seed : int
        Recorded; the same arguments give an identical program.

    Returns
    -------
    Program

    Raises
    ------
    NetworkError
        For values the chip cannot hold, or a mapping that does not fit the network.
    CapacityError
        Naming the resource, the population, the need and the limit; of the machine's memory too.
    """
    require_kind("network", network, Network, "with populations", NetworkError)
    require_kind("chip", chip, Chip, "as load_chip returns it", ChipError)
    seed = whole("seed", seed, 0, 2**63 - 1, NetworkError)
    if mapping is not None:
        require_kind("mapping", mapping, Mapping, "as Mapping.load returns it", NetworkError)
    if not network.populations:
        raise NetworkError(f"network '{network.name}' has no population")
    if neurons_per_core is not None:
        if mapping is not None:
            raise NetworkError("neurons_per_core cannot be given with a mapping")
        neurons_per_core = whole("neurons_per_core", neurons_per_core, 1, 65_536, NetworkError)
    network = with_clamped(network, chip)
    check_managed(network, chip)
    _check_size(network, chip)
    check_room(network, chip)
    quantised = quantise(network, chip)
    segments = (
        partition(network, chip, neurons_per_core)
        if mapping is None
        else check_mapping(network, chip, mapping)
    )
    check_epochs(network, chip, segments)
    placement = place(network, segments)
    tables = route(network, chip, quantised, placement)
    tables |= {"segments": placement.segments, "core_start": placement.core_start}
    for name in STATE_TENSORS:
        columns = [
            getattr(quantised.cells[population], name)[a:b] for population, a, b, _ in segments
        ]
        tables[name] = np.concatenate([np.empty(0, TENSORS[name][0]), *columns])
    words = [quantised.words[p][:, a:b].ravel() for p, a, b, _ in segments if p in quantised.words]
    tables["words"] = np.concatenate([np.empty(0, np.int32), *words])
    code = [model.code() for model in quantised.models.values()]
    tables["code"] = np.concatenate([np.empty(0, np.uint64), *code])
    tables = {name: frozen(table) for name, table in tables.items()}  # so that no copy is made
    program = Program(_manifest(network, chip, quantised, seed), tables)
    program.managed = tuple(network.managed)
    return program


def _check_size(network: Network, chip: Chip) -> None:
    """Refuse more neurons than the chip has compartments, before arrays of them are made."""
    n_neurons = sum(p.size for p in network.populations.values() if not p.is_input)
    room = chip.mesh.n_cores * chip.core.neurons
    if n_neurons > room:
        raise CapacityError(
            f"neurons: network '{network.name}' has {n_neurons:,}; chip '{chip.name}' holds {room:,}, "
            f"{chip.core.neurons:,} on each of {chip.mesh.n_cores:,} cores"
        )
    n_inputs = sum(p.size for p in network.populations.values() if p.is_input)
    if n_inputs > MAX_INPUTS:
        raise CapacityError(
            f"inputs: network '{network.name}' has {n_inputs:,}; at most {MAX_INPUTS:,} are allowed"
        )
    limit = chip.core.synapse_memory_bits
    n_bits = sum(len(p.pre) * p.weight_bits for p in network.projections)
    if limit is not None and n_bits > limit * chip.mesh.n_cores:
        raise CapacityError(
            f"synapse memory: the weights of network '{network.name}' alone take {n_bits:,} bits; chip '{chip.name}' "
            f"has {limit * chip.mesh.n_cores:,}, {limit:,} on each of {chip.mesh.n_cores:,} cores"
        )


def _manifest(network: Network, chip: Chip, quantised: Quantised, seed: int) -> dict[str, object]:
    learns = any(p.learning is not None for p in network.projections)
    return {
        "format": "emulator-program",
        "version": 4,
        "name": network.name,
        "chip": {
            "name": chip.name,
            "fingerprint": chip.fingerprint(learns=learns),
            "function": chip.function(learns=learns),
        },
        "seed": seed,
        "dt_ms": network.dt_ms,
        "max_delay_steps": max(
            (delay_reach(p, chip, int(np.max(p.delays, initial=0))) for p in network.projections),
            default=0,
        ),
        "populations": [
            {
                "name": p.name,
                "size": p.size,
                "model": quantised.model_names.get(p.name, p.model),
                "is_input": p.is_input,
                "payload": None
                if p.payload is None
                else dict(zip(("low", "high"), p.payload, strict=True)),
                "clamped_by": p.clamped_by,
                "sent_by": p.sent_by,
            }
            for p in network.populations.values()
        ],
        "models": [m.described() | {"name": name} for name, m in quantised.models.items()],
        "joins": [vars(join) for join in network.joins],
        "projections": [
            {
                "name": p.name,
                "source": p.source.name,
                "target": p.target.name,
                "weight_exp": quantised.exponents[k],
                "sign_mode": p.sign_mode,
                "weight_bits": p.weight_bits,
                "n_synapses": len(p.pre),
                "quantisation": quantised.reports[k],
                "learning": None if p.learning is None else p.learning.described(),
            }
            for k, p in enumerate(network.projections)
        ],
        "channels": [vars(channel) for channel in network.channels.values()],
        "managed": [program.described() for program in network.managed],
        "probes": [
            {
                "population": p.population,
                "variable": p.variable,
                "neurons": None if p.neurons is None else p.neurons.tolist(),
            }
            for p in network.probes
        ],
        "assumptions": list(network.assumptions),
        "warnings": [*network.warnings, *quantised.warnings],
        "rounding": quantised.rounding,
    }
