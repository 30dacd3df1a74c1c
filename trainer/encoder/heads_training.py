"""Training of interest heads upon a body and item vectors that stay as they are, on whole moments.

    target's head     the one whose interest is nearest to it: k* = argmax_k u_k . v
    loss              -log( e^(s u_k*.v) / (e^(s u_k*.v) + N * sum_j w_j e^(s u_k*.v_j)) )
                      w_j ~ e^(HARDNESS s u_k*.v_j), summing to 1 over N negatives
                      - log share_k*  +  ROUTING * routing penalty

Hard negatives weigh more the nearer they are to the interest that is asked. ComiRec, KDD 2020; REMI, RecSys 2023.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.encoder.heads import InterestHeads, routing_penalty
from trainer.encoder.model import unit
from trainer.encoder.sequences import Windows
from trainer.encoder.training import Trainer, batches

HARDNESS = 0.5
ROUTING = 100.0
TARGETS = 4  # asked of each window
NEGATIVES = 1024
LEARNING_RATE = 1e-3
SCALE = 12.0  # unit vectors ask here, as they will when they serve


class HeadsTrainer:
    """Heads and what their optimiser remembers."""

    def __init__(self, trainer: Trainer, heads: InterestHeads) -> None:
        self._trainer, self._heads = trainer, heads
        self._optimizer = keras.optimizers.Adam(LEARNING_RATE)
        self._optimizer.build(heads.trainable_variables)
        ints, floats = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.float32)
        signature = [ints, floats, ints, floats, ints, ints, tf.TensorSpec((None,), tf.int32)]
        self._step = tf.function(self._train, input_signature=signature, autograph=False)

    def train(self, windows: Windows, tick: Callable[[], None]) -> float:
        """One pass over windows that end with a whole moment, targets (w, TARGETS); returns the mean loss."""
        losses = []
        for rows in batches(len(windows), self._trainer.rule.batch, self._trainer.rng):
            part = windows.take(rows)
            given = (part.items, part.ages_days, part.actions, part.mask, part.moments, part.targets)
            others = self._trainer.negatives(NEGATIVES)
            losses.append(self._step(*(tf.constant(one) for one in given), tf.constant(others)))
            tick()
        return float(np.mean([float(loss) for loss in losses])) if losses else 0.0

    def _train(self, items: Any, ages: Any, actions: Any, mask: Any, moments: Any, targets: Any, negatives: Any) -> Any:
        encoder, table = self._trainer.encoder, unit(self._trainer.table.rows)
        hidden = encoder.hidden(tf.gather(table, items), ages, actions, mask, moments)
        now = encoder.now(hidden, ages, mask)
        wanted, others = tf.gather(table, tf.maximum(targets, 0)), tf.gather(table, negatives)
        known = tf.cast(targets >= 0, tf.float32)
        with tf.GradientTape() as tape:
            attention = self._heads.attention(hidden, mask)
            each, log_shares = self._heads(hidden, now, mask, attention)
            interests = encoder.single(each)
            right = SCALE * tf.matmul(wanted, interests, transpose_b=True)  # (B, t, K)
            chosen = tf.one_hot(tf.argmax(right, axis=2), tf.shape(right)[2])
            wrong = tf.einsum("btk,bkn->btn", chosen, SCALE * tf.einsum("bkd,nd->bkn", interests, others))
            wrong = tf.where(targets[:, :, None] == negatives[None, None], -1e9, wrong)
            hard = tf.nn.log_softmax(HARDNESS * tf.stop_gradient(wrong)) + tf.math.log(float(NEGATIVES))
            right = tf.reduce_sum(right * chosen, axis=2)
            against = tf.reduce_logsumexp(tf.concat([right[:, :, None], wrong + hard], axis=2), axis=2)
            share = tf.reduce_sum(chosen * log_shares[:, None], axis=2)
            loss = tf.reduce_sum(known * (against - right - share)) / tf.maximum(tf.reduce_sum(known), 1.0)
            loss += ROUTING * routing_penalty(attention, mask)
        variables = self._heads.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return loss
