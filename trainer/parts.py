"""All parts of a bundle, fitted to one set of events: used once on the training part alone, once on everything."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interests.bundle import Bundle
from interests.bundle_arrays import BundleArrays, string_table
from interests.manifest import Manifest
from trainer.catalogue import Catalogue
from trainer.content.content import blend, content_idf, content_table, content_vectors, unit
from trainer.content.text_features import dense_part
from trainer.content.topics import find_topics, topic_shares, topic_vectors
from trainer.data import Events, positive
from trainer.encoder.export import Checked, Feed, export_encoder, export_fold_in, golden
from trainer.encoder.model import Encoder
from trainer.encoder.sequences import Sequences
from trainer.factorise import Factors, factorise, weight_matrix
from trainer.links.cold_neighbours import with_cold
from trainer.links.neighbours import LinkRule, neighbours, transitions
from trainer.links.popularity import debuts, log_share, recent_counts
from trainer.links.repeats import repeat_rates, visit_shares
from trainer.rules import Rules

LINKS_MAX, LINKS_MIN = 256, 32  # neighbours and transitions of an item
LINKS_ALL_MAX = 6_000_000  # of all items together: 48 MB each for rows and weights of both kinds
FOLD_IN_MAX = 256
HISTORY_MAX = 64  # as many recent interactions as a state keeps
SWEEPS = 6
TICKS = SWEEPS + 2
GOLDEN_CASES, PARITY_USERS = 3, 16

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Counted:
    """What counting and least squares find, before any gradient: the same inputs give the same bits.

    events: positive ones; counts (n,): interactions of each item; described (n, buckets): content features
    start (n, dim): unit item vectors that the encoder begins from
    """

    events: Events
    counts: npt.NDArray[np.int64]
    factors: Factors
    neighbours: tuple[npt.NDArray[np.int32], Floats]
    transitions: tuple[npt.NDArray[np.int32], Floats]
    described: sparse.csr_array
    start: Floats
    rule: LinkRule


def count(
    events: Events,
    described: sparse.csr_array,
    dim: int,
    seed: int,
    tick: Callable[[], None] = lambda: None,
    rules: Rules | None = None,
) -> Counted:
    """Factors, neighbours, transitions, and the item vectors (n, dim) that the encoder starts from."""
    known = positive(events)
    counts = np.bincount(known.items, minlength=known.item_count).astype(np.int64)
    weights = weight_matrix(known)
    rules, links = rules or Rules(), links_an_item(known.item_count)
    rule = rules.links
    factors = factorise(weights, dim, SWEEPS, seed, tick, rules.factors)
    beside = with_cold(*neighbours(known, weights, rule, links), described, counts)
    tick()
    after = transitions(known, rule, links)
    tick()
    start = blend(factors.items, content_vectors(described, unit(factors.items), counts), counts, seed)
    return Counted(known, counts, factors.whitened().lifted(), beside, after, described, start, rule)


def links_an_item(item_count: int) -> int:
    """How many links of a kind an item may have: many where the catalogue is small, fewer where it is large."""
    return max(LINKS_MIN, min(LINKS_MAX, LINKS_ALL_MAX // max(item_count, 1)))


def arrays(
    catalogue: Catalogue, counted: Counted, item_vectors: Floats, content_map: Floats, seed: int
) -> BundleArrays:
    """What is served of the items. item_vectors (n, dim): unit rows, as trained; content_map (features, dim)."""
    popularity, recent = log_share(counted.counts.astype(np.float64)), recent_counts(counted.events)
    topics = find_topics(catalogue, item_vectors, counted.counts, seed)
    first_seen = np.full(len(catalogue), np.iinfo(np.int64).max)
    np.minimum.at(first_seen, counted.events.items, counted.events.times_ms)
    first_seen[counted.counts == 0] = 0
    ids_bytes, ids_offsets = string_table(catalogue.item_ids)
    titles_bytes, titles_offsets = string_table(catalogue.titles)
    names_bytes, names_offsets = string_table(topics.names)
    content_ids, content_weights = content_table(counted.described)
    return BundleArrays(
        item_vectors=item_vectors,
        item_factors=counted.factors.items,
        item_topic_ids=topics.ids,
        item_topic_shares=topics.shares,
        neighbour_rows=counted.neighbours[0],
        neighbour_weights=counted.neighbours[1],
        transition_rows=counted.transitions[0],
        transition_weights=counted.transitions[1],
        popularity=popularity,
        recent_popularity=log_share(recent),
        first_seen_ms=first_seen,
        available=catalogue.available,
        topic_vectors=topic_vectors(topics, item_vectors),
        topic_shares=topic_shares(topics, recent),
        item_ids_bytes=ids_bytes,
        item_ids_offsets=ids_offsets,
        item_titles_bytes=titles_bytes,
        item_titles_offsets=titles_offsets,
        topic_names_bytes=names_bytes,
        topic_names_offsets=names_offsets,
        repeat_rates=repeat_rates(counted.events),
        visit_shares=visit_shares(counted.events),
        debut_popularity=log_share(recent_counts(debuts(counted.events))),
        content_ids=content_ids,
        content_weights=content_weights,
        content_vectors=dense_part(counted.described),
        content_idf=content_idf(counted.described).astype(np.float32),
        content_map=content_map.astype(np.float32),
    )


@dataclass(frozen=True)
class Models:
    """Both exported models, checked."""

    encoder: Checked
    mf: Checked

    def report(self) -> dict[str, float | None]:
        """How far each is from what it was made from."""
        return {
            "encoder_difference_max": self.encoder.difference_max,
            "mf_difference_max": self.mf.difference_max,
            "mf_cosine_min": self.mf.cosine_min,
        }


def models(encoder: Encoder, item_vectors: Floats, counted: Counted, props: dict[str, str]) -> Models:
    """Export, trying both on histories of real users: one alone, and a batch of several lengths."""
    users = np.unique(counted.events.users)[:PARITY_USERS]
    windows = Sequences(counted.events, HISTORY_MAX).latest(users)
    sequences: list[Feed] = []
    for part in (slice(0, 1), slice(0, len(users))):
        mask = windows.mask[part]
        sequences.append(
            {
                "item_vectors": item_vectors[windows.items[part]] * mask[:, :, None],
                "ages_days": windows.ages_days[part],
                "actions": windows.actions[part],
                "mask": mask,
            }
        )
    factors, once = counted.factors, windows.once()  # a fold-in is of distinct items
    folds: list[Feed] = [
        {"item_factors": factors.items[windows.items[part]] * once[part][:, :, None], "weights": once[part]}
        for part in (slice(0, 1), slice(0, len(users)))
    ]
    return Models(export_encoder(encoder, sequences, props), export_fold_in(factors.gram, factors.rule, folds, props))


def manifest(catalogue: Catalogue, made: BundleArrays, exported: Models, counted: Counted, interests: int) -> Manifest:
    """What the bundle says of itself, with the weights of a bundle that was never validated."""
    users = np.unique(counted.events.users)
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(users, min(GOLDEN_CASES, len(users)), replace=False)).astype(np.int32)
    windows = Sequences(counted.events, HISTORY_MAX).latest(chosen)
    histories: list[dict[str, Any]] = [
        {"rows": windows.items[w][kept], "ages_days": windows.ages_days[w][kept], "actions": windows.actions[w][kept]}
        for w, kept in enumerate(windows.once() > 0)
    ]
    return Manifest(
        version="unset",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        cutoff_ms=counted.events.cutoff_ms,
        item_count=len(catalogue),
        topic_count=len(made.topic_shares),
        dim=made.item_vectors.shape[1],
        factor_dim=made.item_factors.shape[1],
        interest_count=interests,
        history_max=HISTORY_MAX,
        fold_in_max=FOLD_IN_MAX,
        signal_weights=dict(UNLEARNED_WEIGHTS),
        query_half_life_days=14.0,
        transition_half_life=counted.rule.transition_half_life,
        neighbour_half_life=counted.rule.neighbour_half_life,
        neighbour_had=counted.rule.neighbour_had,
        diversity_default=0.3,
        entropy_mean=0.5,
        repeats_default="allow",
        golden=golden(exported.encoder.model, exported.mf.model, made.item_vectors, made.item_factors, histories),
    )


UNLEARNED_WEIGHTS = {
    "interest": 2.0,
    "mf": 1.0,
    "transition": 1.0,
    "neighbour": 1.0,
    "popularity": 1.0,
    "repeat": 2.0,
    "rebuy": 1.0,
    "lately": 0.0,
    "visit": 0.0,
    "debut": 0.0,
    "content": 1.0,
}


def with_manifest(made: Bundle, changes: dict[str, Any]) -> Bundle:
    """The same bundle, saying other things of itself."""
    return replace(made, manifest=made.manifest.model_copy(update=changes))
