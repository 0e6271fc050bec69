"""What management programs and channels ask of a chip."""

from emulator.chip import Chip
from emulator.errors import NetworkError
from emulator.network import Network
from emulator.network.managed import missing_cores


def check_managed(network: Network, chip: Chip) -> None:
    """Raise NetworkError where a network names management cores that a chip does not have, with every mistake."""
    senders = {p.name: p.sent_by for p in network.populations.values() if p.sent_by is not None}
    mistakes = missing_cores(
        chip.name, chip.management.cores, network.managed, network.channels.values(), senders
    )
    if mistakes:
        raise NetworkError("\n".join(mistakes))
