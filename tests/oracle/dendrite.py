"""What a compartment's input becomes when another passes something to it, for one pair."""


def joined(op: str, arrived: int, value: int, spiked: bool) -> int:
    """Return the input of the target, from what arrived there and what the source's update left."""
    if op == "add":
        return arrived + value
    if op == "max":
        return max(arrived, value)
    if op == "pass":
        return arrived if spiked else 0
    assert op == "block"
    return 0 if spiked else arrived
