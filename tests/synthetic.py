"""Small chips, programs and runs made by chance from a seed, without compiler or engine."""

from itertools import groupby

import numpy as np

from emulator.chip import EVENTS, Chip
from emulator.observe.learned import Learned
from emulator.observe.records import HeldRecords, probed_neurons
from emulator.observe.run import Run
from emulator.program import ROW, Program
from emulator.timing import CORE_ARRAYS, Timing

SOURCE = "assumed: made for a test"
EIGHTHS = [0.0, 0.125, 1.7, 23.6, 81.0]  # 1.7 and 23.6 are no binary fractions


def make_chip(rng=None, **sections):
    """Make a 3 x 2 mesh of tiles with two cores; keywords replace keys of sections (mesh={...})."""
    rng = rng or np.random.default_rng(0)
    cost = lambda: {"energy_pj": float(rng.choice(EIGHTHS)), "time_ns": 1.5, "source": SOURCE}  # noqa: E731
    description = {
        "format": 1,
        "name": "synthetic",
        "description": "a chip for tests",
        "source": SOURCE,
        "clock": {"mhz": 100.0, "source": SOURCE},
        "mesh": {
            "width": 3,
            "height": 2,
            "cores_per_tile": 2,
            "flit_bits": 16,
            "header_bits": 32,
            "virtual_channels": 1,
            "buffer_flits": 4,
            "routing_delay_cycles": 1,
            "speculative": False,
            "allocator": "islip",
            "wait_for_tail_credit": False,
            "credit_delay_cycles": 1,
            "link_latency_cycles": {"east_west": 1, "north_south": 1},
            "source": SOURCE,
        },
        "core": {
            "neurons": 16,
            "synapse_memory_bits": 4096,
            "axons_in": 64,
            "axons_out": None,
            "accumulator_entries": None,
            "models": ["lif"],
            "source": SOURCE,
        },
        "microcode": {
            "instructions": 1024,
            "state_bytes": 4096,
            "payload_bits": 32,
            "source": SOURCE,
        },
        "learning": {
            "instructions": 64,
            "post_factors": True,
            "accumulator_limits": {"minimum": -32769, "maximum": 32767},
            "mixed_weight_limits": {"minimum": -256, "maximum": 255},
            "tag_limits": {"minimum": -257, "maximum": 255},
            "source": SOURCE,
        },
        "synapses": {
            "word_bits": 64,
            "block_synapses": 4,
            "block_header_bits": 10,
            "weight_bits": [4, 8],
            "index_bits": [4],
            "formats": ["sparse"],
            "max_delay_steps": 6,
            "source": SOURCE,
        },
        "arithmetic": {"v_limits": {"minimum": -(2**23), "maximum": 2**23}, "source": SOURCE},
        "costs": {event: cost() for event in EVENTS},
        "barrier": {"one_tile_ns": 10.0, "all_tiles_ns": 60.0, "tiles": 6, "source": SOURCE},
        "static_power": {"mw": 12.5, "source": SOURCE},
        "host": {"ports": [0], "source": SOURCE},
        "management": {"cores": 0, "source": SOURCE},
    }
    for name, keys in sections.items():
        description[name] = description[name] | keys
    return Chip.model_validate(description)


def make_program(
    rng, chip, *, sizes=(6, 3, 9, 4), inputs=(0, 3), n_projections=4, density=0.5, probed=False
):
    """Make a program of populations of these sizes; those in `inputs` hold no compartments."""
    names = [f"p{i}" for i in range(len(sizes))]
    segments, core_of, slot_of = _place(rng, chip, sizes, inputs)
    n_compartments = sum(stop - first for _, first, stop, _, _ in segments)
    n_cores = max((core for *_, core, _ in segments), default=-1) + 1

    placed = sorted(core_of, key=lambda key: (core_of[key], slot_of[key]))
    cores = [core_of[key] for key in placed]
    sources = placed + [(p, n) for p in inputs for n in range(sizes[p])]
    targets = [p for p in range(len(sizes)) if p not in inputs]
    projections = [
        (int(rng.integers(len(sizes))), int(rng.choice(targets)), int(rng.choice([4, 8])))
        for _ in range(n_projections * bool(targets))
    ]
    blocks, rows, row_start, synapses = {}, [], [0], []
    for population, _neuron in sources:
        found = [
            (core_of[target, post], index, slot_of[target, post])
            for index, (source, target, _) in enumerate(projections)
            if source == population
            for post in range(sizes[target])
            if rng.random() < density
        ]
        for (core, index), group in groupby(sorted(found), key=lambda synapse: synapse[:2]):
            block = blocks.setdefault((core, index), len(blocks))
            start = len(synapses)
            for *_, slot in group:
                weight, delay = int(rng.integers(1, 100)), int(rng.integers(0, 4))
                synapses.append(weight << 23 | delay << 16 | slot)
            rows.append((start, len(synapses) - start, block))
        row_start.append(len(rows))

    probes = [
        {"population": name, "variable": variable, "neurons": neurons}
        for name, variable, neurons in (
            ("p1", "u", None),
            ("p1", "v", [2, 0]),
            ("p1", "v", [0, 1]),
            (names[-1], "spikes", [0]),
        )
        if probed
    ]
    manifest = {
        "format": "emulator-program",
        "version": 4,
        "name": "synthetic",
        "chip": {"name": chip.name, "fingerprint": "0" * 64, "function": chip.function()},
        "seed": 0,
        "dt_ms": 1.0,
        "max_delay_steps": 6,
        "populations": [
            {
                "name": name,
                "size": size,
                "model": "input" if i in inputs else "lif",
                "is_input": i in inputs,
                "payload": None,
                "clamped_by": None,
                "sent_by": None,
            }
            for i, (name, size) in enumerate(zip(names, sizes, strict=True))
        ],
        "models": [],
        "joins": [],
        "projections": [
            {
                "name": f"{names[source]}->{names[target]}#{index}",
                "source": names[source],
                "target": names[target],
                "weight_exp": 0,
                "sign_mode": "mixed",
                "weight_bits": bits,
                "n_synapses": sum(
                    length for _, length, block in rows if list(blocks)[block][1] == index
                ),
                "quantisation": None,
                "learning": None,
            }
            for index, (source, target, bits) in enumerate(projections)
        ],
        "channels": [],
        "managed": [],
        "probes": probes,
        "assumptions": ["the weights were drawn by chance"],
    }
    tensors = {
        "u_retain": np.full(n_compartments, 4096, np.uint16),
        "v_retain": np.full(n_compartments, 4096, np.uint16),
        "bias": np.zeros(n_compartments, np.int32),
        "threshold": np.full(n_compartments, 64, np.int32),
        "refractory": np.ones(n_compartments, np.uint8),
        "u_init": np.zeros(n_compartments, np.int32),
        "v_init": np.zeros(n_compartments, np.int32),
        "refractory_init": np.zeros(n_compartments, np.uint8),
        "core_start": np.searchsorted(cores, np.arange(n_cores + 1)).astype(np.int32),
        "shard_start": np.searchsorted(cores, np.arange(n_cores)).astype(np.int32),
        "segments": np.array(segments, np.int32).reshape(-1, 5),
        "row_start": np.array(row_start, np.uint32),
        "rows": np.array(rows, ROW).view("<u4").reshape(-1, 2),
        "blocks": np.array(
            [(core, i, 6, projections[i][2] + 10, 0) for core, i in blocks], np.int32
        ).reshape(-1, 5),
        "code": np.empty(0, np.uint64),
        "words": np.empty(0, np.int32),
        "synapses": np.array(synapses, np.uint32),
    }
    return Program(manifest, tensors)


def _place(rng, chip, sizes, inputs):
    """Cut the populations into segments and put them on ascending cores, sometimes two on one."""
    segments, core_of, slot_of = [], {}, {}
    core, slot, compartment = int(rng.integers(min(2, chip.mesh.n_cores))), 0, 0
    for population, size in enumerate(sizes):
        if population in inputs:
            continue
        first = 0
        while first < size:
            stop = int(rng.integers(first + 1, size + 1))
            segments.append((population, first, stop, core, compartment))
            for neuron in range(first, stop):
                core_of[population, neuron], slot_of[population, neuron] = core, slot
                slot, compartment = slot + 1, compartment + 1
            first = stop
            if rng.random() < 0.7 and core < chip.mesh.n_cores - 1:
                core, slot = core + int(rng.integers(1, min(3, chip.mesh.n_cores - core))), 0
    return segments, core_of, slot_of


def make_run(rng, program, chip, *, n_steps=20, rate=0.2, timing="analytic", status="complete"):
    """Make a run in which sources fire by chance; nothing in it was computed by an engine."""
    spikes = rng.random((n_steps, program.n_sources)) < rate
    step, source = np.nonzero(spikes)
    segment_sizes = program.segments[:, 2] - program.segments[:, 1]
    names = ("neuron updates", "synapse memory", "link", "barrier")
    return Run(
        program=program,
        chip=chip,
        n_steps=n_steps,
        seed=7,
        status=status,
        records=HeldRecords(
            program.n_sources,
            step.astype(np.uint32),
            source.astype(np.uint32),
            rng.integers(0, segment_sizes + 1, (n_steps, len(segment_sizes)), np.uint32),
            Learned(program, []),
            {
                population: {
                    variable: rng.random((n_steps, len(neurons))) < rate
                    if variable == "spikes"
                    else rng.integers(-(2**23), 2**23, (n_steps, len(neurons)), np.int32)
                    for variable, neurons in variables.items()
                }
                for population, variables in probed_neurons(program).items()
            },
        ),
        timing=None
        if timing == "off"
        else Timing(
            mode=timing,
            clock_mhz=chip.clock.mhz,
            step_cycles=rng.integers(10, 100, n_steps, np.int64),
            bottleneck=rng.integers(0, 3, n_steps, np.uint8),
            bottleneck_names=names,
            **{name: rng.integers(0, 1000, chip.mesh.n_cores, np.int64) for name in CORE_ARRAYS},
            latency_packets=rng.integers(0, 50, 30, np.int64),
            link_flits=rng.integers(0, 50, (chip.mesh.n_tiles, 4), np.int64),
            barrier_cycles=7,
        ),
    )
