"""Relevance: one weighted sum of a few named signals, with the weights that validation learned.

    relevance = sum over signals s of weights[s] * s      (a signal that has no weight counts 0)

    weights     manifest.signal_weights, or manifest.new_weights where what the user had is filtered out; few_weights
                and few_new_weights for users with few items, where validation found that these do better

    interest    max over interests k of sqrt(share_k / largest share) * cosine(interest_k, item); one interest: cosine
    mf          factor . item factor, over the largest such product among the items the user had, or what the
                largest over all items usually is (manifest.mf_reach * |factor|) where that is more: who had what
                hardly anybody had is described by products near 0
    transition  what stands near the user's recent items in other histories, faded, on a log scale; see ranking/pull.py
    neighbour   what goes with the user's recent items and items had, faded, on a log scale; see ranking/pull.py
    popularity  recent popularity in the catalogue
    repeat      the user's own faded weight of the item over their largest, on a log scale
    rebuy       how likely who had the item is to turn to it again; 0 for what the user never had
    lately      2^(-age of the latest act with the item / query_half_life_days); 0 for what the user never had
    visit       how much of a visit the item usually is: 1 where people come for it alone
    debut       how often people lately turned to the item for the first time: milk sells by repeats, and who never had
                it will hardly begin now
    content     what the catalogue says of the item against what it says of the items had; see ranking/content.py

An item that nobody ever turned to is scored with manifest.cold_weights, where there are any: of what is known of
others it has nothing, so what it does have must count for more.

Of a newcomer little is known, and weights learned on others trust it too far. Who had fewer than known_items (of the
manifest, as validation chose) is scored by k * sum + (1 - k) * recent popularity, k = root(items had / known_items)
/ (1 - share) and at most 1, where the share is what the weights give to what is the same for everybody (popularity,
debut): it counts as popularity too.

Each is roughly in [0, 1] for every user, so weights learned on some users hold for others, and none depends on which
other rows are scored: ranking everything and ranking candidates give an item the same score. A user of whom the
bundle knows nothing, or a bundle that learned no weights, is scored by recent popularity alone.
Pure. Fold-in factors: Hu, Koren, Volinsky, ICDM 2008. Maximum over interests: Weston, Weiss, Yee, RecSys 2013.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from interests.absorb import MS_PER_DAY
from interests.bundle import Bundle
from interests.profile import Profile
from ranking.content import content, content_profile
from ranking.fast.signals import Signals, signals_compiled
from ranking.nearest import interest_weights
from ranking.pull import Pull, Sparse, counts, pull, pulls_of
from ranking.query import Repeats

SIGNALS: tuple[str, ...] = (
    "interest", "mf", "transition", "neighbour", "popularity", "repeat", "content", "rebuy", "lately", "visit", "debut",
)  # fmt: skip

REPEAT_STEEPNESS = 30.0  # an item of a thirtieth of the largest weight counts a fifth of it
PULL_STEEPNESS = 10.0
MF_YARDSTICK_ITEMS = 64  # of the items had, the strongest: what a factor product of 1 means for this user

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer]
Weights = Mapping[str, float]

_NONE = np.zeros(0, dtype=np.float32)


def weights_for(bundle: Bundle, repeats: Repeats | None, items_had: int) -> Weights:
    """The weights to score with: what finds new things best differs from what finds the next thing best,
    and a short past may count otherwise than a long one.

    repeats: the request's; None means the bundle's default
    """
    manifest = bundle.manifest
    few = items_had <= manifest.few_items_max
    if (repeats or manifest.repeats_default) == "filter" and manifest.new_weights:
        return (manifest.few_new_weights if few else {}) or manifest.new_weights
    return (manifest.few_weights if few else {}) or manifest.signal_weights


def relevance(
    bundle: Bundle, profile: Profile, rows: Rows, pulled: Pull | None = None, weights: Weights | None = None
) -> Floats:
    """The weighted sum of the signals of each row, (n,) float32. Signals without a weight are not computed.

    weights: see `weights_for`; None means those of the bundle's default for repeats
    """
    weights = weights_for(bundle, None, len(profile.item_rows)) if weights is None else weights
    if profile.is_cold or not any(weights.values()):
        return np.array(bundle.arrays.recent_popularity[rows])
    if (fast := signals_compiled()) is not None:
        return _compiled(fast, bundle, profile, rows, pulled, weights)
    total = _weighted(weights, bundle, profile, rows, pulled)
    cold_weights = bundle.manifest.cold_weights
    cold = np.flatnonzero(bundle.arrays.popularity[rows] == 0) if cold_weights else rows[:0]
    if len(cold):
        total[cold] = _weighted(cold_weights, bundle, profile, rows[cold], pulled)
    known = trust(weights, len(profile.item_rows), bundle.manifest.known_items)
    if known < 1.0:
        total *= np.float32(known)
        total += np.float32(1.0 - known) * bundle.arrays.recent_popularity[rows]
    return total


def trust(weights: Weights, items_had: int, known_items: int) -> float:
    """How far the weighted sum counts for somebody who had so many items, in [0, 1]; the rest is popularity."""
    known = min(1.0, items_had / known_items) ** 0.5 if known_items else 1.0
    own = own_share(weights)
    return min(1.0, known / own) if own > 0 else 1.0


def own_share(weights: Weights) -> float:
    """How much of the weights is given to what is not the same for everybody, in [0, 1]."""
    of_everybody = sum(weights.get(name, 0.0) for name in ("popularity", "debut"))
    total = sum(weights.values())
    return 1.0 - of_everybody / total if total > 0 else 1.0


def _compiled(
    fast: Signals, bundle: Bundle, profile: Profile, rows: Rows, pulled: Pull | None, weights: Weights
) -> Floats:
    """What `relevance` gives by `_weighted`."""
    arrays, vectors, cold_weights = bundle.arrays, profile.vectors, bundle.manifest.cold_weights
    asks = any(counts(bundle, weights, name) for name in ("transition", "neighbour"))
    pulled = pulled or (pull(bundle, profile, weights) if asks else None)
    if pulled is None:
        pulls = [np.zeros(len(rows), dtype=np.float32)] * 2
    else:
        pulls = [pulls_of(kind, rows) for kind in (pulled.transition, pulled.neighbour)]
    interests = vectors.interests * interest_weights(vectors)[:, None]
    texts = (arrays.content_ids, arrays.content_weights, arrays.content_vectors)
    content_of_user = content_profile(bundle, profile) if counts(bundle, weights, "content") else (_NONE, _NONE)
    freshness = _freshness(bundle, profile) if counts(bundle, weights, "lately") else _NONE
    return fast.relevance(
        rows.astype(np.int64, copy=False), trust(weights, len(profile.item_rows), bundle.manifest.known_items),
        in_order(weights), in_order(cold_weights) if cold_weights else _NONE,
        arrays.item_vectors, interests, arrays.item_factors, vectors.factor, bundle.manifest.mf_reach,
        profile.item_rows, profile.item_weights,
        freshness, *pulls, arrays.popularity, arrays.recent_popularity, arrays.repeat_rates,
        arrays.visit_shares, arrays.debut_popularity, *content_of_user, *texts,
    )  # fmt: skip


def in_order(weights: Weights) -> Floats:
    """Weights in the order of SIGNALS (11,), 0 where a signal has none."""
    return _ordered(tuple(weights.items()))


@lru_cache(maxsize=16)
def _ordered(weights: tuple[tuple[str, float], ...]) -> Floats:
    named = dict(weights)
    return np.array([named.get(name, 0.0) for name in SIGNALS], dtype=np.float32)


def _weighted(weights: Weights, bundle: Bundle, profile: Profile, rows: Rows, pulled: Pull | None) -> Floats:
    names = [name for name in SIGNALS if weights.get(name, 0.0)]
    total = np.zeros(len(rows), dtype=np.float32)
    for name, column in zip(names, _columns(names, bundle, profile, rows, pulled), strict=True):
        total += np.float32(weights[name]) * column
    return total


def signals(bundle: Bundle, profile: Profile, rows: Rows, pulled: Pull | None = None) -> Floats:
    """Each signal of each row, (n, len(SIGNALS)) float32, columns in the order of SIGNALS.

    rows: of the bundle's items; all of them in order costs no copy of the item arrays
    pulled: `pull(bundle, profile)`, where the caller has it already
    """
    return np.stack(_columns(list(SIGNALS), bundle, profile, rows, pulled), axis=1)


def _columns(names: list[str], bundle: Bundle, profile: Profile, rows: Rows, pulled: Pull | None) -> list[Floats]:
    if pulled is None and ("transition" in names or "neighbour" in names):
        pulled = pull(bundle, profile)
    found: list[Floats] = []
    for name in names:
        if name == "interest":
            found.append(_interest(bundle, profile, rows))
        elif name == "mf":
            found.append(_mf(bundle, profile, rows))
        elif name == "popularity":
            found.append(_take(bundle.arrays.recent_popularity, rows))
        elif name == "repeat":
            found.append(_of_had(bundle, profile, rows, _repeat(profile)))
        elif name == "rebuy":
            found.append(_of_had(bundle, profile, rows, bundle.arrays.repeat_rates[profile.item_rows]))
        elif name == "lately":
            found.append(_of_had(bundle, profile, rows, _freshness(bundle, profile)))
        elif name == "visit":
            found.append(_take(bundle.arrays.visit_shares, rows))
        elif name == "debut":
            found.append(_take(bundle.arrays.debut_popularity, rows))
        elif name == "content":
            found.append(content(bundle, profile, rows))
        elif pulled is not None:
            pulls = pulled.transition if name == "transition" else pulled.neighbour
            found.append(_steep(pulls.of(rows) if isinstance(pulls, Sparse) else _take(pulls, rows)))
    return found


def _steep(pulls: Floats) -> Floats:
    """Pulls on a log scale: a tenth of the strongest counts three tenths, so that one strong link is not all."""
    steep: Floats = np.log1p(PULL_STEEPNESS * np.maximum(pulls, 0.0)) / np.log1p(np.float32(PULL_STEEPNESS))
    return np.where(pulls < 0, pulls, steep)


def _interest(bundle: Bundle, profile: Profile, rows: Rows) -> Floats:
    interests = profile.vectors.interests
    if not len(interests):
        return np.zeros(len(rows), dtype=np.float32)
    weighted = interests * interest_weights(profile.vectors)[:, None]
    cosines = _take(bundle.arrays.item_vectors, rows) @ weighted.T
    best: Floats = cosines[:, 0].copy()
    for column in cosines.T[1:]:  # a pairwise maximum costs a tenth of max(axis=1)
        np.maximum(best, column, out=best)
    return best


def _mf(bundle: Bundle, profile: Profile, rows: Rows) -> Floats:
    factors, factor = bundle.arrays.item_factors, profile.vectors.factor
    own = factors[profile.item_rows[:MF_YARDSTICK_ITEMS]] @ factor
    yardstick = max(own.max(initial=0.0), np.float32(bundle.manifest.mf_reach) * np.linalg.norm(factor))
    if not yardstick > 0:
        return np.zeros(len(rows), dtype=np.float32)
    product: Floats = _take(factors, rows) @ (factor / yardstick)
    return product


def _repeat(profile: Profile) -> Floats:
    share = profile.item_weights / profile.item_weights.max(initial=0.0)
    steep: Floats = np.log1p(REPEAT_STEEPNESS * share) / np.log1p(np.float32(REPEAT_STEEPNESS))
    return steep


def _of_had(bundle: Bundle, profile: Profile, rows: Rows, values: Floats) -> Floats:
    """Values (m,) of the items had on these rows; 0 for what the user never had."""
    had = np.zeros(bundle.manifest.item_count, dtype=np.float32)
    had[profile.item_rows] = values
    return had[rows]


def _freshness(bundle: Bundle, profile: Profile) -> Floats:
    """Of each item had, strongest first."""
    ages_days = np.maximum(profile.last_event_ms - profile.item_times_ms, 0) / MS_PER_DAY
    fresh: Floats = np.exp2(-ages_days / bundle.manifest.query_half_life_days).astype(np.float32)
    return fresh


def _take(array: Floats, rows: Rows) -> Floats:
    """`array[rows]`, without the copy where that is all of it."""
    count = len(array)
    if len(rows) == count and count and rows[0] == 0 and rows[-1] == count - 1 and (np.diff(rows) == 1).all():
        return array
    return array[rows]
