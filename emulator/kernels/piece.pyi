"""A piece of a plastic row: used by other kernels only."""
