"""A state's tables by column: the same tables, whichever way they are looked at."""

import random
from collections.abc import Iterator

import pytest
from plural.v1 import storage_pb2

from interests.absorb import absorb
from interests.columns import (
    Columns,
    Faded,
    Latest,
    Memories,
    Recent,
    exposure_columns,
    memory_columns,
    recent_columns,
)
from interests.errors import StoreCorrupt
from interests.events import Action
from interests.state import InterestState, from_bytes, to_bytes
from tests.support.entries import random_log, replayed


def states() -> Iterator[InterestState]:
    yield InterestState("nobody")
    yield from replayed(random_log(seed=11, length=300)).values()


def test_a_table_that_was_read_is_the_table_that_was_written() -> None:
    for made in states():
        read = from_bytes(to_bytes(made))
        assert read.memories == made.memories and made.memories == read.memories
        assert list(read.memories.items()) == list(made.memories.items()), "in its order too"
        assert read.exposure == made.exposure and list(read.exposure) == list(made.exposure)
        assert read.recent == made.recent and made.recent == read.recent
        assert (len(read.memories), len(read.recent)) == (len(made.memories), len(made.recent))
        assert to_bytes(read) == to_bytes(made)


def test_columns_are_the_same_of_a_state_read_and_of_one_made() -> None:
    for made in states():
        read = from_bytes(to_bytes(made))
        for ours, theirs in (
            (memory_columns(made.memories), memory_columns(read.memories)),
            (exposure_columns(made.exposure), exposure_columns(read.exposure)),
            (recent_columns(made.recent), recent_columns(read.recent)),
        ):
            assert [list(column) for column in ours] == [list(column) for column in theirs]


def test_absorbing_goes_on_from_a_state_read_as_from_one_made() -> None:
    entries = random_log(seed=12, length=200)
    for user_id, made in replayed(entries[:120]).items():
        later = [entry for entry in entries[120:] if entry.user_id == user_id]
        assert to_bytes(absorb(from_bytes(to_bytes(made)), later)) == to_bytes(absorb(made, later))


def test_an_entry_is_found_by_its_key_or_place() -> None:
    memories: Memories[tuple[str, Action]] = Memories(Columns(["tea"], [Action.LIKE], [0.5], [7]))
    assert memories["tea", Action.LIKE] == Faded(0.5, 7)
    assert ("tea", Action.VIEW) not in memories
    latest = Latest(Columns(["tea", "jam"], [Action.LIKE, Action.VIEW], (), [7, 8]))
    assert latest[1] == Recent("jam", Action.VIEW, 8) and latest[:1] == (Recent("tea", Action.LIKE, 7),)
    assert latest != (latest[1], latest[0]) and latest != "tea"


@pytest.mark.parametrize(
    "columns",
    [
        Columns(["tea"], [Action.LIKE], [0.5], []),
        Columns(["tea"], [Action.LIKE], [0.5, 0.25], [7]),
        Columns(["tea", "jam"], [Action.LIKE], [0.5, 0.5], [7, 7]),
        Columns(["tea"], [99], [0.5], [7]),
        Columns(["tea"], [], [0.5], [7]),
        Columns(["tea"], [Action.LIKE], [], [7]),
    ],
)
def test_columns_that_do_not_fit_or_name_an_unknown_action_are_refused(columns: Columns) -> None:
    with pytest.raises(ValueError):
        Memories(columns)


@pytest.mark.parametrize("column", ["item_ids", "actions", "weights", "as_of_ms"])
@pytest.mark.parametrize("table", ["memories", "exposure"])
def test_a_stored_state_that_lost_a_column_is_called_corrupt(table: str, column: str) -> None:
    made = max(states(), key=lambda state: min(len(state.memories), len(state.exposure)))
    stored = storage_pb2.StoredState.FromString(to_bytes(made))
    columns = getattr(stored, table)
    if table == "exposure" and column == "actions":
        columns.actions.append(Action.LIKE)  # it has none to lose
    else:
        columns.ClearField(column)
    with pytest.raises(StoreCorrupt):
        from_bytes(stored.SerializeToString())


def test_rows_are_those_of_the_bundle_and_minus_one_for_what_it_does_not_know() -> None:
    ids = random.Random(3).sample([f"item-{number}" for number in range(40)], 20)
    row_of = {f"item-{number}": number for number in range(30)}
    rows = Columns(ids, (), (), (0,) * 20).rows(row_of)
    assert rows.tolist() == [row_of.get(item_id, -1) for item_id in ids]
