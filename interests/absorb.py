"""How log entries move a state: fade what was, add what happened.

    weight'[item, action] = 2^(-elapsed / half_life[action]) * weight[item, action] + strength(action, value)

An event older than the sum it joins adds 2^(-age / half_life[action]) * strength instead. Kept by item id, never as a
vector: ids outlive the bundle in whose space a vector lives. Sums are stored as they are and normalised where they
are read, so that one weak view never looks as strong as many likes.

Pure: no clock, no I/O. Event time weighs, offset orders, so replaying a log rebuilds the same states bit for bit,
in whatever batches it comes. Decay: Ding & Li, "Time weight collaborative filtering", CIKM 2005.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from interests.columns import Faded, Recent
from interests.events import STARS_MAX, Action, Interaction, LogEntry
from interests.state import InterestState, erased

MS_PER_DAY = 86_400_000.0


@dataclass(frozen=True, slots=True)
class AbsorbRule:
    """What each action is worth and how fast it fades. One rule a deployment: states made by two are not comparable.

    strengths: added for one act of value 1 (a rating: for five stars)
    half_life_days: by action, days after which half is left
    memories_max: kept when pruned; a state holds up to an eighth more in between. An item forgotten is new again, so
        that it cannot be filtered out: of households that shop for two years a quarter had more than 512
    future_tolerance_ms: an event time later than the log's own by more is taken as the log's own
    """

    strengths: Mapping[Action, float] = field(
        default_factory=lambda: {
            Action.VIEW: 0.3,
            Action.CLICK: 0.5,
            Action.LIKE: 1.0,
            Action.CART: 0.8,
            Action.PURCHASE: 1.0,
            Action.RATING: 1.0,
            Action.DISLIKE: -2.0,
        }
    )
    half_life_days: Mapping[Action, float] = field(
        default_factory=lambda: {
            Action.IMPRESSION: 3.0,
            Action.VIEW: 30.0,
            Action.CLICK: 30.0,
            Action.LIKE: 120.0,
            Action.CART: 60.0,
            Action.PURCHASE: 120.0,
            Action.RATING: 240.0,
            Action.DISLIKE: 365.0,
        }
    )
    memories_max: int = 1024
    recent_max: int = 64
    exposure_max: int = 256
    event_ids_max: int = 512
    watermarks_max: int = 64
    future_tolerance_ms: int = 300_000


DEFAULT_RULE = AbsorbRule()


def absorb(state: InterestState, entries: Iterable[LogEntry], rule: AbsorbRule = DEFAULT_RULE) -> InterestState:
    """The state after these entries of its user, given in log order.

    Entries at or below the state's watermark of their partition change nothing, so a replay is harmless.
    An event id met lately counts once. Raises ValueError for another user's entry. O(entries + state size).
    """
    draft = _Draft(state, rule)
    for entry in entries:
        if entry.user_id != state.user_id:
            raise ValueError("absorb takes the entries of one user")
        draft.take(entry)
    return draft.finish()


class _Draft:
    """A state being moved: plain dictionaries, copied once a batch and not once an entry."""

    def __init__(self, state: InterestState, rule: AbsorbRule) -> None:
        self._rule = rule
        self._load(state)
        self._watermarks = dict(state.watermarks)
        self._version = state.version

    def _load(self, state: InterestState) -> None:
        self._state = state
        self._memories = dict(state.memories.items())
        self._recent = list(state.recent)
        self._exposure = dict(state.exposure.items()) if state.exposure else {}
        self._event_ids = list(state.event_id_hashes)
        self._interaction_count = state.interaction_count
        self._last_event_ms = state.last_event_ms
        self._erased = state.erased

    def take(self, entry: LogEntry) -> None:
        if entry.offset <= self._watermarks.get(entry.partition, -1):
            return
        # Re-inserted, so that the order of the dictionary is the order of use and the least used goes first.
        self._watermarks.pop(entry.partition, None)
        self._watermarks[entry.partition] = entry.offset
        while len(self._watermarks) > self._rule.watermarks_max:
            del self._watermarks[next(iter(self._watermarks))]
        self._version += 1
        if entry.interaction is None:
            self._load(erased(self._state))
        elif self._is_first(entry.interaction.event_id):
            self._add(entry.interaction, self._event_time_ms(entry))

    def finish(self) -> InterestState:
        if self._version == self._state.version and self._watermarks == self._state.watermarks:
            return self._state
        # Named one by one, because `replace` costs several times as much, once a state written.
        return InterestState(
            user_id=self._state.user_id,
            version=self._version,
            interaction_count=self._interaction_count,
            last_event_ms=self._last_event_ms,
            memories=self._memories,
            recent=tuple(self._recent),
            exposure=self._exposure,
            watermarks=self._watermarks,
            event_id_hashes=tuple(self._event_ids),
            erased=self._erased,
            vectors=None,
            stored_version=self._state.stored_version,
        )

    def _is_first(self, event_id: str) -> bool:
        if not event_id:
            return True
        hashed = int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest(), "little")
        if hashed in self._event_ids:  # a set of them costs more to make than a look at each
            return False
        self._event_ids.append(hashed)
        if len(self._event_ids) > self._rule.event_ids_max:
            del self._event_ids[0]
        return True

    def _event_time_ms(self, entry: LogEntry) -> int:
        time_ms = entry.interaction.time_ms if entry.interaction else None
        if time_ms is None or time_ms > entry.received_ms + self._rule.future_tolerance_ms:
            return entry.received_ms
        return time_ms

    def _add(self, interaction: Interaction, time_ms: int) -> None:
        self._erased = False
        action = interaction.action
        half_life_ms = self._rule.half_life_days[action] * MS_PER_DAY
        self._last_event_ms = max(self._last_event_ms, time_ms)
        if action is Action.IMPRESSION:
            item = interaction.item_id
            self._exposure[item] = _join(self._exposure.pop(item, None), 1.0, time_ms, half_life_ms)
            if len(self._exposure) > self._rule.exposure_max:
                del self._exposure[next(iter(self._exposure))]
            return
        self._interaction_count += 1
        key = (interaction.item_id, action)
        strength = self._rule.strengths[action] * _amount(interaction)
        self._memories[key] = _join(self._memories.get(key), strength, time_ms, half_life_ms)
        if len(self._memories) > self._rule.memories_max * 9 // 8:
            self._keep_strongest()
        if action is not Action.DISLIKE:
            self._recent.append(Recent(interaction.item_id, action, time_ms))
            if len(self._recent) > self._rule.recent_max:
                del self._recent[0]

    def _keep_strongest(self) -> None:
        """Prune to the cap, an eighth at a time so that a full state costs no sort an entry.

        A dislike is a wish and outlasts everything else; among the rest, what has faded most goes.
        """

        def strength(key: tuple[str, Action]) -> tuple[bool, float]:
            weight = faded_weight(self._memories[key], self._last_event_ms, self._rule.half_life_days[key[1]])
            return weight < 0, abs(weight)

        kept = set(sorted(self._memories, key=strength, reverse=True)[: self._rule.memories_max])
        self._memories = {key: faded for key, faded in self._memories.items() if key in kept}


def faded_weight(faded: Faded, now_ms: int, half_life_days: float) -> float:
    """A faded sum as it stands at `now_ms`, which is not before the sum's own time."""
    elapsed_ms = max(now_ms - faded.as_of_ms, 0)
    return faded.weight * float(2.0 ** (-elapsed_ms / (half_life_days * MS_PER_DAY)))


def _join(before: Faded | None, strength: float, time_ms: int, half_life_ms: float) -> Faded:
    if before is None:
        return Faded(strength, time_ms)
    elapsed_ms = time_ms - before.as_of_ms
    if elapsed_ms >= 0:
        return Faded(before.weight * 2.0 ** (-elapsed_ms / half_life_ms) + strength, time_ms)
    return Faded(before.weight + strength * 2.0 ** (elapsed_ms / half_life_ms), before.as_of_ms)


def _amount(interaction: Interaction) -> float:
    """How many times its action's strength an interaction counts: stars of five, else log2(1 + value), at most 4."""
    if interaction.action is Action.RATING:
        return (interaction.value or 0.0) / STARS_MAX
    if interaction.value is None:
        return 1.0
    return min(math.log2(1.0 + interaction.value), 4.0)
