"""Feeds keep their breadth over every stretch, across chunks, and repeat nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.query import Query
from ranking.target import plain
from ranking.topics import Mixes, calibration_kl, mix_of
from ranking.window import WINDOW, continued, spread

TOPICS = 5


def one_topic_each(topics):
    column = np.array(topics, dtype=np.int32)[:, None]
    return Mixes(column, (column >= 0).astype(np.float32))


def windows(topics):
    return [topics[start : start + WINDOW] for start in range(len(topics) - WINDOW + 1)]


def distance(mix, topics):
    return float(np.mean([calibration_kl(mix, mix_of(one_topic_each(part), TOPICS)) for part in windows(topics)]))


LISTS = st.lists(st.integers(-1, TOPICS - 1), min_size=1, max_size=40)


@given(topics=LISTS, before=LISTS, strength=st.floats(0, 1))
def test_an_order_holds_each_item_once(topics, before, strength):
    order = spread(one_topic_each(topics), np.full(TOPICS, 0.2, "f4"), one_topic_each(before), strength)
    assert sorted(order.tolist()) == list(range(len(topics)))


@given(topics=LISTS, before=LISTS)
def test_without_strength_or_a_mix_the_order_is_that_of_relevance(topics, before):
    for mix, strength in ((np.full(TOPICS, 0.2, "f4"), 0.0), (np.zeros(TOPICS, "f4"), 0.7)):
        order = spread(one_topic_each(topics), mix, one_topic_each(before), strength)
        assert order.tolist() == list(range(len(topics)))


def test_every_stretch_across_two_chunks_comes_near_the_mix():
    mix = np.array([0.6, 0.2, 0.2, 0, 0], dtype=np.float32)
    chunk = [0] * 12 + [1] * 4 + [2] * 4
    first = spread(one_topic_each(chunk), mix, one_topic_each([]), 0.5)
    fed = [chunk[place] for place in first]
    second = spread(one_topic_each(chunk), mix, one_topic_each(fed), 0.5)
    fed += [chunk[place] for place in second]
    assert distance(mix, fed) < 0.15 * distance(mix, chunk + chunk)
    assert max(calibration_kl(mix, mix_of(one_topic_each(part), TOPICS)) for part in windows(fed)) < 0.2


def test_a_chunk_begins_with_what_the_end_of_the_last_one_lacked():
    mix = np.array([0.5, 0.5, 0, 0, 0], dtype=np.float32)
    order = spread(one_topic_each([0, 0, 1, 1]), mix, one_topic_each([0] * 9), 0.5)
    assert order[:2].tolist() == [2, 3]


def test_what_a_feed_has_shown_counts_once_though_its_impressions_have_come(bundle, ada):
    rows = np.arange(6)
    aim = plain(ada.anchor)
    assert continued(bundle, ada, aim, rows).shown.sum() == pytest.approx(6.0)
    seen = replace(ada, exposure_rows=rows[:4].astype(np.int32), exposure_weights=np.ones(4, dtype=np.float32))
    assert continued(bundle, seen, aim, rows).shown.sum() == pytest.approx(2.0)


def test_a_feed_in_chunks_repeats_nothing_and_keeps_its_breadth_over_their_borders(bundle, ranker, ada):
    def feed(going_on):
        seen: list[str] = []
        for _ in range(4):
            before = tuple(seen) if going_on else ()
            slate = ranker.recommend(ada, Query(size=8, diversity=0.5), frozenset(seen), before)
            seen += [each.item_id for each in slate.items]
        return seen

    known = ada.anchor > 0.02
    mixes = {}
    for going_on in (True, False):
        seen = feed(going_on)
        assert len(set(seen)) == len(seen) == 32
        topics = [bundle.row_of[item_id] // 20 for item_id in seen]
        mixes[going_on] = [len({topic for topic in part if known[topic]}) for part in windows(topics)]
    assert np.mean(mixes[True]) >= np.mean(mixes[False])
    assert min(mixes[True]) >= 2
