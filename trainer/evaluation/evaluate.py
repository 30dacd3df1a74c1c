"""What rankings measure at the moments they are asked.

`served` is the pipeline that serves: states from absorb, profiles, slates at the bundle's default dial; its first
SIZE come from a slate of that size, Recall@DEEP and MRR (within DEEP) from one of DEEP. A baseline or a single signal
ranks every item by its score. KL: of the user's anchor and the slate's mix; ILD: of category vectors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.diversify import Diversify, calibrated
from ranking.fatigue import tired
from ranking.filter import allow
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.score import SIGNALS, relevance, signals, weights_for
from ranking.topics import calibration_kl
from trainer.baselines.baseline import Baseline
from trainer.baselines.chosen import scored
from trainer.evaluation.bands import POPULARITY
from trainer.evaluation.metrics import Places, intra_list_distance, listed, ranked
from trainer.evaluation.moments import Moment, Past
from trainer.evaluation.table import SERVED, Row, Table
from trainer.evaluation.table import Figure as Figure  # one measured number, for who measures something else
from trainer.evaluation.variants import Variant

SIZE, DEEP = 10, 100
METRICS = ("NDCG@10", "HR@10", "Recall@100", "coverage@10", "ILD@10", "KL@10")  # what a terminal has room for
ENCODER = "interest"  # the signal that the encoder makes
ALL_ITEMS = "served, all items"
RELEVANCE_ONLY = "served, relevance only"

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Sheet:
    """What is asked, of whom, and where it is written. moments, pasts, profiles and activity go together.

    activity: each moment's band; popularity (n,): each item's
    """

    table: Table
    bundle: Bundle
    moments: Sequence[Moment]
    pasts: Sequence[Past]
    profiles: Sequence[Profile]
    variants: Sequence[Variant]
    activity: Sequence[str]
    popularity: npt.NDArray[np.int64]

    def questions(self, variant: Variant) -> Iterator[tuple[int, Profile, Rows]]:
        """Moments that this variant asks, with their answers (r,)."""
        for at, (moment, past, one) in enumerate(zip(self.moments, self.pasts, self.profiles, strict=True)):
            answers = variant.answers(moment, past)
            if len(answers):
                yield at, one, answers

    def first(self, count: int) -> "Sheet":
        """The first moments alone, written into the same table."""
        head = slice(count)
        return replace(
            self,
            moments=self.moments[head],
            pasts=self.pasts[head],
            profiles=self.profiles[head],
            activity=self.activity[head],
        )

    def write(self, row: Row, at: int, answers: Rows, shown: Sequence[int], near: Places, deep: Places | None) -> None:
        """One slate of one row; near and deep: places of the answers in the first SIZE and, where asked, in DEEP."""
        ndcg, mixes = near.ndcg(SIZE), topic_mixes(self.bundle, np.array(shown, dtype=np.int32))
        measures = {
            f"NDCG@{SIZE}": ndcg,
            f"HR@{SIZE}": near.hit(SIZE),
            f"Recall@{SIZE}": near.recall(SIZE),
        }
        if deep is not None:
            measures |= {f"Recall@{DEEP}": deep.recall(DEEP), "MRR": deep.reciprocal(DEEP)}
        measures[f"ILD@{SIZE}"] = intra_list_distance(mixes)
        anchor = self.profiles[at].anchor
        if anchor.sum() > 0 and mixes.sum() > 0:
            measures[f"KL@{SIZE}"] = calibration_kl(anchor, mixes.sum(axis=0) / mixes.sum())
        measures[f"NDCG@{SIZE}, {self.activity[at]}"] = ndcg
        bands = self.popularity[answers]
        for band in np.unique(bands).tolist():
            measures[f"NDCG@{SIZE}, {POPULARITY[band]}"] = near.of(bands == band).ndcg(SIZE)
        row.add(at, measures, shown)


def served(sheet: Sheet, tick: Callable[[], None], name: str = SERVED) -> None:
    """The pipeline that serves; ticks once a moment and variant that asks."""
    ranker = Ranker(sheet.bundle)
    deep_size = min(DEEP, sheet.bundle.manifest.item_count)
    for variant in sheet.variants:
        row = sheet.table.row(name, variant.suffix)
        for at, one, answers in sheet.questions(variant):
            first = slate(ranker, sheet.bundle, one, Query(size=SIZE, repeats=variant.repeats))
            deep = slate(ranker, sheet.bundle, one, Query(size=deep_size, repeats=variant.repeats))
            sheet.write(row, at, answers, first, listed(first, answers), listed(deep, answers))
            tick()


def served_as(
    sheet: Sheet,
    name: str,
    tick: Callable[[], None],
    dial: float | None = None,
    hide: bool = False,
    compared: bool = True,
    method: Diversify = calibrated,
) -> None:
    """The first SIZE alone, as a request may ask for them.

    dial: the request's own; hide: whether the request excludes all that the user had, whatever the state knows of it
    method: what chooses the set
    """
    ranker, ids = Ranker(sheet.bundle, method), sheet.bundle.item_ids
    for variant in sheet.variants:
        row = sheet.table.row(name, variant.suffix, compared)
        for at, one, answers in sheet.questions(variant):
            gone = frozenset(ids[item] for item in sheet.pasts[at].had.tolist()) if hide else frozenset()
            query = Query(size=SIZE, diversity=dial, repeats=variant.repeats, exclude_items=gone)
            shown = slate(ranker, sheet.bundle, one, query)
            sheet.write(row, at, answers, shown, listed(shown, answers), None)
            tick()


def every_item(sheet: Sheet, tick: Callable[[], None]) -> None:
    """Single signals, and the sum of them that is served, over all items instead of candidates."""
    rows, order = np.arange(sheet.bundle.manifest.item_count), any_order(sheet.bundle)
    for variant in sheet.variants:
        for at, one, answers in sheet.questions(variant):
            hidden = ~allow(sheet.bundle, one, Query(repeats=variant.repeats)).rows
            columns = signals(sheet.bundle, one, rows).T
            named = {f"signal {name}": column for name, column in zip(SIGNALS, columns, strict=True)}
            weights = weights_for(sheet.bundle, variant.repeats, len(one.item_rows))
            everything = relevance(sheet.bundle, one, rows, weights=weights)
            named = {ALL_ITEMS: tired(one, rows, everything), "encoder": columns[SIGNALS.index(ENCODER)]} | named
            for name, scores in named.items():
                mine = scores.astype(np.float32)
                mine[hidden] = -np.inf
                shown, places = ranked(mine, answers, SIZE, DEEP, order)
                sheet.write(sheet.table.row(name, variant.suffix), at, answers, shown, places, places)
            tick()


def baseline(sheet: Sheet, name: str, ranking: Baseline, variant: Variant, tick: Callable[[], None]) -> None:
    """One baseline over all items."""
    row, order = sheet.table.row(name, variant.suffix), any_order(sheet.bundle)
    answers = {at: found for at, _, found in sheet.questions(variant)}
    asked = [(sheet.moments[at], sheet.pasts[at]) for at in answers]
    for at, (_, past, scores) in zip(answers, scored(ranking, asked, sheet.bundle.arrays.available), strict=True):
        scores[variant.hidden(past)] = -np.inf
        shown, places = ranked(scores, answers[at], SIZE, DEEP, order)
        sheet.write(row, at, answers[at], shown, places, places)
        tick()


def slate(ranker: Ranker, bundle: Bundle, one: Profile, query: Query) -> list[int]:
    """Rows of the items that would be served."""
    return [bundle.row_of[item.item_id] for item in ranker.recommend(one, query).items]


def topic_mixes(bundle: Bundle, rows: Rows) -> Floats:
    """Category vectors (k, T) of items."""
    mixes = np.zeros((len(rows), bundle.manifest.topic_count), dtype=np.float32)
    ids, shares = bundle.arrays.item_topic_ids[rows], bundle.arrays.item_topic_shares[rows]
    for column in range(ids.shape[1]):
        known = np.flatnonzero(ids[:, column] >= 0)
        mixes[known, ids[known, column]] += shares[known, column]
    return mixes


def any_order(bundle: Bundle) -> npt.NDArray[np.int64]:
    """An order for equal scores that favours no item for its place in the file."""
    return np.random.default_rng(0).permutation(bundle.manifest.item_count)
