"""How items are linked and asked for, chosen on validation: fading and ridge differ between films and groceries.

Tried on the most popular items and a sample of users, each signal by itself, on what was new to the user (what comes
again has a signal of its own); where nothing was new, on everything.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from trainer.data import Events
from trainer.evaluation.metrics import ndcg_of_scores
from trainer.links.ease import capped, ease, gram
from trainer.links.nearness import near_gram, places
from trainer.links.neighbours import COLUMN_POWER, NEAR_SHRINKAGE, ROW_POWER, LinkRule

ITEMS, USERS = 2_000, 1_000
SIZE = 10
RECENT = 64  # events that a state keeps in order
RIDGES = (15.0, 50.0, 200.0, 500.0, 1_000.0)
KERNELS = ((0.05, 0.9), (1.0, 0.9))  # (lasting, decay): what was near, and plain EASE
ASKED = (*product((3.5, 7.0, 15.0, 40.0), (0.0, 0.5)), (7.0, 1.0))  # (half-life, had); of all that was had none counts
NEAR = ((0.9, 1.0), (0.9, 0.0), (0.97, 1.0), (0.97, 0.0))  # (near_decay, within)
TRANSITION_HALF_LIVES = (2.0, 3.0, 7.0, 15.0, 40.0)

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Relevant = dict[int, npt.NDArray[np.int32]]


@dataclass(frozen=True)
class LinkChoice:
    """The rule, and NDCG@10 of each signal with it on the sample; 0 where there was nothing to choose by."""

    rule: LinkRule
    report: dict[str, float]


def steps() -> int:
    """How often `choose_links` ticks."""
    return len(KERNELS) * len(RIDGES) + len(NEAR)


def choose_links(train: Events, relevant: Relevant, tick: Callable[[], None] = lambda: None) -> LinkChoice:
    """train: positive events; relevant: what each validation user did next, by user row."""
    sample = _Sample(train, relevant)
    rule, best = LinkRule(), {"neighbour": 0.0, "transition": 0.0}
    if not sample.users:
        return LinkChoice(rule, best)
    queries = [sample.query(half_life, had) for half_life, had in ASKED]
    for lasting, decay in KERNELS:
        system = gram(train, sample.among, lasting, decay)
        for ridge in RIDGES:
            links = ease(system, ridge)
            for (half_life, had), query in zip(ASKED, queries, strict=True):
                found = sample.ndcg(query @ links)
                if found > best["neighbour"]:
                    best["neighbour"] = found
                    rule = replace(
                        rule, ridge=ridge, lasting=lasting, decay=decay,
                        neighbour_half_life=half_life, neighbour_had=had,
                    )  # fmt: skip
            tick()
    for near_decay, within in NEAR:
        links = _near_links(train, sample, near_decay, within)
        for half_life in TRANSITION_HALF_LIVES:
            found = sample.ndcg(sample.query(half_life, 0.0) @ links)
            if found > best["transition"]:
                best["transition"] = found
                rule = replace(rule, near_decay=near_decay, within=within, transition_half_life=half_life)
        tick()
    return LinkChoice(rule, best)


def _near_links(train: Events, sample: "_Sample", decay: float, within: float) -> Floats:
    near = near_gram(train, sample.among.column_of, len(sample.among.items), decay, within)
    np.fill_diagonal(near, 0.0)
    sums = near.sum(axis=1) + NEAR_SHRINKAGE
    near *= sums[:, None] ** -ROW_POWER
    near *= sums[None] ** -COLUMN_POWER
    return near.astype(np.float32)


class _Sample:
    """Users with their pasts and futures over the most popular items."""

    def __init__(self, train: Events, relevant: Relevant) -> None:
        self.among = capped(train, ITEMS)
        column, place = self.among.column_of[train.items], places(train)
        self._shape = len(self.among.items)
        self.users: list[int] = []
        self._pasts: list[tuple[npt.NDArray[np.int32], Doubles]] = []
        futures = []
        for user, rows in relevant.items():
            start, end = np.searchsorted(train.users, [user, user + 1])
            wanted = self.among.column_of[rows]
            if start == end or not (wanted >= 0).any() or len(self.users) == USERS:
                continue
            self.users.append(user)
            self._pasts.append((column[start:end], place[start:end]))
            futures.append(wanted[wanted >= 0])
        fresh = [np.setdiff1d(wanted, past) for wanted, (past, _) in zip(futures, self._pasts, strict=True)]
        self._only_new = any(len(wanted) for wanted in fresh)
        self._wanted = fresh if self._only_new else futures
        self._had = self._over_columns([(past, np.ones(len(past))) for past, _ in self._pasts])
        self._had = np.log1p(self._had)

    def query(self, half_life: float, had: float) -> Floats:
        """What users ask with (u, c): recent events faded by place, and a part `had` of everything they had."""
        recent = []
        for column, place in self._pasts:
            latest = slice(-RECENT, None)
            recent.append((column[latest], 2.0 ** (-(place[-1] - place[latest]) / half_life)))
        asked = _shares(self._over_columns(recent))
        return asked if not had else ((1 - had) * asked + had * _shares(self._had)).astype(np.float32)

    def ndcg(self, scores: Floats) -> float:
        """Mean NDCG@10 of scores (u, c), which are changed."""
        found = []
        for place, wanted in enumerate(self._wanted):
            if not len(wanted):
                continue
            if self._only_new:
                scores[place, self._had[place] > 0] = -np.inf
            found.append(ndcg_of_scores(scores[place], wanted, SIZE))
        return float(np.mean(found)) if found else 0.0

    def _over_columns(self, parts: list[tuple[npt.NDArray[np.int32], Doubles]]) -> Floats:
        out = np.zeros((len(parts), self._shape), dtype=np.float32)
        for place, (column, weights) in enumerate(parts):
            known = column >= 0
            np.add.at(out[place], column[known], weights[known].astype(np.float32))
        return out


def _shares(rows: Floats) -> Floats:
    shares: Floats = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-12)
    return shares
