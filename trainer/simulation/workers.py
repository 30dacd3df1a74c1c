"""Loops side by side, in processes of their own: each holds the bundle and the people, and lives what it is handed.

What a job gives hangs on its seed, its row and its bias alone, so figures are the same for any number of workers.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from interests import bundle as bundles
from trainer.data import Events
from trainer.simulation.burst import Burst, Like, burst, one_like
from trainer.simulation.figures import Measures, measure_trace
from trainer.simulation.loop import Row, World, run
from trainer.simulation.people import Tastes
from trainer.simulation.world import build, first_mixes

THREADS_OF_NUMPY = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Stage:
    """What every loop needs: the bundle's directory, the events it was learned from, and what people like."""

    bundle: Path
    first: Events
    tastes: Tastes


class Job(NamedTuple):
    """A loop of `rounds` rounds of one row with one seed; of a burst, how many rounds are waited for at most."""

    row: Row
    users: int
    rounds: int
    position_bias: bool
    seed: int


class Player:
    """Lives through loops, one after another; the world of the latest seed is kept."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._bundle = bundles.load(stage.bundle)
        self._of: tuple[int, int] | None = None
        self._world: tuple[World, npt.NDArray[np.float64]] | None = None

    def loop(self, job: Job) -> Measures:
        """What a loop did to people."""
        world, first = self._set(job)
        return measure_trace(
            run(world, job.row, job.rounds, job.position_bias, job.seed), first, world.tastes, world.bundle
        )

    def burst(self, job: Job) -> tuple[Burst, Like]:
        """What a burst and what a single like do to slates."""
        world, first = self._set(job)
        return burst(world, first, job.row, job.rounds, job.seed), one_like(world, first, job.row)

    def _set(self, job: Job) -> tuple[World, npt.NDArray[np.float64]]:
        if self._world is None or self._of != (job.users, job.seed):
            world = build(self._bundle, self._stage.first, self._stage.tastes, job.users, job.seed)
            self._world, self._of = (
                (world, first_mixes(self._bundle, self._stage.first, world.users)),
                (job.users, job.seed),
            )
        return self._world


class Players:
    """As many players as there are workers; one plays in this process."""

    def __init__(self, stage: Stage, pool: Executor | None) -> None:
        self._here = Player(stage) if pool is None else None
        self._pool = pool

    def loops(self, jobs: Sequence[Job], tick: Callable[[], None]) -> list[Measures]:
        """What each loop did to people, in the order of the jobs; ticks once a job."""
        return self._each(Player.loop, jobs, tick)

    def bursts(self, jobs: Sequence[Job], tick: Callable[[], None]) -> list[tuple[Burst, Like]]:
        """The same of bursts and likes."""
        return self._each(Player.burst, jobs, tick)

    def _each(self, play: Callable[[Player, Job], Found], jobs: Sequence[Job], tick: Callable[[], None]) -> list[Found]:
        if self._here is not None:
            found = []
            for job in jobs:
                found.append(play(self._here, job))
                tick()
            return found
        assert self._pool is not None
        asked = [self._pool.submit(_play, play, job) for job in jobs]
        for done in as_completed(asked):
            done.result()  # what went wrong is told now, and not after the last
            tick()
        return [one.result() for one in asked]


@contextmanager
def players(stage: Stage, workers: int) -> Iterator[Players]:
    """Players in `workers` processes, which end with the block."""
    if workers == 1:
        yield Players(stage, None)
        return
    kept = {name: os.environ.get(name) for name in THREADS_OF_NUMPY}
    os.environ.update(dict.fromkeys(THREADS_OF_NUMPY, "1"))  # each worker has one core
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(stage,))
    try:
        yield Players(stage, pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


_player: Player | None = None


def _begin(stage: Stage) -> None:
    global _player
    _player = Player(stage)


def _play(play: Callable[[Player, Job], Found], job: Job) -> Found:
    assert _player is not None
    return play(_player, job)
