"""What `emulator/observe/counting.py` must compute: one spike, one packet, one word at a time."""

from collections import Counter

from tests.oracle.pipeline import flits_of
from tests.oracle.routes import NORTH, Way


def count_events(program, chip, spikes_per_source, active_per_segment, n_steps):
    """Return {(core, population, event): count}, none of them zero."""
    counts = Counter()
    mesh = chip.mesh
    names = [p["name"] for p in program.manifest["populations"]]
    targets = [names.index(p["target"]) for p in program.manifest["projections"]]

    sources = count_neurons(counts, program, chip, active_per_segment, n_steps)
    ordinal = 0
    for population, entry in enumerate(program.manifest["populations"]):
        for _ in range(entry["size"] if entry["is_input"] else 0):
            sources.append((-1, chip.host.ports[ordinal % len(chip.host.ports)], population))
            ordinal += 1

    counts[-1, -1, "barrier"] += n_steps
    for source, (from_core, from_tile, population) in enumerate(sources):
        for _ in range(int(spikes_per_source[source])):
            if from_core >= 0:
                counts[from_core, population, "neuron_spike"] += 1
            last_core, tree = None, set()
            for index in range(int(program.row_start[source]), int(program.row_start[source + 1])):
                _, length, block = program.rows[index].tolist()
                core, projection, _, bits, _ = program.blocks[block].tolist()
                target = targets[projection]
                if core != last_core:
                    tree.add(core)
                    counts[core, target, "axon_in"] += 1
                last_core = core
                counts[core, target, "synaptic_event"] += length
                counts[core, target, "synapse_word"] += words(chip.synapses, length, bits)
            ways = [tree] if mesh.multicast == "tree" else [[core] for core in tree]
            for to_cores in ways if tree else []:
                entry = program.manifest["populations"][population]
                send(counts, chip, (from_core, from_tile, population), to_cores, entry)
    return {key: count for key, count in counts.items() if count}


def count_neurons(counts, program, chip, active_per_segment, n_steps):
    """Count what neurons do without spikes; return core, tile and population of each compartment."""
    sources = []
    for segment, row in enumerate(program.segments.tolist()):
        population, first, stop, core, _ = row
        entry, active = (
            program.manifest["populations"][population],
            int(active_per_segment[segment]),
        )
        if entry["model"] == "lif":
            counts[core, population, "neuron_active"] += active
            counts[core, population, "neuron_idle"] += (stop - first) * n_steps - active
        else:
            counts[core, population, "instruction"] += active
        for join in program.manifest["joins"]:
            if join["source"] == entry["name"]:
                counts[core, population, "dendrite_join"] += (stop - first) * n_steps
        sources += [(core, core // chip.mesh.cores_per_tile, population)] * (stop - first)
    return sources


def words(storage, length, bits):
    n_words = 0
    while length > 0:
        n_bits = min(length, storage.block_synapses) * bits + storage.block_header_bits
        while n_bits > 0:
            n_words, n_bits = n_words + 1, n_bits - storage.word_bits
        length -= storage.block_synapses
    return n_words


def send(counts, chip, sender, to_cores, entry):
    """Count one packet and the links of its way, those that ways to several cores share once."""
    from_core, from_tile, population = sender
    mesh = chip.mesh
    counts[from_core, population, "packet"] += 1
    counts[from_core, population, "axon_out" if from_core >= 0 else "host"] += 1
    n_flits = flits_of(chip, entry)
    links = set()
    for to_core in to_cores:
        links |= set(way_of(mesh).links(from_tile, to_core // mesh.cores_per_tile))
    for _, port in links:
        counts[from_core, population, "hop_ew" if port < NORTH else "hop_ns"] += n_flits


def way_of(mesh):
    return Way(mesh.width, mesh.height, mesh.topology == "torus", mesh.routing)
