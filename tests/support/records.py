"""Raw records as producers make them, good and bad, and what a log of them should leave behind."""

import random
from collections.abc import Iterable

from plural.v1 import events_pb2

from consumer.decode import decode
from consumer.sources.base import Record
from consumer.sources.memory import MemoryLog
from interests.errors import BadRecord
from interests.events import Action, Interaction, LogEntry, to_message
from interests.state import InterestState
from tests.support.entries import START_MS, replayed

JSON = (("content-type", b"application/json"),)


def event(user_id: str, item_id: str = "tea", action: Action = Action.LIKE, **fields: object) -> bytes:
    """One interaction as protobuf."""
    return to_message(Interaction(user_id, item_id, action, **fields)).SerializeToString()  # type: ignore[arg-type]


def bad_value(rng: random.Random, user_id: str) -> bytes:
    """A value that no consumer can use."""
    return rng.choice(
        [
            b"\xff\xff\xff",
            event("somebody-else"),
            events_pb2.Interaction(user_id=user_id, item_id="tea").SerializeToString(),
            events_pb2.Interaction(user_id=user_id, action=events_pb2.ACTION_LIKE).SerializeToString(),
            events_pb2.Interaction(
                user_id=user_id, item_id="tea", action=events_pb2.ACTION_RATING, value=17
            ).SerializeToString(),
        ]
    )


def fill(log: MemoryLog, rng: random.Random, count: int, users: int = 6, bad: float = 0.1) -> None:
    """Add records of many users, each user in one partition: events, retries, erasures, and a share of bad ones."""
    for number in range(count):
        user = rng.randrange(users)
        partition, key = user % len(log.records), f"user-{user}"
        chance = rng.random()
        if chance < bad:
            value: bytes | None = bad_value(rng, key)
        elif chance < bad + 0.03:
            value = None
        else:
            event_id = f"{key}-{rng.randrange(8)}" if rng.random() < 0.3 else ""
            action = rng.choice([Action.IMPRESSION, Action.CLICK, Action.LIKE, Action.PURCHASE, Action.DISLIKE])
            value = event(key, f"item-{rng.randrange(20)}", action, event_id=event_id)
        log.append(partition, key.encode(), value, START_MS + 1000 * number)


def entries_and_bad(records: Iterable[Record]) -> tuple[list[LogEntry], list[Record]]:
    """The entries among the records, and the records that are none."""
    entries, bad = [], []
    for record in records:
        try:
            entries.append(decode(record))
        except BadRecord:
            bad.append(record)
    return entries, bad


def oracle(log: MemoryLog) -> dict[str, InterestState]:
    """The states that a log leaves behind, replayed one entry at a time in memory."""
    entries, _ = entries_and_bad(record for partition in log.records for record in partition)
    return replayed(entries)
