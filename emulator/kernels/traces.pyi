"""Traces of spikes for learning: used by other kernels only."""
