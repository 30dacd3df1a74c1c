"""What is served, with a row for each new item that the catalogue tells of.

    bundle as it was made ▶ newcomers that have a place in it ▶ the same models over more items ▶ one slate as a trial

Built beside what serves, in a thread, and swapped in as bundles are. Rows of newcomers follow the order of their ids,
so servers that heard of them in another order serve the same slates. O(items of the bundle) each time: a large
catalogue takes newcomers in turns.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interests.bundle import Bundle
from interests.newcomers import Newcomer, has_place, with_newcomers
from interests.state import to_bytes, with_vectors
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.topics import all_mixes, main_topics
from server.answers import Stored
from server.catalogue import told_of
from server.items import Item
from server.states import Serving, anonymous_state, fresh_view

NEWCOMERS_MAX = 50_000
TRIAL_ITEMS = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Placed:
    """What is served, the bundle as it was made beneath it, and the new items that stand behind its rows.

    arrivals: `Catalogue.arrivals` as the items were taken from it
    beside: ids of items in a topic of one that was not there before; slates that show one of them may now show that
    """

    base: Serving
    serving: Serving
    items: tuple[Item, ...] = ()
    arrivals: int = 0
    beside: frozenset[str] = frozenset()


def place(base: Serving, items: Sequence[Item], arrivals: int, before: Sequence[Item] = ()) -> Placed:
    """Place what is new among the items. before: those that are placed already

    Takes seconds in a large catalogue: for a thread of its own. Raises whatever a trial slate raises.
    """
    started_s = time.monotonic()
    new, waiting = _choose(base.bundle, items)
    if not new:
        _say(base.bundle, 0, waiting, started_s)
        return Placed(base, base, (), arrivals)
    bundle = with_newcomers(base.bundle, [_newcomer(item) for item in new])
    serving = Serving(bundle, base.encoder.over(bundle), Ranker(bundle, may_approximate=True))
    try_out(serving)
    _say(bundle, len(new), waiting, started_s)
    known = {item.item_id for item in before}
    return Placed(base, serving, new, arrivals, _beside(bundle, [item.item_id not in known for item in new]))


def try_out(serving: Serving) -> None:
    """One slate of somebody: warms up what is made on first use, and shows that ranking can use the arrays."""
    recent = tuple(serving.bundle.item_ids[:TRIAL_ITEMS])
    view = fresh_view(anonymous_state(recent, serving.bundle), serving)
    trial = Stored("", view.state.version, to_bytes(with_vectors(view.state, view.profile.vectors)))
    serving.answerer.of(Query(), [trial], np.zeros(0))
    choice = serving.ranker.choose(view.profile, Query(diversity=0.5))
    serving.writer.body(view.profile, choice, "trial", "", {})


def _choose(bundle: Bundle, items: Sequence[Item]) -> tuple[tuple[Item, ...], int]:
    """What is new and has a place, by id, and how many others wait."""
    topic_of = {name: topic for topic, name in enumerate(bundle.topic_names)}
    new = sorted((item for item in items if item.item_id not in bundle.row_of), key=lambda item: item.item_id)
    placed = [item for item in new if has_place(bundle, told_of(item), topic_of)]
    if len(placed) > NEWCOMERS_MAX:
        log.warning(
            "more new items than are placed live; the others wait for the next bundle: train it soon",
            extra={"new": len(placed), "placed": NEWCOMERS_MAX},
        )
    kept = tuple(placed[:NEWCOMERS_MAX])
    return kept, len(new) - len(kept)


def _newcomer(item: Item) -> Newcomer:
    return Newcomer(item.item_id, told_of(item), item.available is not False, item.first_seen_ms)


def _beside(bundle: Bundle, is_new: Sequence[bool]) -> frozenset[str]:
    """Ids of all items whose main topic one of the last rows, where `is_new`, has."""
    topics = main_topics(all_mixes(bundle))
    come = topics[len(topics) - len(is_new) :][np.array(is_new, dtype=np.bool_)]
    rows = np.flatnonzero(np.isin(topics, come[come >= 0]))
    item_ids = bundle.item_ids
    return frozenset(item_ids[row] for row in rows.tolist())


def _say(bundle: Bundle, placed: int, waiting: int, started_s: float) -> None:
    read = "categories" if not len(bundle.arrays.content_map) else "categories and words"
    took_ms = round((time.monotonic() - started_s) * 1000)
    said = {"placed": placed, "waiting": waiting, "by": read, "took_ms": took_ms}
    log.info("new items are placed", extra=said)
