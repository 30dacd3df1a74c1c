"""A consumer as they are often written, to show that the tests would notice: it resumes from the broker's committed
offset, which it commits now and then, and ignores watermarks.

    python -m tests.support.forgetful_consumer --brokers ... --topic ... --store ... (flags of plural-consume)
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kafka import TopicPartition

from consumer.app import read_settings
from consumer.broker import Broker
from consumer.dead_letters import KafkaDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.kafka import KafkaSource
from interests.events import LogPartition
from interests.state import InterestState
from interests.stores import open_store
from interests.stores.base import InterestStore, Moments

COMMIT_EVERY = 10  # batches; the client library's own default is five seconds


class ForgetfulSource(KafkaSource):
    """Commits every tenth batch."""

    batches = 0

    def commit(self, next_offsets: Mapping[LogPartition, int]) -> None:
        self.batches += 1
        if self.batches % COMMIT_EVERY == 0:
            super().commit(next_offsets)

    def committed_offset(self, partition: LogPartition) -> int:
        """What the broker says."""
        return self._consumer.committed(TopicPartition(self._topic, partition.partition)) or 0

    def close(self) -> None:
        self._committed.clear()
        super().close()


class ForgetfulStore:
    """Passes on to a real store, but claims where the broker says, and reads states without their watermarks."""

    embedded = True

    def __init__(self, store: InterestStore, source: ForgetfulSource) -> None:
        self._store, self._source = store, source

    def claim(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        return {p: self._source.committed_offset(p) for p in self._store.claim(partitions)}

    def get(self, user_ids: Iterable[str]) -> dict[str, InterestState]:
        return {user: replace(state, watermarks={}) for user, state in self._store.get(user_ids).items()}

    def put(
        self,
        states: Iterable[InterestState],
        next_offsets: Mapping[LogPartition, int],
        silent: frozenset[str],
        moments: Mapping[str, Moments],
    ) -> None:
        self._store.put(states, next_offsets, silent, moments)

    def close(self) -> None:
        self._store.close()


def main() -> None:
    """Run it."""
    settings = read_settings()
    broker = Broker(settings.addresses())
    source = ForgetfulSource(broker, settings.topic, settings.group, settings.session_timeout_s)
    store = ForgetfulStore(open_store(settings.store), source)
    letters = KafkaDeadLetters(broker, settings.dead_letter_topic, settings.topic)
    # No look at the store in between: its claims would say that somebody else had written.
    pace = Pace(settings.batch_records, settings.poll_s, look_s=3600)
    consumer = Consumer(source, store, letters, pace=pace)  # type: ignore[arg-type]
    consumer._look_at_s = float("inf")
    consumer.run(lambda: True)


if __name__ == "__main__":
    main()
