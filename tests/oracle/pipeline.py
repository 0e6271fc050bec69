"""The cycles of one step, cycle by cycle: what `ext/pipeline.pyx` must compute in closed form.

Cores make packets, the mesh is that of tests/oracle/router.py, and terminals hold flits until their cores have room.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field

from tests.oracle.router import LOCAL, Mesh, Settings


@dataclass
class Receiver:
    """The receive path of one core."""

    queue: int  # packets it holds, the one in service included
    within_tile: int
    held: list[int] = field(default_factory=list)  # cycles in which they will be done
    coming: deque[int] = field(
        default_factory=deque
    )  # packets in the order in which they came, not yet taken
    free: int = 0
    busy: int = 0

    def take(self, cycle: int, service: int) -> None:
        self.free = max(self.free, cycle + self.within_tile) + service
        self.held.append(self.free)
        self.busy += service


class CoreMesh(Mesh):
    """A mesh whose terminals give flits to cores, in the order of their virtual channel."""

    def __init__(self, settings: Settings, receivers, destinations):
        super().__init__(settings)
        self.receivers, self.destinations = receivers, destinations
        self.waiting = defaultdict(deque)  # (node, vc) -> flits that came and were not taken
        self.latest = 0

    def next_cycle(self, cycle, due):
        if any(self.waiting.values()):
            return cycle + 1
        return super().next_cycle(cycle, due)

    def receive(self, cycle):
        for receiver in self.receivers.values():
            receiver.held = [done for done in receiver.held if done > cycle]
        came = self.ejected.pop(cycle, [])
        super().receive(cycle)
        for node, vc, flit in came:
            self.waiting[node, vc].append(flit)
            if flit.tail:
                self.arrive_cycle[flit.packet, node] = cycle
                for core, _ in self.cores(flit.packet, node):
                    self.receivers[core].coming.append(flit.packet)
        while any(self.try_to_take(cycle, *place) for place in list(self.waiting)):
            pass  # what was taken may have been in the way of others

    def cores(self, packet, node):
        return self.destinations[packet][node]

    def try_to_take(self, cycle, node, vc):
        flits = self.waiting[node, vc]
        if not flits:
            return False
        if flits[0].tail:
            packet = flits[0].packet
            cores = [(self.receivers[core], service) for core, service in self.cores(packet, node)]
            if any(len(r.held) >= r.queue or r.coming[0] != packet for r, _ in cores):
                return False
            for receiver, service in cores:
                receiver.coming.popleft()
                receiver.take(cycle, service)
                self.latest = max(self.latest, receiver.free)
        flits.popleft()
        self.credits[cycle + 2 + self.settings.credit_delay].append(
            self.routers[node].far[LOCAL, vc]
        )
        return True


def settings_of(chip):
    mesh = chip.mesh
    return Settings(
        width=mesh.width,
        height=mesh.height,
        virtual_channels=mesh.virtual_channels,
        buffer_flits=mesh.buffer_flits,
        routing_delay=mesh.routing_delay_cycles,
        speculative=mesh.speculative,
        allocator=mesh.allocator,
        iterations=mesh.allocator_iterations,
        wait_for_tail_credit=mesh.wait_for_tail_credit,
        credit_delay=mesh.credit_delay_cycles,
        latency_ew=mesh.link_latency_cycles.east_west,
        latency_ns=mesh.link_latency_cycles.north_south,
        torus=mesh.topology == "torus",
        order=mesh.routing,
    )


def sends(program, chip, source):
    """Return [(core, cycles of its receive path)] of a spike, read off the program row by row."""
    to = {}
    for row in range(int(program.row_start[source]), int(program.row_start[source + 1])):
        _, length, block = program.rows[row].tolist()
        core, _, _, bits, _ = program.blocks[block].tolist()
        cycles = to.get(core, chip.service_cycles("axon_in")) + length * chip.service_cycles(
            "synaptic_event"
        )
        while length > 0:
            n_bits = (
                min(length, chip.synapses.block_synapses) * bits + chip.synapses.block_header_bits
            )
            cycles += -(-n_bits // chip.synapses.word_bits) * chip.service_cycles("synapse_word")
            length -= chip.synapses.block_synapses
        to[core] = cycles
    return list(to.items())


def packets_of(program, chip, spiking, n_active):
    """Return the packets [(ready, core or -1, tile, [(core, service)])] of a step, and when neuron loops end."""
    cost = {name: chip.service_cycles(f"neuron_{name}") for name in ("idle", "active", "spike")}
    instruction, join = (chip.service_cycles(name) for name in ("instruction", "dendrite_join"))
    joined = [j["source"] for j in program.manifest["joins"]]
    tree = chip.mesh.multicast == "tree"
    packets, now, axon_free, flits = [], defaultdict(int), defaultdict(int), []

    def emit(made, where, tile, core, each, destinations):
        groups = [destinations] if tree and destinations else [[one] for one in destinations]
        for group in groups:
            where[tile if core < 0 else core] = max(where[tile if core < 0 else core], made) + each
            packets.append((where[tile if core < 0 else core], core, tile, group))

    for (population, first, stop, core, compartment), active in zip(
        program.segments.tolist(), n_active, strict=True
    ):
        size, begin, done_active, n_spikes = stop - first, now[core], 0, 0
        entry = program.manifest["populations"][population]
        for k in range(size):
            # The active ones are spread evenly: after k of them, floor(k * active / size) were active.
            becomes = (k + 1) * active // size
            if entry["model"] != "lif":
                begin += (becomes - done_active) * instruction
            else:
                begin += cost["active"] if becomes > done_active else cost["idle"]
            begin += joined.count(entry["name"]) * join
            done_active = becomes
            if compartment + k in spiking:
                n_spikes += 1
                begin += cost["spike"]
                tile = core // chip.mesh.cores_per_tile
                each = chip.service_cycles("axon_out")
                emit(begin, axon_free, tile, core, each, sends(program, chip, compartment + k))
                flits.extend([flits_of(chip, entry)] * (len(packets) - len(flits)))
        now[core] = begin
    ports, port_free = chip.host.ports, defaultdict(int)
    for source in sorted(s for s in spiking if s >= program.n_compartments):
        tile = ports[(source - program.n_compartments) % len(ports)]
        emit(0, port_free, tile, -1, chip.service_cycles("host"), sends(program, chip, source))
        entry = program.manifest["populations"][int(program.source_population[source])]
        flits.extend([flits_of(chip, entry)] * (len(packets) - len(flits)))
    return packets, max(now.values(), default=0), flits


def flits_of(chip, entry):
    """Return the flits of a packet: its header, and a payload in two's complement where there is one."""
    bits, payload = chip.mesh.header_bits, entry["payload"]
    if payload is not None:
        n = 1
        while not (-(2 ** (n - 1)) <= payload["low"] and payload["high"] < 2 ** (n - 1)):
            n += 1
        bits += n if payload["low"] < 0 else n - 1
    return -(-bits // chip.mesh.flit_bits)


def step_cycles(program, chip, spiking, n_active, barrier):
    """Return the cycles of a step, {(packet, tile): latency} and the busy cycles of each receive path."""
    packets, loops_end, flits = packets_of(program, chip, set(spiking), n_active)
    # In one cycle the packets of lower cores go first, those of the host last.
    order = sorted(range(len(packets)), key=lambda k: packets[k][0])
    destinations = defaultdict(lambda: defaultdict(list))
    for k in order:
        for core, service in packets[k][3]:
            destinations[k][core // chip.mesh.cores_per_tile].append((core, service))
    receivers = {
        core: Receiver(chip.mesh.input_queue_packets, chip.service_cycles("packet"))
        for core in range(chip.mesh.n_cores)
    }
    mesh = CoreMesh(settings_of(chip), receivers, destinations)
    waiting = deque(order)
    now = packets[order[0]][0] if order else None
    while now is not None:
        while waiting and packets[waiting[0]][0] <= now:
            k = waiting.popleft()
            tiles = frozenset(destinations[k])
            mesh.offer(k, packets[k][2], tiles if len(tiles) > 1 else min(tiles), flits[k])
        mesh.step(now)
        now = mesh.next_cycle(now, packets[waiting[0]][0] if waiting else None)
    latencies = {
        key: cycle - packets[key[0]][0]
        for key, cycle in mesh.arrive_cycle.items()
        if isinstance(key, tuple)
    }
    busy = {core: receiver.busy for core, receiver in receivers.items() if receiver.busy}
    return max(loops_end, mesh.latest) + barrier, latencies, busy
