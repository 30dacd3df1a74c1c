"""Several interests from one history: self-attentive heads over the encoder's hidden states.

    A_k    = softmax over t of w_k . tanh(W h_t)
    z_k    = now + P_k * sum_t A_kt h_t          the interest is unit(O z_k)
    share  = softmax(S now)

and what keeps heads apart in training: C = A - its mean over time, penalty sum over k of (C C^T / length)_kk^2, each
head's attention kept from collapsing onto single events. Self-attentive heads: Cen et al., "ComiRec", KDD 2020.
Routing regularisation and hard negatives: Xie et al., "Rethinking Multi-Interest Learning (REMI)", RecSys 2023.
"""

from typing import Any

import keras
import tensorflow as tf

FAR = -1e9


class InterestHeads(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """K heads on a body of width dim."""

    def __init__(self, dim: int, interests: int) -> None:
        super().__init__(name="interest_heads")
        self._count = interests
        self._seen = keras.layers.Dense(dim, activation="tanh")
        self._look = keras.layers.Dense(interests, use_bias=False)
        self._own = [keras.layers.Dense(dim, use_bias=False, name=f"own_{place}") for place in range(interests)]
        self._share = keras.layers.Dense(interests, kernel_initializer="zeros")

    def build(self, hidden_shape: Any) -> None:
        dim = hidden_shape[-1]
        for layer in (self._seen, self._look, *self._own, self._share):
            layer.build((None, dim))

    def attention(self, hidden: Any, mask: Any) -> Any:
        """How much each head looks at each event, (B, L, K), summing to 1 over the events."""
        look = self._look(self._seen(hidden)) + (1.0 - mask[:, :, None]) * FAR
        return tf.nn.softmax(look, axis=1)

    def call(self, hidden: Any, now: Any, mask: Any, attention: Any = None) -> tuple[Any, Any]:
        """hidden (B, L, d), now (B, d) -> what each interest is made from (B, K, d), logarithms of shares (B, K)."""
        attention = self.attention(hidden, mask) if attention is None else attention
        pooled = tf.matmul(attention, hidden, transpose_a=True)
        each = [now + own(pooled[:, place]) for place, own in enumerate(self._own)]
        return tf.stack(each, axis=1), tf.nn.log_softmax(self._share(now))


def routing_penalty(attention: Any, mask: Any) -> Any:
    """Mean over users of the squared norm of the diagonal of C C^T / length; attention (B, L, K)."""
    known = tf.maximum(tf.reduce_sum(mask, axis=1)[:, None, None], 1.0)
    centred = (attention - 1.0 / known) * mask[:, :, None]
    diagonal = tf.reduce_sum(centred * centred, axis=1) / known[:, 0]
    return tf.reduce_mean(tf.reduce_sum(diagonal * diagonal, axis=1))
