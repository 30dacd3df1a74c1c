"""Weights lean towards a signal that ranks better than its fit lets it, where that is clear."""

import numpy as np
import pytest

from ranking.score import SIGNALS
from trainer.weights.fusion import fit_near_top, worthwhile
from trainer.weights.leaning import lean
from trainer.weights.questions import Question, mean_ndcg, only, parted

TELLS, HINTS = SIGNALS.index("mf"), SIGNALS.index("interest")


def questions(of_one_scale: bool, users: int = 200, candidates: int = 80) -> list[Question]:
    """Users each of whose answer is near the top of `mf`; its scale differs from one to the next, or does not."""
    rng, made = np.random.default_rng(0), []
    for _ in range(users):
        signals = np.zeros((candidates, len(SIGNALS)), dtype=np.float32)
        signals[:, TELLS], signals[:, HINTS] = rng.random(candidates), rng.random(candidates)
        odds = np.exp(20 * signals[:, TELLS] + 4 * signals[:, HINTS])
        relevant = np.arange(candidates) == rng.choice(candidates, p=odds / odds.sum())
        signals[:, TELLS] *= 1.0 if of_one_scale else float(np.exp(2.5 * rng.normal()))
        made.append(Question(signals, relevant, 1))
    return made


def few(signals_that_tell: int, users: int) -> list[Question]:
    """So few users that a fit is mostly luck; each signal that tells does so as well as the next."""
    rng, made = np.random.default_rng(5), []
    for _ in range(users):
        signals = rng.random((80, len(SIGNALS))).astype(np.float32)
        odds = np.exp(9 * signals[:, :signals_that_tell].sum(axis=1))
        made.append(Question(signals, np.arange(80) == rng.choice(80, p=odds / odds.sum()), 1))
    return made


def leaned(asked: list[Question]) -> tuple[float, float, dict[str, object]]:
    weights, halves = fit_near_top(asked), [fit_near_top(part) for part in parted(asked)]
    alone = [mean_ndcg(asked, only(place)) for place in range(len(SIGNALS))]
    found, report = lean(asked, halves, weights, alone)
    assert found.sum() == pytest.approx(1.0)
    return mean_ndcg(asked, weights), mean_ndcg(asked, found), report


def test_a_signal_whose_scale_differs_between_users_gets_what_the_fit_denied_it() -> None:
    before, after, report = leaned(questions(of_one_scale=False))
    assert report["towards"] in ("mf", "even")
    assert after > before + 0.05


def test_where_the_fit_is_right_the_weights_stand() -> None:
    before, after, report = leaned(questions(of_one_scale=True))
    assert report == {}
    assert after == before


def test_the_luckiest_signal_of_few_users_does_not_stand_alone() -> None:
    lucky = 0
    for seed in range(5):
        asked = few(3, users=200)[seed * 30 : seed * 30 + 30]
        weights, _ = worthwhile(asked)
        lucky += len(weights) == 1
    assert lucky == 0


def test_signals_that_tell_alike_count_alike_where_a_fit_is_led_astray() -> None:
    asked = few(3, users=60)
    astray = only(0) + 0.05 * only(7)
    alone = [mean_ndcg(asked, only(place)) for place in range(len(SIGNALS))]
    found, report = lean(asked, [astray, astray], astray, alone)
    assert report["towards"] == "even"
    assert mean_ndcg(asked, found) > mean_ndcg(asked, astray) + 0.05


def test_a_signal_that_is_all_there_is_stands_alone() -> None:
    asked = few(1, users=150)
    astray = only(1) + only(2)
    alone = [mean_ndcg(asked, only(place)) for place in range(len(SIGNALS))]
    found, report = lean(asked, [astray, astray], astray, alone)
    assert report["by"] == 1.0
    assert found == pytest.approx(only(0))
