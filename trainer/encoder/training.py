"""Training of the interest encoder's body and of the item vectors it is asked in, on every position of every window.

    loss = -log softmax over items of  e^s * q . v_i     q the position's vector in item space, v_i unit rows

over all items where there are at most FULL_SOFTMAX_ITEMS_MAX, else over negatives drawn by count^NEGATIVE_POWER and
shared by a batch, each divided by how often it is expected (logQ), which keeps the loss that of the full softmax.
What q asks with is not of length 1: its length is how sure it is, and orders nothing.
LogQ: Bengio, Senécal, 2008; Yi et al., RecSys 2019.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.content.content import unit
from trainer.content.item_table import ItemTable
from trainer.encoder.averages import Averages
from trainer.encoder.model import Encoder
from trainer.encoder.model import unit as unit_rows
from trainer.encoder.prune import Pruned
from trainer.encoder.sequences import NOTHING, Windows

FULL_SOFTMAX_ITEMS_MAX = 6_000  # beyond it one batch would score hundreds of millions of pairs
NEGATIVE_POWER = 0.75
SCALE_START, SCALE_SPEED = 0.5, 10.0  # the scale is learned, and faster than a weight
NORM_MAX = 5.0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrainingRule:
    """How the encoder is trained; averages reach back `memory_epochs`."""

    batch: int = 64
    negatives: int = 1024
    learning_rate: float = 2e-3
    memory_epochs: float = 2.0


class Trainer:
    """An encoder, the item vectors it is trained with, and what their optimisers remember.

    rng: draws batches and negatives; pruned: weights kept at zero; item_pace: how fast item vectors move beside weights
    """

    def __init__(
        self, encoder: Encoder, item_vectors: Floats, counts: npt.NDArray[np.int64], rule: TrainingRule, seed: int
    ) -> None:
        """item_vectors (n, d): where to start from; counts (n,): interactions of each item, for the negatives."""
        self.encoder, self.rule = encoder, rule
        self.table = ItemTable(item_vectors)
        self.log_scale = tf.Variable(math.log(SCALE_START) / SCALE_SPEED, name="log_scale")
        self.is_full = len(counts) <= FULL_SOFTMAX_ITEMS_MAX
        self._log_expected = tf.Variable(tf.zeros(len(counts)), trainable=False)
        self.draw_negatives_by(counts)
        self.rng = np.random.default_rng(seed)
        self.pruned: Pruned | None = None
        self.item_pace = 1.0
        self._variables = [*encoder.body.trainable_variables, self.log_scale]
        self._optimizer = keras.optimizers.Adam(rule.learning_rate)
        self._optimizer.build(self._variables)
        self._item_rate = tf.Variable(rule.learning_rate, trainable=False)
        ints, floats = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.float32)
        signature = [ints, floats, ints, floats, ints, ints, tf.TensorSpec((None,), tf.int32)]
        step = self._train_full if self.is_full else self._train_sampled
        self._step = tf.function(step, input_signature=signature, autograph=False)

    def draw_negatives_by(self, counts: npt.NDArray[np.int64]) -> None:
        """Negatives in proportion to counts (n,) ^ NEGATIVE_POWER from now on."""
        powered = counts.astype(np.float64) ** NEGATIVE_POWER
        self._cumulative = np.cumsum(powered) / powered.sum()
        expected = powered / powered.sum() * self.rule.negatives
        self._log_expected.assign(np.log(np.maximum(expected, 1e-12)).astype(np.float32))

    @property
    def item_vectors(self) -> Floats:
        """Unit rows (n, d) as they stand."""
        return unit(self.table.rows.numpy())

    def averages(self, steps_an_epoch: int) -> Averages:
        """Averages of all that is trained, from now on."""
        return Averages([*self._variables, self.table.rows], self.rule.memory_epochs * steps_an_epoch)

    def snapshot(self) -> list[npt.NDArray[Any]]:
        """All weights, to come back to."""
        return [variable.numpy() for variable in (*self._variables, self.table.rows)]

    def restore(self, snapshot: list[npt.NDArray[Any]]) -> None:
        """Come back to a snapshot."""
        for variable, held in zip((*self._variables, self.table.rows), snapshot, strict=True):
            variable.assign(held)

    def steps(self, windows: Windows) -> int:
        """Batches of one pass."""
        return -(-len(windows) // self.rule.batch)

    def train(
        self, windows: Windows, rate: Callable[[], float], averages: Averages | None, tick: Callable[[], None]
    ) -> float:
        """One pass over every position; rate is asked for each step's learning rate. Returns the mean loss."""
        losses = []
        for rows in batches(len(windows), self.rule.batch, self.rng):
            part = windows.take(rows)
            self._optimizer.learning_rate.assign(now := rate())
            self._item_rate.assign(now * self.item_pace)
            given = (part.items, part.ages_days, part.actions, part.mask, part.moments, part.targets)
            others = self.negatives(0 if self.is_full else self.rule.negatives)
            losses.append(self._step(*(tf.constant(one) for one in given), tf.constant(others)))
            if self.pruned:
                self.pruned.keep()
            if averages:
                averages.step()
            tick()
        return float(np.mean([float(loss) for loss in losses])) if losses else 0.0

    def negatives(self, count: int) -> npt.NDArray[np.int32]:
        """Item rows drawn for one batch (count,), by how often items are met."""
        drawn = np.searchsorted(self._cumulative, self.rng.random(count), side="right")
        return np.minimum(drawn, len(self._cumulative) - 1).astype(np.int32)

    def scale(self) -> Any:
        """What products are multiplied by before the softmax."""
        return tf.exp(SCALE_SPEED * self.log_scale)

    def _train_full(
        self, items: Any, ages: Any, actions: Any, mask: Any, moments: Any, targets: Any, negatives: Any
    ) -> Any:
        del negatives  # all items are
        touched = tf.range(tf.shape(self.table.rows)[0])
        rows = self.table.rows.read_value()
        with tf.GradientTape() as tape:
            tape.watch(rows)
            units = unit_rows(rows)
            hidden = self.encoder.hidden(tf.gather(units, items), ages, actions, mask, moments, training=True)
            asked, wanted = _known(self.encoder.asked(hidden), targets)
            logits = self.scale() * tf.matmul(asked, units, transpose_b=True)
            loss = _mean(tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits))
        self._move(tape, loss, touched, rows)
        return loss

    def _train_sampled(
        self, items: Any, ages: Any, actions: Any, mask: Any, moments: Any, targets: Any, negatives: Any
    ) -> Any:
        # One gather of distinct rows, so that the gradient of the items is dense over few rows.
        every = tf.concat([tf.reshape(items, [-1]), tf.reshape(tf.maximum(targets, 0), [-1]), negatives], 0)
        touched, place = tf.unique(every)
        item_place, target_place, negative_place = tf.split(
            place, [tf.size(items), tf.size(targets), tf.size(negatives)]
        )
        rows = tf.gather(self.table.rows, touched)
        with tf.GradientTape() as tape:
            tape.watch(rows)
            units = unit_rows(rows)
            vectors = tf.gather(units, tf.reshape(item_place, tf.shape(items)))
            hidden = self.encoder.hidden(vectors, ages, actions, mask, moments, training=True)
            places = tf.where(targets >= 0, tf.reshape(target_place, tf.shape(targets)), NOTHING)
            asked, wanted = _known(self.encoder.asked(hidden), places)
            right = self.scale() * tf.reduce_sum(asked * tf.gather(units, wanted), axis=-1)
            wrong = self.scale() * tf.matmul(asked, tf.gather(units, negative_place), transpose_b=True)
            wrong -= tf.gather(self._log_expected, negatives)[None]
            wrong = tf.where(wanted[:, None] == negative_place[None], -1e9, wrong)
            loss = _mean(tf.reduce_logsumexp(tf.concat([right[:, None], wrong], axis=1), axis=1) - right)
        self._move(tape, loss, touched, rows)
        return loss

    def _move(self, tape: Any, loss: Any, touched: Any, rows: Any) -> None:
        gradients = tape.gradient(loss, [*self._variables, rows])
        # A history of one action does not reach every row of the others.
        pairs = zip(gradients, [*self._variables, rows], strict=True)
        filled = [tf.zeros_like(variable) if gradient is None else gradient for gradient, variable in pairs]
        filled, _ = tf.clip_by_global_norm(filled, NORM_MAX)
        self._optimizer.apply(filled[:-1], self._variables)
        self.table.move(touched, rows, filled[-1], self._item_rate)


def batches(count: int, size: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Rows of each batch, in an order drawn anew."""
    order = rng.permutation(count)
    return [order[begin : begin + size] for begin in range(0, count, size)]


def _known(asked: Any, targets: Any) -> tuple[Any, Any]:
    """Vectors (p, d) and targets (p,) of the positions that have one."""
    flat = tf.reshape(targets, [-1])
    kept = tf.where(flat != NOTHING)[:, 0]
    return tf.gather(tf.reshape(asked, (-1, asked.shape[-1])), kept), tf.gather(flat, kept)


def _mean(losses: Any) -> Any:
    return tf.reduce_sum(losses) / tf.maximum(tf.cast(tf.size(losses), tf.float32), 1.0)
