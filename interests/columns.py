"""A state's tables by column, as they are stored: a reader that only counts never makes an object an entry.

A state that was read keeps its columns and becomes a table of objects when somebody asks for one; a state that was
just made has its objects, and columns are made of them.
"""

from collections.abc import Collection, ItemsView, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
import numpy.typing as npt

from interests.events import ACTIONS, Action

K = TypeVar("K")


class Faded(NamedTuple):
    """A faded sum and the time up to which it has been faded, in milliseconds since 1970."""

    weight: float
    as_of_ms: int


class Recent(NamedTuple):
    """One of the latest interactions."""

    item_id: str
    action: Action
    time_ms: int


# As `_make`, which is a turn of the interpreter each: a consumer makes dozens of them an event.
_faded_of, _recent_of = partial(tuple.__new__, Faded), partial(tuple.__new__, Recent)


class Columns(NamedTuple):
    """n entries: item ids, numbers of actions (empty for exposure), weights (empty for recent ones), times (ms)."""

    item_ids: Sequence[str]
    actions: Sequence[Any]  # the wire's numbers, or the enum's members
    weights: Sequence[float]
    times_ms: Sequence[int]

    def rows(self, row_of: Mapping[str, int]) -> npt.NDArray[np.int32]:
        """The bundle's rows of the items (n,), -1 for those it does not know."""
        count = len(self.item_ids)
        return np.fromiter(map(row_of.get, self.item_ids, [-1] * count), np.int32, count)


class Memories(Mapping[K, Faded]):
    """Faded sums that were read; a mapping like any other."""

    def __init__(self, columns: Columns, *, by_action: bool = True) -> None:
        """by_action: keys are (item id, action), else item ids alone, and columns have no actions.

        Raises ValueError where columns are not of one length or an action is unknown here.
        """
        _check(columns, has_actions=by_action, has_weights=True)
        self.columns = columns
        self._by_action = by_action

    @cached_property
    def _entries(self) -> dict[K, Faded]:
        item_ids, actions, weights, times_ms = self.columns
        keys: Any = zip(item_ids, _named(actions), strict=True) if self._by_action else item_ids
        return dict(zip(keys, map(_faded_of, zip(weights, times_ms, strict=True)), strict=True)) if item_ids else {}

    def __getitem__(self, key: K) -> Faded:
        return self._entries[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self.columns.item_ids)

    def items(self) -> ItemsView[K, Faded]:
        """The dictionary's own, which copies at once."""
        return self._entries.items()


class Latest(Sequence[Recent]):
    """Latest interactions that were read; a sequence like any other."""

    def __init__(self, columns: Columns) -> None:
        """Raises ValueError where columns are not of one length or an action is unknown here."""
        _check(columns, has_actions=True, has_weights=False)
        self.columns = columns

    @cached_property
    def _entries(self) -> tuple[Recent, ...]:
        item_ids, actions, _, times_ms = self.columns
        return tuple(map(_recent_of, zip(item_ids, _named(actions), times_ms, strict=True)))

    @overload
    def __getitem__(self, place: int) -> Recent: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Recent, ...]: ...
    def __getitem__(self, place: int | slice) -> Recent | tuple[Recent, ...]:
        return self._entries[place]

    def __iter__(self) -> Iterator[Recent]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self.columns.item_ids)

    def __eq__(self, other: object) -> bool:
        return tuple(other) == self._entries if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


def memory_columns(memories: Mapping[tuple[str, Action], Faded]) -> Columns:
    """The columns of faded sums by item and action."""
    if isinstance(memories, Memories):
        return memories.columns
    item_ids, actions = zip(*memories, strict=True) if memories else ((), ())
    return Columns(item_ids, actions, *_faded(memories.values()))


def exposure_columns(exposure: Mapping[str, Faded]) -> Columns:
    """The columns of faded sums by item."""
    return exposure.columns if isinstance(exposure, Memories) else Columns((*exposure,), (), *_faded(exposure.values()))


def recent_columns(recent: Sequence[Recent]) -> Columns:
    """The columns of latest interactions."""
    if isinstance(recent, Latest):
        return recent.columns
    item_ids, actions, times_ms = zip(*recent, strict=True) if recent else ((), (), ())
    return Columns(item_ids, actions, (), times_ms)


def _faded(sums: Collection[Faded]) -> tuple[Sequence[float], Sequence[int]]:
    weights, times_ms = zip(*sums, strict=True) if sums else ((), ())
    return weights, times_ms


def _check(columns: Columns, *, has_actions: bool, has_weights: bool) -> None:
    count, sizes = len(columns.item_ids), [len(column) for column in columns]
    if sizes != [count, count * has_actions, count * has_weights, count]:
        raise ValueError(f"columns of {sizes} entries")
    if unknown := set(columns.actions) - ACTIONS.keys():
        raise ValueError(f"action {min(unknown)} is unknown")


def _named(numbers: Sequence[int]) -> list[Action]:
    """A look-up, because calling the enum costs ten of them."""
    return [ACTIONS[number] for number in numbers]
