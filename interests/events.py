"""Interactions: what a user did, checked once where it enters, and where in a log it stands."""

import math
from enum import IntEnum
from typing import NamedTuple

from plural.v1 import events_pb2

from interests.errors import InvalidRequest

ID_BYTES_MAX = 256
VALUE_MAX = 1_000_000.0
STARS_MAX = 5.0
POSITION_MAX = 2**31 - 1
TIME_MS_MAX = 4_102_444_800_000  # 2100-01-01; later is a unit mistake, such as microseconds


class Action(IntEnum):
    """What was done; the numbers are those of the wire."""

    IMPRESSION = events_pb2.ACTION_IMPRESSION
    VIEW = events_pb2.ACTION_VIEW
    CLICK = events_pb2.ACTION_CLICK
    LIKE = events_pb2.ACTION_LIKE
    CART = events_pb2.ACTION_CART
    PURCHASE = events_pb2.ACTION_PURCHASE
    RATING = events_pb2.ACTION_RATING
    DISLIKE = events_pb2.ACTION_DISLIKE


ACTIONS = {int(action): action for action in Action}
"""By number: calling the enum costs ten times a look-up."""


class LogPartition(NamedTuple):
    """One partition of one log. A recreated topic is another incarnation, so its offsets are never mixed up."""

    incarnation: str
    partition: int


class Interaction(NamedTuple):
    """One thing a user did to one item. `time_ms` is milliseconds since 1970, None where the producer named none."""

    user_id: str
    item_id: str
    action: Action
    time_ms: int | None = None
    value: float | None = None
    event_id: str = ""
    slate_id: str = ""
    position: int | None = None


class LogEntry(NamedTuple):
    """What stands at one offset of a log: an interaction or, where that is None, the erasure of `user_id`.

    `received_ms` is the log's own time for it. Whoever reads the log fills it in, so that absorbing needs no clock.
    """

    partition: LogPartition
    offset: int
    received_ms: int
    user_id: str
    interaction: Interaction | None


def check_id(field: str, value: str, *, required: bool = True) -> None:
    """Raise InvalidRequest unless `value` is 1 to 256 bytes of UTF-8 (or empty, where not required)."""
    if value.isascii() and 0 < len(value) <= ID_BYTES_MAX:
        return
    if not value:
        if required:
            raise InvalidRequest(field, f"is empty; give 1 to {ID_BYTES_MAX} bytes of UTF-8")
        return
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(field, f"is no Unicode text; give 1 to {ID_BYTES_MAX} bytes of UTF-8") from None
    if size > ID_BYTES_MAX:
        raise InvalidRequest(field, f"is {size} bytes long; give 1 to {ID_BYTES_MAX}")


def from_message(message: events_pb2.Interaction, path: str = "") -> Interaction:
    """Check one message and take it over. Raises InvalidRequest with the field behind `path`, as `interactions[3].`"""
    check_id(f"{path}user_id", message.user_id)
    check_id(f"{path}item_id", message.item_id)
    check_id(f"{path}event_id", message.event_id, required=False)
    check_id(f"{path}slate_id", message.slate_id, required=False)
    action = ACTIONS.get(message.action)
    if action is None:
        raise InvalidRequest(f"{path}action", f"is {message.action}; give one of {_action_names()}")
    value = message.value if message.HasField("value") else None
    _check_value(f"{path}value", action, value)
    position = message.position if message.HasField("position") else None
    if position is not None and position > POSITION_MAX:
        raise InvalidRequest(f"{path}position", f"is {position}; give 0 to {POSITION_MAX}")
    time_ms = _time_ms(f"{path}time", message) if message.HasField("time") else None
    # By place: names cost as much again, once an event.
    return Interaction(
        message.user_id, message.item_id, action, time_ms, value, message.event_id, message.slate_id, position
    )


def to_message(interaction: Interaction) -> events_pb2.Interaction:
    """The wire form; `from_message` takes it back unchanged."""
    message = events_pb2.Interaction(
        event_id=interaction.event_id,
        user_id=interaction.user_id,
        item_id=interaction.item_id,
        action=events_pb2.Action.ValueType(interaction.action),
        value=interaction.value,
        slate_id=interaction.slate_id,
        position=interaction.position,
    )
    if interaction.time_ms is not None:
        message.time.FromMilliseconds(interaction.time_ms)
    return message


def _check_value(field: str, action: Action, value: float | None) -> None:
    if action is Action.RATING:
        if value is None or not 0.0 <= value <= STARS_MAX:
            raise InvalidRequest(field, f"is {value}; a rating needs its stars, 0 to {STARS_MAX:g}")
    elif value is not None and not (math.isfinite(value) and 0.0 <= value <= VALUE_MAX):
        raise InvalidRequest(field, f"is {value}; give 0 to {VALUE_MAX:.0f} or leave it out")


def _time_ms(field: str, message: events_pb2.Interaction) -> int:
    time_ms = message.time.seconds * 1000 + message.time.nanos // 1_000_000
    if not 0 <= time_ms <= TIME_MS_MAX:
        raise InvalidRequest(field, f"is {message.time.seconds} s since 1970; give a time from 1970 to 2100")
    return time_ms


def _action_names() -> str:
    return ", ".join(f"ACTION_{action.name}" for action in Action)
