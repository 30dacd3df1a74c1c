"""Which signal ranks best alone: chosen on validation, for each way of asking by itself.

What finds next week's milk finds nothing new, so a signal chosen on everything says little of new items.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.filter import allow
from ranking.query import Query
from ranking.score import SIGNALS, signals
from trainer.evaluation.evaluate import SIZE, any_order
from trainer.evaluation.metrics import ranked
from trainer.evaluation.variants import Variant
from trainer.states import Case

Rows = npt.NDArray[np.int32]


def best_signals(
    bundle: Bundle, cases: Sequence[Case], seen: Sequence[Profile], variants: Sequence[Variant]
) -> dict[str, str]:
    """The best signal by suffix of the variants that these cases answer: of users without a past there is none.

    seen: the profile of each case
    """
    found = {}
    for variant in variants:
        asked = (
            [] if variant.cold else [(one, _wanted(variant, case, one)) for case, one in zip(cases, seen, strict=True)]
        )
        asked = [(one, wanted) for one, wanted in asked if len(wanted)]
        if asked:
            found[variant.suffix] = SIGNALS[int(np.argmax(_ndcg(bundle, asked, variant)))]
    return found


def _wanted(variant: Variant, case: Case, one: Profile) -> Rows:
    return np.setdiff1d(case.relevant, one.item_rows) if variant.new_items else case.relevant


def _ndcg(bundle: Bundle, asked: Sequence[tuple[Profile, Rows]], variant: Variant) -> npt.NDArray[np.float64]:
    """Mean NDCG@SIZE of each of SIGNALS alone over all items, (S,)."""
    rows, order = np.arange(bundle.manifest.item_count), any_order(bundle)
    found = np.zeros((len(asked), len(SIGNALS)))
    for at, (one, wanted) in enumerate(asked):
        hidden = ~allow(bundle, one, Query(repeats=variant.repeats)).rows
        for column, scores in enumerate(signals(bundle, one, rows).T):
            mine = scores.astype(np.float32)
            mine[hidden] = -np.inf
            found[at, column] = ranked(mine, wanted, SIZE, SIZE, order)[1].ndcg(SIZE)
    means: npt.NDArray[np.float64] = found.mean(axis=0)
    return means
