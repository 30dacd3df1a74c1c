"""Factors are chosen by what they are for: short histories want every event believed, long ones do not."""

import numpy as np

from tests.trainer.build import events
from trainer.factor_choice import ALPHAS, REGULARISATIONS, Relevant, choose_factors, steps
from trainer.factorise import FactorRule

Rows = list[tuple[int, int, float]]


def tastes(users: int, items: int, had: int, days: float, seed: int = 0) -> tuple[Rows, Relevant]:
    """Users who keep to one of `items / 20` tastes, whenever, and turn to one more item of it."""
    rng = np.random.default_rng(seed)
    rows: Rows = []
    after: Relevant = {}
    for user in range(users):
        taste = int(rng.integers(items // 20))
        path = 20 * taste + rng.permutation(20)[: had + 1]
        rows += [(user, int(item), float(rng.random() * days)) for item in path[:had]]
        after[user] = path[had:].astype(np.int32)
    return rows, after


def test_where_histories_are_short_and_old_events_tell_as_much_all_count_alike_and_much() -> None:
    rows, after = tastes(users=1_200, items=2_000, had=3, days=2_000.0)
    found = choose_factors(events(rows, items=2_000), after, 16, 0)
    assert not found.rule.is_fading
    assert found.rule.alpha >= FactorRule().alpha
    usual = found.report["alpha 10, regularisation 5, fading"]
    assert max(found.report.values()) > usual + 0.02


def test_where_nothing_is_clearly_better_the_usual_rule_stands() -> None:
    rng = np.random.default_rng(0)
    rows = [(user, int(rng.integers(50)), float(day)) for user in range(60) for day in range(10)]
    after = {user: rng.integers(50, size=1).astype(np.int32) for user in range(60)}
    lucky = choose_factors(events(rows, items=50), after, 8, 0)
    assert lucky.rule == FactorRule()
    assert choose_factors(events(rows, items=50), {}, 8, 0).report == {}


def test_a_report_has_every_setting_tried_and_steps_says_how_many() -> None:
    rows, after = tastes(users=60, items=200, had=5, days=10.0)
    ticks: list[int] = []
    found = choose_factors(events(rows, items=200), after, 8, 0, lambda: ticks.append(1))
    assert len(ticks) == len(found.report) == steps() == 2 * len(ALPHAS) + len(REGULARISATIONS)


def test_what_a_user_had_is_no_answer_where_anything_was_new() -> None:
    rows, after = tastes(users=60, items=200, had=5, days=10.0)
    again = {user: np.append(wanted, [row[1] for row in rows if row[0] == user][:1]) for user, wanted in after.items()}
    known = events(rows, items=200)
    assert choose_factors(known, again, 8, 0).report == choose_factors(known, after, 8, 0).report
