"""Interruptions: which signals asked a command to end, whoever handled them."""

received: list[int] = []
"""Numbers of the signals (SIGINT of Ctrl-C, SIGTERM) that came since a command began."""
