"""A small world that goes wrong at random: two consumers of one log, and a store that fails under them.

Everything is seeded and nothing waits, so that one seed is one history, played back at will. Parts can be replaced by
broken ones, to show that the world notices.
"""

import random
from collections.abc import Callable, Iterable, Mapping

from consumer.backoff import Backoff
from consumer.dead_letters import DeadLetter, MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.base import Batch
from consumer.sources.memory import MemoryLog, MemorySource
from interests.errors import BrokerUnavailable, StoreUnavailable
from interests.events import LogPartition
from interests.state import InterestState
from interests.stores.base import NO_MOMENTS, InterestStore, Moments
from interests.stores.memory import MemoryStore
from tests.support.entries import bits
from tests.support.records import entries_and_bad, fill, oracle


class Crash(BaseException):
    """The process is gone."""


class FailingStore:
    """Passes on to a real store, before and after which it may fail, crash, or let another consumer go first."""

    embedded = True

    def __init__(self, store: InterestStore, world: "World") -> None:
        self._store, self._world = store, world

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        self._world.maybe_fail(StoreUnavailable("simulated"), 0.03)
        return self._store.get(user_ids)

    def claim(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        self._world.maybe_fail(StoreUnavailable("simulated"), 0.1)
        return self._store.claim(partitions)

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str] = frozenset(),
        moments: Mapping[str, Moments] = NO_MOMENTS,
    ) -> None:
        self._world.maybe_fail(Crash(), 0.04)
        self._world.maybe_fail(StoreUnavailable("simulated, nothing written"), 0.1)
        self._world.maybe_interleave()
        if self._world.chance(0.08):
            # As shards do: some users are written, and the offset of the hindmost shard stays where it was.
            self._store.put(list(states)[::2], {}, silent, moments)
            raise StoreUnavailable("simulated, half was written")
        self._store.put(states, next_offsets, silent, moments)
        self._world.maybe_fail(StoreUnavailable("simulated, the answer was lost"), 0.1)
        self._world.maybe_fail(Crash(), 0.04)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


class FailingDeadLetters(MemoryDeadLetters):
    """May fail before, or crash after."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world

    def write(self, letters: list[DeadLetter]) -> None:  # type: ignore[override]
        self._world.maybe_fail(BrokerUnavailable("simulated"), 0.2)
        self._world.letters.extend(letters)
        self._world.maybe_fail(Crash(), 0.1)


class RepeatingSource(MemorySource):
    """Now and then begins earlier than it was asked to, as a log does that is delivered again."""

    def __init__(self, log: MemoryLog, partitions: Iterable[int], world: "World") -> None:
        super().__init__(log, partitions)
        self._world = world

    def seek(self, partition: LogPartition, offset: int) -> None:
        back = self._world.rng.choice([0, 0, 1, 5]) if self._world.failing else 0
        super().seek(partition, max(offset - back, 0))

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        self._world.maybe_fail(BrokerUnavailable("simulated"), 0.05)
        return super().poll(self._world.rng.randint(1, 12), timeout_s)


class World:
    """One log, two consumers, one store. `violations` plays it to its end and says what went wrong."""

    def __init__(
        self,
        seed: int,
        store: MemoryStore | None = None,
        consumer_type: type[Consumer] = Consumer,
        wrap: Callable[[InterestStore], InterestStore] = lambda store: store,
    ) -> None:
        self.rng = random.Random(seed)
        self.failing = True
        self.letters: list[DeadLetter] = []
        self.log = MemoryLog(partitions=3)
        fill(self.log, self.rng, 60)
        self._store, self._consumer_type, self._wrap = store or MemoryStore(), consumer_type, wrap
        self._now_s = 0.0
        self._busy = False
        self._owned: list[set[int]] = [{0, 1, 2}, set()]
        self._consumers = [self._new(number) for number in (0, 1)]
        self.crashes = 0

    def violations(self) -> list[str]:
        """Everything that differs from the log's replay, in words."""
        for _ in range(60):
            self._step(self.rng.randrange(2))
            if self.rng.random() < 0.1:
                self._move_partition()
        self.failing = False
        self._owned = [{0, 1, 2}, set()]
        self._assign()
        for _ in range(200):
            self._step(0)
        return self._differences()

    def maybe_fail(self, error: BaseException, chance: float) -> None:
        """Raise `error`, with this chance, while things go wrong at all."""
        if self.chance(chance):
            raise error

    def chance(self, chance: float) -> bool:
        """True with this chance, while things go wrong at all."""
        return self.failing and self.rng.random() < chance

    def maybe_interleave(self) -> None:
        """Let the other consumer take some steps in the middle of this one's."""
        if not self._busy and self.chance(0.4):
            self._busy = True
            for _ in range(self.rng.randint(1, 3)):
                self._step(1 - self._stepping)
            self._busy = False

    def _step(self, number: int) -> None:
        before = self._stepping if self._busy else number
        self._stepping = number
        turns = iter((True, False))
        try:
            self._consumers[number].run(lambda: next(turns))
        except Crash:
            self.crashes += 1
            self._consumers[number] = self._new(number)
        self._stepping = before
        self._now_s += self.rng.uniform(0, 0.5)

    def _move_partition(self) -> None:
        """Hand a partition over; often the former owner does not hear of it at once."""
        partition = self.rng.randrange(3)
        self._owned[self.rng.randrange(2)].add(partition)
        if self.rng.random() < 0.6:
            self._owned[self.rng.randrange(2)].discard(partition)
        self._assign()

    def _assign(self) -> None:
        for consumer, owned in zip(self._consumers, self._owned, strict=True):
            assert isinstance(consumer.source, MemorySource)
            consumer.source.assign(owned)

    def _new(self, number: int) -> Consumer:
        store = self._wrap(self._store.handle())
        return self._consumer_type(
            RepeatingSource(self.log, self._owned[number], self),
            FailingStore(store, self),  # type: ignore[arg-type]
            FailingDeadLetters(self),  # type: ignore[arg-type]
            pace=Pace(batch_records=12, poll_s=0.0),
            backoff=Backoff(random=random.Random(0)),
            clock_s=lambda: self._now_s,
            sleep_s=lambda _: None,
        )

    def _differences(self) -> list[str]:
        expected = oracle(self.log)
        found = bits(self._store.get(expected))
        wrong = [f"state of {user} differs" for user, state in bits(expected).items() if found.get(user) != state]
        _, bad = entries_and_bad(record for partition in self.log.records for record in partition)
        wanted = {(record.partition, record.offset) for record in bad}
        written = {(letter.record.partition, letter.record.offset) for letter in self.letters}
        return wrong + [f"dead letter {place} is missing or extra" for place in sorted(wanted ^ written)]
