"""Interactions: what may enter, and what is refused with the field and the range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plural.v1 import events_pb2

from interests.errors import InvalidRequest
from interests.events import (
    ID_BYTES_MAX,
    POSITION_MAX,
    TIME_MS_MAX,
    VALUE_MAX,
    Action,
    Interaction,
    check_id,
    from_message,
    to_message,
)

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
ratings = st.builds(
    Interaction,
    user_id=ids,
    item_id=ids,
    action=st.just(Action.RATING),
    time_ms=st.none() | st.integers(0, TIME_MS_MAX),
    value=st.floats(0, 5),
    event_id=st.just("") | ids,
    slate_id=st.just(""),
    position=st.none(),
)
acts = st.builds(
    Interaction,
    user_id=ids,
    item_id=ids,
    action=st.sampled_from([action for action in Action if action is not Action.RATING]),
    time_ms=st.none() | st.integers(0, TIME_MS_MAX),
    value=st.none() | st.floats(0, VALUE_MAX),
    event_id=st.just("") | ids,
    slate_id=st.just("") | ids,
    position=st.none() | st.integers(0, POSITION_MAX),
)


def message(**changed: object) -> events_pb2.Interaction:
    said = {"user_id": "ada", "item_id": "tea", "action": events_pb2.ACTION_LIKE} | changed
    return events_pb2.Interaction(**said)  # type: ignore[arg-type]


@given(ratings | acts)
def test_an_interaction_survives_the_wire(interaction: Interaction) -> None:
    wire = to_message(interaction).SerializeToString()
    assert from_message(events_pb2.Interaction.FromString(wire)) == interaction


@pytest.mark.parametrize("text", ["x" * 256, "é" * 128, "🫖" * 64, "\x00", " "])
def test_ids_of_up_to_256_bytes_are_taken(text: str) -> None:
    check_id("user_id", text)
    assert from_message(message(user_id=text, item_id=text)).user_id == text


@pytest.mark.parametrize("text", ["x" * 257, "é" * 129, "🫖" * 65, "x" * 100_000])
@pytest.mark.parametrize("field", ["user_id", "item_id", "event_id", "slate_id"])
def test_longer_ids_are_refused_with_their_length(field: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{len(text.encode())} bytes long; give 1 to {ID_BYTES_MAX}") as caught:
        from_message(message(**{field: text}), "interactions[3].")
    assert caught.value.field == f"interactions[3].{field}"


@pytest.mark.parametrize("field", ["user_id", "item_id"])
def test_an_empty_id_is_refused(field: str) -> None:
    with pytest.raises(InvalidRequest, match="is empty") as caught:
        from_message(message(**{field: ""}))
    assert caught.value.field == field


def test_an_event_id_may_be_left_out() -> None:
    assert from_message(message()).event_id == ""


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Unicode"):
        check_id("user_id", "\ud800")


@pytest.mark.parametrize("number", [0, 9, 99, -1])
def test_an_unknown_action_is_refused_with_those_there_are(number: int) -> None:
    with pytest.raises(InvalidRequest, match=f"is {number}; give one of ACTION_IMPRESSION, ") as caught:
        from_message(message(action=number))
    assert caught.value.field == "action"


@pytest.mark.parametrize("stars", [None, -0.5, 5.1, float("nan"), float("inf")])
def test_a_rating_needs_its_stars(stars: float | None) -> None:
    with pytest.raises(InvalidRequest, match="0 to 5"):
        from_message(message(action=events_pb2.ACTION_RATING, value=stars))


@pytest.mark.parametrize("value", [-1.0, 1_000_001.0, float("nan"), float("inf"), float("-inf")])
def test_a_value_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(InvalidRequest, match="0 to 1000000"):
        from_message(message(value=value))


def test_a_value_of_zero_is_not_a_missing_one() -> None:
    assert from_message(message(value=0.0)).value == 0.0
    assert from_message(message()).value is None


@pytest.mark.parametrize("seconds", [-1, 4_102_444_801, 1_700_000_000_000, -(2**62), 2**62])
def test_a_time_outside_1970_to_2100_is_refused(seconds: int) -> None:
    wrong = message()
    wrong.time.seconds = seconds
    with pytest.raises(InvalidRequest, match="1970 to 2100") as caught:
        from_message(wrong)
    assert caught.value.field == "time"


def test_the_start_of_1970_is_a_time_and_not_a_missing_one() -> None:
    at_zero = message()
    at_zero.time.seconds = 0
    assert from_message(at_zero).time_ms == 0
    assert from_message(message()).time_ms is None


def test_a_position_beyond_any_slate_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="position"):
        from_message(message(position=2**31))
