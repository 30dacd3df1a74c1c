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
    halves: Doubles = _half_places(events) / 2.0
    return halves


def _half_places(events: Events) -> Longs:
    """Places counted in halves, as means of whole places are."""
    _, first, group, size = np.unique(events.groups, return_index=True, return_inverse=True, return_counts=True)
    halves: Longs = 2 * first + size - 1
    return halves[group]


def near_gram(events: Events, column_of: Rows, columns: int, decay: float, within: float = 1.0) -> Doubles:
    """Sum over pairs of one user's events of their nearness (columns, columns), an event with itself among them.

    column_of (n,): the column of each item, -1 where it takes no part
    """
    out = np.zeros((columns, columns))
    _add_pairs(*_ends(events), column_of[events.items], _half_places(events), _fading(decay, within), out)
    return out


def near_rows(
    events: Events, decay: float, within: float, row_power: float, column_power: float, shrinkage: float, count: int
) -> tuple[Rows, Floats]:
    """Of each item the `count` others that its events were nearest to: rows (n, count), weights (n, count).

        weight[i, j] = s_ij / ((s_i + shrinkage)^row_power (s_j + shrinkage)^column_power),  s_i = sum over j of s_ij

    Best first, padded with -1 and 0; of equal ones the lower row. Memory O(n * count), whatever the catalogue's size.
    """
    place, (starts, ends), fading = _half_places(events), _ends(events), _fading(decay, within)
    order = np.argsort(events.items, kind="stable")
    occurrences = np.searchsorted(events.items[order], np.arange(events.item_count + 1))
    user_start, user_end = starts[events.users], ends[events.users]
    sums = _row_sums(events.items, place, user_start, user_end, events.item_count, fading)
    rows = np.full((events.item_count, count), -1, dtype=np.int32)
    weights = np.zeros((events.item_count, count), dtype=np.float32)
    from_row, to_column = (sums + shrinkage) ** -row_power, (sums + shrinkage) ** -column_power
    _fill_rows(
        events.items, place, user_start, user_end, order, occurrences, from_row, to_column, fading, rows, weights,
    )  # fmt: skip
    return rows, weights


def _ends(events: Events) -> tuple[Longs, Longs]:
    users = np.arange(events.user_count)
    return np.searchsorted(events.users, users), np.searchsorted(events.users, users, side="right")


def _fading(decay: float, within: float) -> Doubles:
    """Nearness by distance in half places; a table, since a power for each pair would cost more than all the rest."""
    steps = int(2 * math.log(REACH) / math.log(decay)) + 1
    table: Doubles = decay ** (np.arange(steps) / 2.0)
    table[0] = within
    return table


@numba.njit(cache=True)
def _add_pairs(starts, ends, columns, place, fading, out):  # type: ignore[no-untyped-def]
    for user in range(len(starts)):
        for i in range(starts[user], ends[user]):
            a = columns[i]
            if a < 0:
                continue
            out[a, a] += 1.0
            for j in range(i + 1, min(ends[user], i + 1 + EVENTS_AHEAD_MAX)):
                distance = place[j] - place[i]
                if distance >= len(fading):
                    break
                b = columns[j]
                if b >= 0:
                    near = fading[distance]
                    out[a, b] += near
                    out[b, a] += near


@numba.njit(cache=True)
def _row_sums(items, place, user_start, user_end, item_count, fading):  # type: ignore[no-untyped-def]
    sums = np.zeros(item_count)
    for i in range(len(items)):
        for j in range(i + 1, min(user_end[i], i + 1 + EVENTS_AHEAD_MAX)):
            distance = place[j] - place[i]
            if distance >= len(fading):
                break
            if items[i] != items[j]:
                near = fading[distance]
                sums[items[i]] += near
                sums[items[j]] += near
    return sums


@numba.njit(cache=True)
def _fill_rows(  # type: ignore[no-untyped-def]
    items, place, user_start, user_end, order, occurrences, from_row, to_column, fading, rows, weights
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
                    if distance >= len(fading):
                        break
                    other = items[j]
                    near = fading[distance]
                    if other != item and near > 0.0:
                        if total[other] == 0.0:
                            touched[found] = other
                            found += 1
                        total[other] += near
                    j += way
        reached = touched[:found].copy()
        scaled = np.empty(found, dtype=np.float32)
        for at in range(found):
            scaled[at] = total[reached[at]] * from_row[item] * to_column[reached[at]]
            total[reached[at]] = 0.0
        if found > 2 * rows.shape[1]:
            # Everything down to the smallest that can enter, ties included, so that the cut does not choose by chance.
            enough = np.partition(scaled, found - rows.shape[1])[found - rows.shape[1]]
            reached, scaled = reached[scaled >= enough], scaled[scaled >= enough]
        by_row = np.argsort(reached)
        reached, scaled = reached[by_row], scaled[by_row]
        best = np.argsort(-scaled, kind="mergesort")[: rows.shape[1]]
        rows[item, : len(best)] = reached[best]
        weights[item, : len(best)] = scaled[best]
