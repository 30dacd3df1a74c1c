"""Training of the interest encoder: its body on every position, then its heads on whole moments, briefly.

    loss = -log( e^(s u.v+) / (e^(s u.v+) + sum over shared negatives j of e^(s u.v_j) / expected count of j) )

Negatives are drawn by count^NEGATIVE_POWER and shared by a batch; dividing by how often each is expected (logQ) keeps
the loss that of the full softmax. Item vectors are trained with the body, row by row: rows that no batch touches cost
nothing. With several interests the user's logit for an item is log sum_k share_k e^(s u_k.v).
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

from trainer.content import unit
from trainer.encoder_model import Encoder
from trainer.sequences import NOTHING, Windows

NEGATIVE_POWER = 0.75
SCALE_START, SCALE_MAX = 12.0, 40.0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrainingRule:
    """How the encoder is trained."""

    batch: int = 64
    negatives: int = 1024
    learning_rate: float = 2e-3
    head_learning_rate: float = 5e-4
    head_targets: int = 4


class Trainer:
    """An encoder, the item vectors it is trained with, and what their optimisers remember."""

    def __init__(
        self, encoder: Encoder, item_vectors: Floats, counts: npt.NDArray[np.int64], rule: TrainingRule, seed: int
    ) -> None:
        """item_vectors (n, d): where to start from; counts (n,): interactions of each item, for the negatives."""
        self.encoder, self._rule = encoder, rule
        self._table = tf.Variable(unit(item_vectors), name="items")
        self._moment1 = tf.Variable(tf.zeros_like(self._table))
        self._moment2 = tf.Variable(tf.zeros_like(self._table))
        self._log_scale = tf.Variable(math.log(SCALE_START), name="log_scale")
        self._steps = tf.Variable(0.0)
        self._log_expected = tf.Variable(tf.zeros(len(counts)))
        self.draw_negatives_by(counts)
        self._rng = np.random.default_rng(seed)
        self._body = keras.optimizers.Adam(rule.learning_rate)
        self._head = keras.optimizers.Adam(rule.head_learning_rate)
        self._variables = [*encoder.trainable_variables, self._log_scale]
        ints, floats = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.float32)
        signature = [ints, floats, ints, floats, ints, tf.TensorSpec((None,), tf.int32)]
        self._body_step = tf.function(self._train_body, input_signature=signature, autograph=False)
        self._head_step = tf.function(self._train_heads, input_signature=signature, autograph=False)

    def draw_negatives_by(self, counts: npt.NDArray[np.int64]) -> None:
        """Negatives in proportion to counts (n,) ^ NEGATIVE_POWER from now on."""
        powered = counts.astype(np.float64) ** NEGATIVE_POWER
        self._cumulative = np.cumsum(powered) / powered.sum()
        expected = powered / powered.sum() * self._rule.negatives
        self._log_expected.assign(np.log(np.maximum(expected, 1e-12)).astype(np.float32))

    @property
    def item_vectors(self) -> Floats:
        """Unit rows (n, d) as they stand."""
        return unit(self._table.numpy())

    def snapshot(self) -> list[npt.NDArray[Any]]:
        """All weights, to come back to."""
        return [*(weight.copy() for weight in self.encoder.get_weights()), self._table.numpy(), self._log_scale.numpy()]

    def restore(self, snapshot: list[npt.NDArray[Any]]) -> None:
        """Come back to a snapshot."""
        self.encoder.set_weights(snapshot[:-2])
        self._table.assign(snapshot[-2])
        self._log_scale.assign(snapshot[-1])

    def set_learning_rate(self, rate: float) -> None:
        """For the body and the items, from the next step on."""
        self._body.learning_rate.assign(rate)

    def train_body(self, windows: Windows, tick: Callable[[], None]) -> float:
        """One pass over every position; returns the mean loss."""
        return self._pass(windows, self._body_step, tick)

    def train_heads(self, windows: Windows, tick: Callable[[], None]) -> float:
        """One pass over whole moments, item vectors as they are; returns the mean loss."""
        return self._pass(windows, self._head_step, tick)

    def steps(self, windows: Windows) -> int:
        """Batches of one pass."""
        return -(-len(windows) // self._rule.batch)

    def _pass(self, windows: Windows, step: Any, tick: Callable[[], None]) -> float:
        order = self._rng.permutation(len(windows))
        losses = []
        for begin in range(0, len(order), self._rule.batch):
            rows = order[begin : begin + self._rule.batch]
            drawn = np.searchsorted(self._cumulative, self._rng.random(self._rule.negatives), side="right")
            negatives = np.minimum(drawn, len(self._cumulative) - 1).astype(np.int32)
            losses.append(
                step(
                    tf.constant(windows.items[rows]),
                    tf.constant(windows.ages_days[rows]),
                    tf.constant(windows.actions[rows]),
                    tf.constant(windows.mask[rows]),
                    tf.constant(windows.targets[rows]),
                    tf.constant(negatives),
                )
            )
            tick()
        return float(np.mean([float(loss) for loss in losses])) if losses else 0.0

    def _train_body(self, items: Any, ages: Any, actions: Any, mask: Any, targets: Any, negatives: Any) -> Any:
        # One gather of distinct rows, so that the gradient of the items is dense over few rows.
        wanted = tf.maximum(targets, 0)
        touched, place = tf.unique(tf.concat([tf.reshape(items, [-1]), tf.reshape(wanted, [-1]), negatives], 0))
        cuts = [tf.size(items), tf.size(wanted), tf.size(negatives)]
        item_place, target_place, negative_place = tf.split(place, cuts)
        rows = tf.gather(self._table, touched)
        with tf.GradientTape() as tape:
            tape.watch(rows)
            units = _unit(rows)
            vectors = tf.reshape(tf.gather(units, item_place), (*tf.unstack(tf.shape(items)), units.shape[-1]))
            hidden = self.encoder.hidden(vectors, ages, actions, mask, training=True)
            asked = tf.reshape(self.encoder.single(hidden), (-1, units.shape[-1]))
            scale = self._scale()
            right = scale * tf.reduce_sum(asked * tf.gather(units, target_place), axis=-1)
            wrong = scale * tf.matmul(asked, tf.gather(units, negative_place), transpose_b=True)
            loss = self._softmax_loss(right, wrong, tf.reshape(targets, [-1]), negatives)
        gradients = tape.gradient(loss, [*self._variables, rows])
        self._body.apply(_filled(gradients[:-1], self._variables), self._variables)
        self._move_rows(touched, rows, gradients[-1])
        return loss

    def _train_heads(self, items: Any, ages: Any, actions: Any, mask: Any, targets: Any, negatives: Any) -> Any:
        vectors, wanted = _unit(tf.gather(self._table, items)), _unit(tf.gather(self._table, tf.maximum(targets, 0)))
        others = _unit(tf.gather(self._table, negatives))
        with tf.GradientTape() as tape:
            hidden = self.encoder.hidden(vectors, ages, actions, mask, training=True)
            interests, shares = self.encoder.interests(hidden, ages, mask)
            scale, log_share = self._scale(), tf.math.log(shares + 1e-9)[:, :, None]
            right = tf.reduce_logsumexp(log_share + scale * tf.matmul(interests, wanted, transpose_b=True), axis=1)
            wrong = tf.reduce_logsumexp(log_share + scale * tf.einsum("bkd,nd->bkn", interests, others), axis=1)
            wrong = tf.repeat(wrong, tf.shape(targets)[1], axis=0)
            loss = self._softmax_loss(tf.reshape(right, [-1]), wrong, tf.reshape(targets, [-1]), negatives)
        gradients = tape.gradient(loss, self._variables)
        self._head.apply(_filled(gradients, self._variables), self._variables)
        return loss

    def _softmax_loss(self, right: Any, wrong: Any, targets: Any, negatives: Any) -> Any:
        """right (p,), wrong (p, negatives), targets (p,) with NOTHING where a position asks for nothing."""
        wrong -= tf.gather(self._log_expected, negatives)[None]
        # A negative that is the answer is none.
        wrong = tf.where(targets[:, None] == negatives[None], -1e9, wrong)
        each = tf.math.softplus(tf.reduce_logsumexp(wrong, axis=1) - right)
        asked = tf.cast(targets != NOTHING, tf.float32)
        return tf.reduce_sum(each * asked) / tf.maximum(tf.reduce_sum(asked), 1.0)

    def _scale(self) -> Any:
        return tf.minimum(tf.exp(self._log_scale), SCALE_MAX)

    def _move_rows(self, touched: Any, rows: Any, gradient: Any) -> None:
        """Adam on the rows that this batch touched."""
        self._steps.assign_add(1.0)
        first = 0.9 * tf.gather(self._moment1, touched) + 0.1 * gradient
        second = 0.999 * tf.gather(self._moment2, touched) + 0.001 * gradient * gradient
        self._moment1.scatter_update(tf.IndexedSlices(first, touched))
        self._moment2.scatter_update(tf.IndexedSlices(second, touched))
        unbiased1, unbiased2 = first / (1.0 - 0.9**self._steps), second / (1.0 - 0.999**self._steps)
        moved = rows - self._body.learning_rate * unbiased1 / (tf.sqrt(unbiased2) + 1e-8)
        self._table.scatter_update(tf.IndexedSlices(moved, touched))


def _filled(gradients: list[Any], variables: list[Any]) -> list[Any]:
    """Zeros for what a loss does not reach: one optimiser, all variables, in each step."""
    pairs = zip(gradients, variables, strict=True)
    return [tf.zeros_like(variable) if gradient is None else gradient for gradient, variable in pairs]


def _unit(x: Any) -> Any:
    return x * tf.math.rsqrt(tf.maximum(tf.reduce_sum(x * x, axis=-1, keepdims=True), 1e-12))
