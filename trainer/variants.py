"""What a protocol counts as an answer: with what the user had before, without it, and for users without a past."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.query import Repeats
from trainer.moments import Moment, Past
from trainer.splits import Protocol

NEW_ITEMS, NEW_USERS = " (new items)", " (new users)"

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
