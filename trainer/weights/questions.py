"""What weights are learned from: users' candidates, and how well an order of them does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.score import SIGNALS
from trainer.evaluation.metrics import ndcg_of_scores

SIZE = 10

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Question:
    """One user's candidates: signals (c, S), which were relevant (c,) and which the user had before (c,) bool.

    relevant_count, new_count: relevant items, retrieved or not, and those among them that were new to the user
    user: whose question it is, where several may be one user's
    """

    signals: Floats
    relevant: npt.NDArray[np.bool_]
    relevant_count: int
    had: npt.NDArray[np.bool_] | None = None
    new_count: int = 0
    user: int | None = None

    def of_new(self) -> "Question":
        """The same over what the user never had."""
        if self.had is None:
            return self
        new = ~self.had
        return Question(self.signals[new], self.relevant[new], self.new_count, None, self.new_count, self.user)

    def best(self, weights: Doubles, count: int) -> "Question":
        """The same over the `count` candidates that these weights put first."""
        if len(self.relevant) <= count:
            return self
        kept = np.argsort(-(self.signals @ weights), kind="stable")[:count]
        return Question(self.signals[kept], self.relevant[kept], self.relevant_count, user=self.user)


def mean_ndcg(questions: Sequence[Question], weights: Doubles) -> float:
    """Mean NDCG@10 of ordering the candidates by these weights; what was not retrieved counts as missed."""
    found = ndcgs(questions, weights)
    return float(found.mean()) if len(found) else 0.0


def ndcgs(questions: Sequence[Question], weights: Doubles) -> Doubles:
    """The same by question, of those that have an answer."""
    found = []
    for question in questions:
        if not question.relevant_count:
            continue
        scores = (question.signals @ weights).astype(np.float32)
        ideal = np.arange(min(question.relevant_count, SIZE))
        gain = ndcg_of_scores(scores, np.flatnonzero(question.relevant), SIZE)
        hit = np.arange(min(int(question.relevant.sum()), SIZE))
        found.append(gain * float((1 / np.log2(hit + 2)).sum() / (1 / np.log2(ideal + 2)).sum()) if len(ideal) else 0.0)
    return np.array(found)


def parted(questions: Sequence[Question]) -> list[list[Question]]:
    """Two halves of the users, each with all of their questions: who asks twice tells nothing of others."""
    users = [at if one.user is None else one.user for at, one in enumerate(questions)]
    half_of = {user: place % 2 for place, user in enumerate(dict.fromkeys(users))}
    return [[one for one, user in zip(questions, users, strict=True) if half_of[user] == half] for half in (0, 1)]


def only(place: int) -> Doubles:
    """All weight on one signal (S,)."""
    weights = np.zeros(len(SIGNALS))
    weights[place] = 1.0
    return weights
