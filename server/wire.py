"""A chosen slate straight to the bytes of its message: what is the same in every slate is encoded once a bundle.

The bytes are those of `slate_message` in server/messages.py but for the order of the fields, which means nothing in
protobuf: tests hold the two against each other. Building twenty items and sixty causes as messages costs more than
choosing them does.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.compose import MIX_TOPICS_MAX
from ranking.reasons import Reasons
from ranking.recommend import Choice
from ranking.topics import made_of
from server.wire_loops import wire_loops

ROWS_KEPT = 100_000  # items whose ids stay encoded: about 20 MB

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

_DOUBLE = struct.Struct("<d")

# Tags of recommendations.proto and interests.proto: field number * 8 + wire type.
_BODY_SLATE = b"\x0a"
_SLATE_ID, _USER_ID, _STATE_VERSION, _BUNDLE_VERSION, _DIVERSITY = b"\x0a", b"\x12", b"\x18", b"\x22", b"\x29"
_ITEMS, _MIX, _TARGET_MIX, _KL, _RELAXED = b"\x32", b"\x3a", b"\x42", b"\x49", b"\x52"
_ITEM_ID, _POSITION, _SCORE, _SOURCE, _INTEREST, _TOPIC, _CAUSES, _PRICE, _PROPENSITY = (
    b"\x0a", b"\x10", b"\x19", b"\x20", b"\x28", b"\x32", b"\x3a", b"\x41", b"\x49",
)  # fmt: skip
_CAUSE_ITEM_ID, _CAUSE_ACTION, _CAUSE_TIME = b"\x0a", b"\x10", b"\x1a"
_SECONDS, _NANOS = b"\x08", b"\x10"
_TOPIC_NAME, _TOPIC_SHARE = b"\x0a", b"\x11"

_SMALL = [bytes((number,)) for number in range(128)]


class SlateWriter:
    """Writes the slates of one bundle. Used from one thread."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._topic_fields = [field(_TOPIC, name.encode()) for name in bundle.topic_names]
        self._topic_shares = [field(_TOPIC_NAME, name.encode()) + _TOPIC_SHARE for name in bundle.topic_names]
        self._version = field(_BUNDLE_VERSION, bundle.version.encode())
        arrays = bundle.arrays
        self._item_ids = (arrays.item_ids_bytes, arrays.item_ids_offsets)
        self._topic_names = (arrays.topic_names_bytes, arrays.topic_names_offsets)
        item_ids = bundle.item_ids

        @lru_cache(maxsize=ROWS_KEPT)
        def item_id(row: int) -> bytes:
            return field(_ITEM_ID, item_ids[row].encode())  # of SlateItem and of Cause alike

        self._item_id: Callable[[int], bytes] = item_id

    def body(self, profile: Profile, choice: Choice, slate_id: str, user_id: str, prices: Mapping[str, float]) -> bytes:
        """The slate in field 1 of its message. prices: by item id, of those that have one"""
        aim = choice.aim.owed(len(choice.chosen))
        topics, mix, kl = made_of(self._bundle, choice.chosen.rows, aim)
        parts = (
            double(_DIVERSITY, choice.dial),
            self._items(profile, choice, topics, prices),
            self._mix(_MIX, mix),
            self._mix(_TARGET_MIX, aim),
            double(_KL, kl),
            field(_RELAXED, bytes(choice.relaxed)) if choice.relaxed else b"",
        )
        return self.named(slate_id, user_id, profile.state_version, b"".join(parts))

    def named(self, slate_id: str, user_id: str, state_version: int, rest: bytes) -> bytes:
        """The slate in field 1 of its message: its names, and the rest of its fields."""
        names = field(_USER_ID, user_id.encode()) if user_id else b""
        version = number(_STATE_VERSION, state_version)
        return field(_BODY_SLATE, field(_SLATE_ID, slate_id.encode()) + names + version + self._version + rest)

    def _items(self, profile: Profile, choice: Choice, topics: Rows, prices: Mapping[str, float]) -> bytes:
        chosen, drawn = choice.chosen, choice.explored
        reasons = Reasons(self._bundle, profile, choice.asks)
        if (fast := wire_loops()) is None:
            return b"".join(self._each_item(reasons, choice, topics.tolist(), prices))
        given = [prices.get(item_id, math.nan) for item_id in chosen.item_ids] if prices else [math.nan] * len(chosen)
        price = np.array(given, dtype="<f8")
        explored = int(np.flatnonzero(chosen.rows == drawn.row)[0]) if drawn else -1
        written: npt.NDArray[np.uint8] = fast.items(
            *self._item_ids, *self._topic_names, chosen.rows, _doubles(chosen.scores), chosen.sources,
            chosen.interests, topics, reasons.of(chosen),
            profile.item_rows, profile.item_actions, profile.item_times_ms,
            profile.recent_rows, profile.recent_actions, profile.recent_times_ms,
            ~np.isnan(price), price.view(np.uint8), explored, _doubles(np.array([drawn.propensity if drawn else 0.0])),
        )  # fmt: skip
        return written.tobytes()

    def _each_item(
        self, reasons: Reasons, choice: Choice, topics: list[int], prices: Mapping[str, float]
    ) -> Iterator[bytes]:
        """What `wire_loops().items` writes."""
        chosen = choice.chosen
        causes: dict[int, bytes] = {}
        for position, (row, score, source, interest, topic, why) in enumerate(
            zip(
                chosen.rows.tolist(),
                chosen.scores.tolist(),
                chosen.sources.tolist(),
                chosen.interests.tolist(),
                topics,
                reasons.of(chosen).tolist(),
                strict=True,
            )
        ):
            for cause in why:
                if cause >= 0 and cause not in causes:
                    causes[cause] = self._cause(cause, *reasons.told(cause))
            item = b"".join((
                self._item_id(row),
                number(_POSITION, position),
                double(_SCORE, score),
                number(_SOURCE, source),
                _INTEREST + varint(interest) if interest >= 0 else b"",
                self._topic_fields[topic] if topic >= 0 else b"",
                *(causes[cause] for cause in why if cause >= 0),
                _price(prices, chosen.item_ids[position]) if prices else b"",
                _propensity(choice, row),
            ))  # fmt: skip
            yield field(_ITEMS, item)

    def _cause(self, row: int, action: int, time_ms: int) -> bytes:
        seconds, ms = divmod(time_ms, 1000)
        time = number(_SECONDS, seconds) + number(_NANOS, ms * 1_000_000)
        return field(_CAUSES, self._item_id(row) + number(_CAUSE_ACTION, action) + field(_CAUSE_TIME, time))

    def _mix(self, tag: bytes, mix: Floats) -> bytes:
        """The topics of a mix, largest first, as in ranking/compose.py."""
        if (fast := wire_loops()) is not None:
            written: npt.NDArray[np.uint8] = fast.mix(tag[0], mix, _doubles(mix), MIX_TOPICS_MAX, *self._topic_names)
            return written.tobytes()
        largest = np.argsort(-mix, kind="stable")[:MIX_TOPICS_MAX]
        shares = mix[largest].tolist()
        return b"".join(
            field(tag, self._topic_shares[topic] + _DOUBLE.pack(share))
            for topic, share in zip(largest.tolist(), shares, strict=True)
            if share > 0
        )


def _doubles(values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """The eight bytes of each, as protobuf has them."""
    return values.astype("<f8").view(np.uint8)


def varint(value: int) -> bytes:
    """A number from 0 as protobuf writes it: seven bits a byte, the lowest first."""
    if value < 128:
        return _SMALL[value]
    parts = bytearray()
    while value >= 128:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def field(tag: bytes, data: bytes) -> bytes:
    """A string, bytes or message."""
    return tag + varint(len(data)) + data


def number(tag: bytes, value: int) -> bytes:
    """An integer or enum from 0; 0 is not written."""
    return tag + varint(value) if value else b""


def double(tag: bytes, value: float) -> bytes:
    """A double; 0 is not written."""
    return tag + _DOUBLE.pack(value) if value else b""


def _propensity(choice: Choice, row: int) -> bytes:
    drawn = choice.explored
    return double(_PROPENSITY, drawn.propensity) if drawn and drawn.row == row else b""


def _price(prices: Mapping[str, float], item_id: str) -> bytes:
    price = prices.get(item_id)
    return b"" if price is None else _PRICE + _DOUBLE.pack(price)
