"""Joins between compartments of a core; the run loop calls it from C."""
