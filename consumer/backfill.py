"""Absorbs a whole history once, and says how far it is."""

import logging
import time
from collections.abc import Callable

from consumer.loop import Consumer
from consumer.sources.file import FileSource

PROGRESS_S = 2.0

log = logging.getLogger(__name__)


def backfill(consumer: Consumer, source: FileSource, running: Callable[[], bool]) -> str:
    """Absorb what the store does not have of the file yet; returns one line that says how much that was."""
    first = consumer.store.claim([source.partition])[source.partition]
    start_s = said_s = time.monotonic()

    def unfinished() -> bool:
        nonlocal said_s
        done, now_s = source.positions().get(source.partition, first), time.monotonic()
        if done > first and now_s - said_s >= PROGRESS_S:
            said_s = now_s
            log.info(_progress(first, done, source.end, now_s - start_s))
        return running() and done < source.end

    consumer.run(unfinished)
    done = source.positions().get(source.partition, first)
    line = f"{done - first:,} of {source.end:,} rows absorbed in {time.monotonic() - start_s:.1f} s"
    if first:
        line += f"; {first:,} were there before"
    if done < source.end:
        line += f"; stopped, {source.end - done:,} are left: run it again to go on"
    return line


def _progress(first: int, done: int, end: int, elapsed_s: float) -> str:
    rows_s = (done - first) / elapsed_s
    return f"{done:,} of {end:,} rows ({done / end:.0%}), {rows_s:,.0f} rows/s, {(end - done) / rows_s:.0f} s left"
