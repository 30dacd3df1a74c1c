"""What a state says of items, in a bundle's rows: had, disliked, latest, shown. Faded up to the state's last event."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interests.absorb import DEFAULT_RULE, MS_PER_DAY, AbsorbRule
from interests.anchor import by_action
from interests.assembled import Table
from interests.bundle import Bundle
from interests.columns import Columns, exposure_columns, memory_columns, recent_columns
from interests.events import Action
from interests.items_loop import had_loop
from interests.state import InterestState

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]


def had_table(state: InterestState, bundle: Bundle) -> Table:
    """Faded sums by item and action, as the state has them."""
    return _table(memory_columns(state.memories), bundle)


def recent_table(state: InterestState, bundle: Bundle) -> Table:
    """The latest interactions, oldest first; without weights."""
    return _table(recent_columns(state.recent), bundle)


def shown_table(state: InterestState, bundle: Bundle) -> Table:
    """Faded sums of impressions by item."""
    table = _table(exposure_columns(state.exposure), bundle)
    return table._replace(actions=np.full(len(table.rows), int(Action.IMPRESSION), dtype=np.int32))


def _table(columns: Columns, bundle: Bundle) -> Table:
    return Table(
        columns.rows(bundle.row_of),
        np.array(columns.actions, dtype=np.int32),
        np.array(columns.weights, dtype=np.float64),
        np.array(columns.times_ms, dtype=np.int64),
    )


def recent_items(state: InterestState, bundle: Bundle) -> tuple[Rows, npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Rows, event times (ms) and actions of the latest interactions with items the bundle knows, oldest first."""
    table = recent_table(state, bundle)
    known = table.rows >= 0
    return table.rows[known], table.times_ms[known], table.actions[known]


class ItemsHad(NamedTuple):
    """Known items that a user had, strongest first: rows, faded sums (m,) float32, and for each the action that weighs
    most with the time (ms) of its latest event; and the rows of those disliked on balance."""

    rows: Rows
    weights: Floats
    actions: Rows
    times_ms: npt.NDArray[np.int64]
    blocked_rows: Rows


def items_had(state: InterestState, bundle: Bundle, rule: AbsorbRule = DEFAULT_RULE) -> ItemsHad:
    """What the user had. A dislike takes back what came before it."""
    table = had_table(state, bundle)
    rows, actions, _, times_ms = table
    faded = _faded(table, state.last_event_ms, rule)
    if (fast := had_loop()) is not None:
        return ItemsHad(*fast(rows, actions, faded, times_ms, int(Action.DISLIKE)))
    disliked_ms = {
        row: time_ms for row, action, time_ms in zip(rows, actions, times_ms, strict=True) if action == Action.DISLIKE
    }
    sums: dict[int, float] = {}
    heaviest: dict[int, tuple[float, int, int]] = {}
    for row, action, weight, time_ms in zip(
        rows.tolist(), actions.tolist(), faded.tolist(), times_ms.tolist(), strict=True
    ):
        taken_back = action != Action.DISLIKE and time_ms <= disliked_ms.get(row, -1)
        if row >= 0 and not taken_back:
            sums[row] = sums.get(row, 0.0) + weight
            if row not in heaviest or weight > heaviest[row][0]:
                heaviest[row] = (weight, action, time_ms)
    found = np.array(list(sums), dtype=np.int32)
    weights = np.array(list(sums.values()), dtype=np.float32)
    had = np.flatnonzero(weights > 0)
    had = had[np.argsort(-weights[had], kind="stable")]
    done = np.array([action for _, action, _ in heaviest.values()], dtype=np.int32)
    latest_ms = np.array([time_ms for _, _, time_ms in heaviest.values()], dtype=np.int64)
    return ItemsHad(found[had], weights[had], done[had], latest_ms[had], found[weights < 0])


def items_shown(state: InterestState, bundle: Bundle, rule: AbsorbRule = DEFAULT_RULE) -> tuple[Rows, Floats]:
    """Rows of what was lately shown, and faded counts of impressions."""
    table = shown_table(state, bundle)
    known = table.rows >= 0
    return table.rows[known], _faded(table, state.last_event_ms, rule)[known].astype(np.float32)


def _faded(table: Table, now_ms: int, rule: AbsorbRule) -> npt.NDArray[np.float64]:
    """Faded sums as they stand at `now_ms`, as `faded_weight` has them."""
    elapsed_ms = np.maximum(now_ms - table.times_ms, 0)
    faded: npt.NDArray[np.float64] = table.weights * np.exp2(
        -elapsed_ms / (by_action(rule)[1][table.actions] * MS_PER_DAY)
    )
    return faded
