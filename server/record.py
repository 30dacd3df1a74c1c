"""RecordInteractions without Kafka: into a log of our own and into the store, before the call returns.

    calls at the same time ▶ one group ▶ log (one write, one fsync) ▶ get, absorb, encode, put ▶ answers

One thread does it, so that a user's calls keep their order and a disk's sync serves all who wait; the log's own sync
runs beside the work and has ended before the store is written (server/after_sync.py). The log is the truth:
its tail beyond the store's offset is absorbed at the next chance, at a start too, so a crash between the two loses
nothing, and watermarks count nothing twice. A group that the store refuses is taken out of the log again, where it is
certain that the store has none of it.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from interests.absorb import DEFAULT_RULE
from interests.apply import apply
from interests.encoder import Encoder
from interests.errors import Fenced, SettingsRejected, StoreCorrupt, StoreError, StoreUnavailable
from interests.events import Interaction, LogEntry, LogPartition
from interests.stores.base import InterestStore
from interests.stores.written import WrittenStates
from server.after_sync import AfterSync
from server.errors import LimitReached
from server.event_log import EventLog, erasure_row, from_row, interaction_row
from server.metrics import Metrics

GROUP_ROWS_MAX = 4096
PENDING_ROWS_MAX = 20_000
FENCED_TRIES = 20
CATCH_UP_ROWS = 2000
CATCH_UP_S = 0.5  # between tries while the store is away
CACHED_ENTRIES = 100_000  # of the states written last: about 20 MB

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    """One call's rows, and who waits for them."""

    rows: list[dict[str, Any]]
    done: "asyncio.Future[None]"


class EmbeddedRecorder:
    """The contract is that of Recorder."""

    absorbed = True

    def __init__(
        self,
        event_log: EventLog,
        store: InterestStore,
        encoder: Encoder | None,
        metrics: Metrics,
        now_ms: Callable[[], int],
        rows_pending_max: int = PENDING_ROWS_MAX,
    ) -> None:
        self._log = event_log
        self._store = store
        self._writer = AfterSync(WrittenStates(store, CACHED_ENTRIES))
        self._encoder = encoder
        self._metrics = metrics
        self._now_ms = now_ms
        self._rows_pending_max = rows_pending_max
        self._rows_pending = 0
        self._partition = LogPartition(f"log:{event_log.identity}", 0)
        self._absorbed_to = -1  # not known yet
        self._told = False
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Absorb what a crash left in the log, then take calls. Raises what the store raises, and SettingsRejected."""
        self._catch_up()
        self._thread.start()

    def use(self, encoder: Encoder) -> None:
        """See Recorder."""
        self._encoder = encoder

    async def record(self, interactions: Sequence[Interaction]) -> None:
        """See Recorder."""
        now_ms = self._now_ms()
        await self._submit([interaction_row(_timed(interaction, now_ms)) for interaction in interactions])
        self._metrics.recorded.inc(len(interactions))

    async def forget(self, user_id: str) -> None:
        """See Recorder. The user's rows in the log are overwritten too."""
        await self._submit([erasure_row(user_id, self._now_ms())])

    async def close(self) -> None:
        """See Recorder."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._writer.close()
        self._log.close()

    async def _submit(self, rows: list[dict[str, Any]]) -> None:
        if self._rows_pending + len(rows) > self._rows_pending_max:
            raise LimitReached(f"{self._rows_pending} interactions wait for the log already")
        done: asyncio.Future[None] = self._loop.create_future()
        self._rows_pending += len(rows)
        self._jobs.put(_Job(rows, done))
        try:
            await done
        finally:
            self._rows_pending -= len(rows)

    def _run(self) -> None:
        while (jobs := self._next_group()) is not None:
            if not jobs:
                self._try_to_catch_up()
                continue
            error: Exception | None = None
            try:
                self._commit([row for job in jobs for row in job.rows])
            except Exception as failed:  # every one is answered, whatever went wrong; the shell knows which are bugs
                error = failed
            self._metrics.record_groups.inc()
            self._loop.call_soon_threadsafe(_answer, jobs, error)

    def _next_group(self) -> list[_Job] | None:
        """The calls that wait, at least one; empty where there is time to catch up; None at the end."""
        is_behind = self._absorbed_to != self._log.end
        try:
            job = self._jobs.get(timeout=CATCH_UP_S if is_behind else None)
        except queue.Empty:
            return []
        if job is None:
            return None
        jobs, rows = [job], len(job.rows)
        while rows < GROUP_ROWS_MAX:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            jobs.append(job)
            rows += len(job.rows)
        return jobs

    def _commit(self, rows: list[dict[str, Any]]) -> None:
        self._catch_up()
        start = self._log.end
        offsets, end = self._log.write(rows), self._log.end
        self._writer.begin(self._log.sync)
        failed: StoreError | None = None
        try:
            entries = [self._entry(offset, row) for offset, row in zip(offsets, rows, strict=True)]
            self._absorb([entry for entry in entries if entry is not None], end)
        except StoreError as error:
            failed = error
        finally:
            unwritten = self._writer.failed()
        if unwritten is not None:  # nothing of it is in the log, and so nothing in the store
            raise unwritten
        if failed is not None:
            self._withdraw(start, failed)

    def _withdraw(self, start: int, error: StoreError) -> None:
        """Take a refused group out of the log, if the store says that it has none of it. Raises unless it has all."""
        kept = StoreUnavailable(f"{error}; it is in the log and will count: send it again only with its event_id")
        if not self._store.embedded:  # some of its shards may have taken their part
            raise kept from error
        try:
            self._absorbed_to = self._store.claim([self._partition])[self._partition]
            if self._absorbed_to == start:
                self._log.truncate(start)
        except (StoreError, OSError):
            raise kept from error
        if self._absorbed_to == start:
            raise StoreUnavailable(str(error)) from error

    def _try_to_catch_up(self) -> None:
        try:
            self._catch_up()
        except Exception as error:  # this thread must live: the next call finds the same and is told of it
            if not self._told:
                log.warning("interactions wait in the log for the store", exc_info=error)
            self._told = True

    def _catch_up(self) -> None:
        if self._absorbed_to == self._log.end:
            return
        self._absorbed_to = self._store.claim([self._partition])[self._partition]
        if self._absorbed_to > self._log.end:
            raise SettingsRejected(
                f"the log ends at byte {self._log.end} and the store has absorbed it up to {self._absorbed_to}: it "
                "was cut or replaced; restore it, or move it away to begin a new one"
            )
        behind = self._log.end - self._absorbed_to
        while self._absorbed_to < self._log.end:
            rows = list(islice(self._log.read(self._absorbed_to), CATCH_UP_ROWS))
            entries = [self._entry(offset, row) for offset, _, row in rows]
            self._absorb([entry for entry in entries if entry is not None], rows[-1][1])
        if behind:
            log.info("absorbed the log's tail", extra={"bytes": behind})
        self._told = False

    def _absorb(self, entries: list[LogEntry], next_offset: int) -> None:
        erasures = [entry for entry in entries if entry.interaction is None]
        if erasures:
            self._writer.wait()
        for entry in erasures:
            self._log.blank(entry.user_id, entry.offset)
        polled_s = self._now_ms() / 1000.0
        for _ in range(FENCED_TRIES):
            try:
                apply(entries, {self._partition: next_offset}, self._writer, self._encoder, polled_s=polled_s)
                self._absorbed_to = next_offset
                return
            except Fenced:  # somebody else, a backfill say, moved one of these users since we read them
                self._store.claim([self._partition])
        raise StoreUnavailable("other writers keep moving the same users")

    def _entry(self, offset: int, row: dict[str, Any]) -> LogEntry | None:
        try:
            found = from_row(row)
        except (KeyError, ValueError, TypeError, AttributeError):
            raise StoreCorrupt(f"the log's byte {offset}: is not a row of ours; restore the file") from None
        if found is None:
            return None
        user_id, time_ms, interaction = found
        # The row's time was settled when it was written, so that whoever reads it again gets the same state.
        return LogEntry(self._partition, offset, time_ms, user_id, interaction)


def _timed(interaction: Interaction, now_ms: int) -> Interaction:
    """With the time that it counts from: its own, unless it has none or one that lies in the future."""
    time_ms = interaction.time_ms
    if time_ms is None or time_ms > now_ms + DEFAULT_RULE.future_tolerance_ms:
        return interaction._replace(time_ms=now_ms)
    return interaction


def _answer(jobs: list[_Job], error: Exception | None) -> None:
    for job in jobs:
        if job.done.done():  # its caller has gone
            continue
        if error is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(error)
