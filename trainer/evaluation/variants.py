"""What a protocol counts as an answer: with what the user had before, without it, and for users without a past."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interests.errors import HistoryRejected
from ranking.query import Repeats
from trainer.data import Events, speaks
from trainer.evaluation.moments import Moment, Past, asked, past, replayed
from trainer.evaluation.splits import TEST, Part, Protocol, split

NEW_ITEMS, NEW_USERS = " (new items)", " (new users)"
TRIED_MAX = 2_000  # moments looked at for an answer before a history is refused

Rows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Variant:
    """One way to ask.

    suffix: of its rows' names
    new_items: items that the user had are neither answers nor shown
    cold: asked of users without a past alone (True), with one alone (False), or of all (None)
    """

    suffix: str
    new_items: bool
    cold: bool | None = None

    @property
    def repeats(self) -> Repeats | None:
        """What the served pipeline is asked for; None: the bundle's own choice."""
        return "filter" if self.new_items else None

    def answers(self, moment: Moment, past: Past) -> Rows:
        """The relevant items (r,); none where this variant does not ask."""
        if self.cold is not None and self.cold is not (len(past.items) == 0):
            return moment.relevant[:0]
        return np.setdiff1d(moment.relevant, past.items) if self.new_items else moment.relevant

    def hidden(self, past: Past) -> Rows:
        """The items (h,) that no ranking may show."""
        return past.had if self.new_items else past.items[:0]


VARIANTS: dict[Protocol, tuple[Variant, ...]] = {
    "last-out": (Variant("", new_items=True),),
    "last-basket": (Variant("", new_items=False), Variant(NEW_ITEMS, new_items=True)),
    "time-split": (
        Variant("", new_items=False, cold=False),
        Variant(NEW_ITEMS, new_items=True, cold=False),
        Variant(NEW_USERS, new_items=False, cold=True),
    ),
    "prequential": (Variant("", new_items=True),),
}


def split_to_answer(events: Events, protocol: Protocol) -> Part:
    """The split, where it leaves something to ask. Raises HistoryRejected: a history of one item has nothing new."""
    part, known = split(events, protocol), speaks(events)
    ask = replayed if protocol == "prequential" else asked
    for moment in ask(events, part, TEST, TRIED_MAX, 0):
        before = past(events, known, moment)
        if any(len(variant.answers(moment, before)) for variant in VARIANTS[protocol]):
            return part
    raise HistoryRejected(f"--protocol {protocol}: nobody turned to an item that was new to them; try last-basket")
