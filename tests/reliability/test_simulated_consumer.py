"""The consumer's loop in a world that fails at random, against a replay of the same log."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from consumer.loop import Consumer
from interests.events import LogPartition
from interests.state import InterestState
from interests.stores.base import NO_MOMENTS, Moments
from interests.stores.memory import MemoryStore
from tests.support.simulation import World
from tests.support.soak import Seen, at_length

SEEDS = range(at_length(120, 10_000))
SEEDS_TO_FIND_A_BUG = range(300)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # thousands of planned failures, each with its warning


@pytest.mark.promise("R21")
def test_whatever_fails_the_states_equal_a_replay_of_the_log(seen: Seen):
    crashes = 0
    for seed in SEEDS:
        world = World(seed)
        wrong = world.violations()
        assert not wrong, f"seed {seed}: {wrong}"
        crashes += world.crashes
    assert crashes > len(SEEDS)
    seen(seeds=len(SEEDS), crashes=crashes, violations=0)


class WithoutWatermarks(MemoryStore):
    """A planted bug: states forget how far they have absorbed."""

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        return {user: replace(state, watermarks={}) for user, state in super().get(user_ids).items()}

    def handle(self) -> "WithoutWatermarks":
        return WithoutWatermarks(shared=self._shared)


class WithoutFences(MemoryStore):
    """A planted bug: whoever comes last writes."""

    def _check(self, *_: object) -> None:
        pass

    def handle(self) -> "WithoutFences":
        return WithoutFences(shared=self._shared)


class SplitWrites(MemoryStore):
    """A planted bug: offsets are written first, and a crash may part them from the states."""

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        lost = self._shared.newest % 7 == 3
        super().put([] if lost else states, next_offsets, silent, moments)

    def handle(self) -> "SplitWrites":
        return SplitWrites(shared=self._shared)


class NeverGoesBack(Consumer):
    """A planted bug: a batch that failed is not read again."""

    def _start_over(self) -> None:
        pass


@pytest.mark.parametrize(
    "parts",
    [
        {"store": WithoutWatermarks},
        {"store": WithoutFences},
        {"store": SplitWrites},
        {"store": MemoryStore, "consumer_type": NeverGoesBack},
    ],
    ids=["no watermarks", "no fences", "offsets apart from states", "no seek after a failure"],
)
@pytest.mark.promise("R21")
def test_a_planted_bug_is_found(parts, seen: Seen):
    found = (seed for seed in SEEDS_TO_FIND_A_BUG if World(seed, **(parts | {"store": parts["store"]()})).violations())
    first = next(found, None)
    assert first is not None, "the simulation would not notice this bug"
    seen(found_by_seed=first)
