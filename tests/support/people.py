"""Users with a planted past, seen through a real bundle and its real models."""

from collections.abc import Sequence

from interests.absorb import absorb
from interests.bundle import Bundle
from interests.encoder import Encoder
from interests.events import Action, Interaction, LogEntry, LogPartition
from interests.profile import Profile, profile
from interests.state import InterestState

NOW_MS = 1_700_000_000_000
MINUTE_MS = 60_000
LOG = LogPartition("test", 0)


def state_of(acts: Sequence[tuple[str, Action]], user_id: str = "ada", minutes_apart: int = 10) -> InterestState:
    """The state after these acts, oldest first, the last of them at NOW_MS."""
    times_ms = [NOW_MS - (len(acts) - 1 - place) * minutes_apart * MINUTE_MS for place in range(len(acts))]
    entries = [
        LogEntry(LOG, offset, time_ms, user_id, Interaction(user_id, item_id, action, time_ms))
        for offset, ((item_id, action), time_ms) in enumerate(zip(acts, times_ms, strict=True))
    ]
    return absorb(InterestState(user_id), entries)


def profile_of(bundle: Bundle, encoder: Encoder, state: InterestState) -> Profile:
    """A state as ranking sees it."""
    return profile(state, bundle, encoder.vectors([state])[0])
