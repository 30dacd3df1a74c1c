"""How one cold slate of 20 grows with the catalogue: 10,000, 100,000 and 1,000,000 items.

    python -m bench.growth [--json FILE] [--rounds N] [--items N ...]

Each size is a process of its own: random items around the centres of 300 topics, 64 dimensions, 50 neighbours each;
200 users with 60 items had of four topics, and four interests. Timed is from a profile to the slate's bytes, in
process. recall: of the about 500 candidates that exact search finds near a user's interests and factor, how many are
candidates here; the limit is .97. The p99 of each size stands against that of the smallest: at most twice.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import server as _server  # before numpy does anything: it pins BLAS to one thread, as when serving
from bench.report import Row, arguments, finish, percentile
from interests.bundle import Bundle
from interests.bundle_arrays import BundleArrays, string_table
from interests.events import Action
from interests.manifest import Manifest
from interests.profile import Profile, entropy, mix
from interests.state import InterestVectors
from ranking.identity import slate_id
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.retrieve import Retriever
from ranking.slate import Source
from server.wire import SlateWriter

ITEMS = (10_000, 100_000, 1_000_000)
TOPICS, DIM, NEIGHBOURS, HAD, INTERESTS, USERS = 300, 64, 50, 60, 4, 200
NOW_MS, DAY_MS, SEED = 1_760_000_000_000, 86_400_000, 5
CANDIDATES, RECALLED, RECALL_MIN = 1_200, 50, 0.97
WEIGHTS = {"interest": 0.5, "mf": 0.2, "transition": 0.3, "neighbour": 0.3, "popularity": 0.1, "repeat": 0.2}


def main() -> None:
    """Run all sizes, or one of them for the process that asked."""
    options = arguments(__doc__, rounds=3, more=_flags)
    if options.one:
        print(json.dumps(_measure(options.one, options.rounds)))
        return
    rows: list[Row] = []
    smallest: float | None = None
    for items in options.items:
        command = [sys.executable, "-m", "bench.growth", "--one", str(items), "--rounds", str(options.rounds)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        smallest = smallest or found["p99"]
        rows += [
            Row(f"{items:>9,} items, cold slate p50", found["p50"], "ms"),
            Row(f"{items:>9,} items, cold slate p99", found["p99"], "ms", smallest, found["p99"] / smallest),
            Row(
                f"{items:>9,} items, recall of exact candidates",
                found["recall"],
                "",
                RECALL_MIN,
                found["recall"] / RECALL_MIN,
            ),
            Row(f"{items:>9,} items, memory", found["rss_mib"], "MiB"),
        ]
    finish("A cold slate as the catalogue grows", rows, options.json, f"{USERS} users a round, one thread")


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--items", type=int, nargs="+", default=list(ITEMS), help="sizes of the catalogue")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)


def _measure(items: int, rounds: int) -> dict[str, float]:
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1", _server.__name__
    bundle = _bundle(items)
    people = [_someone(bundle, seed) for seed in range(USERS)]
    ranker, exact, writer = Ranker(bundle, may_approximate=True), Retriever(bundle), SlateWriter(bundle)
    query = Query()
    latencies_ms: list[float] = []
    gc.collect()
    gc.freeze()  # as in a server
    for round_number in range(rounds + 1):
        for profile in people:
            started_s = time.perf_counter()
            choice = ranker.choose(profile, query)
            writer.body(profile, choice, slate_id(profile, query), profile.user_id, {})
            if round_number:
                latencies_ms.append((time.perf_counter() - started_s) * 1000)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "p50": percentile(latencies_ms, 0.5),
        "p99": percentile(latencies_ms, 0.99),
        "recall": float(np.mean([_recall(ranker, exact, profile) for profile in people[:RECALLED]])),
        "rss_mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
    }


def _recall(ranker: Ranker, exact: Retriever, profile: Profile) -> float:
    """Of the candidates that exact search finds near the interests, the share that serving finds."""
    wanted = exact.retrieve(profile, CANDIDATES)
    near = wanted.rows[wanted.sources == Source.INTEREST]
    return float(np.isin(near, ranker.candidates(profile, CANDIDATES).rows).mean())


def _bundle(items: int) -> Bundle:
    rng = np.random.default_rng(SEED)
    topic = rng.integers(0, TOPICS, items)
    centres = _unit(rng.normal(size=(TOPICS, DIM)).astype(np.float32))
    vectors = _unit(centres[topic] + 0.6 * _unit(rng.normal(size=(items, DIM)).astype(np.float32)))
    popularity = rng.beta(1, 6, items).astype(np.float32)
    ids = string_table([f"item-{row:07d}" for row in range(items)])
    names = string_table([f"topic-{topic}" for topic in range(TOPICS)])
    links = rng.integers(0, items, (items, NEIGHBOURS), dtype=np.int32)
    weights = np.tile(np.linspace(1, 0.1, NEIGHBOURS, dtype=np.float32), (items, 1))
    arrays = BundleArrays(
        item_vectors=vectors,
        item_factors=vectors,
        item_topic_ids=topic[:, None].astype(np.int32),
        item_topic_shares=np.ones((items, 1), dtype=np.float32),
        neighbour_rows=links,
        neighbour_weights=weights,
        transition_rows=links[:, ::-1],
        transition_weights=weights,
        popularity=popularity,
        recent_popularity=popularity,
        first_seen_ms=np.full(items, NOW_MS - 100 * DAY_MS, dtype=np.int64),
        available=np.ones(items, dtype=np.bool_),
        topic_vectors=centres,
        topic_shares=(np.bincount(topic, minlength=TOPICS) / items).astype(np.float32),
        item_ids_bytes=ids[0],
        item_ids_offsets=ids[1],
        item_titles_bytes=ids[0],
        item_titles_offsets=ids[1],
        topic_names_bytes=names[0],
        topic_names_offsets=names[1],
    )
    return Bundle(_manifest(items), arrays, b"", b"")


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _someone(bundle: Bundle, seed: int) -> Profile:
    rng = np.random.default_rng(seed)
    about = np.flatnonzero(np.isin(bundle.arrays.item_topic_ids[:, 0], rng.choice(TOPICS, INTERESTS, replace=False)))
    rows = rng.choice(about, HAD, replace=False).astype(np.int32)
    weights = np.sort(rng.random(HAD).astype(np.float32))[::-1] + np.float32(0.01)
    weights /= weights.sum()
    times_ms = np.sort(NOW_MS - rng.integers(0, 60 * DAY_MS, HAD))
    actions = np.full(HAD, int(Action.CLICK), dtype=np.int32)
    anchor = mix(bundle, rows, weights)
    shares = np.array([0.4, 0.3, 0.2, 0.1], dtype=np.float32)
    interests = bundle.arrays.item_vectors[rows[:INTERESTS]]
    factor = bundle.arrays.item_factors[rows].T @ weights
    return Profile(
        user_id=f"user-{seed}",
        state_version=HAD,
        bundle_version=bundle.version,
        last_event_ms=int(times_ms[-1]),
        item_rows=rows,
        item_weights=weights,
        item_actions=actions,
        item_times_ms=times_ms,
        blocked_rows=rows[:0],
        recent_rows=rows,
        recent_times_ms=times_ms,
        recent_actions=actions,
        anchor=anchor,
        recent_mix=anchor,
        exposure_mix=np.zeros_like(anchor),
        exposure_weight=0.0,
        entropy=entropy(anchor),
        vectors=InterestVectors(bundle.version, interests, shares, factor),
    )


def _manifest(items: int) -> Manifest:
    return Manifest(
        version="growth",
        created_at="2026-01-01T00:00:00Z",
        cutoff_ms=NOW_MS,
        item_count=items,
        topic_count=TOPICS,
        dim=DIM,
        factor_dim=DIM,
        interest_count=INTERESTS,
        history_max=50,
        fold_in_max=64,
        signal_weights=WEIGHTS,
        query_half_life_days=14.0,
        diversity_default=0.3,
        entropy_mean=0.8,
        repeats_default="allow",
    )


if __name__ == "__main__":
    main()
