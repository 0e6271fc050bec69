"""Neuron microcode: the instruction set, an assembler, a disassembler, and a library of neuron models."""

from emulator.microcode.assembler import assemble, assemble_file
from emulator.microcode.instructions import BY_OP, INSTRUCTIONS, N_REGISTERS, Op, Read
from emulator.microcode.legal import mistakes_of_steps, mistakes_of_words
from emulator.microcode.library import PREFIX, load_model, model_text, shipped_models
from emulator.microcode.listing import (
    disassemble,
    instruction_text,
    labels_of,
    listing,
    operand_text,
)
from emulator.microcode.model import PROBE, Kind, Model, Place, Step, Word, decoded, fit

__all__ = [
    "BY_OP",
    "INSTRUCTIONS",
    "N_REGISTERS",
    "PREFIX",
    "PROBE",
    "Kind",
    "Model",
    "Op",
    "Place",
    "Read",
    "Step",
    "Word",
    "assemble",
    "assemble_file",
    "decoded",
    "disassemble",
    "fit",
    "instruction_text",
    "labels_of",
    "listing",
    "load_model",
    "mistakes_of_steps",
    "mistakes_of_words",
    "model_text",
    "operand_text",
    "shipped_models",
]
