"""The interest encoder: a history's item vectors, ages and actions to K interests and their shares.

    x_t    = W v_t + action embedding, then blocks of attention and feed-forward
    attention of t over every s that is not later than t by its age, at equal times in both directions:
             softmax(q_t . k_s / sqrt(d) - softplus(a_h) * log(1 + age_s - age_t))
    now    = mean of the hidden states of the latest moment
    u_k    = unit(O (now + P_k * sum_t A_kt h_t)),  A_k = softmax over t of a head of its own
    share  = softmax(S now)

Time enters as differences of ages alone, so the same history counts the same whenever it is asked, and the rows of one
basket may come in any order. Self-attention: Kang, McAuley, "SASRec", ICDM 2018; time in the attention: Li, Wang,
McAuley, "TiSASRec", WSDM 2020; interest heads: Cen et al., "ComiRec", KDD 2020.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from interests.events import Action

FAR = -1e9  # finite: a row of padding must not become NaN


class Shape(NamedTuple):
    """How large the encoder is."""

    dim: int = 64
    blocks: int = 2
    heads: int = 2
    interests: int = 4


class Block(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Pre-norm attention and feed-forward, both residual."""

    def __init__(self, shape: Shape, dropout: float, name: str) -> None:
        super().__init__(name=name)
        self._heads, self._width = shape.heads, shape.dim // shape.heads
        self._norm1, self._norm2 = keras.layers.LayerNormalization(), keras.layers.LayerNormalization()
        self._qkv = keras.layers.Dense(3 * shape.dim, use_bias=False)
        self._out = keras.layers.Dense(shape.dim)
        # The tanh form: the exact one becomes an operator that ONNX does not have.
        self._wide = keras.layers.Dense(4 * shape.dim, activation=_gelu)
        self._narrow = keras.layers.Dense(shape.dim)
        self._dropout = keras.layers.Dropout(dropout)

    def build(self, input_shape: Any) -> None:
        self._fade = self.add_weight(name="fade", shape=(self._heads,), initializer=keras.initializers.Constant(-2.0))
        dim = input_shape[-1]
        self._norm1.build(input_shape)
        self._norm2.build(input_shape)
        self._qkv.build(input_shape)
        self._out.build(input_shape)
        self._wide.build(input_shape)
        self._narrow.build((*input_shape[:-1], 4 * dim))

    def call(self, x: Any, allowed: Any, log_gap: Any, training: bool = False) -> Any:
        """x (B, L, d); allowed (B, L, L) 1 or 0, row attends to column; log_gap (B, L, L) >= 0."""
        batch, length = tf.shape(x)[0], tf.shape(x)[1]
        qkv = tf.reshape(self._qkv(self._norm1(x)), (batch, length, 3, self._heads, self._width))
        q, k, v = (tf.transpose(part, (0, 2, 1, 3)) for part in tf.unstack(qkv, axis=2))
        scores = tf.matmul(q, k, transpose_b=True) / self._width**0.5
        scores -= tf.nn.softplus(self._fade)[None, :, None, None] * log_gap[:, None]
        weights = tf.nn.softmax(scores + (1.0 - allowed[:, None]) * FAR)
        mixed = tf.reshape(tf.transpose(tf.matmul(weights, v), (0, 2, 1, 3)), (batch, length, -1))
        x += self._dropout(self._out(mixed), training=training)
        return x + self._dropout(self._narrow(self._wide(self._norm2(x))), training=training)


class Encoder(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Body and heads. Inputs as interests/encoder.py documents them: oldest first, padded in front."""

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        super().__init__(name="interest_encoder")
        self.shape_of = shape
        self._items = keras.layers.Dense(shape.dim)
        self._actions = keras.layers.Embedding(max(Action) + 1, shape.dim, embeddings_initializer="zeros")
        self._blocks = [Block(shape, dropout, f"block_{place}") for place in range(shape.blocks)]
        self._norm = keras.layers.LayerNormalization()
        self._to_space = keras.layers.Dense(shape.dim)
        self._look = keras.layers.Dense(shape.interests)
        self._heads = [keras.layers.Dense(shape.dim, use_bias=False) for _ in range(shape.interests)]
        self._share = keras.layers.Dense(shape.interests, kernel_initializer="zeros")

    def hidden(self, item_vectors: Any, ages_days: Any, actions: Any, mask: Any, training: bool = False) -> Any:
        """(B, L, d), each position knowing what was not later than itself."""
        gap = ages_days[:, None, :] - ages_days[:, :, None]
        allowed = tf.cast(gap >= 0.0, tf.float32) * mask[:, None, :]
        log_gap = tf.math.log(1.0 + tf.maximum(gap, 0.0))  # ONNX has no log1p
        x = (self._items(item_vectors) + self._actions(actions)) * mask[:, :, None]
        for block in self._blocks:
            x = block(x, allowed, log_gap, training=training)
        return self._norm(x) * mask[:, :, None]

    def single(self, hidden: Any) -> Any:
        """Unit vectors (..., d) in item space of hidden states: what comes next, in one direction."""
        return _unit(self._to_space(hidden))

    def now(self, hidden: Any, ages_days: Any, mask: Any) -> Any:
        """Mean hidden state (B, d) of the latest moment; in what order its rows come does not matter."""
        youngest = tf.reduce_min(ages_days + (1.0 - mask) * 1e9, axis=1, keepdims=True)
        latest = tf.cast(ages_days <= youngest, tf.float32) * mask
        total = tf.maximum(tf.reduce_sum(latest, axis=1, keepdims=True), 1.0)
        return tf.reduce_sum(hidden * latest[:, :, None], axis=1) / total

    def interests(self, hidden: Any, ages_days: Any, mask: Any) -> tuple[Any, Any]:
        """Unit interests (B, K, d) and shares (B, K)."""
        now = self.now(hidden, ages_days, mask)
        look = self._look(hidden) + (1.0 - mask[:, :, None]) * FAR
        pooled = tf.matmul(tf.nn.softmax(look, axis=1), hidden, transpose_a=True)
        each = [now + head(pooled[:, place]) for place, head in enumerate(self._heads)]
        return self.single(tf.stack(each, axis=1)), tf.nn.softmax(self._share(now))

    def call(self, item_vectors: Any, ages_days: Any, actions: Any, mask: Any, training: bool = False) -> Any:
        """What is exported: (interests, shares)."""
        hidden = self.hidden(item_vectors, ages_days, actions, mask, training=training)
        return self.interests(hidden, ages_days, mask)


def build(shape: Shape, dropout: float = 0.1) -> Encoder:
    """An encoder whose weights exist."""
    encoder = Encoder(shape, dropout)
    ones = tf.ones((1, 2), tf.float32)
    encoder(tf.ones((1, 2, shape.dim)), tf.constant([[1.0, 0.0]]), tf.ones((1, 2), tf.int32), ones)
    return encoder


def _gelu(x: Any) -> Any:
    return tf.nn.gelu(x, approximate=True)


def _unit(x: Any) -> Any:
    # tf.math.l2_normalize has no plain form in ONNX for every axis; this has.
    return x * tf.math.rsqrt(tf.maximum(tf.reduce_sum(x * x, axis=-1, keepdims=True), 1e-12))
