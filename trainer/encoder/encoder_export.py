"""The interest encoder as it leaves: the sums of trainer/encoder/model.py, arranged for ONNX Runtime.

The formulas are the model's own; what differs is how many operators they become, and a model this small spends as much
time between operators as in them:

    curves     stacked along an axis of whole planes, not of single numbers; the biases of all blocks in one product
    heads      one product that broadcasts over them, where training reshapes and transposes
    norms      in the form that ONNX Runtime turns into one operator

The export checks the outcome against the model that was trained.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.encoder.model import BIAS_SPEED, CURVES, FAR, GAPS_DAYS, LAGS, Block, Encoder

Outputs = dict[str, Any]


def arranged(encoder: Encoder) -> Callable[[Any, Any, Any, Any], Outputs]:
    """The encoder's forward pass over its weights as they are now, for tracing. Inputs as interests/encoder.py has."""
    body, heads = encoder.body, encoder.shape_of.heads
    blocks = [_block(block, heads) for block in body._blocks]
    weigh = np.concatenate([_bias_weights(block) for block in body._blocks])  # of every curve, by block and head
    items, norm = _dense(body._items), _norm(body._norm)
    actions = body._actions.embeddings.numpy()

    def run(item_vectors: Any, ages_days: Any, actions_: Any, mask: Any) -> Outputs:
        batch, length = tf.shape(ages_days)[0], tf.shape(ages_days)[1]
        curves = tf.reshape(_curves(ages_days, mask), (batch, CURVES + 1, length * length))
        bias = tf.reshape(tf.matmul(tf.constant(weigh), curves), (batch, len(weigh), length, length))
        x = (items(item_vectors) + tf.gather(tf.constant(actions), actions_)) * tf.expand_dims(mask, 2)
        for block, theirs in zip(blocks, tf.split(bias, len(blocks), axis=1), strict=True):
            x = block(x, theirs)
        hidden = norm(x) * tf.expand_dims(mask, 2)
        interests, shares = encoder.interests(hidden, ages_days, mask)
        return {"interests": tf.identity(interests), "shares": tf.identity(shares)}

    return run


def _curves(ages_days: Any, mask: Any) -> Any:
    """What biases are sums of, (B, CURVES + 1, L, L); the last plane is FAR where a row may not attend to a column."""
    columns, rows, known = tf.expand_dims(ages_days, 1), tf.expand_dims(ages_days, 2), tf.expand_dims(mask, 1)
    is_later = tf.cast(rows > columns, tf.float32)
    after = tf.reduce_sum(is_later * known, axis=2)
    lag = tf.expand_dims(tf.nn.relu(tf.expand_dims(after, 1) - tf.expand_dims(after, 2)), 1)
    gap = tf.expand_dims(tf.nn.relu(columns - rows), 1)
    barred = tf.expand_dims((1.0 - (1.0 - is_later) * known) * FAR, 1)
    fading = [tf.exp(of * _rates(fades)) for of, fades in ((lag, LAGS), (gap, GAPS_DAYS))]
    return tf.concat([tf.math.log(1.0 + lag), tf.math.log(1.0 + gap), *fading, barred], axis=1)


def _rates(fades: tuple[float, ...]) -> Any:
    return tf.constant(-1.0 / np.array(fades, dtype=np.float32)[None, :, None, None])


def _bias_weights(block: Block) -> npt.NDArray[np.float32]:
    """(heads, CURVES + 1)"""
    learned = BIAS_SPEED * block._bias.numpy().T
    return np.concatenate([learned, np.ones((len(learned), 1), dtype=np.float32)], axis=1)


def _block(block: Block, heads: int) -> Callable[[Any, Any], Any]:
    norm1, norm2 = _norm(block._norm1), _norm(block._norm2)
    wide, narrow = _dense(block._wide), _dense(block._narrow)
    whole, out = block._qkv.kernel.numpy(), block._out.kernel.numpy()
    dim = len(whole)
    parts = whole.reshape(dim, 3, heads, dim // heads).transpose(1, 2, 0, 3)  # q, k, v of (heads, dim, width) each
    query, key, value = parts[0] / np.float32((dim // heads) ** 0.5), parts[1], parts[2]
    mixing, out_bias = out.reshape(heads, dim // heads, dim), block._out.bias.numpy()

    def run(x: Any, bias: Any) -> Any:
        normal = tf.expand_dims(norm1(x), 1)
        q, k, v = (tf.matmul(normal, tf.constant(np.ascontiguousarray(part))) for part in (query, key, value))
        weights = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) + bias)
        mixed = tf.reduce_sum(tf.matmul(tf.matmul(weights, v), tf.constant(mixing)), axis=1)
        x = x + (mixed + tf.constant(out_bias))
        return x + narrow(wide(norm2(x)))

    return run


def _dense(layer: Any) -> Callable[[Any], Any]:
    kernel, bias, activation = layer.kernel.numpy(), layer.bias.numpy(), layer.activation
    return lambda x: activation(tf.matmul(x, tf.constant(kernel)) + tf.constant(bias))


def _norm(layer: Any) -> Callable[[Any], Any]:
    gamma, beta, epsilon = layer.gamma.numpy(), layer.beta.numpy(), layer.epsilon

    def run(x: Any) -> Any:
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.pow(centred, 2.0), axis=-1, keepdims=True)
        return centred / tf.sqrt(variance + epsilon) * tf.constant(gamma) + tf.constant(beta)

    return run
