"""What every store checks before it writes: partitions claimed, and one state a user."""

from collections.abc import Iterable, Mapping

from interests.errors import Fenced, StoreError
from interests.events import LogPartition
from interests.state import InterestState

Positions = tuple[int, ...]
"""Where one partition stands in each shard of a store."""


def claimed(claims: Mapping[LogPartition, Positions], wanted: Iterable[LogPartition]) -> dict[LogPartition, Positions]:
    """The claims on these partitions. Raises Fenced for one that the handle does not hold."""
    found = {}
    for partition in wanted:
        if partition not in claims:
            raise Fenced(f"{describe(partition)} is not claimed by this handle: claim it and re-read")
        found[partition] = claims[partition]
    return found


def by_user(states: Iterable[InterestState]) -> dict[str, InterestState]:
    """The states by user. Raises ValueError where one user comes twice, because only one of the two could be kept."""
    found: dict[str, InterestState] = {}
    for state in states:
        if state.user_id in found:
            raise ValueError("put takes one state a user; absorb all entries of a user before writing it")
        found[state.user_id] = state
    return found


def moved(partition: LogPartition, stored: int, held: int) -> Fenced:
    """What is raised where a partition's stored offset is not the one that the writer began from."""
    return Fenced(f"{describe(partition)} stands at {stored}, this writer began from {held}: claim again and re-read")


def changed(count: int) -> Fenced:
    """What is raised where states were moved since this writer read them; says how many, never whose."""
    return Fenced(f"{count} states were moved since this writer read them: claim again and re-read")


def closed() -> StoreError:
    """What is raised by a store that was closed."""
    return StoreError("the store is closed")


def describe(partition: LogPartition) -> str:
    """A partition in the words of messages."""
    return f"partition {partition.partition} of log {partition.incarnation}"
