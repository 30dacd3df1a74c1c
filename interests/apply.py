"""One step of any writer: log entries in, moved states in the store, offsets with them.

    get ▶ absorb ▶ encode ▶ put

The consumer takes it for each batch it polls, the server for each group of calls where there is no Kafka.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interests.absorb import DEFAULT_RULE, AbsorbRule, absorb
from interests.encoder import Encoder
from interests.events import LogEntry, LogPartition
from interests.failpoints import failpoint
from interests.state import InterestState
from interests.stores.base import Moments, StateWriter


@dataclass(frozen=True, slots=True)
class Applied:
    """What one step did: states moved, and entries that had been absorbed before (a replay's)."""

    states: list[InterestState]
    skipped: int


def apply(
    entries: Sequence[LogEntry],
    next_offsets: Mapping[LogPartition, int],
    store: StateWriter,
    encoder: Encoder | None = None,
    rule: AbsorbRule = DEFAULT_RULE,
    polled_s: float | None = None,
) -> Applied:
    """Absorb entries (each partition's in order) and write what moved, with the offsets, in one step.

    Without an encoder states are written without vectors and readers encode. Raises what the store raises; having
    raised, nothing counts twice when the same entries come again.

    polled_s: when these entries were read, in seconds since 1970; the change log then tells of it
    """
    by_user: dict[str, list[LogEntry]] = {}
    for entry in entries:
        by_user.setdefault(entry.user_id, []).append(entry)
    before = store.get(by_user)
    moved, silent, absorbed = [], set(), 0
    for user_id, theirs in by_user.items():
        old = before.get(user_id) or InterestState(user_id)
        new = absorb(old, theirs, rule)
        absorbed += new.version - old.version
        if new.version == old.version:
            continue
        moved.append(new)
        if not _wakes(old, new):
            silent.add(user_id)
    states = encoder.encode(moved) if encoder else moved
    failpoint("before_put")
    moments = {} if polled_s is None else _moments(states, by_user, polled_s)
    store.put(states, next_offsets, frozenset(silent), moments)
    failpoint("after_put")
    return Applied(states, len(entries) - absorbed)


def _moments(
    states: Sequence[InterestState], by_user: Mapping[str, Sequence[LogEntry]], polled_s: float
) -> dict[str, Moments]:
    written_s = time.time()
    return {s.user_id: Moments(by_user[s.user_id][-1].received_ms / 1000.0, polled_s, written_s) for s in states}


def _wakes(old: InterestState, new: InterestState) -> bool:
    """False where only exposure moved, or a retry came: no reason to push a slate."""
    if new.interaction_count != old.interaction_count or new.erased != old.erased:
        return True
    # One batch may erase a user and count as many new interactions as there were.
    return new.memories != old.memories or new.recent != old.recent
