"""What a dial does is measured on validation, and the default costs next to nothing there."""

from collections.abc import Callable

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.manifest import DialPoint
from interests.profile import Profile
from interests.state import InterestState
from ranking.dial import strength
from ranking.query import Query
from ranking.recommend import Ranker
from tests.support.catalogue import catalogue, someone
from trainer.parts import with_manifest
from trainer.states import Case
from trainer.weights.dials import CAREFUL, NDCG_KEPT, SIZE, STRENGTHS, USERS_MIN, Dial, choose_dial, kept_until

USERS = 25


@pytest.fixture(scope="module")
def shop() -> Bundle:
    return catalogue()


@pytest.fixture(scope="module")
def people(shop: Bundle) -> list[Profile]:
    return [someone(shop, seed) for seed in range(USERS)]


def asking(shop: Bundle, people: list[Profile], answers: Callable[[list[int]], list[int]]) -> list[Case]:
    """Cases whose answers are a part of what relevance alone would show."""
    ranker = Ranker(shop)
    found = [ranker.choose(one, Query(size=50, diversity=0.0)).chosen.rows.tolist() for one in people]
    return [
        Case(user, InterestState(f"u{user}"), np.array(answers(rows), dtype=np.int32))
        for user, rows in enumerate(found)
    ]


@pytest.fixture(scope="module")
def dial(shop: Bundle, people: list[Profile]) -> Dial:
    return choose_dial(shop, asking(shop, people, lambda rows: rows[:3]), people)


def test_the_curve_runs_from_relevance_alone_to_all_breadth(dial: Dial) -> None:
    assert [point.strength for point in dial.curve] == list(STRENGTHS)
    assert dial.curve[0].ndcg_kept == 1.0
    assert dial.curve[-1].kl < 0.5 * dial.curve[0].kl
    assert dial.curve[-1].ndcg_kept < NDCG_KEPT


def test_the_default_keeps_almost_all_relevance(shop: Bundle, dial: Dial) -> None:
    chosen = strength(with_manifest(shop, dial.manifest), dial.default)
    kept = {point.strength: point.ndcg_kept for point in dial.curve}
    assert 0 < dial.default < 1
    assert kept[min(kept, key=lambda at: abs(at - chosen))] >= NDCG_KEPT - 0.02


def test_the_default_does_not_hang_on_one_lucky_point() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        kept = 1 - 0.05 * np.array(STRENGTHS) - 0.4 * np.square(STRENGTHS) + 0.02 * rng.normal(size=len(STRENGTHS))
        found.append(kept_until([DialPoint(s, k, 0.5, 0.5) for s, k in zip(STRENGTHS, kept, strict=True)]))
    assert 0.05 <= np.mean(found) <= 0.2
    assert np.std(found) < 0.06


def test_a_cliff_far_off_takes_nothing_from_the_default_and_a_slope_from_the_start_does() -> None:
    cliff = [DialPoint(s, 1.0 if s <= 0.5 else 0.3, 0.5, 0.5) for s in STRENGTHS]
    slope = [DialPoint(s, 1.0 - 0.2 * s if s < 0.9 else 0.5, 0.5, 0.5) for s in STRENGTHS]
    assert 0.3 <= kept_until(cliff) <= 0.5
    assert 0.03 <= kept_until(slope) <= 0.07


def test_where_breadth_costs_nothing_the_default_is_all_of_it(shop: Bundle, people: list[Profile]) -> None:
    def everything(rows: list[int]) -> list[int]:
        return list(range(shop.manifest.item_count))

    many = people * (USERS_MIN // USERS)
    assert choose_dial(shop, asking(shop, many, everything), many).default == 1.0


def test_few_users_can_make_any_strength_look_free_so_with_them_the_default_is_careful(
    shop: Bundle, people: list[Profile]
) -> None:
    few = choose_dial(shop, asking(shop, people, lambda _: list(range(shop.manifest.item_count))), people)
    assert few.curve[-1].ndcg_kept == 1.0
    assert strength(with_manifest(shop, few.manifest), few.default) == pytest.approx(CAREFUL)


def test_half_a_dial_is_half_the_way_as_measured(shop: Bundle, people: list[Profile], dial: Dial) -> None:
    turned = with_manifest(shop, dial.manifest)
    ends = dial.curve[0].kl, dial.curve[-1].kl
    at_half = np.interp(strength(turned, 0.5), [p.strength for p in dial.curve], [p.kl for p in dial.curve])
    assert at_half == pytest.approx((ends[0] + ends[1]) / 2, abs=0.05 * (ends[0] - ends[1]))


def test_slates_are_of_ten_and_a_report_holds_the_curve(dial: Dial) -> None:
    assert SIZE == 10
    assert [set(point) for point in dial.report] == [{"strength", "ndcg_kept", "ild", "kl"}] * len(STRENGTHS)
