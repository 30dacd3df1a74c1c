"""What each stage of one whole slate takes: from a state at hand to the bytes of a message.

    retrieve   pulls and candidates
    score      relevance, weariness, the pool of the best
    rerank     the set and its order
    compose    reasons, mixes, the message
    between    dial, target, what may be shown, chance

Picking is one compiled call, so it is measured by ending it early: after retrieval, after scoring, and not at all.
One process, one thread, users in turn, so that no user's data lie in a cache already.
"""

import statistics
import time
from collections.abc import Callable

from bench.report import Row
from bench.world import World, user
from interests.profile import Profile
from interests.stores import open_store
from ranking.dial import diversity, strength
from ranking.filter import Mask, allow
from ranking.identity import slate_id
from ranking.pick import Held
from ranking.query import Query
from ranking.score import Weights, weights_for
from ranking.target import target
from ranking.whole.arrays import Picked
from ranking.whole.call import CHOSEN, FOUND, SCORED
from server.bundles import build
from server.states import Serving, fresh_view

USERS_TIMED, ROUNDS = 400, 3
SIZE = 20
RERANK_SHARE_MAX = 1 / 3
RERANKED_MIN = 200


def stages(shop: World, store_url: str) -> list[Row]:
    """Medians over users in us, the share of reranking, and how many candidates it had. Needs numba."""
    serving, store = build(shop.bundles, "cpu"), open_store(store_url, read_only=True)
    states = store.get([user(number) for number in range(USERS_TIMED)]).values()
    profiles = [fresh_view(state, serving).profile for state in states]
    store.close()
    query = Query(size=SIZE)
    picks = {upto: _picks(serving, query, upto) for upto in (FOUND, SCORED, CHOSEN)}
    found, scored, chosen = (_median_us(profiles, pick) for pick in picks.values())
    choosing = _median_us(profiles, lambda profile: serving.ranker.choose(profile, query))
    whole = _median_us(profiles, lambda profile: _whole(serving, profile, query))
    spent = {
        "retrieve": found,
        "score": scored - found,
        "rerank": chosen - scored,
        "compose": whole - choosing,
        "between": choosing - chosen,
        "whole": whole,
    }
    rows = [Row(f"one slate of {SIZE}: {stage}", max(value, 0.0), "us") for stage, value in spent.items()]
    reranked = [picks[SCORED](profile).candidates for profile in profiles]
    return [
        *rows,
        Row("rerank, share of the whole", spent["rerank"] / whole, "", RERANK_SHARE_MAX),
        Row("candidates reranked", statistics.median(reranked), "", RERANKED_MIN),
    ]


def _picks(serving: Serving, query: Query, upto: int) -> Callable[[Profile], Picked]:
    bundle, picker = serving.bundle, serving.ranker.picker
    ready: dict[int, tuple[Held, Weights, Mask]] = {}

    def pick(profile: Profile) -> Picked:
        if id(profile) not in ready:
            firmly = strength(bundle, diversity(bundle, profile, query.diversity))
            weights = weights_for(bundle, query.repeats, len(profile.item_rows))
            ready[id(profile)] = Held(target(bundle, profile), firmly), weights, allow(bundle, profile, query).rows
        return picker.compiled(profile, *ready[id(profile)], query.size, upto)

    return pick


def _whole(serving: Serving, profile: Profile, query: Query) -> bytes:
    choice = serving.ranker.choose(profile, query)
    return serving.writer.body(profile, choice, slate_id(profile, query), profile.user_id, {})


def _median_us(profiles: list[Profile], step: Callable[[Profile], object]) -> float:
    spent: list[float] = []
    for round_number in range(ROUNDS + 1):
        for profile in profiles:
            started_ns = time.perf_counter_ns()
            step(profile)
            if round_number:
                spent.append((time.perf_counter_ns() - started_ns) / 1000)
    return statistics.median(spent)
