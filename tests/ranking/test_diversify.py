"""Every method keeps the same promises; each keeps those of its own definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyversity import Strategy, diversify

from ranking.diversify import METHODS, calibrated, dpp, mmr
from ranking.diversify.residual import EPSILON
from ranking.topics import Mixes, calibration_kl, mix_of

ALL = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
TOPICS = 5


def unit(vectors):
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def case(seed, n=30, dim=6, ties=False):
    """Random candidates: relevance, vectors, mixes, target. Some vectors twice, one empty, some items without topic."""
    rng = np.random.default_rng(seed)
    relevance = rng.integers(0, 4, n).astype(np.float32) if ties else rng.normal(size=n).astype(np.float32)
    vectors = unit(rng.normal(size=(n, dim)))
    if n > 4:
        vectors[1], vectors[2] = vectors[0], 0.0
    topics = np.stack([rng.integers(-1, TOPICS, n), np.full(n, -1)], axis=1).astype(np.int32)
    shares = (topics >= 0).astype(np.float32)
    target = rng.dirichlet(np.ones(TOPICS)).astype(np.float32)
    return relevance, vectors, Mixes(topics, shares), target


@ALL
@given(seed=st.integers(0, 10_000), n=st.integers(0, 30), size=st.integers(0, 40), dial=st.floats(0, 1))
def test_it_picks_as_many_as_there_are_each_once_and_the_same_every_time(method, seed, n, size, dial):
    candidates = case(seed, n)
    picks = method(*candidates, size, dial)
    assert len(picks) == min(size, n)
    assert len(set(picks)) == len(picks)
    assert all(0 <= pick < n for pick in picks)
    assert picks == method(*candidates, size, dial)


@ALL
@given(seed=st.integers(0, 10_000), size=st.integers(0, 40), ties=st.booleans())
def test_a_dial_of_zero_gives_relevance_order_exactly(method, seed, size, ties):
    candidates = case(seed, ties=ties)
    assert method(*candidates, size, 0.0) == np.argsort(-candidates[0], kind="stable")[:size].tolist()


@ALL
@given(seed=st.integers(0, 10_000), dial=st.floats(0, 1))
def test_the_order_of_the_candidates_is_no_reason(method, seed, dial):
    relevance, vectors, mixes, target = case(seed)
    vectors[1] = unit(np.random.default_rng(seed + 1).normal(size=(1, vectors.shape[1])))  # no ties
    order = np.random.default_rng(seed).permutation(len(relevance))
    shuffled = (relevance[order], vectors[order], Mixes(mixes.topics[order], mixes.shares[order]), target)
    picks = method(relevance, vectors, mixes, target, 6, dial)
    assert order[method(*shuffled, 6, dial)].tolist() == picks


@ALL
@given(seed=st.integers(0, 10_000), dial=st.floats(0, 1))
def test_equals_may_trade_places_but_never_change_what_is_worth_choosing(method, seed, dial):
    relevance, vectors, mixes, target = case(seed, n=8)
    twice = [np.concatenate([part, part]) for part in (relevance, vectors, *mixes)]
    doubled = (twice[0], twice[1], Mixes(twice[2], twice[3]), target)
    swapped = np.concatenate([np.arange(8, 16), np.arange(8)])
    traded = (twice[0][swapped], twice[1][swapped], Mixes(twice[2][swapped], twice[3][swapped]), target)
    assert [p % 8 for p in method(*doubled, 10, dial)] == [p % 8 for p in method(*traded, 10, dial)]


@ALL
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["relevance", "vectors", "shares", "target"])
def test_what_is_no_number_is_refused(method, bad, place):
    relevance, vectors, mixes, target = case(0)
    {"relevance": relevance, "vectors": vectors[0], "shares": mixes.shares[0], "target": target}[place][0] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        method(relevance, vectors, mixes, target, 5, 0.5)


@ALL
@pytest.mark.parametrize("dial", [-0.01, 1.01, np.nan])
def test_a_dial_outside_its_range_is_refused(method, dial):
    with pytest.raises(ValueError, match="diversity"):
        method(*case(0), 5, dial)


@ALL
def test_shapes_that_do_not_fit_are_refused(method):
    relevance, vectors, mixes, target = case(0)
    with pytest.raises(ValueError, match="do not fit"):
        method(relevance, vectors[:-1], mixes, target, 5, 0.5)
    with pytest.raises(ValueError, match="do not fit"):
        method(relevance, vectors, Mixes(mixes.topics[:-1], mixes.shares[:-1]), target, 5, 0.5)
    with pytest.raises(ValueError, match="has topic"):
        method(relevance, vectors, mixes, target[:2], 5, 0.5)


@ALL
@pytest.mark.parametrize("dial", [0.5, 1.0])
def test_poor_candidates_are_still_chosen_from(method, dial):
    relevance, vectors, mixes, target = case(0)
    none = Mixes(np.full((30, 0), -1, dtype=np.int32), np.zeros((30, 0), dtype=np.float32))
    one = Mixes(np.zeros((30, 1), dtype=np.int32), np.ones((30, 1), dtype=np.float32))
    alike, empty = np.repeat(vectors[:1], 30, axis=0), np.zeros_like(vectors)
    for poor in (
        (relevance, alike, mixes, target),
        (relevance, empty, mixes, target),
        (relevance, vectors, one, target[:1]),
        (relevance, vectors, none, target[:0]),
        (np.zeros_like(relevance), vectors, mixes, target),
        (relevance, vectors, mixes, np.zeros_like(target)),
    ):
        assert len(set(method(*poor, 12, dial))) == 12


@given(seed=st.integers(0, 100_000), dial=st.floats(0.01, 0.95))  # at 1 all are equal, and equals are ours to order
def test_mmr_picks_what_pyversity_picks(seed, dial):
    rng = np.random.default_rng(seed)
    relevance, vectors = rng.random(80).astype(np.float32), unit(rng.normal(size=(80, 16)))
    theirs = diversify(vectors, relevance, k=15, strategy=Strategy.MMR, diversity=dial)
    assert mmr(relevance, vectors, *no_topics(80), 15, dial) == theirs.indices.tolist()


@settings(max_examples=200)
@given(seed=st.integers(0, 100_000), dial=st.floats(0.01, 0.95))
def test_dpp_picks_what_pyversity_picks(seed, dial):
    rng = np.random.default_rng(seed)
    relevance, vectors = rng.random(80).astype(np.float32), unit(rng.normal(size=(80, 32)))
    theirs = diversify(vectors, relevance, k=15, strategy=Strategy.DPP, diversity=dial)
    assert dpp(relevance, vectors, *no_topics(80), 15, dial) == theirs.indices.tolist()


@given(seed=st.integers(0, 10_000), rank=st.integers(1, 5), dial=st.floats(0.01, 1))
def test_dpp_past_the_rank_of_its_candidates_goes_on_by_relevance(seed, rank, dial):
    rng = np.random.default_rng(seed)
    relevance = rng.random(40).astype(np.float32)
    vectors = unit(rng.normal(size=(40, rank)) @ rng.normal(size=(rank, 12)))
    picks = dpp(relevance, vectors, *no_topics(40), 15, dial)
    spanning = np.linalg.matrix_rank(vectors[picks].astype(np.float64), tol=EPSILON)
    rest = picks[rank:]
    assert spanning <= rank
    assert relevance[rest].tolist() == sorted(relevance[rest].tolist(), reverse=True)


@given(seed=st.integers(0, 10_000))
def test_the_calibrated_set_comes_in_order_of_relevance(seed):
    relevance, *rest = case(seed)
    picked = relevance[calibrated(relevance, *rest, 10, 0.7)]
    assert picked.tolist() == sorted(picked.tolist(), reverse=True)


@given(seed=st.integers(0, 10_000))
def test_a_wider_dial_comes_no_further_from_the_target_than_none(seed):
    relevance, vectors, mixes, target = case(seed, n=60)
    kls = [slate_kl(mixes, target, calibrated(relevance, vectors, mixes, target, 10, dial)) for dial in (0.0, 1.0)]
    assert kls[1] <= kls[0] + 1e-6


@given(seed=st.integers(0, 10_000))
def test_each_calibrated_pick_is_the_best_next_one_by_the_formula_written_out(seed):
    relevance, vectors, mixes, target = case(seed, n=25, dim=40)
    vectors[1] = unit(np.random.default_rng(seed + 1).normal(size=(1, 40)))
    size, dial = 6, 0.4
    scaled = (relevance - relevance.min()) / (relevance.max() - relevance.min())

    def worth(chosen):
        held = np.zeros(TOPICS)
        for place in chosen:
            held[mixes.topics[place][mixes.topics[place] >= 0]] += 1.0 / size
        kl = calibration_kl(target, held)
        known = [place for place in chosen if vectors[place].any()]
        volume = np.linalg.slogdet(vectors[known].astype(np.float64) @ vectors[known].T)[1] if known else 0.0
        closeness = 1 - kl / np.log(100) + 0.25 * volume / size / -np.log(EPSILON)
        return (1 - dial) * scaled[chosen].sum() / size + dial * closeness

    best: list[int] = []
    for _ in range(size):
        best.append(max(set(range(25)) - set(best), key=lambda place: worth([*best, place])))
    assert set(calibrated(relevance, vectors, mixes, target, size, dial)) == set(best)


def test_a_near_duplicate_gives_way_to_something_new_of_its_topic():
    vectors = unit(np.array([[1, 0, 0], [1, 0.001, 0], [0.5, 0.8, 0.2]]))
    relevance = np.array([1.0, 0.99, 0.9, 0.0], dtype=np.float32)
    vectors = np.vstack([vectors, [[0, 0, 1]]]).astype(np.float32)
    mixes = Mixes(np.array([[0], [0], [0], [1]], dtype=np.int32), np.ones((4, 1), dtype=np.float32))
    target = np.array([1.0, 0.0], dtype=np.float32)
    assert calibrated(relevance, vectors, mixes, target, 2, 0.5) == [0, 2]


def no_topics(n):
    empty = Mixes(np.zeros((n, 0), dtype=np.int32), np.zeros((n, 0), dtype=np.float32))
    return empty, np.zeros(0, dtype=np.float32)


def slate_kl(mixes, target, picks):
    return calibration_kl(target, mix_of(Mixes(mixes.topics[picks], mixes.shares[picks]), len(target)))
