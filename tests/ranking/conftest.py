"""One tiny bundle for all, and a person to rank for."""

from collections.abc import Callable, Sequence

import pytest

from interests import bundle as bundles
from interests.bundle import Bundle
from interests.encoder import Encoder
from interests.events import Action
from interests.profile import Profile
from ranking.diversify import warm
from ranking.recommend import Ranker
from tests.support import tiny_bundle
from tests.support.people import profile_of, state_of

Person = Callable[[Sequence[tuple[str, Action]]], Profile]


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Seconds where nothing is cached yet, which are no property of what is tested."""
    warm()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("bundle")))


@pytest.fixture(scope="session")
def encoder(bundle: Bundle) -> Encoder:
    return Encoder(bundle)


@pytest.fixture(scope="session")
def ranker(bundle: Bundle) -> Ranker:
    return Ranker(bundle)


@pytest.fixture(scope="session")
def person(bundle: Bundle, encoder: Encoder) -> Person:
    """Makes a profile of acts (item id, action), oldest first."""
    return lambda acts: profile_of(bundle, encoder, state_of(acts))


@pytest.fixture(scope="session")
def ada(person: Person) -> Profile:
    """Mostly topic 0, some topic 2, a little topic 4; dislikes one item of topic 0."""
    acts = [(tiny_bundle.item(0, n), Action.PURCHASE) for n in range(6)]
    acts += [(tiny_bundle.item(4, 3), Action.PURCHASE), (tiny_bundle.item(2, 1), Action.LIKE)]
    acts += [(tiny_bundle.item(2, 5), Action.PURCHASE), (tiny_bundle.item(0, 11), Action.DISLIKE)]
    acts += [(tiny_bundle.item(0, 7), Action.CLICK), (tiny_bundle.item(0, 8), Action.PURCHASE)]
    return person(acts)


@pytest.fixture(scope="session")
def cold(person: Person) -> Profile:
    """Somebody who has just come."""
    return person([])
