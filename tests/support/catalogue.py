"""A larger catalogue without models, and people in it made by hand: for ranking alone."""

import numpy as np

from interests.bundle import Bundle
from interests.bundle_arrays import BundleArrays, string_table
from interests.events import Action
from interests.manifest import Manifest
from interests.profile import Profile, entropy, mix
from interests.state import InterestVectors

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
WEIGHTS = {"interest": 1.0, "mf": 0.3, "transition": 0.4, "neighbour": 0.4, "popularity": 0.1, "repeat": 0.2}


def catalogue(items: int = 3000, topics: int = 40, dim: int = 16, seed: int = 0) -> Bundle:
    """Items around the centres of their topics; one in ten is of two topics, one in fifty unavailable, five are new."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, topics, items)
    centres = rng.normal(size=(topics, dim))
    vectors = _unit(_unit(centres)[topic] + 0.6 * _unit(rng.normal(size=(items, dim))))
    second = np.where((rng.random(items) < 0.1) & (topic > 0), 0, -1)
    first_seen = np.full(items, NOW_MS - 100 * DAY_MS, dtype=np.int64)
    first_seen[-5:] = NOW_MS - np.arange(5) * DAY_MS
    popularity = rng.beta(1, 4, items).astype(np.float32)
    neighbours, neighbour_weights = _links(rng, items, 20)
    transitions, transition_weights = _links(rng, items, 10)
    available = rng.random(items) > 0.02
    available[-5:] = True
    ids, names = string_table([f"i{row}" for row in range(items)]), string_table([f"c{t}" for t in range(topics)])
    arrays = BundleArrays(
        item_vectors=vectors,
        item_factors=(vectors * rng.random((items, 1))).astype(np.float32),
        item_topic_ids=np.stack([topic, second], axis=1).astype(np.int32),
        item_topic_shares=np.where(second >= 0, 0.5, [[1.0], [0.0]]).T.astype(np.float32),
        neighbour_rows=neighbours,
        neighbour_weights=neighbour_weights,
        transition_rows=transitions,
        transition_weights=transition_weights,
        popularity=popularity,
        recent_popularity=popularity,
        first_seen_ms=first_seen,
        available=available,
        topic_vectors=_unit(centres),
        topic_shares=(np.bincount(topic, minlength=topics) / items).astype(np.float32),
        item_ids_bytes=ids[0],
        item_ids_offsets=ids[1],
        item_titles_bytes=ids[0],
        item_titles_offsets=ids[1],
        topic_names_bytes=names[0],
        topic_names_offsets=names[1],
    )
    return Bundle(_manifest(items, topics, dim), arrays, b"", b"")


def someone(bundle: Bundle, seed: int = 0, had: int = 60, recent: int = 30, interests: int = 4) -> Profile:
    """A user with a random past; their interests point at some of the items they had."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(bundle.manifest.item_count, had, replace=False).astype(np.int32)
    weights = np.sort(rng.random(had))[::-1].astype(np.float32) + 0.01
    weights /= weights.sum()
    times_ms = NOW_MS - rng.integers(0, 60 * DAY_MS, had)
    latest = np.argsort(times_ms, kind="stable")[-recent:] if recent else np.zeros(0, dtype=np.int64)
    actions = rng.choice([Action.VIEW, Action.LIKE, Action.PURCHASE], had).astype(np.int32)
    anchor = mix(bundle, rows, weights)
    recent_mix = mix(bundle, rows[latest], np.ones(len(latest), dtype=np.float32))
    shares = np.sort(rng.random(interests))[::-1].astype(np.float32) + 0.1
    vectors = InterestVectors(
        bundle.version,
        bundle.arrays.item_vectors[rows[:interests]],
        shares / shares.sum() if interests else shares,
        bundle.arrays.item_factors[rows].T @ weights,
    )
    return Profile(
        user_id=f"user-{seed}",
        state_version=had,
        bundle_version=bundle.version,
        last_event_ms=int(times_ms.max(initial=0)),
        item_rows=rows,
        item_weights=weights,
        item_actions=actions,
        item_times_ms=times_ms,
        blocked_rows=np.setdiff1d(rng.integers(0, bundle.manifest.item_count, 10), rows).astype(np.int32),
        recent_rows=rows[latest],
        recent_times_ms=times_ms[latest],
        recent_actions=actions[latest],
        anchor=anchor,
        recent_mix=recent_mix,
        exposure_mix=np.zeros_like(anchor),
        exposure_weight=0.0,
        entropy=entropy(anchor),
        vectors=vectors,
    )


def _links(rng: np.random.Generator, items: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Random links, best first, the last few of each row padding."""
    rows = rng.integers(0, items, (items, width)).astype(np.int32)
    weights = np.sort(rng.random((items, width)).astype(np.float32), axis=1)[:, ::-1].copy()
    rows[:, -3:], weights[:, -3:] = -1, 0.0
    return rows, weights


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _manifest(items: int, topics: int, dim: int) -> Manifest:
    return Manifest(
        version="catalogue",
        created_at="2026-01-01T00:00:00Z",
        cutoff_ms=NOW_MS,
        item_count=items,
        topic_count=topics,
        dim=dim,
        factor_dim=dim,
        interest_count=4,
        history_max=50,
        fold_in_max=64,
        signal_weights=WEIGHTS,
        query_half_life_days=14.0,
        diversity_default=0.3,
        entropy_mean=0.8,
        repeats_default="allow",
    )
