"""How long to wait before trying again: longer each time, never all at once.

    delay = u * min(max_s, first_s * 2^n),  u uniform in [1/2, 1]

so that programs which failed together do not come back together.
Brooker, "Exponential backoff and jitter", AWS Architecture Blog 2015 (its "equal jitter").
"""

from dataclasses import dataclass, field
from random import Random


@dataclass(slots=True)
class Backoff:
    """Delays in seconds that double up to `max_s`; `reset` after a success."""

    first_s: float = 0.1
    max_s: float = 5.0
    random: Random = field(default_factory=Random)
    failures: int = 0

    def next_s(self) -> float:
        """The delay after one more failure."""
        full_s = min(self.max_s, self.first_s * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return full_s * self.random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked: the next failure waits briefly again."""
        self.failures = 0
