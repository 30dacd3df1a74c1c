"""People to simulate: what they truly like, what they choose out of a slate, and how that changes them.

    preference z_ui = (p_u . q_i - mean_u) / deviation_u        p, q: factors fitted to the whole history
    true        by p_u as fitted: what a person is by all they ever did, which no slate of ours has touched
    felt        by p_u as it has drifted: what they choose by
    choice      the CHOICES places of the largest  z / TEMPERATURE - bias * log(place) / 2 + Gumbel noise
    drift       p_u <- (1 - DRIFT) * p_u + DRIFT * |p_u at first| * q_i / |q_i|     for each item chosen

Choices are drawn without replacement in proportion to exp(utility): Plackett, 1975; Gumbel top-k: Vieira, 2014.
Position bias falls with the root of the place. Nobody served sees any of this: the system learns from events alone.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data import Events, positive
from trainer.factorise import factorise, weight_matrix

CHOICES = 3
TEMPERATURE = 0.5
DRIFT = 0.03
DIM, SWEEPS = 32, 8

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tastes:
    """What u people like of n items at first; users (u, d), items (n, d), unit (n, d); mean, deviation, best (u,).

    best: the preference that a tenth of all items exceed, by person
    """

    users: Floats
    items: Floats
    unit: Floats
    mean: Floats
    deviation: Floats
    best: Floats

    def preference(self, users: Floats, rows: Rows) -> Floats:
        """How these people, as they are by now (u, d), like the items (u, k) each is given; -1 is liked by nobody."""
        liking = np.einsum("ud,ukd->uk", users, self.items[rows])
        z = (liking - self.mean[:, None]) / self.deviation[:, None]
        scaled: Floats = np.where(rows >= 0, z, -np.inf).astype(np.float32)
        return scaled

    def of(self, users: Rows) -> "Tastes":
        """These people alone."""
        mine = (self.mean[users], self.deviation[users], self.best[users])
        return Tastes(self.users[users], self.items, self.unit, *mine)


def fit_tastes(events: Events, seed: int) -> Tastes:
    """Everybody's, from all they ever did. (u, n) preferences are looked at one block of people at a time."""
    factors = factorise(weight_matrix(positive(events)), DIM, SWEEPS, seed)
    items = factors.items
    unit = items / np.maximum(np.linalg.norm(items, axis=1, keepdims=True), 1e-12)
    mean, deviation, best = (np.zeros(len(factors.users), dtype=np.float32) for _ in range(3))
    for begin in range(0, len(factors.users), 256):
        part = slice(begin, begin + 256)
        liking = factors.users[part] @ items.T
        mean[part], deviation[part] = liking.mean(axis=1), np.maximum(liking.std(axis=1), 1e-9)
        best[part] = (np.quantile(liking, 0.9, axis=1) - mean[part]) / deviation[part]
    return Tastes(factors.users, items, unit, mean, deviation, best)


class People:
    """Simulated people on their way; changes as they choose."""

    def __init__(self, tastes: Tastes, position_bias: bool, rng: np.random.Generator) -> None:
        self._tastes = tastes
        self._users = tastes.users.copy()
        self._lengths = np.linalg.norm(tastes.users, axis=1, keepdims=True)
        self._bias = 0.5 if position_bias else 0.0
        self._rng = rng

    def felt(self, rows: Rows) -> Floats:
        """Preferences (u, k) for the items given to each (u, k), as they are by now; -1, an empty place: -inf."""
        return self._tastes.preference(self._users, rows)

    def true(self, rows: Rows) -> Floats:
        """The same as they were before anything was shown."""
        return self._tastes.preference(self._tastes.users, rows)

    def choose(self, liking: Floats) -> Rows:
        """Places (u, CHOICES) that each chooses, by what each feels for what stands there (u, k)."""
        places = np.log(np.arange(1, liking.shape[1] + 1))
        wanted = liking / TEMPERATURE - self._bias * places + self._rng.gumbel(size=liking.shape)
        return np.argpartition(-wanted, CHOICES, axis=1)[:, :CHOICES]

    def drift(self, chosen: Rows) -> None:
        """Come to like what was chosen (u, c) more; -1 is nothing."""
        for column in chosen.T:
            turned = (1.0 - DRIFT) * self._users + DRIFT * self._lengths * self._tastes.unit[column]
            self._users = np.where(column[:, None] >= 0, turned, self._users)
