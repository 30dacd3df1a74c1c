"""What was shown in vain gives way."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interests.events import Action
from ranking.fatigue import tired
from ranking.query import Query
from tests.support.tiny_bundle import item


def shown(profile, rows, times):
    weights = np.full(len(rows), times, dtype=np.float32)
    return replace(profile, exposure_rows=np.array(rows, dtype=np.int32), exposure_weights=weights)


def test_an_item_shown_again_and_again_without_being_taken_falls_behind(bundle, ranker, ada):
    first = ranker.recommend(ada, Query(size=119, diversity=0.0))
    top = next(each.item_id for each in first.items if bundle.row_of[each.item_id] not in ada.item_rows)
    bored = shown(ada, [bundle.row_of[top]], 8.0)
    places = [
        [each.item_id for each in ranker.recommend(one, Query(size=119, diversity=0.0)).items].index(top)
        for one in (ada, bored)
    ]
    assert places[1] > places[0]


def test_nobody_tires_of_what_they_had(bundle, ada):
    rows = np.arange(bundle.manifest.item_count)
    relevance = np.ones(len(rows), dtype=np.float32)
    after = tired(shown(ada, rows, 5.0), rows, relevance)
    assert (after[ada.item_rows] == 1.0).all()
    assert (np.delete(after, ada.item_rows) < 0.2).all()


@given(times=st.floats(0, 1e6), relevance=st.floats(-10, 10, width=32))
def test_it_never_turns_an_order_of_equals_around_or_lifts_anything(bundle, cold, times, relevance):
    row = np.array([3], dtype=np.int64)
    after = tired(shown(cold, [3], times), row, np.array([relevance], dtype=np.float32))
    assert np.isfinite(after).all()
    assert after[0] <= relevance
    assert (after[0] > 0) == (relevance > 0) or after[0] == pytest.approx(0.0, abs=1e-4)


def test_without_impressions_nothing_changes(ada):
    relevance = np.array([0.5, 0.2], dtype=np.float32)
    assert tired(ada, np.array([1, 2]), relevance) is relevance


def test_an_impression_that_was_answered_is_no_bore(person, bundle):
    answered = person([(item(1, 4), Action.IMPRESSION), (item(1, 4), Action.PURCHASE)])
    vain = person([(item(1, 4), Action.IMPRESSION), (item(1, 5), Action.PURCHASE)])
    row, relevance = np.array([bundle.row_of[item(1, 4)]]), np.ones(1, dtype=np.float32)
    assert tired(answered, row, relevance)[0] == 1.0
    assert tired(vain, row, relevance)[0] < 0.6
