"""The best single signal is chosen for each way of asking by itself."""

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.profile import Profile
from interests.state import InterestState
from ranking.score import SIGNALS, signals
from tests.support.catalogue import catalogue, someone
from trainer.evaluation.best_signal import best_signals
from trainer.evaluation.variants import NEW_ITEMS, NEW_USERS, VARIANTS
from trainer.states import Case

OF_THE_PAST = {"repeat", "rebuy", "lately"}
SHOWN = 10


@pytest.fixture(scope="module")
def shop() -> Bundle:
    return catalogue()


@pytest.fixture(scope="module")
def people(shop: Bundle) -> list[Profile]:
    return [someone(shop, seed) for seed in range(12)]


def nearest_new(shop: Bundle, one: Profile) -> int:
    """The item that the signal `interest` puts first among those that this user never had."""
    near = signals(shop, one, np.arange(shop.manifest.item_count))[:, SIGNALS.index("interest")]
    near[one.item_rows] = -1.0
    return int(near.argmax())


def test_what_finds_the_usual_things_is_not_named_as_the_best_for_new_ones(shop: Bundle, people: list[Profile]) -> None:
    wanted = [np.append(one.item_rows[:SHOWN], nearest_new(shop, one)).astype(np.int32) for one in people]
    cases = [Case(n, InterestState(f"u{n}"), rows) for n, rows in enumerate(wanted)]
    found = best_signals(shop, cases, people, VARIANTS["time-split"])
    assert found[""] in OF_THE_PAST
    assert found[NEW_ITEMS] == "interest"
    assert NEW_USERS not in found


def test_where_validation_has_nothing_new_no_signal_is_named_for_it(shop: Bundle, people: list[Profile]) -> None:
    cases = [Case(n, InterestState(f"u{n}"), one.item_rows[:3].astype(np.int32)) for n, one in enumerate(people)]
    assert set(best_signals(shop, cases, people, VARIANTS["last-basket"])) == {""}
