"""Parts what a batch holds: entries go on, and what is no entry is in the dead letters before anything moves."""

import logging
from collections.abc import Sequence

from consumer.dead_letters import DeadLetter, DeadLetters
from consumer.decode import decode
from consumer.metrics import Metrics
from consumer.sources.base import Record
from interests.errors import BadRecord
from interests.events import LogEntry, LogPartition
from interests.failpoints import failpoint

log = logging.getLogger(__name__)


class Sift:
    """Writes each bad record once while this reader has its partition, however often its batch is tried again."""

    def __init__(self, dead_letters: DeadLetters, metrics: Metrics) -> None:
        self._dead_letters, self._metrics = dead_letters, metrics
        self._written_up_to: dict[LogPartition, int] = {}

    def entries(self, records: Sequence[Record]) -> list[LogEntry]:
        """The entries among the records. Raises BrokerUnavailable where the rest could not be written."""
        found, letters = [], []
        for record in records:
            try:
                found.append(decode(record))
            except BadRecord as bad:
                letters.append(DeadLetter(record, bad.reason, str(bad)))
        letters = [bad for bad in letters if bad.record.offset > self._written_up_to.get(bad.record.partition, -1)]
        if letters:
            self._dead_letters.write(letters)
            failpoint("after_dead_letter")
            for letter in letters:
                self._note(letter)
        return found

    def begin(self, partition: LogPartition, offset: int) -> None:
        """A partition is read anew; bad records below `offset` were written before the store moved over them."""
        self._written_up_to[partition] = max(self._written_up_to.get(partition, -1), offset - 1)

    def forget(self, partition: LogPartition) -> None:
        """A partition is another reader's now."""
        self._written_up_to.pop(partition, None)

    def _note(self, letter: DeadLetter) -> None:
        where = letter.record.partition
        self._written_up_to[where] = letter.record.offset
        self._metrics.dead_letters.labels(letter.reason).inc()
        place = {"partition": where.partition, "offset": letter.record.offset}
        log.warning("record put to the dead letters", extra=place | {"reason": letter.reason})
