"""Cells of item space with names: the catalogue's categories, or learned clusters where it has none."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.catalogue import Catalogue
from trainer.content.content import unit

TOPICS_MAX = 300
CLUSTERS_MAX = 48
ITEMS_A_CLUSTER = 12  # fewer clusters than items over this
KMEANS_ROUNDS = 25
KMEANS_SAMPLE = 20_000
OTHER = "Other"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Topics:
    """names (T); ids (n, m) int32, -1 padded; shares (n, m) float32, a row sums to 1, or to 0 without topics."""

    names: list[str]
    ids: npt.NDArray[np.int32]
    shares: Floats


def find_topics(catalogue: Catalogue, vectors: Floats, counts: npt.NDArray[np.int64], seed: int) -> Topics:
    """Categories where the catalogue has any, else clusters. counts (n,): interactions of each item."""
    if any(catalogue.categories):
        return _categories(catalogue, counts)
    return _clusters(catalogue, vectors, counts, seed)


def topic_vectors(topics: Topics, vectors: Floats) -> Floats:
    """Unit mean of each topic's items, (T, d)."""
    sums = np.zeros((len(topics.names), vectors.shape[1]), dtype=np.float64)
    for column in range(topics.ids.shape[1]):
        known = topics.ids[:, column] >= 0
        np.add.at(sums, topics.ids[known, column], vectors[known] * topics.shares[known, column, None])
    return unit(sums.astype(np.float32))


def topic_shares(topics: Topics, weights: npt.NDArray[np.float64]) -> Floats:
    """Each topic's share of weighted items, (T,), summing to 1; equal where nothing weighs."""
    known = topics.ids >= 0
    given = (topics.shares * weights[:, None])[known]
    total = np.bincount(topics.ids[known], weights=given, minlength=len(topics.names))
    mass = total.sum()
    if mass <= 0:
        return np.full(len(topics.names), 1.0 / max(len(topics.names), 1), dtype=np.float32)
    shares: Floats = (total / mass).astype(np.float32)
    return shares


def _categories(catalogue: Catalogue, counts: npt.NDArray[np.int64]) -> Topics:
    """The most frequent names; the rest are folded into one."""
    weight: Counter[str] = Counter()
    for names, count in zip(catalogue.categories, counts.tolist(), strict=True):
        for name in names:
            weight[name] += count + 1
    ranked = sorted(weight, key=lambda name: (-weight[name], name))
    kept = ranked if len(ranked) <= TOPICS_MAX else ranked[: TOPICS_MAX - 1]
    place = {name: topic for topic, name in enumerate(kept)}
    names = list(kept)
    if len(kept) < len(ranked):
        names.append(OTHER)
    width = max(map(len, catalogue.categories))
    ids = np.full((len(catalogue), width), -1, dtype=np.int32)
    shares = np.zeros((len(catalogue), width), dtype=np.float32)
    for row, mine in enumerate(catalogue.categories):
        topics = list(dict.fromkeys(place.get(name, len(kept)) for name in mine))
        ids[row, : len(topics)] = topics
        shares[row, : len(topics)] = 1.0 / max(len(topics), 1)
    return Topics(names, ids, shares)


def _clusters(catalogue: Catalogue, vectors: Floats, counts: npt.NDArray[np.int64], seed: int) -> Topics:
    """Spherical k-means over the items with interactions; all others go to the nearest centre."""
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(counts > 0)
    sample = known if len(known) <= KMEANS_SAMPLE else np.sort(rng.choice(known, KMEANS_SAMPLE, replace=False))
    points = vectors[sample]
    k = int(np.clip(len(sample) // ITEMS_A_CLUSTER, 1, CLUSTERS_MAX))
    centres = _spread_start(points, k, rng)
    for _ in range(KMEANS_ROUNDS):
        nearest = (points @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        empty = np.linalg.norm(sums, axis=1) < 1e-9
        sums[empty] = centres[empty]
        centres = unit(sums)
    cluster = (vectors @ centres.T).argmax(axis=1)
    used, cluster = np.unique(cluster, return_inverse=True)
    names = [_cluster_name(catalogue, np.flatnonzero(cluster == topic), counts) for topic in range(len(used))]
    shares = np.ones((len(vectors), 1), dtype=np.float32)
    return Topics(_distinct(names), cluster[:, None].astype(np.int32), shares)


def _spread_start(points: Floats, k: int, rng: np.random.Generator) -> Floats:
    """k-means++ on cosine distance. Arthur, Vassilvitskii, SODA 2007."""
    chosen = [int(rng.integers(len(points)))]
    distance = 1.0 - points @ points[chosen[0]]
    while len(chosen) < k:
        mass = np.maximum(distance, 0.0).astype(np.float64)
        total = mass.sum()
        pick = int(rng.choice(len(points), p=mass / total)) if total > 0 else int(rng.integers(len(points)))
        chosen.append(pick)
        distance = np.minimum(distance, 1.0 - points @ points[pick])
    return points[chosen].copy()


def _cluster_name(catalogue: Catalogue, rows: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> str:
    popular = rows[np.argsort(-counts[rows], kind="stable")]
    titles = dict.fromkeys(catalogue.titles[row] or catalogue.item_ids[row] for row in popular[:8])
    return " / ".join(list(titles)[:2])


def _distinct(names: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out
