"""Learning the encoder upon what was counted, stopping when validation stops gaining."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from interests.events import Action
from trainer.content import blend, content_vectors
from trainer.data import Events
from trainer.encoder_model import Encoder, Shape, build
from trainer.encoder_training import Trainer, TrainingRule
from trainer.metrics import ndcg_of_vectors
from trainer.parts import HISTORY_MAX, Counted
from trainer.progress import Reporter
from trainer.sequences import Sequences, Windows
from trainer.settings import Effort

STOPPING_SIZE = 10
ENCODE_BATCH = 256

Floats = npt.NDArray[np.float32]
Relevant = dict[int, npt.NDArray[np.int32]]


@dataclass(frozen=True, eq=False)
class Learned:
    """An encoder, ready to go on, and the item vectors (n, dim), unit rows, in whose space its interests live."""

    trainer: Trainer
    item_vectors: Floats
    epochs: int
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def encoder(self) -> Encoder:
        """Body and heads."""
        return self.trainer.encoder


def learn(
    counted: Counted,
    relevant: Relevant,
    shape: Shape,
    effort: Effort,
    seed: int,
    log_dir: Path | None,
    reporter: Reporter,
) -> Learned:
    """Train from the start. relevant: what each validation user did next, by user row; empty: all epochs are run."""
    encoder = build(shape)
    trainer = Trainer(encoder, counted.start, counted.counts, TrainingRule(), seed)
    sequences = Sequences(counted.events, HISTORY_MAX)
    rng = np.random.default_rng(seed)
    writer = tf.summary.create_file_writer(str(log_dir)) if log_dir else tf.summary.create_noop_writer()
    best, best_ndcg, since, curve = trainer.snapshot(), -1.0, 0, []
    kept = 0
    for epoch in range(1, effort.epochs_max + 1):
        trainer.set_learning_rate(TrainingRule().learning_rate * 0.6 ** (epoch - 1))
        loss = _pass(trainer, sequences, effort.windows_an_epoch_max, rng, f"encoder epoch {epoch}", reporter)
        ndcg = _validate(trainer, sequences, relevant, many=False)
        _log(writer, epoch, loss, ndcg)
        curve.append({"epoch": epoch, "loss": loss, "validation_ndcg@10": ndcg})
        reporter.say(f"encoder epoch {epoch}: loss {loss:.3f}, validation NDCG@10 {ndcg:.4f}")
        if ndcg > best_ndcg or not relevant:
            best, best_ndcg, since, kept = trainer.snapshot(), ndcg, 0, epoch
        else:
            since += 1
            if since >= effort.patience:
                break
    trainer.restore(best)
    _heads(trainer, sequences, effort, rng, reporter)
    heads_ndcg = _validate(trainer, sequences, relevant, many=True)
    reporter.say(f"interest heads: validation NDCG@10 {heads_ndcg:.4f} (one vector: {max(best_ndcg, 0):.4f})")
    curve.append({"epoch": kept, "loss": 0.0, "validation_ndcg@10": heads_ndcg, "interests": shape.interests})
    writer.close()
    return Learned(trainer, _served_vectors(trainer, counted, seed), kept, curve)


def refit(learned: Learned, counted: Counted, effort: Effort, seed: int, reporter: Reporter) -> Learned:
    """Go on with what was learned, one epoch over all events at a low rate: what ships has seen everything."""
    trainer = learned.trainer
    trainer.draw_negatives_by(counted.counts)
    trainer.set_learning_rate(TrainingRule().learning_rate * 0.2)
    sequences = Sequences(counted.events, HISTORY_MAX)
    rng = np.random.default_rng(seed + 1)
    _pass(trainer, sequences, effort.windows_an_epoch_max, rng, "encoder on everything", reporter)
    _heads(trainer, sequences, effort, rng, reporter)
    return Learned(trainer, _served_vectors(trainer, counted, seed), learned.epochs, learned.curve)


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


def _pass(
    trainer: Trainer, sequences: Sequences, most: int, rng: np.random.Generator, name: str, reporter: Reporter
) -> float:
    windows = sequences.every_position(rng)
    if len(windows) > most:
        windows = windows.take(np.sort(rng.choice(len(windows), most, replace=False)))
    return _run(trainer.train_body, trainer.steps(windows), windows, name, reporter)


def _heads(
    trainer: Trainer, sequences: Sequences, effort: Effort, rng: np.random.Generator, reporter: Reporter
) -> None:
    windows = sequences.whole_moments(effort.head_windows, TrainingRule().head_targets, rng)
    _run(trainer.train_heads, trainer.steps(windows), windows, "interest heads", reporter)


def _run(
    step: Callable[[Windows, Callable[[], None]], float], steps: int, windows: Windows, name: str, reporter: Reporter
) -> float:
    with reporter.task(name, steps) as advance:
        return step(windows, advance)


def _validate(trainer: Trainer, sequences: Sequences, relevant: Relevant, many: bool) -> float:
    if not relevant:
        return 0.0
    users = np.fromiter(relevant, dtype=np.int32)
    vectors = trainer.item_vectors
    queries = encode(trainer.encoder, vectors, sequences.latest(users), many)
    return ndcg_of_vectors(queries, vectors, list(relevant.values()), STOPPING_SIZE)


def encode(encoder: Encoder, item_vectors: Floats, windows: Windows, many: bool) -> Floats:
    """Queries (w, K, dim) of windows: interests scaled as ranking/score.py does, or K = 1 vector of the body."""
    found = []
    for begin in range(0, len(windows), ENCODE_BATCH):
        part = windows.take(np.arange(begin, min(begin + ENCODE_BATCH, len(windows))))
        vectors = item_vectors[part.items] * part.mask[:, :, None]
        hidden = encoder.hidden(vectors, part.ages_days, part.actions, part.mask)
        if many:
            interests, shares = (out.numpy() for out in encoder.interests(hidden, part.ages_days, part.mask))
            found.append(interests * np.sqrt(shares / shares.max(axis=1, keepdims=True))[:, :, None])
        else:
            found.append(encoder.single(encoder.now(hidden, part.ages_days, part.mask)).numpy()[:, None])
    return np.concatenate(found)


def _served_vectors(trainer: Trainer, counted: Counted, seed: int) -> Floats:
    learned = trainer.item_vectors
    return blend(learned, content_vectors(counted.described, learned, counted.counts), counted.counts, seed)


def _log(writer: Any, epoch: int, loss: float, ndcg: float) -> None:
    with writer.as_default(step=epoch):
        tf.summary.scalar("loss", loss)
        tf.summary.scalar("validation/ndcg@10", ndcg)
    writer.flush()
