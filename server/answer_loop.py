"""From stored states to the bytes of their slates as one compiled call, for several users who ask the same.

    read ▶ what may be shown ▶ near, for several at once       then each: target, dial ▶ pick ▶ chance ▶ write

No turn of the interpreter between the steps and no lock held, so the event loop goes on beside it. What it does not do
is left to the steps one by one: who is unknown, slates that need a relaxation, large catalogues where an inverted file
finds what is near. Tests hold the two against each other, byte for byte.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interests import stored_loop
from interests.assembled import FIXED, Fixed
from interests.compiled import EXACT, compile_into, compiled, numba
from interests.stored_loop import NAMES, Names
from ranking.fast import aims, causes, explores, mixes
from ranking.retrieve import Parts
from ranking.whole import around, call, found
from ranking.whole.arrays import MF, PARTS, SHOP, Shop
from server import wire_loops

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

TOGETHER = 8  # users whose interests are looked for in one walk: more, and what it finds leaves the caches

DIVERSITY, MIX, TARGET_MIX, KL = 0x29, 0x3A, 0x42, 0x49  # fields of recommendations.proto, as in server/wire.py


class Desk(NamedTuple):
    """What a bundle fixes beside the arrays of items.

    topic_names, their ends: a string table; explored, explored_starts: rows by topic (ranking/explore.py); dials,
    strengths: the curve of ranking/dial.py; then the dial's default and its constants, those of ranking/target.py in
    their order, those of ranking/explore.py; how many topics of a mix are told, and causes of an item
    """

    topic_names: Bytes
    topic_name_ends: Rows
    explored: Rows
    explored_starts: Rows
    dials: Doubles
    strengths: Doubles
    default: float
    entropy_mean: float
    factor_min: float
    factor_max: float
    open_trust: float
    recent: float
    floor: float
    memory: float
    narrowed: float
    shown_trust: float
    events_trust: float
    explored_share: float
    chance_max: float
    new_share: float
    explore_from: int
    mix_topics_max: int
    causes_max: int


DESK = "u1 q1 q1 q1 d1 d1 d d d d d d d d d d d d d d q q q"


class Ask(NamedTuple):
    """What is asked. dial: NaN where it is left open; filters: whether items had are left out; weights (2, 11): of who
    has few items, of others; own (2,): what of them is not the same for everybody; few: items up to which that counts;
    known_items: of the manifest; prices (n,): NaN for none, or of length 0."""

    size: int
    pool: int
    dial: float
    filters: bool
    weights: Floats
    own: Doubles
    few: int
    known_items: int
    prices: Doubles


ASK = "q q d b f2 d1 q q d1"


class Answers(NamedTuple):
    """fine (n,): False where the steps are to be taken one by one; versions (n,): what the states say of themselves;
    rows (n, size); body: what follows the slate's names, one user's after the other's, each to its end."""

    fine: Mask
    versions: Rows
    rows: Rows
    body: Bytes
    ends: Rows


@lru_cache(maxsize=1)
def answerer() -> Callable[..., Answers] | None:
    """`answers`, compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    stored_loop.reader(), aims.aims(), around.surveyor(), call.picker()
    explores.ready(), causes.causes(), mixes.mix_kernels(), wire_loops.wire_loops()
    steps = ("_near", "_kind", "_answer", "_personal", "_trust", "_allowed", "_written", "_doubles", "_joined")
    compile_into(globals(), dict.fromkeys(steps, EXACT))
    static = ((Names, NAMES), (Fixed, FIXED), (Shop, SHOP), (Desk, DESK), (Ask, ASK), (Parts, PARTS))
    made: Callable[..., Answers] = compiled(answers, *static, "b1 u1 q1 d2")
    return made


def answers(
    names: Names, fixed: Fixed, shop: Shop, desk: Desk, ask: Ask, parts: Parts, available: Mask, data: Bytes,
    ends: Rows, draws: Doubles,
) -> Answers:  # fmt: skip
    """Slates of several users. data: stored states, each to its end (u,); draws (u, 2): chance, in [0, 1)"""
    users = len(ends)
    fine, versions = np.zeros(users, np.bool_), np.zeros(users, np.int64)
    rows = np.full((users, ask.size), -1, np.int64)
    body, body_ends, end = np.empty(2048 * users, np.uint8), np.empty(users, np.int64), 0
    for first in range(0, users, TOGETHER):
        reads, allowed = [], np.empty((min(TOGETHER, users - first), len(available)), np.bool_)
        for user in range(first, first + len(allowed)):
            read = stored_loop.read(data[ends[user - 1] if user else 0 : ends[user]], names, fixed)
            reads.append(read)
            allowed[user - first] = _allowed(available, read.parts.blocked_rows, read.parts.item_rows, ask.filters)
        open_rows = np.empty(len(reads), np.int64)
        for at in range(len(reads)):
            open_rows[at] = np.sum(allowed[at])
        near, near_ends = _near(reads, shop, ask, parts, allowed, open_rows)
        for at, read in enumerate(reads):
            user, mine = first + at, near[near_ends[at - 1] if at else 0 : near_ends[at]]
            fine[user], chosen, written = _answer(
                names, read, shop, desk, ask, parts, allowed[at], open_rows[at], mine, draws[user]
            )  # fmt: skip
            versions[user] = read.version
            rows[user, : len(chosen)] = chosen
            while end + len(written) > len(body):
                body = np.concatenate((body, np.empty_like(body)))
            body[end : end + len(written)] = written
            end += len(written)
            body_ends[user] = end
    return Answers(fine, versions, rows, body[:end], body_ends)


def _near(reads: Any, shop: Shop, ask: Ask, parts: Parts, allowed: Mask, open_rows: Rows) -> Any:
    """What is near these users' interests and factors, to each user's end."""
    count = 0
    for read in reads:
        count += len(read.interests)
    interests, shares = np.empty((count, shop.vectors.shape[1]), np.float32), np.empty(count, np.float32)
    whose, factors = np.empty(count, np.int64), np.zeros((len(reads), shop.factors.shape[1]), np.float32)
    by_factor, at = np.zeros(len(reads), np.bool_), 0
    for user, read in enumerate(reads):
        for interest in range(len(read.interests)):
            interests[at], shares[at], whose[at] = read.interests[interest], read.shares[interest], user
            at += 1
        if len(read.factor) == factors.shape[1]:
            factors[user] = read.factor
            by_factor[user] = found.counts(shop, ask.weights[_kind(ask, len(read.parts.item_rows))], MF)
    return around.around(shop, parts, interests, shares, whose, factors, by_factor, allowed, open_rows)


def _kind(ask: Ask, had: int) -> Any:
    """Which of the weights count for who had so many items."""
    return 0 if had <= ask.few else 1


def _answer(
    names: Names, read: Any, shop: Shop, desk: Desk, ask: Ask, parts: Parts, allowed: Mask, open_rows: int, near: Rows,
    draw: Doubles,
) -> Any:  # fmt: skip
    nothing, unwritten = np.empty(0, np.int64), np.empty(0, np.uint8)
    seen = read.parts
    had = len(seen.item_rows)
    kind = _kind(ask, had)
    weights = ask.weights[kind]
    if not read.fine or had == 0 or not np.any(weights != 0.0):
        return False, nothing, unwritten
    mix, shown, protection = aims.aim(
        seen.anchor, seen.recent_mix, seen.exposure_mix, seen.exposure_weight, len(seen.recent_rows),
        shop.topics_lately, desk.recent, desk.floor, desk.memory, desk.narrowed, desk.shown_trust, desk.events_trust,
    )  # fmt: skip
    dial = ask.dial
    strength = aims.between(dial, desk.dials, desk.strengths)
    if math.isnan(dial):
        factor = _personal(shop, desk, seen)
        dial, strength = aims.dials(desk.default, factor, desk.dials, desk.strengths)
    told, told_shares = read.interests, read.shares
    if len(seen.told_shares):
        told, told_shares = seen.told_vectors, seen.told_shares
    picked = call.pick(
        shop, seen.item_rows, seen.item_weights, seen.item_times_ms, seen.recent_rows, seen.recent_times_ms,
        seen.recent_actions, seen.blocked_rows, read.last_event_ms, seen.anchor, seen.exposure_rows,
        seen.exposure_weights, read.interests, read.shares, read.factor, told, told_shares, parts, ask.pool, allowed,
        open_rows, near, weights, _trust(ask, kind, had), mix, shown, protection, strength, ask.size,
        call.CHOSEN,
    )  # fmt: skip
    if len(picked.rows) < ask.size:
        return False, nothing, unwritten
    chance = min(desk.explored_share * ask.size, desk.chance_max)
    explored: Any = np.int64(-1)
    propensity = 0.0
    if dial > 0.0 and ask.size >= desk.explore_from:
        among = (shop.topics_lately, desk.new_share, picked.rows, allowed, desk.explored, desk.explored_starts)
        explored, propensity = explores.drawn(chance, draw[0], draw[1], mix, *among)
    if explored >= 0:
        slate = (picked.rows, picked.scores, picked.sources, picked.serves)
        explores.with_drawn(explored, *slate, shop.topic_ids, shop.topic_shares)
    written = _written(names, shop, desk, ask, seen, picked, told, told_shares, dial, mix, shown, explored, propensity)
    return True, picked.rows, written


def _personal(shop: Shop, desk: Desk, seen: Any) -> Any:
    """The personal factor (ranking/dial.py)."""
    if desk.entropy_mean <= 0.0:
        return 1.0
    exposed = (seen.exposure_rows, seen.exposure_weights, seen.item_rows, shop.topic_ids, shop.topic_shares)
    opened = aims.openness(seen.anchor, *exposed, desk.open_trust) if len(seen.exposure_rows) else 0.0
    return min(max(seen.entropy / desk.entropy_mean * (1.0 + opened), desk.factor_min), desk.factor_max)


def _trust(ask: Ask, kind: int, had: int) -> Any:
    """As in ranking/score.py."""
    known = min(1.0, had / ask.known_items) ** 0.5 if ask.known_items else 1.0
    return min(1.0, known / ask.own[kind]) if ask.own[kind] > 0.0 else 1.0


def _allowed(available: Mask, blocked: Any, had: Any, filters: bool) -> Mask:
    """What may be shown (ranking/filter.py), where nothing more is asked."""
    allowed = available.copy()
    for row in blocked:
        allowed[row] = False
    if filters:
        for row in had:
            allowed[row] = False
    return allowed


def _written(
    names: Names, shop: Shop, desk: Desk, ask: Ask, seen: Any, picked: Any, told: Floats, told_shares: Floats,
    dial: float, mix: Floats, shown: Floats, explored: int, propensity: float,
) -> Bytes:  # fmt: skip
    """The slate from its diversity on (server/wire.py)."""
    aim = aims.owed(mix, shown, len(picked.rows))
    topics, made, kl = mixes.made_of(picked.rows, shop.topic_ids, shop.topic_shares, aim)
    why = causes.brought(
        picked.rows, picked.sources, picked.serves, seen.item_rows, seen.recent_rows, told, told_shares, shop.vectors,
        picked.transition_rows, picked.by_transition, shop.transition_rows, shop.transition_weights,
        picked.neighbour_rows, picked.by_neighbour, shop.neighbour_rows, shop.neighbour_weights, desk.causes_max,
    )  # fmt: skip
    prices = np.full(len(picked.rows), np.nan)
    if len(ask.prices):
        prices[:] = ask.prices[picked.rows]
    by_chance = len(picked.rows) - 1 if explored >= 0 else -1
    names_of_topics = (desk.topic_names, desk.topic_name_ends)
    items = wire_loops.write_items(
        names.ids, names.ends, *names_of_topics, picked.rows, _doubles(picked.scores.astype(np.float64)),
        picked.sources, picked.serves, topics, why, seen.item_rows, seen.item_actions, seen.item_times_ms,
        seen.recent_rows, seen.recent_actions, seen.recent_times_ms, ~np.isnan(prices), _doubles(prices),
        by_chance, _doubles(np.array([propensity])),
    )  # fmt: skip
    most = desk.mix_topics_max
    of_slate = wire_loops.write_mix(MIX, made, _doubles(made.astype(np.float64)), most, *names_of_topics)
    of_target = wire_loops.write_mix(TARGET_MIX, aim, _doubles(aim.astype(np.float64)), most, *names_of_topics)
    numbers = np.empty(18, np.uint8)
    first = wire_loops.write_double(numbers, 0, DIVERSITY, _doubles(np.array([dial])), 0)
    last = wire_loops.write_double(numbers, first, KL, _doubles(np.array([kl])), 0)
    return _joined(numbers[:first], items, of_slate, of_target, numbers[first:last])


def _doubles(values: Doubles) -> Bytes:
    """The eight bytes of each, as protobuf has them."""
    return values.view(np.uint8)


def _joined(a: Bytes, b: Bytes, c: Bytes, d: Bytes, e: Bytes) -> Bytes:
    out, end = np.empty(len(a) + len(b) + len(c) + len(d) + len(e), np.uint8), 0
    for part in (a, b, c, d, e):
        out[end : end + len(part)] = part
        end += len(part)
    return out
