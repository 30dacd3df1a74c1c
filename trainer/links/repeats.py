"""What comes back, and what a visit is for.

How likely an item is to be turned to again by who had it: milk comes back, a film hardly.

    rate[i] = (comebacks_i + PRIOR * mean) / (groups_i + PRIOR)

groups_i counts timestamp groups with the item, comebacks_i those whose user had it in an earlier group; `mean` is the
same over all items, so an item seen once or never has the rate of a typical one.

    visit[i] = (sum over the groups with i of 1 / items in the group + PRIOR * mean) / (groups_i + PRIOR)

Fuel is bought alone and butter with twenty other things: where fuel is the answer it is the whole answer. All ones in
a history of single acts.
"""

import numpy as np
import numpy.typing as npt

from trainer.data import Events

PRIOR = 5.0

Floats = npt.NDArray[np.float32]


def repeat_rates(events: Events) -> Floats:
    """Rates (n,) in [0, 1] from positive events."""
    first = _once_a_group(events)
    items, users = events.items[first], events.users[first].astype(np.int64)
    _, debut = np.unique(users * events.item_count + items, return_index=True)
    groups = np.bincount(items, minlength=events.item_count).astype(np.float64)
    comebacks = groups - np.bincount(items[debut], minlength=events.item_count)
    mean = comebacks.sum() / max(groups.sum(), 1.0)
    rates: Floats = ((comebacks + PRIOR * mean) / (groups + PRIOR)).astype(np.float32)
    return rates


def visit_shares(events: Events) -> Floats:
    """Mean shares (n,) in [0, 1] from positive events."""
    first = _once_a_group(events)
    items = events.items[first]
    _, group, size = np.unique(events.groups[first], return_inverse=True, return_counts=True)
    alone = 1.0 / size[group]
    mean = float(alone.mean()) if len(alone) else 1.0
    groups = np.bincount(items, minlength=events.item_count)
    shares = (np.bincount(items, weights=alone, minlength=events.item_count) + PRIOR * mean) / (groups + PRIOR)
    return shares.astype(np.float32)


def _once_a_group(events: Events) -> npt.NDArray[np.int64]:
    """Places of events, one of each item in each timestamp group."""
    _, first = np.unique(events.groups * events.item_count + events.items, return_index=True)
    found: npt.NDArray[np.int64] = first
    return found
