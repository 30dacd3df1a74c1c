"""Signal weights: fitted to what users did next, near the top of the list, and dropped where they do not pay."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.score import SIGNALS
from trainer.weights.fusion import crossed, fit_near_top, fit_weights, worthwhile
from trainer.weights.questions import Question, mean_ndcg, parted

TELLS, HINTS, NOISE = (SIGNALS.index(name) for name in ("interest", "transition", "content"))


def questions(users: int = 120, candidates: int = 200) -> list[Question]:
    """One signal tells much of what is relevant, one a little, one nothing; the others are 0."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(users):
        signals = np.zeros((candidates, len(SIGNALS)), dtype=np.float32)
        signals[:, [TELLS, HINTS, NOISE]] = rng.random((candidates, 3))
        odds = np.exp(14 * signals[:, TELLS] + 5 * signals[:, HINTS])
        relevant = np.zeros(candidates, dtype=np.bool_)
        relevant[rng.choice(candidates, 2, replace=False, p=odds / odds.sum())] = True
        had = np.zeros(candidates, dtype=np.bool_)
        had[rng.integers(candidates, size=20)] = True
        made.append(Question(signals, relevant, 2, had, int((relevant & ~had).sum())))
    return made


def test_what_tells_most_weighs_most_and_noise_next_to_nothing() -> None:
    weights = fit_weights(questions())
    assert weights.sum() == pytest.approx(1.0)
    assert weights[TELLS] > 2 * weights[HINTS] > 4 * weights[NOISE]


def test_the_same_questions_give_the_same_weights() -> None:
    assert np.array_equal(fit_near_top(questions()), fit_near_top(questions()))


def test_a_signal_that_adds_nothing_is_dropped_and_the_report_says_so() -> None:
    weights, report = worthwhile(questions())
    assert set(weights) == {"interest", "transition"}
    assert "content" in report["dropped"]
    assert report["adds"]["interest"] > report["adds"]["transition"] > 0


def test_crossed_ndcg_is_that_of_users_the_weights_never_saw() -> None:
    asked = questions(30)
    halves = [fit_near_top(asked[1::2], [TELLS]), fit_near_top(asked[::2], [TELLS])]
    expected = (mean_ndcg(asked[::2], halves[0]) + mean_ndcg(asked[1::2], halves[1])) / 2
    assert np.mean(list(crossed(asked, [TELLS]).values())) == pytest.approx(expected)


def test_what_was_not_retrieved_counts_as_missed() -> None:
    asked = questions(10)
    missing = [Question(one.signals, one.relevant, one.relevant_count + 5) for one in asked]
    weights = fit_weights(asked)
    assert mean_ndcg(missing, weights) < mean_ndcg(asked, weights)


def test_of_new_items_those_had_are_no_candidates() -> None:
    one = questions(1)[0]
    assert one.had is not None
    assert len(one.of_new().relevant) == int((~one.had).sum())
    assert one.of_new().relevant_count == one.new_count


def test_without_anything_relevant_all_signals_count_alike() -> None:
    nothing = [Question(one.signals, np.zeros(200, dtype=np.bool_), 0) for one in questions(5)]
    assert fit_weights(nothing) == pytest.approx(np.full(len(SIGNALS), 1 / len(SIGNALS)))


def test_all_questions_of_one_user_are_in_one_half() -> None:
    asked = [replace(one, user=at % 7) for at, one in enumerate(questions(30))]
    halves = [{one.user for one in part} for part in parted(asked)]
    assert not halves[0] & halves[1]
    assert sum(len(part) for part in parted(asked)) == 30


def test_a_signal_that_is_the_same_everywhere_has_no_weight_and_takes_none_from_others() -> None:
    weights = fit_weights(questions())
    assert weights[SIGNALS.index("repeat")] == 0
    assert weights[TELLS] > 0.5
