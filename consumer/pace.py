"""How fast a consumer goes: how much it takes at once, and what it leaves to others when it is behind."""

from dataclasses import dataclass

BATCHES_BEHIND = 8


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once, and how long between. Seconds.

    batch_records: one durable write a batch; its first user waits for its last, so larger is later
    catch_up_records: the same while more than BATCHES_BEHIND such batches wait, so larger is faster
    encode_behind: while more than so many records wait, states are written without vectors: who reads one encodes it
    poll_s: how long a poll waits for a record; also how long a stop takes
    look_s: between two looks at how far the log has grown
    """

    batch_records: int = 64
    poll_s: float = 0.5
    look_s: float = 10.0
    catch_up_records: int = 4000
    encode_behind: int = 5000

    def records(self, waiting: int) -> int:
        """How many to take while so many wait: what is there while that is little, more the more there is to make up.

        Encoding takes most of a batch's time and costs the same in batches of dozens as in thousands, so until much
        waits nobody is served later for the sake of a write that is shared by more.
        """
        if waiting > BATCHES_BEHIND * self.batch_records:
            return max(self.batch_records, self.catch_up_records)
        return self.batch_records
