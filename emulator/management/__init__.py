"""Management cores: programs that run beside the neuron cores, in the phases of a step."""
