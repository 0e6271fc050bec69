"""How many workers do the next chunk of steps, and how long it is."""

CHUNK_SECONDS = 0.1  # so that Ctrl-C and the progress bar feel immediate
TRY_EVERY = 16  # chunks


class Team:
    """Whether one worker or all do the next chunk: where no second core is free, or steps are short, one is faster.

    Both are tried at first, and the slower again now and then, as a machine's load changes.
    """

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._seconds = [0.0, 0.0]  # a step took, alone and together
        self._n_chunks = self._now = 0

    def choose(self) -> int:
        """Return 0 for one worker, 1 for all."""
        if self._n_workers == 1:
            return 0
        alone, together = self._seconds
        faster = int(together <= alone)
        if self._n_chunks < 2:
            self._now = 1 - self._n_chunks
        else:
            self._now = 1 - faster if self._n_chunks % TRY_EVERY == 0 else faster
        self._n_chunks += 1
        return self._now

    def took(self, seconds_a_step: float) -> None:
        """Note how long the chosen ones took."""
        self._seconds[self._now] = seconds_a_step


def next_size(n_steps: int, seconds: float) -> int:
    """Return the steps of the next chunk: towards CHUNK_SECONDS, at most four times as many as this one."""
    return max(1, min(4 * n_steps, int(n_steps * CHUNK_SECONDS / max(seconds, 1e-6))))
