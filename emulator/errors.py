"""What can go wrong for a user: one tree, so that callers can catch as little or as much as they want.

Every message says where, what was read or asked, and what is allowed. A check that can find several
mistakes collects them and raises one error with all of them, one per line.
"""


class EmulatorError(Exception):
    """Something the user can mend; the command line prints it and exits with status 2."""


class ChipError(EmulatorError):
    """A chip description is not valid."""


class NetworkError(EmulatorError):
    """A network, its inputs, or a file it was read from is not valid."""


class CapacityError(EmulatorError):
    """A network does not fit the chip: names the resource, the population, the need and the limit."""


class ProgramError(EmulatorError):
    """A program file is damaged, of another version, or made for another chip."""


class TraceError(EmulatorError):
    """A trace of packets cannot be read, or its packets cannot be on the mesh."""


class RunError(EmulatorError):
    """A run cannot go on, or a run folder cannot be read or written."""


class OverflowPolicyError(RunError):
    """A strict run met a wrap-around that the chip would have done silently."""


class MicrocodeError(EmulatorError):
    """A neuron program cannot be assembled; names file, line, column and token."""


class LearningError(EmulatorError):
    """A learning rule cannot be used; shows the rule, and where in it."""


class ManagementError(EmulatorError):
    """A management program failed, or waits for ever; names core, phase and step, and the place in the program."""


class WorldError(EmulatorError):
    """An environment does not fit what senses it and acts on it, or the other way round."""


def printable(text: str) -> str:
    """Return a text in which what a terminal would act on is escaped: names of files may hold anything."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
