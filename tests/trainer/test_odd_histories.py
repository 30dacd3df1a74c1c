"""Histories that are hardly any: refused in one line, or measured without a stumble. Nothing of TensorFlow here."""

from collections.abc import Callable

import numpy as np
import pytest

from interests.errors import HistoryRejected
from interests.events import Action
from tests.trainer.build import events
from trainer.baselines.chosen import FULL, Material, choose, scored
from trainer.data import Events, positive, speaks
from trainer.evaluation.bands import activity, popularity
from trainer.evaluation.metrics import ranked
from trainer.evaluation.moments import asked, past, replayed, states_at
from trainer.evaluation.splits import SPLITS, TEST, TRAIN, VALIDATION, Protocol, split
from trainer.evaluation.table import SERVED, Table
from trainer.evaluation.variants import VARIANTS


def one_time() -> Events:
    return events([(user, item, 0.0) for user in range(5) for item in range(4)])


def one_item() -> Events:
    return events([(user, 0, float(day)) for user in range(4) for day in range(6)])


def three_users() -> Events:
    return events([(user, 2 * user + day % 3, float(day)) for user in range(3) for day in range(5)])


def impressions_and_dislikes() -> Events:
    known = events([(user, (user + day) % 9, float(day)) for user in range(12) for day in range(20)])
    known.actions[::2] = Action.IMPRESSION
    known.actions[1::6] = Action.DISLIKE
    return known


def ratings_alone() -> Events:
    known = events([(user, (user * day) % 11, float(day)) for user in range(12) for day in range(20)])
    known.actions[:] = Action.RATING
    known.values[:] = np.arange(len(known)) % 5 + 1
    return known


def everybody_once() -> Events:
    return events([(user, user % 7, float(user)) for user in range(40)])


@pytest.mark.parametrize("protocol", SPLITS)
@pytest.mark.parametrize(
    "history", [one_time, one_item, three_users, impressions_and_dislikes, ratings_alone, everybody_once]
)
def test_an_odd_history_is_refused_in_one_line_or_measured(history: Callable[[], Events], protocol: Protocol) -> None:
    known = history()
    try:
        part = split(known, protocol)
    except HistoryRejected as error:
        assert "\n" not in str(error)
        assert f"--protocol {protocol}: needs" in str(error)
        return
    mask, available = speaks(known), np.ones(known.item_count, dtype=np.bool_)
    ask = replayed if protocol == "prequential" else asked
    validation = [(moment, past(known, mask, moment)) for moment in ask(known, part, VALIDATION, 50, 0)]
    test = [(moment, past(known, mask, moment)) for moment in ask(known, part, TEST, 50, 0)]
    variants = VARIANTS[protocol]
    states = states_at(known, [f"i{row}" for row in range(known.item_count)], [moment for moment, _ in test])
    assert len(states) == len(test) == len(activity([one for _, one in test]))
    chosen = choose(FULL, positive(known.where(part == TRAIN)), validation, variants, available, 0, lambda: None)
    material = Material(positive(known.where(part != TEST)), 5, 0)
    assert popularity(np.bincount(material.events.items, minlength=known.item_count)).max() <= 2
    table = Table([moment.user for moment, _ in test])
    for one in chosen:
        for variant in variants:
            ranking = one.family.make(material, one.values[variant.suffix])
            for at, (moment, before, scores) in enumerate(scored(ranking, test, available)):
                answers = variant.answers(moment, before)
                if len(answers):
                    shown, places = ranked(scores, answers, 10, 100, np.arange(known.item_count))
                    name = SERVED if one.family.name == "random" else one.family.name
                    table.row(name, variant.suffix).add(at, {"NDCG@10": places.ndcg(10)}, shown)
    table.close(known.item_count, 10)
    assert all(np.isfinite([figure.low, figure.value, figure.high]).all() for figure in table.figures(0))
