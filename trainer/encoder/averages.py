"""Weights averaged over the last steps: most of what several models would gain together, for the price of one.

    average <- m * average + (1 - m) * weight,   m = exp(-every / (memory of so many steps))

Polyak & Juditsky, 1992; for networks: Izmailov et al., "Averaging weights leads to wider optima", UAI 2018.
"""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

EVERY = 4  # steps between two looks at the weights


class Averages:
    """Running averages of some variables. While few steps were seen, the memory is as short as they are."""

    def __init__(self, variables: Sequence[Any], memory_steps: float) -> None:
        self._variables = list(variables)
        self._averages = [tf.Variable(variable, trainable=False) for variable in self._variables]
        self._memory = max(memory_steps, 1.0)
        self._keep = tf.Variable(0.0, trainable=False)
        self._steps = 0
        self._join = tf.function(self._joined, autograph=False)

    def step(self) -> None:
        """To be called after each step of the optimiser."""
        self._steps += 1
        if self._steps % EVERY == 0:
            seen = self._steps / EVERY
            self._keep.assign(min(math.exp(-EVERY / self._memory), seen / (seen + 10.0)))
            self._join()

    def swap(self) -> None:
        """Averages into the variables and what was there into the averages; a second call takes it back."""
        for variable, average in zip(self._variables, self._averages, strict=True):
            held = variable.numpy()
            variable.assign(average)
            average.assign(held)

    def _joined(self) -> None:
        for variable, average in zip(self._variables, self._averages, strict=True):
            average.assign(average * self._keep + variable * (1.0 - self._keep))
