"""The embedded recorder alone, without a server around it."""

from pathlib import Path
from typing import Any

from interests.events import Action, Interaction
from interests.stores.base import InterestStore
from server.event_log import EventLog
from server.metrics import Metrics
from server.record import EmbeddedRecorder

NOW_MS = 1_800_000_000_000


def act(user_id: str, item_id: str, **fields: Any) -> Interaction:
    return Interaction(user_id, item_id, fields.pop("action", Action.CLICK), **fields)


def recorder(path: Path, store: InterestStore, **limits: Any) -> EmbeddedRecorder:
    """A recorder without an encoder, whose clock stands still."""
    made = EmbeddedRecorder(EventLog(path), store, None, Metrics(), lambda: NOW_MS, **limits)
    made.start()
    return made
