"""How far a long step is: bars with an ETA on a terminal, a line each ten seconds anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0

Advance = Callable[[], None]


class Reporter(Protocol):
    """Where progress is told."""

    def say(self, line: str) -> None:
        """One line that stays."""

    def task(self, name: str, total: int) -> AbstractContextManager[Advance]:
        """A step of `total` parts; call what it gives once a part."""


class TerminalReporter:
    """Bars on stderr where that is a terminal, plain lines otherwise."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def say(self, line: str) -> None:
        """One line that stays."""
        if self._console.is_terminal:
            self._console.print(line, markup=False)
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Advance]:
        """A step of `total` parts."""
        with self._bar(name, total) if self._console.is_terminal else self._lines(name, total) as advance:
            yield advance

    @contextmanager
    def _bar(self, name: str, total: int) -> Iterator[Advance]:
        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(*columns, *times, console=self._console) as progress:
            task = progress.add_task(name, total=total)
            yield lambda: progress.advance(task)

    @contextmanager
    def _lines(self, name: str, total: int) -> Iterator[Advance]:
        started = said = time.monotonic()
        done = 0

        def advance() -> None:
            nonlocal done, said
            done += 1
            now = time.monotonic()
            if now - said >= LINE_EVERY_S and done < total:
                said = now
                left_s = (now - started) / done * (total - done)
                self.say(f"{name}: {done}/{total}, about {left_s:.0f} s left")

        yield advance
        self.say(f"{name}: {done}/{total} in {time.monotonic() - started:.1f} s")
