"""How near two things of one history are, and the sums of it over all histories, compiled.

    place     where an event stands among its user's events; those of one timestamp group share their mean place
    nearness  decay^(distance of places), `within` inside a group; 0 where it is below REACH, or EVENTS_AHEAD_MAX apart

Both directions count alike, so the order inside a timestamp group never enters. O(events * reach).
"""

import math

import numba
import numpy as np
import numpy.typing as npt

from trainer.data import Events

REACH = 0.02  # nearness below this is left out
EVENTS_AHEAD_MAX = 400  # a bound where thousands of events share one time

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


def places(events: Events) -> Doubles:
    """Mean place (e,) of each event's timestamp group among all events, ascending within a user."""
    _, first, group, size = np.unique(events.groups, return_index=True, return_inverse=True, return_counts=True)
    middle: Doubles = first + (size - 1) / 2.0
    return middle[group]


def near_gram(events: Events, column_of: Rows, columns: int, decay: float, within: float = 1.0) -> Doubles:
    """Sum over pairs of one user's events of their nearness (columns, columns), an event with itself among them.

    column_of (n,): the column of each item, -1 where it takes no part
    """
    out = np.zeros((columns, columns))
    _add_pairs(*_ends(events), column_of[events.items], places(events), decay, _reach(decay), within, out)
    return out


def near_rows(
    events: Events, decay: float, within: float, row_power: float, column_power: float, shrinkage: float, count: int
) -> tuple[Rows, Floats]:
    """Of each item the `count` others that its events were nearest to: rows (n, count), weights (n, count).

        weight[i, j] = s_ij / ((s_i + shrinkage)^row_power (s_j + shrinkage)^column_power),  s_i = sum over j of s_ij

    Best first, padded with -1 and 0; of equal ones the lower row. Memory O(n * count), whatever the catalogue's size.
    """
    place, (starts, ends), reach = places(events), _ends(events), _reach(decay)
    order = np.argsort(events.items, kind="stable")
    occurrences = np.searchsorted(events.items[order], np.arange(events.item_count + 1))
    user_start, user_end = starts[events.users], ends[events.users]
    sums = _row_sums(events.items, place, user_start, user_end, events.item_count, decay, reach, within)
    rows = np.full((events.item_count, count), -1, dtype=np.int32)
    weights = np.zeros((events.item_count, count), dtype=np.float32)
    from_row, to_column = (sums + shrinkage) ** -row_power, (sums + shrinkage) ** -column_power
    _fill_rows(
        events.items, place, user_start, user_end, order, occurrences, from_row, to_column, decay, reach, within,
        rows, weights,
    )  # fmt: skip
    return rows, weights


def _ends(events: Events) -> tuple[Longs, Longs]:
    users = np.arange(events.user_count)
    return np.searchsorted(events.users, users), np.searchsorted(events.users, users, side="right")


def _reach(decay: float) -> float:
    return math.log(REACH) / math.log(decay)


@numba.njit(cache=True)
def _add_pairs(starts, ends, columns, place, decay, reach, within, out):  # type: ignore[no-untyped-def]
    for user in range(len(starts)):
        for i in range(starts[user], ends[user]):
            a = columns[i]
            if a < 0:
                continue
            out[a, a] += 1.0
            for j in range(i + 1, min(ends[user], i + 1 + EVENTS_AHEAD_MAX)):
                distance = place[j] - place[i]
                if distance > reach:
                    break
                b = columns[j]
                if b >= 0:
                    near = within if distance == 0.0 else decay**distance
                    out[a, b] += near
                    out[b, a] += near


@numba.njit(cache=True)
def _row_sums(items, place, user_start, user_end, item_count, decay, reach, within):  # type: ignore[no-untyped-def]
    sums = np.zeros(item_count)
    for i in range(len(items)):
        for j in range(i + 1, min(user_end[i], i + 1 + EVENTS_AHEAD_MAX)):
            distance = place[j] - place[i]
            if distance > reach:
                break
            if items[i] != items[j]:
                near = within if distance == 0.0 else decay**distance
                sums[items[i]] += near
                sums[items[j]] += near
    return sums


@numba.njit(cache=True)
def _fill_rows(  # type: ignore[no-untyped-def]
    items, place, user_start, user_end, order, occurrences, from_row, to_column, decay, reach, within, rows, weights
):
    total = np.zeros(len(from_row))
    touched = np.empty(len(from_row), dtype=np.int32)
    for item in range(len(rows)):
        found = 0
        for at in range(occurrences[item], occurrences[item + 1]):
            i = order[at]
            for way in (-1, 1):
                end = (
                    max(user_start[i], i - EVENTS_AHEAD_MAX) - 1
                    if way < 0
                    else min(user_end[i], i + 1 + EVENTS_AHEAD_MAX)
                )
                j = i + way
                while j != end:
                    distance = abs(place[j] - place[i])
                    if distance > reach:
                        break
                    other = items[j]
                    near = within if distance == 0.0 else decay**distance
                    if other != item and near > 0.0:
                        if total[other] == 0.0:
                            touched[found] = other
                            found += 1
                        total[other] += near
                    j += way
        mine = np.sort(touched[:found])
        scaled = np.empty(found, dtype=np.float32)
        for place_ in range(found):
            scaled[place_] = total[mine[place_]] * from_row[item] * to_column[mine[place_]]
            total[mine[place_]] = 0.0
        best = np.argsort(-scaled, kind="mergesort")
        for rank in range(min(found, rows.shape[1])):
            rows[item, rank] = mine[best[rank]]
            weights[item, rank] = scaled[best[rank]]
