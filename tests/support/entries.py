"""Log entries for tests, and what one user's states look like when compared bit for bit."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from interests.absorb import absorb
from interests.events import Action, Interaction, LogEntry, LogPartition
from interests.state import InterestState, to_bytes

LOG = LogPartition("test-log", 0)
DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
ACTIONS = tuple(Action)


def did(
    user_id: str,
    offset: int,
    item_id: str = "tea",
    action: Action = Action.LIKE,
    *,
    time_ms: int | None = None,
    value: float | None = None,
    event_id: str = "",
    partition: LogPartition = LOG,
) -> LogEntry:
    """One interaction at one offset; the log took it a second an offset after START_MS."""
    interaction = Interaction(user_id, item_id, action, time_ms, value, event_id)
    return LogEntry(partition, offset, START_MS + 1000 * offset, user_id, interaction)


def erased_at(user_id: str, offset: int, partition: LogPartition = LOG) -> LogEntry:
    """The erasure of one user."""
    return LogEntry(partition, offset, START_MS + 1000 * offset, user_id, None)


def random_log(seed: int, length: int, users: int = 12, partition: LogPartition = LOG) -> list[LogEntry]:
    """A log of many users: every action, late and future times, retries of an event id, a few erasures."""
    rng = random.Random(seed)
    entries = []
    for offset in range(length):
        user = f"user-{rng.randrange(users)}"
        if rng.random() < 0.02:
            entries.append(erased_at(user, offset, partition))
            continue
        action = rng.choice(ACTIONS)
        value = rng.uniform(0, 5) if action is Action.RATING or rng.random() < 0.2 else None
        shift = rng.choice([None, 0, -rng.randrange(90 * DAY_MS), rng.randrange(2 * DAY_MS)])
        time_ms = None if shift is None else START_MS + 1000 * offset + shift
        event_id = f"{user}-{rng.randrange(40)}" if rng.random() < 0.3 else ""
        item = f"item-{rng.randrange(60)}"
        entries.append(
            did(user, offset, item, action, time_ms=time_ms, value=value, event_id=event_id, partition=partition)
        )
    return entries


def replayed(entries: Iterable[LogEntry]) -> dict[str, InterestState]:
    """The oracle: every entry absorbed by itself, in order, in memory."""
    states: dict[str, InterestState] = {}
    for entry in entries:
        state = states.get(entry.user_id) or InterestState(entry.user_id)
        states[entry.user_id] = absorb(state, [entry])
    return states


def bits(states: Mapping[str, InterestState]) -> dict[str, bytes]:
    """The stored forms, cached vectors apart."""
    return {user_id: to_bytes(replace(state, vectors=None)) for user_id, state in states.items()}


def users_of(entries: Sequence[LogEntry]) -> set[str]:
    """Whose entries these are."""
    return {entry.user_id for entry in entries}
