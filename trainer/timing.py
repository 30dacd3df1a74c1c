"""How long each step took and how much memory the whole needed."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by step, in order."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.laps: dict[str, float] = {}

    @property
    def total_s(self) -> float:
        """Since it was made."""
        return time.monotonic() - self._started

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Time one step; a step that comes again adds to it."""
        started = time.monotonic()
        yield
        self.laps[name] = round(self.laps.get(name, 0.0) + time.monotonic() - started, 2)


def peak_memory_mb() -> int:
    """The most memory this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / 1_000_000 if sys.platform == "darwin" else peak / 1000)
