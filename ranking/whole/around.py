"""What is near users' interests and factors, for several users in one walk over the catalogue (ranking/retrieve.py)."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from interests.compiled import EXACT, compile_into, compiled, numba
from ranking.fast import near
from ranking.retrieve import Parts
from ranking.whole.arrays import PARTS, SHOP, Shop

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@lru_cache(maxsize=1)
def surveyor() -> Callable[..., tuple[Rows, Rows]] | None:
    """`around`, compiled, or None where numba is not installed."""
    if numba() is None:
        return None
    near.near()
    compile_into(globals(), {"_append": EXACT})
    made: Callable[..., tuple[Rows, Rows]] = compiled(around, (Shop, SHOP), (Parts, PARTS), "f2 f1 q1 f2 b1 b2 q1")
    return made


def around(
    shop: Shop, parts: Parts, interests: Floats, shares: Floats, whose: Rows, factors: Floats, by_factor: Mask,
    allowed: Mask, open_rows: Rows,
) -> tuple[Rows, Rows]:  # fmt: skip
    """Rows near each user's interests, one after the other, and then near their factor; to each user's end (u,).

    interests (k, dim), shares (k,), whose (k,): interests of all users, one user's after the other's, and whose they
    are; factors (u, dim), by_factor (u,): factors, and whether they count; allowed (u, n), open_rows (u,): what each
    may see, and how much that is. The shop has codes.
    """
    many = np.bincount(whose, minlength=len(factors))
    rooms = np.empty(len(interests), np.int64)
    for at in range(len(interests)):
        rooms[at] = int(parts.interest * max(np.float64(shares[at]), 0.5 / many[whose[at]]))
    rows, ends = near.nearest(interests, rooms, shop.vectors, shop.codes, shop.steps, allowed, whose, open_rows)
    users = np.flatnonzero(by_factor) if len(shop.factor_codes) else np.empty(0, np.int64)
    asked = np.full(len(users), parts.factor)
    made = (shop.factors, shop.factor_codes, shop.factor_steps)
    rows_by_factor, factor_ends = near.nearest(factors[users], asked, *made, allowed, users, open_rows)
    found, user_ends = np.empty(len(rows) + len(rows_by_factor), np.int64), np.empty(len(factors), np.int64)
    end, interest, factor = 0, 0, 0
    for user in range(len(factors)):
        while interest < len(interests) and whose[interest] == user:
            end = _append(found, end, rows, ends, interest)
            interest += 1
        if factor < len(users) and users[factor] == user:
            end = _append(found, end, rows_by_factor, factor_ends, factor)
            factor += 1
        user_ends[user] = end
    return found, user_ends


def _append(found: Rows, end: int, rows: Rows, ends: Rows, at: int) -> int:
    """Put the rows of one query behind those found; how many these are then."""
    begin = ends[at - 1] if at else 0
    size = int(ends[at] - begin)
    found[end : end + size] = rows[begin : begin + size]
    return end + size
