"""How likely an item is to be turned to again by who had it: milk comes back, a film hardly.

    rate[i] = (comebacks_i + PRIOR * mean) / (groups_i + PRIOR)

groups_i counts timestamp groups with the item, comebacks_i those whose user had it in an earlier group; `mean` is the
same over all items, so an item seen once or never has the rate of a typical one.
"""

import numpy as np
import numpy.typing as npt

from trainer.data import Events

PRIOR = 5.0

Floats = npt.NDArray[np.float32]


def repeat_rates(events: Events) -> Floats:
    """Rates (n,) in [0, 1] from positive events."""
    _, first = np.unique(events.groups * events.item_count + events.items, return_index=True)
    items, users = events.items[first], events.users[first].astype(np.int64)
    _, debut = np.unique(users * events.item_count + items, return_index=True)
    groups = np.bincount(items, minlength=events.item_count).astype(np.float64)
    comebacks = groups - np.bincount(items[debut], minlength=events.item_count)
    mean = comebacks.sum() / max(groups.sum(), 1.0)
    rates: Floats = ((comebacks + PRIOR * mean) / (groups + PRIOR)).astype(np.float32)
    return rates
