"""A state seen through a bundle: rows instead of ids, mixes over topics, named interests.

    mix[t] = sum over items of share[item, t] * weight[item], over its sum

The anchor's weights are those of interests/anchor.py, slow on purpose; all others are faded sums. Weights are read at
the state's last event, not at the wall clock: a profile is a pure function of (state, bundle).
Mixes never depend on how many interests the encoder has.
Calibration's mixes: Steck, "Calibrated recommendations", RecSys 2018.
"""

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from interests.absorb import DEFAULT_RULE, MS_PER_DAY, AbsorbRule
from interests.anchor import PROMPTED, RIPE_AT_ONCE, RIPE_HALF_LIFE_DAYS, SHOWN_MIN, anchor_weights, by_action, steady
from interests.assembled import Fixed, Parts, assembler
from interests.bundle import Bundle
from interests.compiled import read_only
from interests.events import Action
from interests.items import had_table, items_had, items_shown, recent_items, recent_table, shown_table
from interests.loops import loops
from interests.state import InterestState, InterestVectors

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]

RECENT_HALF_LIFE_DAYS = 7.0
TOPIC_INTERESTS_MAX, TOPIC_INTEREST_SHARE_MIN = 8, 0.02  # of the anchor: less is no interest yet


@dataclass(frozen=True, eq=False)
class ToldInterests:
    """Interests as a person reads them and as items are said to serve them, whatever the encoder gives.

    vectors (k, dim), shares (k,) float32; topics (k,) int32: what each is named after, -1 where its items say
    """

    vectors: Floats
    shares: Floats
    topics: Rows


@dataclass(frozen=True, eq=False)
class Profile:
    """What ranking needs to know of a user; T topics, K interests, m items had, r recent interactions.

    item_rows (m,) int32, item_weights (m,) float32  items had, strongest first, weights summing to 1
    item_actions (m,) int32, item_times_ms (m,) int64  what was done to each that weighs most, and when last
    blocked_rows                                     items disliked on balance; a dislike takes back what came before it
    recent_rows, recent_times_ms, recent_actions (r,)  latest interactions with known items, oldest first
    anchor, recent_mix, exposure_mix (T,) float32    mixes; each sums to 1, or to 0 where there is nothing
    exposure_weight                                  faded count of impressions behind the exposure mix
    entropy                                          of the anchor over its maximum, in [0, 1]
    vectors                                          interests (K, dim), shares (K,), factor
    exposure_rows (e,) int32, exposure_weights (e,) float32  what was lately shown, faded counts of impressions
    topic_interests                                  for an encoder of one vector; see told_interests
    """

    user_id: str
    state_version: int
    bundle_version: str
    last_event_ms: int
    item_rows: Rows
    item_weights: Floats
    item_actions: Rows
    item_times_ms: npt.NDArray[np.int64]
    blocked_rows: Rows
    recent_rows: Rows
    recent_times_ms: npt.NDArray[np.int64]
    recent_actions: npt.NDArray[np.int32]
    anchor: Floats
    recent_mix: Floats
    exposure_mix: Floats
    exposure_weight: float
    entropy: float
    vectors: InterestVectors
    exposure_rows: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    exposure_weights: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    topic_interests: ToldInterests | None = None

    @property
    def is_cold(self) -> bool:
        """True where the bundle knows nothing the user had."""
        return len(self.item_rows) == 0

    @property
    def told_interests(self) -> ToldInterests:
        """The encoder's interests where it gives several; one vector is told apart by the topics of the anchor."""
        if self.topic_interests is not None and len(self.vectors.interests) == 1:
            return self.topic_interests
        shares = self.vectors.shares
        return ToldInterests(self.vectors.interests, shares, np.full(len(shares), -1, dtype=np.int32))


def profile(state: InterestState, bundle: Bundle, vectors: InterestVectors, rule: AbsorbRule = DEFAULT_RULE) -> Profile:
    """Read a state through a bundle. `vectors` must be the bundle's. Raises ValueError otherwise."""
    if vectors.bundle_version != bundle.version:
        raise ValueError(f"vectors of bundle {vectors.bundle_version} read through bundle {bundle.version}")
    if (fast := assembler()) is not None:
        tables = (had_table(state, bundle), recent_table(state, bundle), shown_table(state, bundle))
        parts = fast(fixed(bundle, rule), state.last_event_ms, *tables, len(vectors.interests) == 1)
        return of_parts(parts, state.user_id, state.version, bundle, state.last_event_ms, vectors)
    return _step_by_step(state, bundle, vectors, rule)


def of_parts(
    parts: Parts, user_id: str, state_version: int, bundle: Bundle, last_event_ms: int, vectors: InterestVectors
) -> Profile:
    """The profile that was put together by the compiled call."""
    told = ToldInterests(parts.told_vectors, parts.told_shares, parts.told_topics) if len(parts.told_shares) else None
    return Profile(
        user_id, state_version, bundle.version, last_event_ms, *parts[:13], vectors, *parts[13:15], told
    )  # fmt: skip


def fixed(bundle: Bundle, rule: AbsorbRule = DEFAULT_RULE) -> Fixed:
    """What the compiled call needs of a bundle."""
    if rule is not DEFAULT_RULE:
        return _fixed(bundle, rule)
    found = _FIXED.get(bundle)
    if found is None:
        found = _FIXED[bundle] = _fixed(bundle, rule)
    return found


_FIXED: WeakKeyDictionary[Bundle, Fixed] = WeakKeyDictionary()


def _fixed(bundle: Bundle, rule: AbsorbRule) -> Fixed:
    arrays, (strengths, half_lives) = bundle.arrays, by_action(rule)
    return Fixed(
        read_only(arrays.item_topic_ids), read_only(arrays.item_topic_shares), read_only(arrays.item_vectors),
        read_only(strengths), read_only(half_lives), int(Action.DISLIKE), rule.recent_max,
        RIPE_AT_ONCE, RIPE_HALF_LIFE_DAYS, PROMPTED, SHOWN_MIN, RECENT_HALF_LIFE_DAYS,
        TOPIC_INTERESTS_MAX, TOPIC_INTEREST_SHARE_MIN, bundle.manifest.topic_count,
    )  # fmt: skip


def _step_by_step(state: InterestState, bundle: Bundle, vectors: InterestVectors, rule: AbsorbRule) -> Profile:
    item_rows, item_weights, item_actions, item_times_ms, blocked_rows = items_had(state, bundle, rule)
    recent_rows, recent_times_ms, recent_actions = recent_items(state, bundle)
    ages_days = np.maximum(state.last_event_ms - recent_times_ms, 0) / MS_PER_DAY
    exposure_rows, exposure_weights = items_shown(state, bundle, rule)
    recent = (recent_rows, ages_days, recent_actions)
    lasting = anchor_weights(item_rows, item_weights, *recent, exposure_rows, exposure_weights, rule)
    lasting = lasting * _steady(bundle, item_rows, item_times_ms // int(MS_PER_DAY))
    anchor = mix(bundle, item_rows, lasting)
    total = float(item_weights.sum(dtype=np.float64))
    return Profile(
        user_id=state.user_id,
        state_version=state.version,
        bundle_version=bundle.version,
        last_event_ms=state.last_event_ms,
        item_rows=item_rows,
        item_weights=item_weights / total if total else item_weights,
        item_actions=item_actions,
        item_times_ms=item_times_ms,
        blocked_rows=blocked_rows,
        recent_rows=recent_rows,
        recent_times_ms=recent_times_ms,
        recent_actions=recent_actions,
        anchor=anchor,
        recent_mix=mix(bundle, recent_rows, (2.0 ** (-ages_days / RECENT_HALF_LIFE_DAYS)).astype(np.float32)),
        exposure_mix=mix(bundle, exposure_rows, exposure_weights),
        exposure_weight=float(exposure_weights.sum()),
        exposure_rows=exposure_rows,
        exposure_weights=exposure_weights,
        entropy=entropy(anchor),
        topic_interests=_topic_interests(bundle, item_rows, lasting, anchor) if len(vectors.interests) == 1 else None,
        vectors=vectors,
    )


def _topic_interests(bundle: Bundle, rows: Rows, weights: Floats, anchor: Floats) -> ToldInterests | None:
    """The topics that the anchor is made of, each where the user's items of it lie; None where no item has a topic."""
    main = _main_topics(bundle, rows)
    topics = np.argsort(-anchor, kind="stable")[:TOPIC_INTERESTS_MAX]
    kept = [topic for topic in topics.tolist() if anchor[topic] >= TOPIC_INTEREST_SHARE_MIN and (main == topic).any()]
    if not kept:
        return None
    sums = [weights[main == topic] @ bundle.arrays.item_vectors[rows[main == topic]] for topic in kept]
    vectors = np.stack(sums).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    shares = anchor[kept] / anchor[kept].sum()
    return ToldInterests(vectors, shares.astype(np.float32), np.array(kept, dtype=np.int32))


def mix(bundle: Bundle, rows: Rows, weights: Floats) -> Floats:
    """The mix over topics (T,) of weighted items; zeros where no item has a topic."""
    if (fast := loops()) is not None:
        of_items = (bundle.arrays.item_topic_ids, bundle.arrays.item_topic_shares)
        given = (rows.astype(np.int32, copy=False), weights.astype(np.float32, copy=False))
        return fast.mix(*of_items, *given, bundle.manifest.topic_count)
    shares = bundle.arrays.item_topic_shares[rows] * weights[:, None]
    return mix_of_shares(bundle.arrays.item_topic_ids[rows], shares, bundle.manifest.topic_count)


def mix_of_shares(topics: Rows, shares: Floats, topic_count: int) -> Floats:
    """The mix (T,) of topics (n, m), -1 padded, by their shares (n, m); zeros where there is no topic."""
    known = topics >= 0
    total = np.bincount(topics[known], weights=shares[known], minlength=topic_count).astype(np.float32)
    mass = total.sum()
    return total / mass if mass > 0 else total


def _steady(bundle: Bundle, rows: Rows, days: npt.NDArray[np.int64]) -> Floats:
    """`steady` of these items."""
    return steady(_main_topics(bundle, rows), days).astype(np.float32)


def _main_topics(bundle: Bundle, rows: Rows) -> Rows:
    shares = bundle.arrays.item_topic_shares[rows]
    if not shares.shape[1]:
        return np.full(len(rows), -1, dtype=np.int32)
    topics: Rows = bundle.arrays.item_topic_ids[rows, shares.argmax(axis=1)]
    return topics


def entropy(shares: Floats) -> float:
    """Entropy of a mix over the logarithm of how many topics there are, in [0, 1]; 0 where there are fewer than two."""
    if len(shares) < 2:
        return 0.0
    if (fast := loops()) is not None:
        return fast.entropy(shares.astype(np.float32, copy=False))
    positive = shares[shares > 0].astype(np.float64)
    return float(-(positive * np.log(positive)).sum() / np.log(len(shares)))
