"""How far weights learned on others are trusted for users of whom little is known: `known_items` of the manifest.

Asked of validation users as they are, and of the same users when they had done FIRST_EVENTS things: in a shop of long
histories nobody on validation is new, and where everybody's history is short newcomers are whom the weights come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.query import Query
from ranking.recommend import Ranker
from trainer.parts import with_manifest
from trainer.states import Case, profiles
from trainer.weights.slates import SIZE, slate_ndcg

FIRST_EVENTS = (1, 2, 5, 10)
KNOWN_ITEMS = (20, 10, 5, 2, 0)  # the first of equals: somebody new is not taken at their word without need


@dataclass(frozen=True, eq=False)
class Newcomer:
    """A user when they had done little; gone: what they had by now, which is no answer."""

    case: Case
    gone: frozenset[str]


def choose_known_items(
    bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile], newcomers: Sequence[Newcomer]
) -> tuple[int, dict[str, float]]:
    """The best of KNOWN_ITEMS, and NDCG@10 by each, both kinds of users counting alike.

    The first of them stands unless another is better by more than a standard error of what it adds.
    """
    young = profiles([one.case for one in newcomers], bundle) if newcomers else []
    counting = 1.0 / max(len(seen), 1), 1.0 / max(len(young), 1)
    share = np.repeat(counting, (len(seen), len(young))) / (1 + bool(young))
    gains = {}
    for known in KNOWN_ITEMS:
        ranker = Ranker(with_manifest(bundle, {"known_items": known}))
        old = [_gain(ranker, one, case, frozenset()) for one, case in zip(seen, cases, strict=True)]
        early = [_gain(ranker, one, new.case, new.gone) for one, new in zip(young, newcomers, strict=True)]
        gains[known] = np.array(old + early)
    report = {str(known): float(gain @ share) for known, gain in gains.items()}
    best = max(KNOWN_ITEMS, key=lambda known: report[str(known)])
    added = (gains[best] - gains[KNOWN_ITEMS[0]]) * share
    error = float(np.sqrt(len(added)) * added.std()) if len(added) else 0.0
    return best if added.sum() > error else KNOWN_ITEMS[0], report


def _gain(ranker: Ranker, one: Profile, case: Case, gone: frozenset[str]) -> float:
    return slate_ndcg(ranker, one, case, Query(size=SIZE, diversity=0.0, exclude_items=gone))
