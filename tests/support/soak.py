"""One text, two lengths: a reliability test runs in seconds among the others, and at length under `make soak`.

PLURAL_SOAK=docs/soak.md     run at length, and write what was seen to this file
"""

import os
import random
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

TARGET = os.environ.get("PLURAL_SOAK", "")
IS_LONG = bool(TARGET)
SEED = int(os.environ.get("PLURAL_TEST_SEED", random.randrange(10**6)))


def at_length(short: int, long: int) -> int:
    """How often, in this run."""
    return long if IS_LONG else short


def rng_of_run() -> random.Random:
    """Seeded anew each run; the seed is shown where a test fails, and PLURAL_TEST_SEED plays the same again."""
    sys.stderr.write(f"PLURAL_TEST_SEED={SEED}\n")
    return random.Random(SEED)


@dataclass
class Seen:
    """What one test saw: which promise it is of, and figures in words."""

    promise: str
    test: str
    figures: dict[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    passed: bool = False

    def __call__(self, **figures: object) -> None:
        """Note figures by name; the last of one name counts."""
        self.figures |= figures

    def row(self) -> str:
        """A line of the table."""
        figures = ", ".join(f"{name.replace('_', ' ')} {_text(value)}" for name, value in self.figures.items())
        result = "held" if self.passed else "**broken**"
        return f"| {self.promise} | {self.test} | {figures} | {result} | {self.seconds:,.0f} s |"


def write_table(target: Path, rows: list[Seen], conditions: str, now_s: Callable[[], float] = time.time) -> None:
    """The table of a run; replaces what an earlier one left."""
    day = time.strftime("%Y-%m-%d", time.gmtime(now_s()))
    lines = [
        "# What the long tests saw",
        "",
        f"Written by a run of the long tests on {day}: {conditions}, seed {SEED}. `make soak` runs all of them and "
        "replaces this page; what each promise means: [reliability.md](reliability.md).",
        "",
        "| promise | test | seen | result | took |",
        "|---|---|---|---|---|",
        *(seen.row() for seen in sorted(_folded(rows), key=lambda seen: (_number(seen.promise), seen.test))),
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n")


def _folded(rows: list[Seen]) -> list[Seen]:
    """One row for the numbered repetitions of a test that count alike."""
    kept: dict[str, Seen] = {}
    for seen in rows:
        test = re.sub(r"\[\d+\]$", "", seen.test)
        if test == seen.test or not all(isinstance(value, int) for value in seen.figures.values()):
            kept[seen.test] = seen
            continue
        whole = kept.setdefault(test, Seen(seen.promise, test, passed=True))
        for name, value in seen.figures.items():
            whole.figures[name] = whole.figures.get(name, 0) + value  # type: ignore[operator]
        whole.seconds += seen.seconds
        whole.passed &= seen.passed
    return list(kept.values())


def _number(promise: str) -> int:
    with suppress(ValueError):
        return int(promise.removeprefix("R"))
    return 10**6


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
