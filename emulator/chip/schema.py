"""What a file in chipconfigs/ may say: closed, strict, frozen models, with the unit in each name.

A limit that is `null` is unlimited. Every section that holds a cost, a latency or an assumption has
a `source`: paper and table, "fitted", "scaled" or "assumed", and how. What several keys must
satisfy together is in `rules.py`. Text below a key is its line in `docs/chips.md` and JSON Schema.
"""

import hashlib
import json
from functools import reduce
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emulator.chip.routes import Routes, RoutingOrder, Topology, routes_of
from emulator.chip.rules import RULES
from emulator.units import cycles_from_ns

Source = Annotated[str, Field(min_length=8)]
Energy = Annotated[float, Field(ge=0, le=1e9)]
Time = Annotated[float, Field(ge=0, le=1e6)]
Limit = Annotated[int, Field(ge=1, le=2**40)] | None

EVENTS = (
    "neuron_idle", "neuron_active", "neuron_spike", "instruction", "dendrite_join", "axon_out", "packet",
    "hop_ew", "hop_ns", "host", "axon_in", "synapse_word", "synaptic_event", "learning_instruction",
    "management_call", "management_instruction", "management_word", "message", "host_message", "barrier",
)  # fmt: skip
"""What the emulator counts, and what a chip file prices: one line of `costs` for each."""
CHANGED = "changed: "
"""How the source of a section begins in which `--set` changed a value."""
FUNCTION = ("arithmetic", "core", "microcode", "synapses")
"""The sections that decide what a chip computes and how much it holds, with `learning` where a program learns; the
others decide its time and energy."""


class Section(BaseModel):
    """A part of a chip description: unknown keys, wrong types and NaN are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Clock(Section):
    """The time base of the mesh and of all cycle counts."""

    mhz: Annotated[float, Field(ge=0.001, le=1e5)]
    """Clock frequency; costs in ns become whole cycles of it, rounded up once."""
    source: Source
    """Where the frequency comes from; for an asynchronous chip, why this one is assumed."""


class LinkLatency(Section):
    """Cycles a flit spends on a link between two routers, by direction."""

    east_west: Annotated[int, Field(ge=1, le=64)]
    """Links along x."""
    north_south: Annotated[int, Field(ge=1, le=64)]
    """Links along y."""


class Mesh(Section):
    """The network on chip: width x height routers, one per tile."""

    width: Annotated[int, Field(ge=1, le=64)]
    """Tiles along x."""
    height: Annotated[int, Field(ge=1, le=64)]
    """Tiles along y."""
    cores_per_tile: Annotated[int, Field(ge=1, le=64)]
    """Cores that share a router; width x height x cores_per_tile is at most 65535."""
    topology: Topology = "mesh"
    """mesh: rows and columns end at the edges; torus: they are rings, and packets take the shorter way round."""
    routing: RoutingOrder = "xy"
    """The axis along which packets travel first."""
    flit_bits: Annotated[int, Field(ge=1, le=4096)]
    """Bits that cross a link in one cycle."""
    header_bits: Annotated[int, Field(ge=1, le=4096)]
    """Bits of a packet without payload; a packet is ceil((header + payload) / flit_bits) flits."""
    virtual_channels: Annotated[int, Field(ge=1, le=8)]
    """Virtual channels of each router input; an even number on a torus, half of them for packets that cross an edge."""
    buffer_flits: Annotated[int, Field(ge=1, le=64)]
    """Depth of the buffer of each virtual channel."""
    routing_delay_cycles: Annotated[int, Field(ge=0, le=1)]
    """Cycles of the routing stage; 0 is look-ahead routing."""
    speculative: bool
    """Whether a head flit asks for the switch and a virtual channel in the same cycle."""
    allocator: Literal["islip", "separable_input_first"]
    """How virtual channels and the switch are allocated."""
    allocator_iterations: Annotated[int, Field(ge=1, le=8)] = 1
    """Iterations of the allocator in one cycle."""
    wait_for_tail_credit: bool
    """Whether a virtual channel is reused only after the credit of the last tail flit came back."""
    credit_delay_cycles: Annotated[int, Field(ge=0, le=64)]
    """Cycles before a returned credit is used."""
    link_latency_cycles: LinkLatency
    """Cycles on a link, by direction."""
    input_queue_packets: Annotated[int, Field(ge=1, le=65_535)] = 16
    """Packets that a core holds, the one it serves included; further ones wait in the mesh."""
    multicast: Literal["none", "tree"] = "none"
    """none: a packet per destination core; tree: copies are made in the routers where their routes part."""
    source: Source
    """Where the topology and the router come from."""

    @property
    def n_tiles(self) -> int:
        """Number of tiles, which are numbered x + width * y."""
        return self.width * self.height

    @property
    def routes(self) -> Routes:
        """The way that packets take between tiles."""
        return routes_of(self.width, self.height, self.topology, self.routing)

    @property
    def n_cores(self) -> int:
        """Number of cores, which are numbered tile * cores_per_tile + slot."""
        return self.n_tiles * self.cores_per_tile


class Core(Section):
    """What one core holds."""

    neurons: Annotated[int, Field(ge=1, le=65_536)]
    """Compartments."""
    synapse_memory_bits: Limit
    """Synapse memory, filled with blocks as `synapses` describes."""
    axons_in: Limit
    """Pairs (source neuron, this core) that the core can receive from."""
    axons_out: Limit
    """Pairs (neuron of this core, destination core) that the core can send to."""
    accumulator_entries: Limit
    """Dendrite accumulators: neurons in use x slots; slots are the largest delay in use + 2."""
    models: Annotated[list[Literal["lif"]], Field(min_length=1)]
    """Neuron models that the core can run."""
    source: Source
    """Where the capacities come from."""


class Microcode(Section):
    """What neuron programs may use."""

    instructions: Annotated[int, Field(ge=0, le=65_535)]
    """Longest program of a neuron model; 0: the chip runs no microcode."""
    state_bytes: Annotated[int, Field(ge=0, le=4096)]
    """Bytes of state and parameters of one compartment: words of 1, 2 or 4 bytes."""
    payload_bits: Annotated[int, Field(ge=0, le=32)]
    """Widest payload of a graded spike, which is part of its packet; 0: spikes carry none."""
    source: Source
    """Where the limits come from."""


class Synapses(Section):
    """How synapses are stored: blocks of some synapses, rounded up to whole memory words."""

    word_bits: Annotated[int, Field(ge=1, le=1024)]
    """Width of a synapse-memory word."""
    block_synapses: Annotated[int, Field(ge=1, le=65_535)]
    """Most synapses in one block."""
    block_header_bits: Annotated[int, Field(ge=0, le=1024)]
    """Bits that each block takes beside its synapses."""
    weight_bits: Annotated[list[Annotated[int, Field(ge=1, le=8)]], Field(min_length=1)]
    """Widths in which weights can be stored."""
    index_bits: Annotated[list[Annotated[int, Field(ge=0, le=16)]], Field(min_length=1)]
    """Widths in which a sparse block can store its targets."""
    formats: Annotated[list[Literal["sparse", "dense"]], Field(min_length=1)]
    """sparse: an index per synapse; dense: none, every compartment of the range has a weight."""
    max_delay_steps: Annotated[int, Field(ge=0, le=63)]
    """Largest synaptic delay; a spike of step t acts at t + 1 + delay."""
    source: Source
    """Where the formats come from."""


class SignedRange(Section):
    """The range to which a value of the learning engine is clipped."""

    minimum: Annotated[int, Field(ge=-(2**17), le=0)]
    """Lowest value."""
    maximum: Annotated[int, Field(ge=1, le=2**17)]
    """Highest value."""


class Learning(Section):
    """The learning engine: what rules may use, and every choice in which models of it differ."""

    instructions: Annotated[int, Field(ge=0, le=256)]
    """Longest rule, in micro-instructions; 0: the chip has no learning engine."""
    epoch_steps_max: Annotated[int, Field(ge=1, le=63)] = 63
    """Longest epoch; all plastic synapses of a core have the same."""
    rewards: bool = True
    """Whether rules may use the rewards r0 and r1."""
    post_factors: bool = False
    """Whether a neuron program may supply y1, y2 and y3 instead of traces of its spikes."""
    rounding: Literal["stochastic", "down", "nearest"] = "stochastic"
    """How traces, weights, delays and tags lose their fraction; nearest: up only above one half."""
    trace_decay: Literal["exponential", "linear"] = "exponential"
    """What a trace keeps in a step: exp(-1 / tau), or 1 - 1 / tau."""
    second_impulse: Literal["up", "rounded"] = "up"
    """How impulses of a source's spikes before its last one in an epoch are rounded: up, or as `rounding` says."""
    uk_counts: Literal["epochs", "steps"] = "epochs"
    """u_k is 1 at the end of every 2**k-th epoch; or where the number of steps done is a multiple of 2**k."""
    mantissa_bits: Annotated[int, Field(ge=2, le=4)] = 4
    """Width of the constant before a product, two's complement."""
    product_bits: Annotated[int, Field(ge=8, le=24)] = 15
    """A product of wider factors and mantissa is shifted down to so many bits before its exponent acts."""
    accumulator_limits: SignedRange
    """The range of the sum of a value x 128 and its products, clipped after each."""
    mixed_weight_limits: SignedRange
    """The range of plastic weights of sign_mode mixed; exc has 0 to its maximum, inh the negative of that to 0."""
    tag_limits: SignedRange
    """The range of tags."""
    tag_bits: Annotated[int, Field(ge=1, le=9)] = 9
    """Bits that a tag takes in synapse memory, where a rule has one."""
    source: Source
    """Where the engine and the choices come from."""

    def weight_limits(self, sign_mode: str) -> tuple[int, int]:
        """Return the range to which plastic weights of a sign_mode are clipped."""
        mixed = self.mixed_weight_limits
        return {
            "mixed": (mixed.minimum, mixed.maximum),
            "exc": (0, mixed.maximum),
            "inh": (-mixed.maximum, 0),
        }[sign_mode]


class VoltageLimits(Section):
    """The range the voltage is clipped to, in raw units: the chip's behaviour, no overflow."""

    minimum: Annotated[int, Field(ge=-(2**29), le=0)]
    """Lowest voltage."""
    maximum: Annotated[int, Field(ge=1, le=2**29)]
    """Highest voltage."""


class Arithmetic(Section):
    """Register widths and every choice in which chips of this kind, or models of them, differ."""

    u_bits: Annotated[int, Field(ge=8, le=30)] = 24
    """Width of the current u, two's complement."""
    u_overflow: Literal["wrap", "saturate"] = "wrap"
    """What u does when it leaves its width."""
    u_decay_offset: Annotated[int, Field(ge=0, le=1)] = 1
    """u keeps (4096 - offset - du) / 4096 in a step."""
    v_decay_offset: Annotated[int, Field(ge=0, le=1)] = 0
    """v keeps (4096 - offset - dv) / 4096 in a step."""
    v_limits: VoltageLimits
    """The range of the voltage v."""
    decay_bits: Annotated[int, Field(ge=12, le=12)] = 12
    """Width of the decay registers du and dv."""
    threshold_bits: Annotated[int, Field(ge=1, le=23)] = 17
    """Width of the threshold mantissa, which counts 64 raw units."""
    bias_mantissa_bits: Annotated[int, Field(ge=2, le=24)] = 13
    """Width of the bias mantissa, two's complement."""
    bias_exponent_max: Annotated[int, Field(ge=0, le=7)] = 7
    """Largest bias exponent; the bias is mantissa x 2**exponent."""
    refractory_steps_max: Annotated[int, Field(ge=1, le=255)] = 63
    """Largest refractory register R: v is held for R - 1 steps after a spike."""
    accumulator_bits: Annotated[int, Field(ge=8, le=32)] | None = None
    """Width at which the summed input wraps before it is added to u; null: never."""
    weight_exponent_min: Annotated[int, Field(ge=-8, le=0)] = -8
    """Smallest weight exponent; a weight acts as mantissa x 2**(6 + exponent)."""
    weight_exponent_max: Annotated[int, Field(ge=0, le=7)] = 7
    """Largest weight exponent."""
    weight_policy: Literal["lava", "brian", "nengo"] = "lava"
    """Which public model's rule turns a user's weight into a mantissa."""
    source: Source
    """Where the arithmetic comes from."""


class EventCost(Section):
    """What one event costs."""

    energy_pj: Energy
    """Energy of one event."""
    time_ns: Time
    """Time one event keeps its server busy."""
    source: Source
    """Where both numbers come from."""


class Costs(Section):
    """Energy and service time of each event that the emulator counts."""

    neuron_idle: EventCost
    """One compartment of a native model served in one step that is not active."""
    neuron_active: EventCost
    """One compartment served in one step with input, u, v or bias not zero, or refractory."""
    neuron_spike: EventCost
    """One spike, on top of neuron_active or of the instructions."""
    instruction: EventCost
    """One instruction of neuron microcode executed for one compartment; nothing else is charged for it."""
    dendrite_join: EventCost
    """One value or gate passed from a compartment to another of its core."""
    axon_out: EventCost
    """One packet made at the source core."""
    packet: EventCost
    """One packet, within its tile: once, however far it travels; time_ns is from router to core."""
    hop_ew: EventCost
    """One flit over one link along x; time_ns informs, the mesh uses link_latency_cycles."""
    hop_ns: EventCost
    """One flit over one link along y; time_ns informs, the mesh uses link_latency_cycles."""
    host: EventCost
    """One packet of an input; a host port makes one after another."""
    axon_in: EventCost
    """One packet looked up at the destination core."""
    synapse_word: EventCost
    """One word read from synapse memory."""
    synaptic_event: EventCost
    """One stored synapse that a spike reached: its weight is added to its target's input."""
    learning_instruction: EventCost
    """One micro-instruction of a learning rule executed for one synapse."""
    management_call: EventCost
    """One run of a management program in a phase: waking the processor, and its guard."""
    management_instruction: EventCost
    """One instruction of a management core."""
    management_word: EventCost
    """One word that a management core reads or writes in a neuron core, beside its packets."""
    message: EventCost
    """One message between management cores, sent or received."""
    host_message: EventCost
    """One message to or from the host, across the chip's boundary."""
    barrier: EventCost
    """One end of a step, on top of the section `barrier`."""


class Barrier(Section):
    """The end of a step: its time is linear in the tiles in use, through two points."""

    one_tile_ns: Time
    """Time when one tile is in use."""
    all_tiles_ns: Time
    """Time when `tiles` tiles are in use."""
    tiles: Annotated[int, Field(ge=2, le=4096)]
    """Tiles to which all_tiles_ns belongs."""
    source: Source
    """Where both times come from."""


class StaticPower(Section):
    """Power drawn whatever happens, charged for the duration of a run."""

    mw: Energy
    """Static power of the chip."""
    source: Source
    """Where the power comes from."""


class Host(Section):
    """Where spikes from outside enter the mesh, round robin over the ports."""

    ports: Annotated[list[Annotated[int, Field(ge=0, le=4095)]], Field(min_length=1)]
    """Tiles with a port; tiles are numbered x + width * y."""
    source: Source
    """Where the ports come from."""


class Management(Section):
    """Embedded processors beside the neuron cores."""

    cores: Annotated[int, Field(ge=0, le=16)]
    """Number of processors."""
    tiles: Annotated[list[Annotated[int, Field(ge=0, le=4095)]], Field(min_length=1)] = [0]
    """Tiles at whose routers they are, round robin."""
    memory_bytes: Annotated[int, Field(ge=4096, le=2**28)] = 131_072
    """Memory of a processor: code, data and stack of its x86 programs."""
    instruction_budget: Annotated[int, Field(ge=1, le=2**40)] = 10_000_000
    """Most instructions of one run of an x86 program; more is an endless loop."""
    source: Source
    """Where the number comes from."""


class Chip(Section):
    """One chip, as read from a file in chipconfigs/ by `load_chip`."""

    format: Annotated[int, Field(ge=1, le=1)]
    """Version of this file format."""
    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_.-]{1,64}$",
            json_schema_extra={"x-allowed": "1 to 64 letters, digits, '_', '.' and '-'"},
        ),
    ]
    """Name of the chip in programs and reports."""
    description: str
    """What the chip is, in a line."""
    source: Source
    """Where the description as a whole comes from."""
    clock: Clock
    mesh: Mesh
    core: Core
    microcode: Microcode
    synapses: Synapses
    learning: Learning
    arithmetic: Arithmetic
    costs: Costs
    barrier: Barrier
    static_power: StaticPower
    host: Host
    management: Management

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        mistakes = (
            (rule.key, rule.check(*(reduce(getattr, key.split("."), self) for key in rule.needs)))
            for rule in RULES
        )
        found = [f"{key}: {text}" for key, text in mistakes if text]
        if found:
            raise ValueError("\n".join(found))
        return self

    def service_cycles(self, event: str) -> int:
        """Return the cycles one event keeps its server busy: its time, rounded up once."""
        cost: EventCost = getattr(self.costs, event)
        return cycles_from_ns(cost.time_ns, self.clock.mhz)

    @property
    def label(self) -> str:
        """The name, and whether values were changed beside the file."""
        sections = [self, *(section for _, section in self), *(cost for _, cost in self.costs)]
        sources = (getattr(section, "source", "") for section in sections)
        return (
            f"{self.name} (changed)" if any(s.startswith(CHANGED) for s in sources) else self.name
        )

    def function(self, *, learns: bool = False) -> dict[str, dict[str, Any]]:
        """Return what decides what the chip computes and holds: the sections `FUNCTION` without their sources.

        The section `learning` is one of them for a program that learns.
        """
        names = {*FUNCTION, "learning"} if learns else {*FUNCTION}
        sections: dict[str, dict[str, Any]] = self.model_dump(mode="json", include=names)
        for section in sections.values():
            del section["source"]
        return sections

    def fingerprint(self, *, learns: bool = False) -> str:
        """Return the sha256, in hex, of `function`.

        Two chips with equal fingerprints run each other's programs, with other times and energies; whether others do
        is for `emulator.program.check_fit` to say.
        """
        return fingerprint_of(self.function(learns=learns))


def fingerprint_of(function: dict[str, dict[str, Any]]) -> str:
    """Return the sha256, in hex, of what `Chip.function` returns."""
    canonical = json.dumps(function, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
