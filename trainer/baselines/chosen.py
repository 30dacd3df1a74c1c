"""Baselines at their best: each with the settings that rank the validation moments best, anew for each variant.

Dense item–item matrices are chosen by on a smaller catalogue than they are reported on; see GRID_ITEMS.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from trainer.baselines.baseline import Baseline, Popular, Random, Repeat
from trainer.baselines.factors import ALS
from trainer.baselines.items import ItemItem, Pairs
from trainer.data import Events
from trainer.evaluation.metrics import ranked
from trainer.evaluation.moments import Moment, Past
from trainer.evaluation.variants import Variant

ITEMS = 8_000  # the catalogue that dense baselines are reported on: the most popular
GRID_ITEMS = 2_500  # and chosen on: their cost grows with the cube
BATCH = 64
SIZE = 10

Floats = npt.NDArray[np.float32]
Values = dict[str, float]


@dataclass(frozen=True)
class Family:
    """A baseline's name, the settings it is tried with, and how it is made of them."""

    name: str
    grid: tuple[Values, ...]
    make: Callable[["Material", Values], Baseline]


class Material:
    """One set of positive events, and what several baselines count in it."""

    def __init__(self, events: Events, items: int, seed: int) -> None:
        self.events, self.seed = events, seed
        self.pairs = Pairs(events, items)
        self.ease = lru_cache(maxsize=1)(self.pairs.ease)
        self.cosine = lru_cache(maxsize=1)(self.pairs.cosine)

    def item_item(self, weights: Floats, decay: float = 1.0) -> ItemItem:
        """A baseline of these weights."""
        return ItemItem(self.pairs.columns, weights, decay, self.events.item_count)


def _grid(**values: tuple[float, ...]) -> tuple[Values, ...]:
    return tuple(dict(zip(values, found, strict=True)) for found in product(*values.values()))


SHORT = (
    Family("random", ({},), lambda at, _: Random(at.events.item_count, at.seed)),
    Family("popular", ({},), lambda at, _: Popular(at.events)),
    Family("recent-popular", _grid(days=(1.0, 7.0, 30.0, 90.0)), lambda at, v: Popular(at.events, v["days"])),
    Family("repeat", _grid(days=(3.0, 14.0, 60.0, 240.0)), lambda at, v: Repeat(at.events, v["days"])),
)
FULL = (
    *SHORT,
    Family(
        "ItemKNN",
        _grid(shrinkage=(0.0, 20.0, 100.0), count=(50.0, 200.0, 1e9)),
        lambda at, v: at.item_item(at.cosine(v["shrinkage"], int(v["count"]))),
    ),
    Family("EASE", _grid(ridge=(50.0, 150.0, 400.0, 1000.0)), lambda at, v: at.item_item(at.ease(v["ridge"]))),
    Family(
        "EASE, recent query",
        _grid(ridge=(50.0, 150.0, 400.0, 1000.0), decay=(0.7, 0.8, 0.9, 0.97)),
        lambda at, v: at.item_item(at.ease(v["ridge"]), v["decay"]),
    ),
    Family(
        "transitions",
        _grid(decay=(0.3, 0.5, 0.7, 0.8, 0.9)),
        lambda at, v: at.item_item(at.pairs.transitions, v["decay"]),
    ),
    Family(
        "iALS",
        _grid(alpha=(2.0, 10.0, 40.0), ridge=(1.0, 10.0, 100.0)),
        lambda at, v: ALS(at.events, v["alpha"], v["ridge"], at.seed),
    ),
)


@dataclass(frozen=True)
class Chosen:
    """A family's settings by variant suffix, and the NDCG@10 they had on validation."""

    family: Family
    values: dict[str, Values]
    ndcg: dict[str, float]


def tries(families: Sequence[Family]) -> int:
    """How often `choose` ticks."""
    return sum(len(family.grid) for family in families)


def choose(
    families: Sequence[Family],
    events: Events,
    asked: Sequence[tuple[Moment, Past]],
    variants: Sequence[Variant],
    available: npt.NDArray[np.bool_],
    seed: int,
    tick: Callable[[], None],
) -> list[Chosen]:
    """Try every setting on validation moments. events: positive ones of the training part."""
    material = Material(events, GRID_ITEMS, seed)
    found = []
    for family in families:
        best: dict[str, tuple[float, Values]] = {}
        for values in family.grid:
            tried = dict.fromkeys((variant.suffix for variant in variants), 0.0)
            if len(family.grid) > 1:
                tried = _ndcg(family.make(material, values), asked, variants, available)
            for suffix, ndcg in tried.items():
                if suffix not in best or ndcg > best[suffix][0]:
                    best[suffix] = (ndcg, values)
            tick()
        ndcgs, chosen = ({suffix: pair[at] for suffix, pair in best.items()} for at in (0, 1))
        found.append(Chosen(family, chosen, ndcgs))  # type: ignore[arg-type]
    return found


def scored(
    baseline: Baseline, asked: Sequence[tuple[Moment, Past]], available: npt.NDArray[np.bool_]
) -> Iterator[tuple[Moment, Past, Floats]]:
    """Each moment with its scores (n,), minus infinity for what is not available; the caller may write into them."""
    for begin in range(0, len(asked), BATCH):
        batch = asked[begin : begin + BATCH]
        scores = baseline.scores([past for _, past in batch])
        scores[:, ~available] = -np.inf
        for (moment, past), row in zip(batch, scores, strict=True):
            yield moment, past, row


def _ndcg(
    baseline: Baseline,
    asked: Sequence[tuple[Moment, Past]],
    variants: Sequence[Variant],
    available: npt.NDArray[np.bool_],
) -> dict[str, float]:
    found: dict[str, list[float]] = {variant.suffix: [] for variant in variants}
    order = np.arange(len(available))
    for moment, past, scores in scored(baseline, asked, available):
        for variant in variants:
            answers = variant.answers(moment, past)
            if len(answers):
                mine = scores.copy()
                mine[variant.hidden(past)] = -np.inf
                _, places = ranked(mine, answers, SIZE, SIZE, order)
                found[variant.suffix].append(places.ndcg(SIZE))
    return {suffix: float(np.mean(ndcgs)) if ndcgs else 0.0 for suffix, ndcgs in found.items()}
