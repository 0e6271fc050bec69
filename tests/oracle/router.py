"""A mesh of input-queued routers (virtual channels, credits), cycle by cycle, with lists and dictionaries.

One cycle: what was under way and is due is received, every source sends at most one flit, and every
router with something in its buffers takes its decisions on what it knew at the start of the step.
Everything sent is received in a later cycle, so the order of the routers in a cycle is of no matter.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, replace

from tests.oracle.routes import EAST, LOCAL, NORTH, SOUTH, WEST, Way

PORTS = range(5)  # +x, -x, +y, -y, injection or ejection
OPPOSITE = [WEST, EAST, SOUTH, NORTH]  # what leaves by a port is received by this port next door

IDLE, ROUTING, VC_ALLOC, ACTIVE = "idle", "routing", "vc_alloc", "active"


@dataclass(frozen=True)
class Settings:
    width: int
    height: int
    virtual_channels: int = 1
    buffer_flits: int = 8  # of every virtual channel
    routing_delay: int = 1  # 0: look-ahead
    speculative: bool = False
    allocator: str = "islip"  # or "separable_input_first", for VC and switch allocation alike
    iterations: int = 1  # pointers move in the first iteration only
    wait_for_tail_credit: bool = False
    credit_delay: int = 0
    latency_ew: int = 1  # cycles of a link, by direction; the credits of the link take as long
    latency_ns: int = 1
    torus: bool = False
    order: str = "xy"  # the axis along which packets go first

    @property
    def way(self) -> Way:
        return Way(self.width, self.height, self.torus, self.order)

    def latency(self, port: int) -> int:
        """Return the latency of the channel at a port; injection and ejection take 1."""
        by_port = {EAST: self.latency_ew, WEST: self.latency_ew, LOCAL: 1}
        return by_port.get(port, self.latency_ns)

    def neighbour(self, node: int, port: int) -> int:
        return self.way.neighbour(node, port)

    def usable(self, node: int, port: int, dst: int | frozenset[int]) -> range:
        """Return the virtual channels that a packet may have on its next link; on a torus, half of them.

        Those that have still to cross an edge before they turn have the lower half: so no ring of packets waits for
        itself.
        """
        n, all_of_them = self.virtual_channels, range(self.virtual_channels)
        if not self.torus or port == LOCAL:
            return all_of_them
        onward = [one for one in destinations(dst) if self.route(node, one) == port]
        crosses = any(self.way.crosses_later(node, one) for one in onward)
        return range(n // 2) if crosses else range(n // 2, n)

    def route(self, node: int, dst: int | frozenset[int]) -> int:
        """Return the output port; of several destinations the first port."""
        return min(self.way.port(node, one) for one in destinations(dst))


def destinations(dst: int | frozenset[int]) -> frozenset[int]:
    return dst if isinstance(dst, frozenset) else frozenset([dst])


@dataclass(frozen=True)
class Flit:
    packet: int
    dst: (
        int | frozenset[int]
    )  # several: copies are made where their ways part, for single-flit packets
    head: bool
    tail: bool


class FarBuffer:
    """What a sender knows of one virtual channel at the far end of its link."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.free = True  # no packet owns it
        self.tail_sent = False
        self.flits = 0  # sent, and no credit came back yet

    def full(self) -> bool:
        return self.flits >= self.settings.buffer_flits

    def take(self) -> None:
        assert self.free
        self.free, self.tail_sent = False, False

    def send(self, flit: Flit) -> None:
        assert not self.free
        assert not self.full()
        self.flits += 1
        if flit.tail:
            self.tail_sent = True
            self.free = not self.settings.wait_for_tail_credit

    def credit(self) -> None:
        assert self.flits > 0
        self.flits -= 1
        if self.tail_sent and self.flits == 0:
            self.free = True


class NearBuffer:
    """One virtual channel of one input of a router."""

    def __init__(self):
        self.flits = deque()
        self.state = IDLE
        self.output = None  # output port of the packet at the front, once it has a route
        self.far_vc = None  # and its virtual channel at the far end, once it is active


def round_robin(pointer: int, candidates: list[int], size: int) -> int:
    """Return the first candidate at or after the pointer, which wraps around."""
    return min(candidates, key=lambda candidate: (candidate - pointer) % size)


class Allocator:
    """Matches inputs with outputs, one to one, among requests {(input, output): priority}."""

    def __init__(self, kind: str, size: int, iterations: int):
        self.size, self.iterations = size, iterations
        self.propose = {
            "islip": self.islip,
            "separable_input_first": self.separable_input_first,
        }[kind]
        self.input_pointer = [0] * size
        self.output_pointer = [0] * size

    def allocate(self, requests: dict[tuple[int, int], int]) -> dict[int, int]:
        """Return {input: output}."""
        matched = {}
        for iteration in range(self.iterations):
            left = {
                (i, o): priority
                for (i, o), priority in requests.items()
                if i not in matched and o not in matched.values()
            }
            new = self.propose(left)
            if iteration == 0:
                for i, o in new.items():
                    self.input_pointer[i] = (o + 1) % self.size
                    self.output_pointer[o] = (i + 1) % self.size
            matched |= new
        return matched

    def islip(self, requests: dict[tuple[int, int], int]) -> dict[int, int]:
        """Every output grants one input, every input accepts one of its grants; no priorities."""
        asking = defaultdict(list)  # output -> inputs
        for i, o in requests:
            asking[o].append(i)
        granting = defaultdict(list)  # input -> outputs
        for o, inputs in asking.items():
            granting[round_robin(self.output_pointer[o], inputs, self.size)].append(o)
        return {
            i: round_robin(self.input_pointer[i], outputs, self.size)
            for i, outputs in granting.items()
        }

    def separable_input_first(self, requests: dict[tuple[int, int], int]) -> dict[int, int]:
        """Every input chooses one output, every output one of the inputs that chose it."""
        wanted = defaultdict(dict)  # input -> output -> priority
        for (i, o), priority in requests.items():
            wanted[i][o] = priority
        choosing = defaultdict(dict)  # output -> input -> priority
        for i, outputs in wanted.items():
            o = round_robin(self.input_pointer[i], highest(outputs), self.size)
            choosing[o][i] = outputs[o]
        return {
            round_robin(self.output_pointer[o], highest(inputs), self.size): o
            for o, inputs in choosing.items()
        }


def highest(priorities: dict[int, int]) -> list[int]:
    """Return the keys that share the highest value."""
    top = max(priorities.values())
    return [key for key, priority in priorities.items() if priority == top]


class Router:
    def __init__(self, settings: Settings, node: int):
        n_vcs = settings.virtual_channels
        self.settings, self.node = settings, node
        self.near = {(port, vc): NearBuffer() for port in PORTS for vc in range(n_vcs)}
        self.far = {(port, vc): FarBuffer(settings) for port in PORTS for vc in range(n_vcs)}
        self.vc_allocator = Allocator(settings.allocator, 5 * n_vcs, settings.iterations)
        self.switch_allocator = Allocator(settings.allocator, 5, settings.iterations)
        self.next_vc = dict.fromkeys(PORTS, 0)  # per input, round robin among its channels

    def receive(self, port: int, vc: int, flit: Flit) -> None:
        near = self.near[port, vc]
        near.flits.append(flit)
        assert len(near.flits) <= self.settings.buffer_flits
        if near.state == IDLE:
            self.begin(near)

    def begin(self, near: NearBuffer) -> None:
        """Begin with the packet whose head is now at the front; with look-ahead it has its route."""
        assert near.flits[0].head
        near.output = self.settings.route(self.node, near.flits[0].dst)
        near.state = ROUTING if self.settings.routing_delay else VC_ALLOC

    def busy(self) -> bool:
        return any(near.flits for near in self.near.values())

    def step(self) -> list[tuple[int, int, Flit, int, int]]:
        """Return the flits that won the switch: (input port, its vc, flit, output port, its vc)."""
        # decisions, all of them on the state at the start of the step
        routed = [near for near in self.near.values() if near.state == ROUTING]
        granted = self.allocate_vcs()
        winners = self.allocate_switch(granted)
        # and only then what follows from them
        for near in routed:
            near.state = VC_ALLOC
        for (port, vc), far_vc in granted.items():
            near = self.near[port, vc]
            near.state, near.far_vc = ACTIVE, far_vc
            self.far[near.output, far_vc].take()
        return [self.leave(port, vc) for port, vc in winners]

    def allocate_vcs(self) -> dict[tuple[int, int], int]:
        """Return {(input port, vc): vc at the far end}. Credits are not looked at."""
        n_vcs = self.settings.virtual_channels
        requests = {}
        for (port, vc), near in self.near.items():
            if near.state == VC_ALLOC:
                for far_vc in self.usable(near):
                    if self.far[near.output, far_vc].free:
                        requests[port * n_vcs + vc, near.output * n_vcs + far_vc] = 0
        matched = self.vc_allocator.allocate(requests)
        return {divmod(i, n_vcs): o % n_vcs for i, o in matched.items()}

    def usable(self, near: NearBuffer) -> range:
        return self.settings.usable(self.node, near.output, near.flits[0].dst)

    def switch_priority(self, near: NearBuffer) -> int | None:
        """Return 1 for a request, 0 for a speculative one, None for no request."""
        if near.state == ACTIVE and near.flits:
            return None if self.far[near.output, near.far_vc].full() else 1
        if near.state == VC_ALLOC and self.settings.speculative:
            for far_vc in self.usable(near):
                far = self.far[near.output, far_vc]
                if far.free and not far.full():
                    return 0
        return None

    def allocate_switch(self, granted: dict[tuple[int, int], int]) -> list[tuple[int, int]]:
        """Return the (input port, vc) that send a flit, given what VC allocation grants meanwhile."""
        n_vcs = self.settings.virtual_channels
        bids = defaultdict(list)  # (input port, output port) -> (priority, vc)
        for (port, vc), near in self.near.items():
            priority = self.switch_priority(near)
            if priority is not None:
                bids[port, near.output].append((priority, vc))
        requests, bidder = {}, {}
        for (port, output), offers in bids.items():  # one bid for each pair of ports
            requests[port, output] = top = max(priority for priority, _ in offers)
            vcs = [vc for priority, vc in offers if priority == top]
            bidder[port, output] = round_robin(self.next_vc[port], vcs, n_vcs)
        winners = []
        for port, output in self.switch_allocator.allocate(requests).items():
            vc = bidder[port, output]
            self.next_vc[port] = (vc + 1) % n_vcs
            if self.near[port, vc].state == VC_ALLOC:  # speculative: the grant may be of no use
                far_vc = granted.get((port, vc))
                if far_vc is None or self.far[output, far_vc].full():
                    continue
            winners.append((port, vc))
        return winners

    def leave(self, port: int, vc: int) -> tuple[int, int, Flit, int, int]:
        """Take the flit at the front out of its buffer."""
        near = self.near[port, vc]
        flit, output, far_vc = near.flits.popleft(), near.output, near.far_vc
        if isinstance(flit.dst, frozenset):
            here = frozenset(
                one for one in flit.dst if self.settings.route(self.node, one) == output
            )
            if here != flit.dst:
                near.flits.appendleft(replace(flit, dst=flit.dst - here))
            flit = replace(flit, dst=here)
        self.far[output, far_vc].send(flit)
        if flit.tail:
            near.state, near.output, near.far_vc = IDLE, None, None
            if near.flits:
                self.begin(near)
        return port, vc, flit, output, far_vc


class Source:
    """The queue of packets of one node, not bounded; one packet after the other."""

    def __init__(self, settings: Settings):
        self.queue = deque()
        self.far = [FarBuffer(settings) for _ in range(settings.virtual_channels)]
        self.vc = -1  # last one used

    def step(self) -> tuple[Flit, int] | None:
        """Return the flit that is sent, if any, and its virtual channel."""
        flit = self.queue[0]
        if flit.head:
            n_vcs = len(self.far)
            usable = [vc for vc, far in enumerate(self.far) if far.free and not far.full()]
            if not usable:
                return None
            self.vc = round_robin(self.vc + 1, usable, n_vcs)
            self.far[self.vc].take()
        elif self.far[self.vc].full():
            return None
        self.far[self.vc].send(flit)
        return self.queue.popleft(), self.vc


class Mesh:
    def __init__(self, settings: Settings):
        nodes = range(settings.width * settings.height)
        self.settings = settings
        self.routers = [Router(settings, node) for node in nodes]
        self.sources = [Source(settings) for _ in nodes]
        self.flits = defaultdict(list)  # cycle -> (node, input port, vc, flit) received by a router
        self.ejected = defaultdict(list)  # cycle -> (node, vc, flit) received by a terminal
        self.credits = defaultdict(list)  # cycle -> buffers at a far end that get a credit
        self.busy_routers = set()
        self.busy_sources = set()
        self.inject_cycle = {}
        self.arrive_cycle = {}

    def offer(self, packet: int, src: int, dst: int, size: int) -> None:
        self.sources[src].queue.extend(
            Flit(packet, dst, head=k == 0, tail=k == size - 1) for k in range(size)
        )
        self.busy_sources.add(src)

    def next_cycle(self, cycle: int, due: int | None) -> int | None:
        """Return the next cycle in which anything can happen; None at the end."""
        if self.busy_routers or self.busy_sources:
            return cycle + 1
        times = [*self.flits, *self.ejected, *self.credits]
        return min(times if due is None else [*times, due], default=None)

    def step(self, cycle: int) -> None:
        self.receive(cycle)
        for node in sorted(self.busy_sources):
            self.inject(cycle, node)
        for node in sorted(self.busy_routers):
            for won in self.routers[node].step():
                self.forward(cycle, node, *won)
            if not self.routers[node].busy():
                self.busy_routers.remove(node)

    def receive(self, cycle: int) -> None:
        for far in self.credits.pop(cycle, []):
            far.credit()
        for node, vc, flit in self.ejected.pop(cycle, []):
            if flit.tail:
                self.arrive_cycle[flit.packet] = cycle
            back = cycle + 2 + self.settings.credit_delay
            self.credits[back].append(self.routers[node].far[LOCAL, vc])
        for node, port, vc, flit in self.flits.pop(cycle, []):
            self.routers[node].receive(port, vc, flit)
            self.busy_routers.add(node)

    def inject(self, cycle: int, node: int) -> None:
        source = self.sources[node]
        if sent := source.step():
            flit, vc = sent
            if flit.head:
                self.inject_cycle[flit.packet] = cycle
            self.flits[cycle + 2].append((node, LOCAL, vc, flit))
            if not source.queue:
                self.busy_sources.remove(node)

    def copied(self, node: int, port: int, vc: int) -> list[int]:
        """Return the packet at the front of a buffer, if there is one."""
        return [
            flit.packet
            for flit in list(self.routers[node].near[port, vc].flits)[:1]
            if flit.head and flit.tail
        ]

    def forward(
        self, cycle: int, node: int, port: int, vc: int, flit: Flit, output: int, far_vc: int
    ):
        """Send a flit that won the switch in this cycle on, and a credit back."""
        arrival = cycle + 2 + self.settings.latency(output)
        if output == LOCAL:
            self.ejected[arrival].append((node, far_vc, flit))
        else:
            there = self.settings.neighbour(node, output)
            self.flits[arrival].append((there, OPPOSITE[output], far_vc, flit))
        back = cycle + 1 + self.settings.latency(port)
        if flit.packet in self.copied(node, port, vc):
            return  # the flit stays until the last copy has left
        if port == LOCAL:
            self.credits[back].append(self.sources[node].far[vc])
        else:
            router = self.routers[self.settings.neighbour(node, port)]
            delay = self.settings.credit_delay
            self.credits[back + delay].append(router.far[OPPOSITE[port], vc])


def replay(
    settings: Settings, cycle: list[int], src: list[int], dst: list[int], size: list[int]
) -> tuple[list[int], list[int]]:
    """Replay packets.

    Parameters
    ----------
    cycle, src, dst, size : sequence of int
        Packets in the order in which their sources queue them: due in a cycle (not decreasing), from
        node to node (x + width * y), with a number of flits.

    Returns
    -------
    inject_cycle, arrive_cycle : list of int
        Per packet, when its head was sent by the source and its tail received by the terminal.
    """
    packets = [tuple(map(int, packet)) for packet in zip(cycle, src, dst, size, strict=True)]
    mesh = Mesh(settings)
    offered = 0
    now = packets[0][0] if packets else None
    while now is not None:
        while offered < len(packets) and packets[offered][0] <= now:
            mesh.offer(offered, *packets[offered][1:])
            offered += 1
        mesh.step(now)
        now = mesh.next_cycle(now, packets[offered][0] if offered < len(packets) else None)
    numbers = range(len(packets))
    return [mesh.inject_cycle[k] for k in numbers], [mesh.arrive_cycle[k] for k in numbers]
