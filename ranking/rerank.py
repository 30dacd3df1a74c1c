"""The caller's own candidates, read and checked: rows, relevance, and which of them may be shown."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.errors import InvalidRequest
from interests.profile import Profile
from ranking.filter import permitted
from ranking.query import Query
from ranking.score import relevance

RELEVANCE_MAX = float(np.finfo(np.float32).max)

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class Offered(NamedTuple):
    """Candidates that may be shown: ids, rows (n,) with -1 where the bundle does not know one, relevance (n,)."""

    ids: list[str]
    rows: Rows
    scores: Floats


def offered(bundle: Bundle, profile: Profile, candidates: Sequence[tuple[str, float | None]], query: Query) -> Offered:
    """Read (id, relevance) pairs. What the user disliked, what is unavailable and what the query refuses is left out.

    Relevance is the caller's for all or, where it is None for all, ours; an item that the bundle does not know then
    comes behind those it knows. Items the user had stay, unless the query filters repeats.
    Raises InvalidRequest for an id given twice, relevance for some only, or one that is not finite.
    """
    _check(candidates)
    row_of = bundle.row_of
    rows = np.array([row_of.get(item_id, -1) for item_id, _ in candidates], dtype=np.int64)
    kept = np.flatnonzero(_may_be_shown(bundle, profile, [item_id for item_id, _ in candidates], rows, query))
    rows = rows[kept]
    given = [candidates[place] for place in kept.tolist()]
    if given and given[0][1] is not None:
        scores = np.array([score for _, score in given], dtype=np.float32)
    else:
        scores = np.zeros(len(rows), dtype=np.float32)
        known = rows >= 0
        scores[known] = relevance(bundle, profile, rows[known])
        if known.any():
            scores[~known] = np.nextafter(scores[known].min(), np.float32(-np.inf))
    return Offered([item_id for item_id, _ in given], rows, scores)


def _check(candidates: Sequence[tuple[str, float | None]]) -> None:
    seen: set[str] = set()
    for place, (item_id, score) in enumerate(candidates):
        if item_id in seen:
            raise InvalidRequest(f"candidates[{place}].item_id", "is there twice; give each candidate once")
        seen.add(item_id)
        if (score is None) != (candidates[0][1] is None):
            raise InvalidRequest(f"candidates[{place}].relevance", "is set for some only; set it for all or for none")
        if score is not None and not abs(score) <= RELEVANCE_MAX:
            raise InvalidRequest(f"candidates[{place}].relevance", f"is {score}; give a finite number")


def _may_be_shown(
    bundle: Bundle, profile: Profile, ids: Sequence[str], rows: Rows, query: Query
) -> npt.NDArray[np.bool_]:
    allowed = permitted(bundle, query)
    allowed[profile.blocked_rows] = False
    if query.repeats == "filter":
        allowed[profile.item_rows] = False
    unknown_pass = not query.only_categories
    return np.array(
        [
            bool(allowed[row])
            if row >= 0
            else unknown_pass
            and item_id not in query.exclude_items
            and (not query.only_items or item_id in query.only_items)
            for item_id, row in zip(ids, rows.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )
