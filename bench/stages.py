"""What each stage of one whole slate takes: from a state at hand to the bytes of a message.

    retrieve   what may be shown, pulls, candidates
    score      relevance, weariness, the pool of the best
    rerank     dial, target, the set and its order
    compose    reasons, mixes, the message

One process, one thread, users in turn, so that no user's data lie in a cache already.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from bench.report import Row
from bench.world import World, user
from interests.stores import open_store
from ranking import recommend
from ranking.identity import slate_id
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.retrieve import Retriever
from server.bundles import build
from server.states import fresh_view

STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "retrieve": ((recommend, "allow"), (recommend, "pull"), (Retriever, "retrieve")),
    "score": ((recommend, "relevance"), (recommend, "tired"), (recommend, "pool")),
    "rerank": (
        (recommend, "diversity"),
        (recommend, "strength"),
        (recommend, "target"),
        (recommend, "continued"),
        (Ranker, "_diversify"),
    ),
}
USERS_TIMED, ROUNDS = 400, 3
SIZE = 20
RERANK_SHARE_MAX = 1 / 3
RERANKED_MIN = 200


def stages(shop: World, store_url: str) -> list[Row]:
    """Medians over users in us, the share of reranking, and how many candidates it had."""
    serving, store = build(shop.bundles, "cpu"), open_store(store_url, read_only=True)
    states = store.get([user(number) for number in range(USERS_TIMED)]).values()
    profiles = [fresh_view(state, serving).profile for state in states]
    spent: dict[str, list[float]] = defaultdict(list)
    reranked: list[int] = []
    query = Query(size=SIZE)
    with _timed(spent, reranked):
        for _ in range(ROUNDS):
            for profile in profiles:
                started_ns = time.perf_counter_ns()
                choice = serving.ranker.choose(profile, query)
                chosen_ns = time.perf_counter_ns()
                name = slate_id(profile, query)
                serving.writer.body(profile, choice, name, profile.user_id, {})
                ended_ns = time.perf_counter_ns()
                spent["compose"].append((ended_ns - chosen_ns) / 1000)
                spent["whole"].append((ended_ns - started_ns) / 1000)
    store.close()
    count = len(profiles) * ROUNDS
    whole = statistics.median(spent.pop("whole"))
    # A stage is several steps: what one slate spends on all of them.
    figures = {stage: statistics.median(_per_slate(values, count)) for stage, values in spent.items()}
    figures["between"] = max(whole - sum(figures.values()), 0.0)
    rows = [Row(f"one slate of {SIZE}: {stage}", value, "us") for stage, value in figures.items()]
    rows.append(Row(f"one slate of {SIZE}: whole", whole, "us"))
    rows.append(Row("rerank, share of the whole", figures["rerank"] / whole, "", RERANK_SHARE_MAX))
    rows.append(Row("candidates reranked", statistics.median(reranked), "", RERANKED_MIN))
    return rows


def _per_slate(values: list[float], count: int) -> list[float]:
    steps = len(values) // count
    return [sum(values[start : start + steps]) for start in range(0, len(values), steps)]


@contextmanager
def _timed(spent: dict[str, list[float]], reranked: list[int]) -> Iterator[None]:
    """Each step of the stages adds what it takes to its stage's list."""
    originals = [(owner, name, getattr(owner, name)) for steps in STAGES.values() for owner, name in steps]
    try:
        for stage, steps in STAGES.items():
            for owner, name in steps:
                setattr(owner, name, _watched(getattr(owner, name), spent[stage]))
        diversify = Ranker._diversify

        def counted(ranker: Ranker, rows: Any, *more: Any) -> Any:
            reranked.append(len(rows))
            return diversify(ranker, rows, *more)

        Ranker._diversify = counted  # type: ignore[assignment]
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def _watched(step: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    @wraps(step)
    def watched(*args: Any, **kwargs: Any) -> Any:
        started_ns = time.perf_counter_ns()
        try:
            return step(*args, **kwargs)
        finally:
            spent.append((time.perf_counter_ns() - started_ns) / 1000)

    return watched
