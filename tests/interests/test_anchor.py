"""What a person is in the long run: slow to take on, slow to let go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interests import bundle as bundles
from interests.absorb import absorb
from interests.anchor import ripe, steady
from interests.bundle import Bundle
from interests.encoder import Encoder
from interests.events import Action, Interaction, LogEntry
from interests.profile import Profile, mix, profile
from interests.state import InterestState
from tests.support import tiny_bundle
from tests.support.entries import DAY_MS, LOG, START_MS
from tests.support.tiny_bundle import ITEMS_A_TOPIC, item

Act = tuple[int, int, float]
"""(topic, item number, day)"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("bundle")))


def living(bundle: Bundle, acts: list[Act], shown: list[Act] | None = None) -> Profile:
    """A profile after purchases, and impressions just before those of the same day."""
    events = [(day, Action.PURCHASE, item(topic, number % ITEMS_A_TOPIC)) for topic, number, day in acts]
    events += [
        (day - 0.01, Action.IMPRESSION, item(topic, number % ITEMS_A_TOPIC)) for topic, number, day in shown or []
    ]
    entries = []
    for offset, (day, action, item_id) in enumerate(sorted(events)):
        time_ms = START_MS + int(day * DAY_MS)
        entries.append(LogEntry(LOG, offset, time_ms, "ada", Interaction("ada", item_id, action, time_ms)))
    state = absorb(InterestState("ada"), entries)
    return profile(state, bundle, Encoder(bundle).vectors([state])[0])


def settled(days: int = 120) -> list[Act]:
    """Two topics, turn about, every third day."""
    return [(day // 3 % 2, day // 6, float(day)) for day in range(0, days, 3)]


def test_a_burst_hardly_moves_the_anchor_though_it_fills_the_recent_mix(bundle: Bundle) -> None:
    burst = [(5, number, 121.0 + number / 100) for number in range(30)]
    found = living(bundle, settled() + burst)
    assert found.recent_mix[5] > 0.7
    assert found.anchor[5] < 0.15


def test_the_anchor_follows_where_a_person_really_moves_on(bundle: Bundle) -> None:
    shares = []
    for days in (7, 30, 90, 180):
        moved = [(5, number, 120.0 + 3 * number) for number in range(days // 3)]
        shares.append(float(living(bundle, settled() + moved).anchor[5]))
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] > 0.6


def test_it_follows_a_move_that_slates_prompted_too_but_later(bundle: Bundle) -> None:
    moved = [(5, number, 120.0 + 3 * number) for number in range(40)]
    alone, prompted = living(bundle, settled() + moved), living(bundle, settled() + moved, moved)
    assert prompted.anchor[5] < alone.anchor[5]
    assert prompted.anchor[5] > 0.25


def test_what_was_taken_as_it_was_shown_says_less_for_a_month_and_in_full_after_it(bundle: Bundle) -> None:
    taken = [(5, number, 120.0 + number / 100) for number in range(5)]
    for later, less in ((145.0, True), (160.0, False)):
        lived = settled() + taken + [(0, 15, later)]
        alone, prompted = living(bundle, lived), living(bundle, lived, taken)
        wanted = 0.15 if less else 1.0
        assert prompted.anchor[5] / alone.anchor[5] == pytest.approx(wanted, abs=0.02)


def test_a_history_of_one_evening_is_taken_as_it_is(bundle: Bundle) -> None:
    acts = [(topic, number, number / 10_000) for number, topic in enumerate([0] * 5 + [1] * 3 + [2] * 2)]
    found = living(bundle, acts)
    assert found.anchor[:3] == pytest.approx([0.5, 0.3, 0.2], abs=0.01)


@given(
    acts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 19), st.floats(0, 400)), min_size=1, max_size=150),
    shown=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 19), st.floats(0, 400)), max_size=20),
)
def test_it_is_a_mix_of_topics_the_user_had_whatever_the_past(
    bundle: Bundle, acts: list[Act], shown: list[Act]
) -> None:
    found = living(bundle, acts, shown)
    had = mix(bundle, found.item_rows, found.item_weights)
    assert found.anchor.sum() == pytest.approx(1.0, abs=1e-4)
    assert (found.anchor[had == 0] == 0).all()
    assert (found.anchor >= 0).all()


@given(age=st.floats(0, 10_000), more=st.floats(0, 100))
def test_ripeness_grows_with_age(age: float, more: float) -> None:
    assert 0 < float(ripe(age)) <= float(ripe(age + more)) <= 1
    assert float(ripe(np.array(28.0))) == pytest.approx(0.51)


def test_what_came_all_at_once_counts_little_even_when_it_is_old(bundle: Bundle) -> None:
    burst = [(5, number, 121.0 + number / 100) for number in range(20)]
    after = [(0 if day % 6 else 1, 5 + day // 3, float(day)) for day in range(123, 220, 3)]
    found = living(bundle, settled() + burst + after)
    assert found.anchor[5] < 0.15
    assert steady(np.array([3, 3, 3, 1, 1]), np.array([5, 5, 5, 6, 7])) == pytest.approx([5 / 9, 5 / 9, 5 / 9, 1, 1])
