"""Sixteen people of a small shop, what they like, and what twelve rounds did to them, row by row."""

from pathlib import Path

import numpy as np
import pytest

from interests import bundle as bundles
from interests.bundle import Bundle
from tests.support import tiny_bundle
from tests.support.tiny_bundle import ITEMS_A_TOPIC, TOPICS
from tests.trainer.build import events
from trainer.data import Events
from trainer.simulation.figures import Measures, measure_trace
from trainer.simulation.loop import ROWS, World, run
from trainer.simulation.people import Tastes, fit_tastes
from trainer.simulation.world import build, first_halves, first_mixes

USERS, HAD = 16, 40


@pytest.fixture(scope="package")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("bundle"), diversity_default=0.4)


@pytest.fixture(scope="package")
def bundle(path: Path) -> Bundle:
    return bundles.load(path)


@pytest.fixture(scope="package")
def history() -> Events:
    """Each user has three topics, one of them most, an event a day."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        topics = rng.permutation(TOPICS)[:3]
        for day in range(HAD):
            topic = rng.choice(topics, p=[0.6, 0.25, 0.15])
            rows.append((user, int(topic * ITEMS_A_TOPIC + rng.integers(ITEMS_A_TOPIC)), float(day)))
    return events(rows, items=TOPICS * ITEMS_A_TOPIC)


@pytest.fixture(scope="package")
def tastes(history: Events) -> Tastes:
    return fit_tastes(history, 0)


@pytest.fixture(scope="package")
def world(bundle: Bundle, history: Events, tastes: Tastes) -> World:
    return build(bundle, first_halves(history), tastes, USERS, seed=1)


@pytest.fixture(scope="package")
def mixes(bundle: Bundle, world: World) -> np.ndarray:
    return first_mixes(bundle, world.events, world.users)


@pytest.fixture(scope="package")
def measured(world: World, mixes: np.ndarray) -> dict[str, Measures]:
    return {row.name: measure_trace(run(world, row, 12, True, 1), mixes, world.tastes, world.bundle) for row in ROWS}
