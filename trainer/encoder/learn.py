"""Learning the encoder upon what was counted, stopping when validation stops gaining.

start ▶ body, weights averaged ▶ (pruned) ▶ one vector or several       and later: refit on everything
"""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from interests.events import Action
from trainer.content.content import blend, content_map, content_vectors, mapped
from trainer.data import Events
from trainer.encoder import chosen as interests_chosen
from trainer.encoder import schedule, spectral
from trainer.encoder.model import Encoder, Shape
from trainer.encoder.prune import Pruned, compressed_bytes
from trainer.encoder.reading import read
from trainer.encoder.sequences import Sequences, Windows, one_by_one
from trainer.encoder.training import FULL_SOFTMAX_ITEMS_MAX, Trainer, TrainingRule
from trainer.encoder.yardstick import Yardstick
from trainer.links.nearness import near_rows
from trainer.parts import HISTORY_MAX, Counted
from trainer.progress import Reporter
from trainer.settings import Effort
from trainer.tracking import Tracker

READINGS = 8  # about how often validation is read
TICKS_A_MOMENT_MAX = 3.0  # a history of fewer events a group has a coarse clock; one of more has baskets
NEAR_DECAY, LINKS = 0.9, 128  # of what stands near an item: how it fades by place, and how much is looked at
REFIT_RATE, REFIT_EPOCHS = 0.2, 0.1  # of the learning rate, and of the epochs that validation chose

Floats = npt.NDArray[np.float32]
Relevant = dict[int, npt.NDArray[np.int32]]


@dataclass(frozen=True, eq=False)
class Learned:
    """An encoder, ready to go on, and the item vectors (n, dim), unit rows, in whose space its interests live.

    content_map (features, dim): from what the catalogue says of an item into that space
    curve: a point an epoch; report: what was tried and found
    """

    trainer: Trainer
    item_vectors: Floats
    content_map: Floats
    epochs: int
    curve: list[dict[str, float]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def encoder(self) -> Encoder:
        """Body, and heads where several interests won."""
        return self.trainer.encoder


def learn(
    counted: Counted,
    relevant: Relevant,
    shape: Shape,
    effort: Effort,
    seed: int,
    tracker: Tracker | None,
    reporter: Reporter,
    prune: float = 0.0,
) -> Learned:
    """Train from the start. relevant: what each validation user did next, by user row; empty: all epochs are run.

    prune: share of the body's weights that become zero in the end
    """
    encoder = Encoder(shape, schedule.dropout(len(counted.events)))
    trainer = Trainer(encoder, _start(counted, shape.dim, seed), counted.counts, TrainingRule(), seed)
    course = _Course(counted, Yardstick(counted.events, relevant), effort, np.random.default_rng(seed), reporter)
    epochs, curve = course.train(trainer, tracker or Tracker())
    report: dict[str, Any] = {"dropout": round(encoder.dropout, 3), "full_softmax": trainer.is_full}
    if prune > 0:
        report["prune"] = course.prune(trainer, prune)
    if relevant:
        report["interests"] = interests_chosen.choose(
            trainer, course.sequences, course.yardstick, effort.head_windows, seed, reporter
        )
    return Learned(trainer, *_served_vectors(trainer, counted, seed), epochs, curve, report)


def refit(learned: Learned, counted: Counted, effort: Effort, seed: int, reporter: Reporter) -> Learned:
    """Go on with what was learned, over all events at a low rate: what ships has seen everything."""
    trainer, passes = learned.trainer, max(1, round(REFIT_EPOCHS * learned.epochs))
    trainer.draw_negatives_by(counted.counts)
    course = _Course(counted, Yardstick(counted.events, {}), effort, np.random.default_rng(seed + 1), reporter)
    course.go_on(trainer, passes, "encoder on everything")
    interests_chosen.train_heads(trainer, course.sequences, effort.head_windows, seed + 1, reporter)
    return Learned(trainer, *_served_vectors(trainer, counted, seed), learned.epochs, learned.curve, learned.report)


def next_items(events: Events, users: int, seed: int) -> Relevant:
    """Items that up to `users` users turned to, by user row; who they are, and in which order, is drawn by `seed`."""
    events = events.where((events.actions != Action.IMPRESSION) & (events.actions != Action.DISLIKE))
    rows = np.unique(events.users)
    rows = np.random.default_rng(seed).permutation(rows)[:users]
    start = np.searchsorted(events.users, rows)
    end = np.searchsorted(events.users, rows, side="right")
    return {int(row): np.unique(events.items[a:b]) for row, a, b in zip(rows, start, end, strict=True)}


def seed_everything(seed: int) -> None:
    """The same bits from the same seed on the same machine; layer names too, as they reach the exported model."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


class _Course:
    """What one set of events teaches, epoch by epoch."""

    def __init__(
        self, counted: Counted, yardstick: Yardstick, effort: Effort, rng: np.random.Generator, reporter: Reporter
    ) -> None:
        self.sequences, self.yardstick = Sequences(counted.events, HISTORY_MAX), yardstick
        self._events, self._effort, self._rng, self._reporter = counted.events, effort, rng, reporter
        self._has_coarse_clock = len(self._events) < TICKS_A_MOMENT_MAX * len(np.unique(self._events.groups))

    def train(self, trainer: Trainer, tracker: Tracker) -> tuple[int, list[dict[str, float]]]:
        """Train until the budget or validation says stop; leaves the best averages as weights.

        Returns their epoch, and a point an epoch.
        """
        windows = self._windows()
        steps = trainer.steps(windows)
        budget = (self._effort.positions, self._effort.epochs_max)
        most = schedule.epochs(int(windows.mask.sum()), *budget, small_catalogue=trainer.is_full)
        trainer.item_pace = schedule.item_pace(most)
        rate = schedule.Schedule(trainer.rule.learning_rate, steps, steps * most)
        averages = trainer.averages(steps)
        kept, best, since, curve = 0, -1.0, 0, list[dict[str, float]]()
        snapshot = trainer.snapshot()
        for epoch in range(1, most + 1):
            with self._reporter.task(f"encoder epoch {epoch}/{most}", trainer.steps(windows)) as tick:
                point = {"loss": trainer.train(windows, rate, averages, tick)}
            if epoch % max(1, most // READINGS) == 0 or epoch == most:
                averages.swap()
                ndcg = read(trainer, self.sequences, self.yardstick).ndcg
                point |= {"validation_ndcg@10": ndcg} if len(self.yardstick.users) else {}
                since += 1
                if ndcg > best or not len(self.yardstick.users):
                    kept, best, since, snapshot = epoch, ndcg, 0, trainer.snapshot()
                averages.swap()
                self._reporter.say(f"encoder epoch {epoch}/{most}: loss {point['loss']:.3f}, NDCG@10 {ndcg:.4f}")
            curve.append({"epoch": float(epoch), **point})
            tracker.scalars(epoch, point)
            if since >= self._effort.patience or epoch == most:
                break
            windows = self._windows()
        trainer.restore(snapshot)
        return kept, curve

    def go_on(self, trainer: Trainer, passes: int, name: str) -> None:
        """A few more passes at a low rate; leaves averages as weights."""
        windows, rate = self._windows(), trainer.rule.learning_rate * REFIT_RATE
        averages = trainer.averages(trainer.steps(windows))
        for number in range(1, passes + 1):
            with self._reporter.task(f"{name} {number}/{passes}", trainer.steps(windows)) as tick:
                trainer.train(windows, lambda: rate, averages, tick)
            windows = self._windows() if number < passes else windows
        averages.swap()

    def prune(self, trainer: Trainer, share: float) -> dict[str, Any]:
        """Prune and train a little more with what is left; returns what it cost and saved."""
        variables = trainer.encoder.body.trainable_variables
        before, bytes_before = read(trainer, self.sequences, self.yardstick), compressed_bytes(variables)
        trainer.pruned = Pruned(variables, share)
        self.go_on(trainer, 1, "encoder after pruning")
        after, bytes_after = read(trainer, self.sequences, self.yardstick), compressed_bytes(variables)
        self._reporter.say(
            f"pruned: {trainer.pruned.zeros:,} weights are zero, {bytes_before:,} to {bytes_after:,} compressed bytes, "
            f"validation NDCG@10 {before.ndcg:.4f} to {after.ndcg:.4f}"
        )
        return {
            "share": share,
            "zeros": trainer.pruned.zeros,
            "compressed_bytes": [bytes_before, bytes_after],
            "ndcg@10": [before.ndcg, after.ndcg],
        }

    def _windows(self) -> Windows:
        """What one epoch sees."""
        events = one_by_one(self._events, self._rng) if self._has_coarse_clock else self._events
        windows = Sequences(events, HISTORY_MAX).every_position(self._rng)
        most = self._effort.windows_an_epoch_max
        if len(windows) > most:
            windows = windows.take(np.sort(self._rng.choice(len(windows), most, replace=False)))
        return windows


def _start(counted: Counted, dim: int, seed: int) -> Floats:
    """Where item vectors begin: by what stands near them in histories, factors for those that stand alone."""
    if counted.events.item_count <= FULL_SOFTMAX_ITEMS_MAX:
        near = spectral.of_events(counted.events, NEAR_DECAY, dim)
    else:
        near = spectral.of_links(*near_rows(counted.events, NEAR_DECAY, 1.0, 0.5, 0.5, 1.0, LINKS), dim)
    alone = ~near.any(axis=1)
    near[alone] = counted.start[alone]
    return blend(near, content_vectors(counted.described, near, counted.counts), counted.counts, seed)


def _served_vectors(trainer: Trainer, counted: Counted, seed: int) -> tuple[Floats, Floats]:
    """Of the items, and the map that gives one to an item of which only the catalogue speaks."""
    learned = trainer.item_vectors
    by = content_map(counted.described, learned, counted.counts, counted.neighbours, seed)
    return blend(learned, mapped(counted.described, by), counted.counts, seed), by
