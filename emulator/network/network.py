"""Network: populations, projections and probes, as a user describes them, in registers or in real units."""

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emulator.arguments import flag, is_number, is_whole, shown
from emulator.errors import NetworkError
from emulator.learning import Rule
from emulator.microcode import PREFIX
from emulator.network.checks import (
    checked_name,
    checked_size,
    checked_text,
    connection_mistakes,
    join_mistakes,
    require_populations,
)
from emulator.network.managed import ChannelPlan, ManagedProgram, channel, core_number, managed
from emulator.network.models import load, model_name
from emulator.network.parameters import lif_parameters, word_value
from emulator.network.parts import Join, Population, Probe, Projection
from emulator.network.probes import checked_probes
from emulator.network.synapses import synapses


class Network:
    """A network to run: made by calls, checked at each call.

    Parameters
    ----------
    name : str
        Shown in reports.
    dt_ms : float
        Duration of one step, for parameters in milliseconds.

    Examples
    --------
    >>> net = Network("pair")
    >>> source = net.input("in", 2)
    >>> cells = net.population("cells", 3, tau_mem_ms=20.0, threshold=1.0)
    >>> net.connect(source, cells, weights=[[0.5, 0.0], [0.1, -0.2], [0.0, 0.3]]).name
    'in->cells'
    """

    def __init__(self, name: str = "network", *, dt_ms: float = 1.0) -> None:
        name = checked_name("network", name)
        if not (is_number(dt_ms) and 0 < float(dt_ms) < inf):
            raise NetworkError(
                f"network '{name}': dt_ms is {shown(dt_ms)}; it must be a positive number of milliseconds"
            )
        self.name = name
        self.dt_ms = float(dt_ms)
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []
        self.probes: list[Probe] = []
        self.joins: list[Join] = []
        self.managed: list[ManagedProgram] = []
        self.channels: dict[str, ChannelPlan] = {}
        self.assumptions: list[str] = []

    def input(
        self, name: str, size: int, *, payload_bits: int = 0, core: int | str | None = None
    ) -> Population:
        """Add neurons whose spikes come from outside; they occupy no compartment.

        Parameters
        ----------
        name : str
            Unique in the network.
        size : int
            Number of neurons.
        payload_bits : int
            Bits, one of them for the sign, of the payload that each spike carries; 0: none.
        core : int or "host", optional
            The management core that sends its spikes; otherwise they are given to a run, or sent by the host.

        Raises
        ------
        NetworkError
            When there can be no such input.
        """
        name = checked_name("population", name)
        if not is_whole(payload_bits) or payload_bits not in (0, *range(2, 33)):
            raise NetworkError(
                f"input '{name}': payload_bits is {shown(payload_bits)}; allowed: 0, or 2 to 32"
            )
        half = 1 << max(int(payload_bits) - 1, 0)
        payload = (-half, half - 1) if payload_bits else None
        sender = core_number(core, f"input '{name}'")
        return self._add(
            Population(name, checked_size(name, size), "input", payload=payload, sent_by=sender)
        )

    def manage(
        self,
        core: int | str,
        phase: str,
        run: Callable[[Any], object],
        *,
        every: int = 1,
        first: int | None = None,
        when: str | Callable[[Any], object] | None = None,
        instructions: int = 0,
    ) -> None:
        """Add a program of a management core; see `docs/management.md`.

        Parameters
        ----------
        core : int or "host"
            Who runs it.
        phase : {"pre", "post", "pre_learning", "post_learning", "host"}
            When, in a step.
        run : callable
            A function of a `ManagementCore`.
        every : int
            It runs in one of so many steps.
        first : int, optional
            The first of them; by default 0 in phase "pre", and in others `every` - 1: at the end of so many steps.
        when : str or callable, optional
            A guard: the name of a channel in which a message must wait, or a function of the core that must return
            true.
        instructions : int
            What one call counts as, in instructions of the management core; the function may add to it.

        Raises
        ------
        NetworkError
            With every mistake.
        """
        self.managed.append(managed(core, phase, run, every, first, when, instructions))

    def channel(
        self,
        name: str,
        source: int | str,
        target: int | str,
        *,
        depth: int = 1,
        words: int = 1,
        dtype: str = "int32",
    ) -> None:
        """Add a channel between two management cores, or one and the host.

        Parameters
        ----------
        name : str
            Unique in the network.
        source, target : int or "host"
            Its ends.
        depth : int
            Messages that can wait; one more makes the sender wait.
        words : int
            Words of 32 bits in a message.
        dtype : {"int32", "uint32"}
            What a word is.

        Raises
        ------
        NetworkError
            With every mistake.
        """
        name = checked_name("channel", name)
        self.channels[name] = channel(name, source, target, depth, words, dtype, self.channels)

    def population(
        self,
        name: str,
        size: int,
        *,
        model: str = "lif",
        neurons_per_core: int | None = None,
        pack: bool = False,
        **parameters: ArrayLike,
    ) -> Population:
        """Add neurons.

        Parameters
        ----------
        name : str
            Unique in the network.
        size : int
            Number of neurons.
        model : str or Path
            "lif"; "microcode:lif", the same in microcode; another model of the library (`emulator models` lists
            them); or the path of a file *.nasm.
        neurons_per_core : int, optional
            At most so many of this population on a core.
        pack : bool
            Begin on the core where the previous population ended, instead of on a new one.
        **parameters : number or array (size,)
            Copied. Registers: `du`, `dv`, `vth_mant`, `bias_mant`, `bias_exp`, `refractory`, `u_init`, `v_init`,
            `refractory_init`; or real units: `tau_syn_ms`, `tau_mem_ms`, `threshold`, `bias`, `refractory_ms`,
            `u_start`, `v_start`. A threshold is required; the others default to no memory of u (du = 4095), no leak,
            no bias, refractory 1, and zero. Of microcode other than "microcode:lif": its parameters, and its state
            words at the beginning, by name.

        Returns
        -------
        Population

        Raises
        ------
        NetworkError
            With every mistake.
        """
        name = checked_name("population", name)
        mistakes: list[str] = []
        model = model_name(model)
        program = load(model, mistakes)
        # Of a file with mistakes nobody knows the parameters.
        is_known = program is not None or not (isinstance(model, str) and model.endswith(".nasm"))
        if neurons_per_core is not None and not (
            is_whole(neurons_per_core) and neurons_per_core >= 1
        ):
            mistakes.append(
                f"neurons_per_core is {shown(neurons_per_core)}; it must be a whole number from 1"
            )
        try:
            pack = flag("pack", pack, NetworkError)
        except NetworkError as error:
            mistakes.append(str(error))
        size = checked_size(name, size)
        if program is not None and model != f"{PREFIX}lif":
            values = {
                k: word_value(program, k, value, size, mistakes) for k, value in parameters.items()
            }
            missing = [
                w.name for w in program.parameters if w.default is None and w.name not in values
            ]
            if missing:
                mistakes.append(f"model '{model}' needs {', '.join(missing)}")
        else:
            values = lif_parameters(parameters, size, mistakes) if is_known else {}
        if mistakes:
            raise NetworkError("\n".join(f"population '{name}': {mistake}" for mistake in mistakes))
        payload = None if program is None or program.payload is None else program.payload
        most = None if neurons_per_core is None else int(neurons_per_core)
        return self._add(
            Population(
                name, size, str(model), values, most, pack, program,
                None if payload is None else (payload.low, payload.high),
            )
        )  # fmt: skip

    def join(
        self, source: Population, target: Population, op: str = "add", value: str = "v"
    ) -> None:
        """Make neurons of several compartments: neuron i of one population passes something to neuron i of another.

        Both are on one core, and those that pass are advanced first, so that it acts in the same step: on the input
        of the target, before it takes it.

        Parameters
        ----------
        source, target : Population
            Of equal size; no population can, over others, be joined to itself.
        op : {"add", "max", "pass", "block"}
            The target's input becomes its sum with the value, or the larger of both; or it passes only where the
            source spikes in this step; or only where it does not.
        value : str
            The variable that is passed, after the source's update: "u" or "v", or a state word of microcode.

        Raises
        ------
        NetworkError
            With every mistake.
        """
        require_populations(source, target)
        mistakes = join_mistakes(self.populations, self.joins, source, target, op, value)
        if mistakes:
            where = f"join '{source.name}' to '{target.name}'"
            raise NetworkError("\n".join(f"{where}: {mistake}" for mistake in mistakes))
        self.joins.append(Join(source.name, target.name, op, value))

    def connect(
        self,
        source: Population,
        target: Population,
        *,
        weights: Any,
        weight_exp: int | None = None,
        delay: Any = 0,
        sign_mode: str = "mixed",
        weight_bits: int = 8,
        learning: Rule | None = None,
        name: str | None = None,
    ) -> Projection:
        """Add synapses; what is given is copied.

        Parameters
        ----------
        weights : array (post, pre), scipy.sparse (post, pre), tuple (pre, post, weight), or an iterator of tuples
            Decided by type alone. A tuple of three arrays or lists is (pre, post, weight), vectors with one entry for
            each synapse. An iterator gives such tuples, or tuples of four with the delays, so that a large projection
            need not be in memory twice. Everything else is a matrix (post, pre): an array, a list of rows, a sparse
            matrix, a pandas frame without its labels. Three tuples may be both and are refused.
            Integers are mantissas (1 = 64 units of u at weight_exp 0); floats are real values in the unit of the
            target's threshold. Zeros of a matrix are no synapse; a repeated pair (pre, post) is two synapses.
        weight_exp : int, optional
            Exponent of all weights, for mantissas only; 0 unless given.
        delay : int, array or scipy.sparse
            Steps beyond the one that every spike takes, whole numbers. One number is for all. Beside a matrix of
            weights: a matrix (post, pre), of which an axis of length 1 is spread, or a sparse one, where no entry is 0
            and the entries of a repeated pair belong to its synapses in the order of both. Beside (pre, post, weight):
            a vector (n,). With an iterator: the fourth part of its tuples.
        sign_mode : {"mixed", "exc", "inh"}
            Which signs the weights may have: mantissas -256..254 (even; -256..255 where they learn), 0..255, -255..0.
        weight_bits : int
            Bits that the chip stores of a weight that does not learn.
        learning : Rule, optional
            How the weights change while the network runs. Zeros of a matrix are synapses then, and the target may be
            an input: its spikes are those of the target, and the weights act on nothing.
        name : str, optional
            Any text on one line, unique in the network; by default "source->target", with "#2" and so on where that is
            taken.

        Returns
        -------
        Projection

        Raises
        ------
        NetworkError
            With every mistake.
        """
        require_populations(source, target)
        if name is None:
            name = self._free_name(f"{source.name}->{target.name}")
        name = checked_text("projection", name)
        try:
            pre, post, values, delays = synapses(
                source.size, target.size, weights, delay, zeros=learning is not None
            )
            if not len(values):  # no weights are of neither kind: they are what the target wants
                values = np.empty(0, np.float64 if target.is_real else np.int16)
            mistakes = connection_mistakes(
                self.populations,
                self.projections,
                name,
                source,
                target,
                values,
                weight_exp,
                sign_mode,
                weight_bits,
                learning,
            )
        except NetworkError as error:
            mistakes = [str(error)]
        if mistakes:
            raise NetworkError("\n".join(f"projection '{name}': {mistake}" for mistake in mistakes))
        exponent = 0 if weight_exp is None else int(weight_exp)
        projection = Projection(
            name, source, target, pre, post, values, delays, exponent, sign_mode, int(weight_bits),
            learning,
        )  # fmt: skip
        self.projections.append(projection)
        return projection

    def _free_name(self, name: str) -> str:
        """Return a name for a projection that has none: `name`, or with "#2" and so on where it is taken."""
        taken, k, free = {p.name for p in self.projections}, 1, name
        while free in taken:
            k += 1
            free = f"{name}#{k}"
        return free

    def probe(
        self, population: Population, *variables: str, neurons: ArrayLike | None = None
    ) -> None:
        """Record variables of a population in every step.

        Parameters
        ----------
        variables : str
            "spikes", "u", "v", or state words of microcode.
        neurons : int or (n,) array of int, optional
            Which, all by default; column k of the recording is neuron `neurons[k]`, also where one is named twice.
            A further probe of the same variable adds the neurons that no earlier one has, behind theirs.

        Raises
        ------
        NetworkError
            For inputs (their spikes are given), unknown variables, and neurons the population does not have.
        """
        require_populations(population)
        self.probes += checked_probes(self.populations, population, variables, neurons)

    def _add(self, population: Population) -> Population:
        name = population.name
        if name in self.populations:
            raise NetworkError(f"population '{name}': the network has one of this name already")
        self.populations[name] = population
        return population

    def __repr__(self) -> str:
        n_synapses = sum(len(p.pre) for p in self.projections)
        return (
            f"<Network '{self.name}': {len(self.populations)} populations, {n_synapses:,} synapses>"
        )
