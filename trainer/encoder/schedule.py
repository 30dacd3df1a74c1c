"""How long the encoder is trained, how fast, and how much is dropped: by the size of the history.

    epochs   as many as the budget of positions pays for: many for a small history, few for a large one; over a small
             catalogue, where each item is met often and more passes go on gaining, up to PASSES at up to LONGER times
             the budget
    rate     rises over the first epoch, then falls along half a cosine to FLOOR of itself
    pace     of item vectors beside the weights: over all epochs they may go as far as in PACE_EPOCHS at full pace,
             since they begin where histories put them, and in many epochs would leave it for what they overfit to
    dropout  less for more events: a large history is its own noise

Loshchilov & Hutter, "SGDR", ICLR 2017.
"""

import math
from dataclasses import dataclass

FLOOR = 0.05
PACE_EPOCHS = 4.0
PASSES, LONGER = 9, 3
DROPOUT_AT_100K, DROPOUT_A_DECADE = 0.3, -0.1
DROPOUT_MIN, DROPOUT_MAX = 0.1, 0.4


@dataclass
class Schedule:
    """A count of steps, and the learning rate of each."""

    learning_rate: float
    warm_steps: int
    total_steps: int
    step: int = 0

    def __call__(self) -> float:
        """The next step's learning rate."""
        warm = min(1.0, (self.step + 1) / max(self.warm_steps, 1))
        done = min(1.0, self.step / max(self.total_steps, 1))
        self.step += 1
        return self.learning_rate * warm * (FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + math.cos(math.pi * done)))


def epochs(positions_an_epoch: int, positions: int, most: int, small_catalogue: bool = False) -> int:
    """Passes that `positions` pay for, between 1 and `most`."""
    if small_catalogue:
        positions = max(positions, min(LONGER * positions, PASSES * positions_an_epoch))
    return max(1, min(most, round(positions / max(positions_an_epoch, 1))))


def item_pace(epochs_planned: int) -> float:
    """How fast item vectors move beside the weights, in (0, 1]."""
    return min(1.0, PACE_EPOCHS / max(epochs_planned, 1))


def dropout(events: int) -> float:
    """Share of what is dropped in training."""
    found = DROPOUT_AT_100K + DROPOUT_A_DECADE * math.log10(max(events, 1) / 1e5)
    return min(DROPOUT_MAX, max(DROPOUT_MIN, found))
