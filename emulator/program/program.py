"""Program: every table a chip is loaded with, as read-only arrays, and the names that go with them."""

from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import frozen, is_one_of, path_of, quoted
from emulator.errors import ProgramError
from emulator.files import regular_file
from emulator.learning import Rule, described_rule
from emulator.microcode import Model, Word, decoded
from emulator.network.managed import ManagedProgram
from emulator.program import container
from emulator.program.manifest import check_manifest
from emulator.program.structure import check_structure
from emulator.program.upgrade import upgraded

ROW = np.dtype([("start", "<u4"), ("length", "<u2"), ("block", "<u2")])
"""A run of synapses of one source on one core: first synapse, how many, and its block."""
SEGMENT_COLUMNS = ("population", "first_neuron", "stop_neuron", "core", "first_compartment")
JOIN_COLUMNS = ("segment", "join", "source", "target", "n")
BLOCK_COLUMNS = ("core", "projection", "shift", "bits_per_synapse", "format")

TENSORS: dict[str, tuple[str, int]] = {
    # name: (dtype, number of columns, 0 for a vector); compartments stand in placed order: by core, then slot
    "u_retain": ("<u2", 0),  # u is multiplied by this / 4096 each step
    "v_retain": ("<u2", 0),
    "bias": ("<i4", 0),
    "threshold": ("<i4", 0),
    "refractory": ("<u1", 0),
    "u_init": ("<i4", 0),
    "v_init": ("<i4", 0),
    "refractory_init": ("<u1", 0),
    "core_start": ("<i4", 0),
    "shard_start": (
        "<i4",
        0,
    ),  # of each core: the compartment from which its synapses count their targets
    "segments": ("<i4", len(SEGMENT_COLUMNS)),
    "row_start": ("<u4", 0),
    "rows": ("<u4", 2),
    "blocks": ("<i4", len(BLOCK_COLUMNS)),
    "code": ("<u8", 0),  # instructions of all models, one after the other
    "words": (
        "<i4",
        0,
    ),  # of each segment that runs microcode: (n_words, size), state words, then parameters
    "synapses": ("<u4", 0),  # weight << 23 | delay << 16 | target, from the shard's start
}
STATE_TENSORS = tuple(TENSORS)[:8]


class Program:
    """A network compiled for a chip. Arrays are read-only and may be memory-mapped.

    Parameters
    ----------
    manifest : dict
        Names and sizes: populations, projections, probes, the chip's name and fingerprint, what was assumed.
    tensors : dict of str to ndarray
        One array for each name in `TENSORS`; `rows` may have the dtype `ROW`. What anybody can write is copied.

    Raises
    ------
    ProgramError
        When a table is missing, of another type, or points outside another.
    """

    u_retain: NDArray[np.uint16]
    v_retain: NDArray[np.uint16]
    bias: NDArray[np.int32]
    threshold: NDArray[np.int32]
    refractory: NDArray[np.uint8]
    u_init: NDArray[np.int32]
    v_init: NDArray[np.int32]
    refractory_init: NDArray[np.uint8]
    core_start: NDArray[np.int32]
    shard_start: NDArray[np.int32]
    segments: NDArray[np.int32]
    row_start: NDArray[np.uint32]
    rows: NDArray[Any]
    blocks: NDArray[np.int32]
    code: NDArray[np.uint64]
    words: NDArray[np.int32]
    synapses: NDArray[np.uint32]

    def __init__(
        self,
        manifest: dict[str, Any],
        tensors: dict[str, NDArray[Any]],
        *,
        path: Path | None = None,
    ) -> None:
        self.manifest = check_manifest(manifest)
        self.path = path
        self.former_sha256: str | None = None  # of the file, where it is of an earlier format
        self.managed: tuple[ManagedProgram, ...] = ()  # functions, which no file can hold
        for name, (dtype, n_columns) in TENSORS.items():
            setattr(self, name, container.as_tensor(name, tensors.get(name), dtype, n_columns))
        self.rows = self.rows.view(ROW).reshape(-1)
        check_structure(self)

    @property
    def name(self) -> str:
        """Name of the network."""
        return str(self.manifest["name"])

    @property
    def n_compartments(self) -> int:
        """Number of neurons that occupy a compartment: all but inputs."""
        return len(self.threshold)

    @property
    def n_cores(self) -> int:
        """Highest core in use, plus one."""
        return len(self.core_start) - 1

    @property
    def n_sources(self) -> int:
        """Number of spike sources: compartments in placed order, then input neurons."""
        return len(self.row_start) - 1

    @property
    def n_synapses(self) -> int:
        """Number of stored synapses."""
        return len(self.synapses)

    @property
    def max_delay_steps(self) -> int:
        """Largest synaptic delay."""
        return int(self.manifest["max_delay_steps"])

    @property
    def senders(self) -> dict[str, int]:
        """The management core that sends the spikes of an input, by the input's name."""
        each = ((p["name"], p["sent_by"]) for p in self.manifest["populations"])
        return {name: core for name, core in each if core is not None}

    @cached_property
    def rules(self) -> dict[int, Rule]:
        """The learning rules by projection index; projections that do not learn have none."""
        described = enumerate(p["learning"] for p in self.manifest["projections"])
        return {k: described_rule(rule) for k, rule in described if rule is not None}

    @property
    def learns(self) -> bool:
        """Whether any synapse learns."""
        return bool(self.rules)

    @cached_property
    def learning_blocks(self) -> NDArray[np.int64]:
        """Indices of the blocks that learn: one rule on one core each."""
        return frozen(np.flatnonzero(np.isin(self.blocks[:, 1], list(self.rules))))

    @property
    def n_counts(self) -> int:
        """What is counted in each step: a number for each segment, then one for each learning block."""
        return len(self.segments) + len(self.learning_blocks)

    @cached_property
    def models(self) -> dict[str, Model]:
        """The neuron programs by name, decoded; native models are none of them."""
        found, first = {}, 0
        for described in self.manifest["models"]:
            stop = first + described["n_instructions"]
            found[described["name"]] = decoded(described, self.code[first:stop])
            first = stop
        return found

    def model_of(self, population: int | str) -> Model | None:
        """Return the neuron program of a population, by index or name; None for native models and inputs."""
        index = population if isinstance(population, int) else self.population_index[population]
        return self.models.get(self.manifest["populations"][index]["model"])

    @cached_property
    def word_start(self) -> NDArray[np.int64]:
        """Where the words of each segment begin in `words`, (n_segments + 1,)."""
        n_words = [
            0 if model is None else len(model.words)
            for model in map(self.model_of, range(len(self.population_index)))
        ]
        sizes = self.segments[:, 2].astype(np.int64) - self.segments[:, 1]
        each = np.array(n_words, np.int64)[self.segments[:, 0]] * sizes
        return frozen(np.append(0, np.cumsum(each)).astype(np.int64))

    def word_places(self, population: str, name: str) -> NDArray[np.int64]:
        """Return where a word of each neuron of a population with microcode lies in `words`, (size,)."""
        index = self.population_index[population]
        model = self.model_of(index)
        assert model is not None, f"'{population}' runs no microcode"
        row = model.index[name]
        places = np.empty(self.manifest["populations"][index]["size"], np.int64)
        for segment in np.flatnonzero(self.segments[:, 0] == index).tolist():
            _, first, stop, _, _ = self.segments[segment].tolist()
            begin = int(self.word_start[segment]) + row * (stop - first)
            places[first:stop] = np.arange(begin, begin + stop - first)
        return places

    @cached_property
    def payload_bits(self) -> list[int]:
        """Bits of the payload of each population's spikes."""
        payloads = (p["payload"] for p in self.manifest["populations"])
        return [0 if p is None else Word("payload", **p).n_bits for p in payloads]

    @cached_property
    def is_graded(self) -> bool:
        """Whether any spike has a payload."""
        return any(self.payload_bits)

    @cached_property
    def joins(self) -> NDArray[np.int32]:
        """What compartments pass to others of their core, (n_joins, 5): see `JOIN_COLUMNS`; by segment.

        The neurons of two populations that are joined meet one by one; each run of them that is on one core in both
        is a line.
        """
        lines = []
        for index, join in enumerate(self.manifest["joins"]):
            source, target = (self.population_index[join[end]] for end in ("source", "target"))
            others = self.segments[self.segments[:, 0] == target]
            for segment in np.flatnonzero(self.segments[:, 0] == source).tolist():
                _, first, stop, core, compartment = self.segments[segment].tolist()
                for _, other_first, other_stop, other_core, other in others.tolist():
                    begin, end = max(first, other_first), min(stop, other_stop)
                    if begin < end and core == other_core:
                        mine, theirs = compartment + begin - first, other + begin - other_first
                        lines.append((segment, index, mine, theirs, end - begin))
        return frozen(np.array(sorted(lines), np.int32).reshape(-1, len(JOIN_COLUMNS)))

    @cached_property
    def segment_joins(self) -> NDArray[np.int64]:
        """The segment of each join of a whole segment: how often it passes something, by `bincount`."""
        names = [self.population_index[join["source"]] for join in self.manifest["joins"]]
        each = (np.flatnonzero(self.segments[:, 0] == k) for k in names)
        return frozen(np.concatenate([np.empty(0, np.int64), *each]))

    @cached_property
    def population_index(self) -> dict[str, int]:
        """Index of each population by name."""
        return {p["name"]: i for i, p in enumerate(self.manifest["populations"])}

    @cached_property
    def input_start(self) -> dict[int, int]:
        """First source of each input population, by population index."""
        start, first = self.n_compartments, {}
        for index, population in enumerate(self.manifest["populations"]):
            if population["is_input"]:
                first[index] = start
                start += population["size"]
        return first

    @cached_property
    def source_population(self) -> NDArray[np.int32]:
        """Population index of every source, (n_sources,)."""
        table = np.empty(self.n_sources, np.int32)
        for population, first, stop, _, compartment in self.segments.tolist():
            table[compartment : compartment + stop - first] = population
        for population, start in self.input_start.items():
            table[start : start + self.manifest["populations"][population]["size"]] = population
        return frozen(table)

    @cached_property
    def source_neuron(self) -> NDArray[np.int32]:
        """Index of every source in its population, (n_sources,)."""
        table = np.empty(self.n_sources, np.int32)
        for _, first, stop, _, compartment in self.segments.tolist():
            table[compartment : compartment + stop - first] = np.arange(first, stop)
        for population, start in self.input_start.items():
            size = self.manifest["populations"][population]["size"]
            table[start : start + size] = np.arange(size)
        return frozen(table)

    def sources_of(self, population: str) -> NDArray[np.int32]:
        """Return the source of each neuron of a population, (size,), in the population's own order."""
        index = self.population_index[population]
        sources = np.flatnonzero(self.source_population == index).astype(np.int32)
        order = np.empty_like(sources)
        order[self.source_neuron[sources]] = sources
        return order

    def projection_synapses(
        self, name: str
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Return (pre, post, weight, delay) of a projection's synapses in the order of its rows, weights in units of u.

        Raises
        ------
        KeyError
            When no projection has this name.
        """
        pre, post, place, block = self.synapse_places(name)
        packed = self.synapses[place]
        weight = (packed.view(np.int32) >> 23) << self.blocks[block, 2]
        return pre, post, weight, (packed >> 16 & 63).astype(np.int32)

    def synapse_places(
        self, name: str
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """Return (pre, post, place in `synapses`, block) of a projection's synapses.

        Raises
        ------
        KeyError
            When no projection has this name.
        """
        names = [p["name"] for p in self.manifest["projections"]]
        if not is_one_of(name, names):
            raise KeyError(f"no projection {quoted(name)}; there are: {', '.join(names)}")
        mine = np.flatnonzero(self.blocks[:, 1] == names.index(name))
        chosen = np.flatnonzero(np.isin(self.rows["block"], mine))
        rows = self.rows[chosen]
        lengths = rows["length"].astype(np.int64)
        sources = np.searchsorted(self.row_start, chosen, side="right") - 1
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        place = np.repeat(rows["start"].astype(np.int64), lengths) + within
        block = np.repeat(rows["block"].astype(np.int64), lengths)
        target = (self.synapses[place] & 0xFFFF).astype(np.int32)
        post = self.source_neuron[self.shard_start[self.blocks[block, 0]] + target]
        return self.source_neuron[np.repeat(sources, lengths)], post, place, block

    @cached_property
    def sha256(self) -> str:
        """Digest of the whole program: of its manifest, which holds the digest of every table."""
        return container.digest(self.manifest, self.tensors())

    def is_known_as(self, sha256: str) -> bool:
        """Return whether a digest is this program's, or that of the file of an earlier format it was read from."""
        if self.former_sha256 == sha256:
            return True
        return self.sha256 == sha256

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the tables as they are stored."""
        tables = {name: getattr(self, name) for name in TENSORS}
        return tables | {"rows": self.rows.view("<u4").reshape(-1, 2)}

    def save(self, path: str | Path) -> None:
        """Write the program as one safetensors file, atomically.

        Raises
        ------
        ProgramError
            When it cannot be written.
        """
        path = path_of("path", path, ProgramError)
        try:
            container.write(path, container.PROGRAM, self.manifest, self.tensors())
        except OSError as error:
            raise ProgramError(f"{path}: cannot be written: {error.strerror or error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a program file: memory-mapped, every checksum and index verified.

        One of an earlier format becomes a program of today's in memory, which says in its assumptions what the format
        did not know.

        Raises
        ------
        ProgramError
            When the file is damaged, truncated, not a program, or of another version.
        """
        path = regular_file(path_of("path", path, ProgramError), ProgramError)
        found = container.read(path, container.PROGRAM)
        program = cls(*upgraded(found.version, found.manifest, found.tensors), path=path)
        if program.manifest == found.manifest:
            # Verified, and not to be worked out from half a gigabyte again.
            vars(program)["sha256"] = found.sha256
        else:
            program.former_sha256 = found.sha256
        return program

    @cached_property
    def bare(self) -> "Program":
        """The program without management functions, as a file holds it; itself where it has none."""
        if not self.managed:
            return self
        bare = copy(self)
        bare.managed = ()
        return bare

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process needs; what follows from it is made there."""
        sha256 = {name: value for name, value in vars(self).items() if name == "sha256"}
        own = {name: vars(self)[name] for name in ("manifest", "path", "former_sha256", "managed")}
        return own | {"tensors": self.tensors()} | sha256

    def __setstate__(self, state: dict[str, Any]) -> None:
        tensors = dict(state.pop("tensors"))
        vars(self).update(state)
        for name, array in tensors.items():
            array.flags.writeable = False
            setattr(self, name, array)
        self.rows = self.rows.view(ROW).reshape(-1)

    def __repr__(self) -> str:
        return (
            f"<Program '{self.name}': {self.n_compartments:,} neurons, {self.n_synapses:,} synapses, "
            f"{int(np.count_nonzero(np.diff(self.core_start)))} cores>"
        )
