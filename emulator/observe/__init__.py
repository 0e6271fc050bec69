"""What can be read from a run: counters, energy, the run folder and the report."""
