"""Network: populations, projections and probes, as a user describes them, in registers or in real units."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emulator.errors import MicrocodeError, NetworkError
from emulator.learning import Rule
from emulator.microcode import PREFIX, Model, load_model, shipped_models
from emulator.network.checks import checked_size, connection_mistakes, is_int, is_yes_no_or_none
from emulator.network.managed import ChannelPlan, ManagedProgram, channel, core_number, managed
from emulator.network.parameters import REAL, parameter, word_value
from emulator.network.parts import Join, Population, Probe, Projection
from emulator.network.synapses import synapses

MODELS = ("lif",)
"""Neuron models with a kernel of their own; those in microcode come from files."""
JOINS = ("add", "max", "pass", "block")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")


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
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise NetworkError(
                f"network {name!r:.60}: a name is made of letters, digits, '_', '-' and '.', 200 at most"
            )
        is_number = isinstance(dt_ms, int | float | np.number) and not isinstance(dt_ms, bool)
        if not (is_number and np.isfinite(dt_ms) and dt_ms > 0):
            raise NetworkError(
                f"network '{name}': dt_ms is {dt_ms!r:.60}; it must be a positive number of milliseconds"
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
        payload_bits : int
            Bits, one of them for the sign, of the payload that each spike carries; 0: none.
        core : int, optional
            The management core that sends its spikes; otherwise they are given to a run, or sent by the host.
        """
        if not is_int(payload_bits) or payload_bits not in (0, *range(2, 33)):
            raise NetworkError(
                f"input '{name}': payload_bits is {payload_bits!r}; allowed: 0, or 2 to 32"
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
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise NetworkError(
                f"channel {name!r:.60}: a name is made of letters, digits, '_', '-' and '.', 200 at most"
            )
        self.channels[name] = channel(name, source, target, depth, words, dtype, self.channels)

    def population(
        self,
        name: str,
        size: int,
        *,
        model: str = "lif",
        neurons_per_core: int | None = None,
        pack: bool | None = None,
        **parameters: ArrayLike,
    ) -> Population:
        """Add neurons.

        Parameters
        ----------
        name : str
            Unique in the network.
        size : int
            Number of neurons.
        model : str
            "lif"; "microcode:lif", the same in microcode; another model of the library (`emulator models` lists
            them); or the path of a file *.nasm.
        neurons_per_core : int, optional
            At most so many of this population on a core.
        pack : bool, optional
            True: begin on the core where the previous population ended. False: begin on a new core, which none
            shares that does not say True. None: small populations share a core (`docs/networks.md`), others begin on
            a new one, and where a chip has too few cores for that, all are packed as they must be.
        **parameters : scalar or array (size,)
            Registers: `du`, `dv`, `vth_mant`, `bias_mant`, `bias_exp`, `refractory`, `u_init`, `v_init`,
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
        mistakes: list[str] = []
        program = _program(model, mistakes)
        is_known = not (mistakes and str(model).endswith(".nasm"))  # whose parameters nobody knows
        if neurons_per_core is not None and not (
            is_int(neurons_per_core) and neurons_per_core >= 1
        ):
            mistakes.append(
                f"neurons_per_core is {neurons_per_core!r}; it must be a whole number from 1"
            )
        if not is_yes_no_or_none(pack):
            mistakes.append(f"pack is {pack!r:.60}; it must be True, False or None")
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
            values = self._registers(parameters, size, mistakes) if is_known else {}
        if mistakes:
            raise NetworkError("\n".join(f"population '{name}': {mistake}" for mistake in mistakes))
        payload = None if program is None or program.payload is None else program.payload
        return self._add(
            Population(
                name, size, model, values, neurons_per_core, pack, program,
                None if payload is None else (payload.low, payload.high),
            )
        )  # fmt: skip

    @staticmethod
    def _registers(
        parameters: dict[str, ArrayLike], size: int, mistakes: list[str]
    ) -> dict[str, Any]:
        """Return the parameters of "lif", checked."""
        values = {key: parameter(key, value, size, mistakes) for key, value in parameters.items()}
        for real, register in REAL.items():
            if real in values and register in values:
                mistakes.append(
                    f"{real} and {register} both set the same register; give one of them"
                )
        if "bias" in values and "bias_exp" in values:
            mistakes.append("bias and bias_exp both set the same register; give one of them")
        if not {"threshold", "vth_mant"} & set(values):
            mistakes.append("a threshold is required: vth_mant (register) or threshold (real)")
        return values

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
        _require_populations(source, target)
        mistakes = [
            f"'{end.name}' belongs to another network"
            for end in (source, target)
            if self.populations.get(end.name) is not end
        ]
        mistakes += [
            f"'{end.name}' is an input and has no compartment"
            for end in (source, target)
            if end.is_input
        ]
        if op not in JOINS:
            mistakes.append(f"op is {op!r:.60}; allowed: {', '.join(JOINS)}")
        if source.size != target.size:
            mistakes.append(
                f"'{source.name}' has {source.size} neurons and '{target.name}' {target.size}"
            )
        if not source.is_input and value not in set(source.variables) - {"spikes"}:
            known = ", ".join(v for v in source.variables if v != "spikes")
            mistakes.append(f"value is {value!r:.60}; '{source.name}' has {known or 'no variable'}")
        below, seen = [target.name], set()
        while below:
            seen.add(name := below.pop())
            below += [j.target for j in self.joins if j.source == name and j.target not in seen]
        if source.name in seen:
            mistakes.append("it would be joined to itself")
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
        """Add synapses.

        Parameters
        ----------
        weights : array (post, pre), scipy.sparse (post, pre), (pre, post, weight) arrays, or an iterator of these
            An iterator gives tuples of three arrays, or of four with the delays, so that a large projection need
            not be in memory twice. Integers are mantissas (1 = 64 units of u at weight_exp 0); floats are real
            values in the unit of the target's threshold. Zeros of a matrix are no synapse.
        weight_exp : int, optional
            Exponent of all weights, for mantissas only; 0 unless given.
        delay : int, or array of the same form as the weights
            Steps beyond the one that every spike takes.
        sign_mode : {"mixed", "exc", "inh"}
            Which signs the weights may have: mantissas -256..254 (even; -256..255 where they learn), 0..255, -255..0.
        weight_bits : int
            Bits that the chip stores of a weight that does not learn.
        learning : Rule, optional
            How the weights change while the network runs. Zeros of a matrix are synapses then, and the target may be
            an input: its spikes are those of the target, and the weights act on nothing.

        Returns
        -------
        Projection

        Raises
        ------
        NetworkError
            With every mistake.
        """
        _require_populations(source, target)
        if not isinstance(name, str | None):
            raise NetworkError(f"projection {name!r:.60}: a name is a string")
        if name is None:
            name = f"{source.name}->{target.name}"
            taken = sum(p.name == name or p.name.startswith(f"{name}#") for p in self.projections)
            name = f"{name}#{taken + 1}" if taken else name
        try:
            pre, post, values, delays = synapses(
                source.size, target.size, weights, delay, zeros=learning is not None
            )
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

    def probe(
        self, population: Population, *variables: str, neurons: ArrayLike | None = None
    ) -> None:
        """Record variables of a population in every step: "spikes", "u", "v", or state words of microcode.

        Raises
        ------
        NetworkError
            For inputs (their spikes are given), unknown variables, and neurons the population does not have.
        """
        _require_populations(population)
        mistakes = []
        if self.populations.get(population.name) is not population:
            mistakes.append("it belongs to another network")
        elif population.is_input:
            mistakes.append("it is an input; its spikes are what you give it")
        mistakes += [
            f"'{variable}' cannot be recorded; allowed: {', '.join(population.variables)}"
            for variable in variables
            if variable not in population.variables
        ]
        if not variables:
            mistakes.append(f"no variable was given; allowed: {', '.join(population.variables)}")
        chosen = None
        if neurons is not None:
            chosen = np.atleast_1d(np.asarray(neurons))
            if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
                mistakes.append(
                    f"neurons is {chosen.dtype} of shape {chosen.shape}; it must be whole numbers (n,)"
                )
            elif chosen.size and not (chosen.min() >= 0 and chosen.max() < population.size):
                mistakes.append(
                    f"neurons holds {chosen.min()} to {chosen.max()}; allowed: 0 to {population.size - 1}"
                )
        if mistakes:
            raise NetworkError(
                "\n".join(f"probe of '{population.name}': {mistake}" for mistake in mistakes)
            )
        chosen = None if chosen is None else chosen.astype(np.int32)
        self.probes += [Probe(population.name, variable, chosen) for variable in variables]

    def _add(self, population: Population) -> Population:
        name = population.name
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise NetworkError(
                f"population {name!r}: a name is made of letters, digits, '_', '-' and '.', 200 at most"
            )
        if name in self.populations:
            raise NetworkError(f"population '{name}': the network has one of this name already")
        self.populations[name] = population
        return population

    def __repr__(self) -> str:
        n_synapses = sum(len(p.pre) for p in self.projections)
        return (
            f"<Network '{self.name}': {len(self.populations)} populations, {n_synapses:,} synapses>"
        )


def _program(model: object, mistakes: list[str]) -> Model | None:
    """Return the microcode of a model; None for a native one, or where there is a mistake."""
    if model in MODELS:
        return None
    if not isinstance(model, str):
        mistakes.append(f"model is {model!r:.60}; it must be a name or the path of a file *.nasm")
        return None
    if not model.endswith(".nasm") and model.removeprefix(PREFIX) not in shipped_models():
        known = ", ".join(dict.fromkeys([*MODELS, f"{PREFIX}lif", *shipped_models()]))
        mistakes.append(
            f"model '{model}' does not exist; there are: {known}, or the path of a file *.nasm"
        )
        return None
    try:
        return load_model(model)
    except MicrocodeError as error:
        mistakes += str(error).splitlines()
        return None


def _require_populations(*given: object) -> None:
    for one in given:
        if not isinstance(one, Population):
            raise NetworkError(
                f"{one!r:.60} is no population; give what `input` and `population` return"
            )
