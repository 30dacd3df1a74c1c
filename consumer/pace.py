"""How fast a consumer goes: how much it takes at once, and what it leaves to others when it is behind."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once, and how long between. Seconds.

    batch_records: one durable write a batch, so larger is faster and later
    catch_up_records: the same while more than `batch_records` wait
    encode_behind: while more than so many records wait, states are written without vectors: who reads one encodes it
    poll_s: how long a poll waits for a record; also how long a stop takes
    look_s: between two looks at how far the log has grown
    """

    batch_records: int = 1000
    poll_s: float = 0.5
    look_s: float = 10.0
    catch_up_records: int = 4000
    encode_behind: int = 5000
