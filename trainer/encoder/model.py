"""The interest encoder: a history's item vectors, ages and actions to interests and their shares.

    x_t    = W v_t + action embedding, then blocks of attention and feed-forward
    attention of t over every s that is not later than t, at equal times in both directions:
             softmax(q_t . k_s / sqrt(d) + bias_h(lag, gap))
    lag    = how many events lie from the moment of s up to that of t: the order of moments, whatever the clock says
    gap    = age_s - age_t in days
    now    = mean of the hidden states of the latest moment
    u      = unit(O now), the one interest; or K of them, see trainer/encoder/heads.py

The bias of a head is a learned sum of a few curves over lag and gap (`LAGS`, `GAPS_DAYS`), so it holds for histories
of any length. Time enters as differences of ages alone, so the same history counts the same whenever it is asked, and
the rows of one basket may come in any order. Self-attention: Kang, McAuley, "SASRec", ICDM 2018; time in the
attention: Li, Wang, McAuley, "TiSASRec", WSDM 2020.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from interests.events import Action
from trainer.encoder.heads import InterestHeads

FAR = -1e9  # finite: a row of padding must not become NaN
LAGS = (1.0, 3.0, 10.0, 30.0)  # events after which exp(-lag / .) has faded
GAPS_DAYS = (1 / 144, 1 / 12, 1.0, 14.0, 90.0)
CURVES = 2 + len(LAGS) + len(GAPS_DAYS)
BIAS_SPEED = 4.0  # so that a bias moves as fast under Adam as the products that it is added to
ITEM_GAIN = 4.0  # unit rows come in small beside what the blocks add to them
NEAREST, FARTHEST = 1.5, 0.2  # slopes over log(1 + lag) between which heads start


class Shape(NamedTuple):
    """How large the encoder is; interests: how many it gives, 1 for the single vector."""

    dim: int = 64
    blocks: int = 2
    heads: int = 2
    interests: int = 1


class Block(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Pre-norm attention and feed-forward, both residual."""

    def __init__(self, shape: Shape, dropout: float, name: str) -> None:
        super().__init__(name=name)
        self._heads, self._width = shape.heads, shape.dim // shape.heads
        self._norm1, self._norm2 = keras.layers.LayerNormalization(), keras.layers.LayerNormalization()
        self._qkv = keras.layers.Dense(3 * shape.dim, use_bias=False)
        self._out = keras.layers.Dense(shape.dim)
        # The tanh form: the exact one becomes an operator that ONNX does not have.
        self._wide = keras.layers.Dense(2 * shape.dim, activation=_gelu)
        self._narrow = keras.layers.Dense(shape.dim)
        self._dropout = keras.layers.Dropout(dropout)

    def build(self, input_shape: Any) -> None:
        slopes = np.zeros((CURVES, self._heads), dtype=np.float32)
        slopes[0] = -np.linspace(NEAREST, FARTHEST, self._heads) / BIAS_SPEED
        self._bias = self.add_weight(
            name="bias", shape=slopes.shape, initializer=lambda shape, dtype=None: tf.constant(slopes)
        )
        dim = input_shape[-1]
        self._norm1.build(input_shape)
        self._norm2.build(input_shape)
        self._qkv.build(input_shape)
        self._out.build(input_shape)
        self._wide.build(input_shape)
        self._narrow.build((*input_shape[:-1], 2 * dim))

    def call(self, x: Any, barred: Any, curves: Any, training: bool = False) -> Any:
        """x (B, L, d); barred (B, L, L), FAR where row may not attend to column, else 0; curves (B, L, L, CURVES)."""
        batch, length = tf.shape(x)[0], tf.shape(x)[1]
        qkv = tf.reshape(self._qkv(self._norm1(x)), (batch, length, 3, self._heads, self._width))
        q, k, v = (tf.transpose(part, (0, 2, 1, 3)) for part in tf.unstack(qkv, axis=2))
        bias = tf.transpose(tf.matmul(curves, BIAS_SPEED * self._bias), (0, 3, 1, 2))
        scores = tf.matmul(q, k, transpose_b=True) / self._width**0.5 + bias + barred[:, None]
        weights = self._dropout(tf.nn.softmax(scores), training=training)
        mixed = tf.reshape(tf.transpose(tf.matmul(weights, v), (0, 2, 1, 3)), (batch, length, -1))
        x += self._dropout(self._out(mixed), training=training)
        return x + self._dropout(self._narrow(self._wide(self._norm2(x))), training=training)


class Body(keras.Model):  # type: ignore[misc]  # Keras has no types
    """From a history to hidden states, and from them to item space."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__(name="interest_encoder")
        self._items = keras.layers.Dense(shape.dim, kernel_initializer=keras.initializers.Identity(ITEM_GAIN))
        self._actions = keras.layers.Embedding(max(Action) + 1, shape.dim, embeddings_initializer="zeros")
        self._dropout = keras.layers.Dropout(dropout)
        self._blocks = [Block(shape, dropout, f"block_{place}") for place in range(shape.blocks)]
        self._norm = keras.layers.LayerNormalization()
        self.to_space = keras.layers.Dense(shape.dim, kernel_initializer="identity")

    def build(self, item_vectors_shape: Any, **_: Any) -> None:
        for layer in (self._items, *self._blocks, self._norm, self.to_space):
            layer.build(item_vectors_shape)
        self._actions.build(item_vectors_shape[:-1])
        self.built = True

    def call(
        self, item_vectors: Any, ages_days: Any, actions: Any, mask: Any, moments: Any = None, training: bool = False
    ) -> Any:
        """Hidden states (B, L, d), each position knowing what was not later than itself."""
        when = -ages_days if moments is None else tf.cast(moments, tf.float32)
        later = when[:, None, :] - when[:, :, None]
        barred = (1.0 - tf.cast(later <= 0.0, tf.float32) * mask[:, None, :]) * FAR
        after = tf.reduce_sum(tf.cast(later > 0.0, tf.float32) * mask[:, None, :], axis=2)
        lag = tf.nn.relu(after[:, None, :] - after[:, :, None])
        curves = _curves(lag, tf.nn.relu(ages_days[:, None, :] - ages_days[:, :, None]))
        x = self._items(item_vectors) + self._actions(actions)
        x = self._dropout(x, training=training) * mask[:, :, None]
        for block in self._blocks:
            x = block(x, barred, curves, training=training)
        return self._norm(x) * mask[:, :, None]


class Encoder:
    """Body, and interest heads where there are several interests.

    Inputs as interests/encoder.py documents them: oldest first, padded in front.
    """

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        self.shape_of, self.dropout = shape, dropout
        self.body = Body(shape, dropout)
        ones = tf.ones((1, 2), tf.float32)
        self.single(self.hidden(tf.ones((1, 2, shape.dim)), ones, tf.ones((1, 2), tf.int32), ones))
        self.heads: InterestHeads | None = None
        self.set_interests(shape.interests)

    def set_interests(self, interests: int) -> None:
        """Give so many interests from now on: 1 for the single vector, else by heads that know nothing yet."""
        self.shape_of = self.shape_of._replace(interests=interests)
        self.heads = InterestHeads(self.shape_of.dim, interests) if interests > 1 else None
        if self.heads is not None:
            self.heads.build((None, None, self.shape_of.dim))

    def hidden(
        self, item_vectors: Any, ages_days: Any, actions: Any, mask: Any, moments: Any = None, training: bool = False
    ) -> Any:
        """(B, L, d), each position knowing what was not later than itself.

        moments (B, L) int: numbers that rise with time, where they are known; else ages tell moments apart.
        """
        return self.body(item_vectors, ages_days, actions, mask, moments, training=training)

    def asked(self, hidden: Any) -> Any:
        """Vectors (..., d) in item space of hidden states; how long they are says how sure."""
        return self.body.to_space(hidden)

    def single(self, hidden: Any) -> Any:
        """Unit vectors (..., d) in item space of hidden states: what comes next, in one direction."""
        return unit(self.asked(hidden))

    def now(self, hidden: Any, ages_days: Any, mask: Any) -> Any:
        """Mean hidden state (B, d) of the latest moment; in what order its rows come does not matter."""
        youngest = tf.reduce_min(ages_days + (1.0 - mask) * 1e9, axis=1, keepdims=True)
        latest = tf.cast(ages_days <= youngest, tf.float32) * mask
        total = tf.maximum(tf.reduce_sum(latest, axis=1, keepdims=True), 1.0)
        return tf.reduce_sum(hidden * latest[:, :, None], axis=1) / total

    def interests(self, hidden: Any, ages_days: Any, mask: Any) -> tuple[Any, Any]:
        """Unit interests (B, K, d) and shares (B, K)."""
        now = self.now(hidden, ages_days, mask)
        if self.heads is None:
            return self.single(now)[:, None], tf.ones_like(now[:, :1])
        each, log_shares = self.heads(hidden, now, mask)
        return self.single(each), tf.exp(log_shares)

    def __call__(self, item_vectors: Any, ages_days: Any, actions: Any, mask: Any) -> tuple[Any, Any]:
        """What is exported: (interests, shares)."""
        return self.interests(self.hidden(item_vectors, ages_days, actions, mask), ages_days, mask)


def unit(x: Any) -> Any:
    """Rows of length 1."""
    # tf.math.l2_normalize has no plain form in ONNX for every axis; this has.
    return x * tf.math.rsqrt(tf.maximum(tf.reduce_sum(x * x, axis=-1, keepdims=True), 1e-12))


def _curves(lag: Any, gap_days: Any) -> Any:
    """What a bias is a sum of, (B, L, L, CURVES): logarithms for the long run, exponentials for what just happened."""
    each = [tf.math.log(1.0 + lag), tf.math.log(1.0 + gap_days)]  # ONNX has no log1p
    each += [tf.exp(-lag / fade) for fade in LAGS] + [tf.exp(-gap_days / fade) for fade in GAPS_DAYS]
    return tf.stack(each, axis=-1)


def _gelu(x: Any) -> Any:
    return tf.nn.gelu(x, approximate=True)
