"""Events and catalogues in a line, for tests of single parts."""

import numpy as np

from interests.events import Action
from trainer.catalogue import Catalogue
from trainer.data import Events

DAY_MS = 86_400_000


def events(rows: list[tuple[int, int, float]], users: int | None = None, items: int | None = None) -> Events:
    """(user, item, day) rows as purchases, in the order that Events promises."""
    ordered = sorted(rows, key=lambda row: (row[0], row[2]))
    user, item, day = (np.array(column) for column in zip(*ordered, strict=True))
    times_ms = (day * DAY_MS).astype(np.int64) + 1_600_000_000_000
    user_count = users or int(user.max()) + 1
    return Events(
        users=user.astype(np.int32),
        items=item.astype(np.int32),
        times_ms=times_ms,
        actions=np.full(len(user), Action.PURCHASE, dtype=np.int32),
        values=np.full(len(user), np.nan),
        groups=np.cumsum(np.r_[False, (np.diff(user) != 0) | (np.diff(times_ms) != 0)]),
        user_ids=[f"u{row}" for row in range(user_count)],
        item_count=items or int(item.max()) + 1,
    )


def catalogue(categories: list[list[str]], titles: list[str] | None = None) -> Catalogue:
    """One item a list of categories."""
    count = len(categories)
    return Catalogue(
        item_ids=[f"i{row}" for row in range(count)],
        titles=titles or [""] * count,
        categories=categories,
        texts=[""] * count,
        brands=[""] * count,
        price=np.full(count, np.nan),
        available=np.ones(count, dtype=np.bool_),
        report={},
    )
