"""Magnitude pruning: the smallest weights of each of the encoder's dense layers become zero and stay zero.

Zeros do not make a dense model smaller or faster by themselves: they make its file compress. Han et al., NIPS 2015.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class Pruned:
    """The kernels of dense layers among some variables, and which of their weights are left."""

    def __init__(self, variables: Sequence[Any], share: float) -> None:
        """share in [0, 1): how much of each kernel becomes zero, now and at each `keep`."""
        kernels = [variable for variable in variables if variable.name == "kernel"]
        self._pairs = [(kernel, _mask(kernel.numpy(), share)) for kernel in kernels]
        self.keep = tf.function(self._kept, autograph=False)
        self.keep()

    @property
    def zeros(self) -> int:
        """How many weights are zero."""
        return int(sum(np.count_nonzero(mask.numpy() == 0) for _, mask in self._pairs))

    def _kept(self) -> None:
        for variable, mask in self._pairs:
            # Not a product: that would leave zeros of both signs, which compress badly.
            variable.assign(tf.where(mask > 0.0, variable, 0.0))


def compressed_bytes(variables: Sequence[Any]) -> int:
    """Size of all weights as a compressed file would hold them."""
    return len(zlib.compress(b"".join(variable.numpy().tobytes() for variable in variables)))


def _mask(weights: Any, share: float) -> Any:
    gone = int(share * weights.size)
    mask = np.ones(weights.size, dtype=np.float32)
    mask[np.argsort(np.abs(weights).ravel(), kind="stable")[:gone]] = 0.0
    return tf.constant(mask.reshape(weights.shape))
