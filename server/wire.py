"""A chosen slate straight to the bytes of its message: what is the same in every slate is encoded once a bundle.

The bytes are those of `slate_message` in server/messages.py but for the order of the fields, which means nothing in
protobuf: tests hold the two against each other. Building twenty items and sixty causes as messages costs more than
choosing them does.
"""

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.compose import MIX_TOPICS_MAX
from ranking.reasons import Reasons
from ranking.recommend import Choice
from ranking.topics import calibration_kl, main_topics, mix_of, mixes_of

ROWS_KEPT = 100_000  # items whose ids stay encoded: about 20 MB

Floats = npt.NDArray[np.float32]

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
        item_ids = bundle.item_ids

        @lru_cache(maxsize=ROWS_KEPT)
        def item_id(row: int) -> bytes:
            return field(_ITEM_ID, item_ids[row].encode())  # of SlateItem and of Cause alike

        self._item_id: Callable[[int], bytes] = item_id

    def body(self, profile: Profile, choice: Choice, slate_id: str, user_id: str, prices: Mapping[str, float]) -> bytes:
        """The slate in field 1 of its message. prices: by item id, of those that have one"""
        chosen = choice.chosen
        aim = choice.aim.owed(len(chosen))
        mixes = mixes_of(self._bundle, chosen.rows)
        mix = mix_of(mixes, self._bundle.manifest.topic_count)
        parts = [
            field(_SLATE_ID, slate_id.encode()),
            field(_USER_ID, user_id.encode()) if user_id else b"",
            number(_STATE_VERSION, profile.state_version),
            self._version,
            double(_DIVERSITY, choice.dial),
            *self._items(profile, choice, main_topics(mixes).tolist(), prices),
            *self._mix(_MIX, mix),
            *self._mix(_TARGET_MIX, aim),
            double(_KL, calibration_kl(aim, mix)),
            field(_RELAXED, bytes(choice.relaxed)) if choice.relaxed else b"",
        ]
        return field(_BODY_SLATE, b"".join(parts))

    def _items(self, profile: Profile, choice: Choice, topics: list[int], prices: Mapping[str, float]) -> list[bytes]:
        chosen = choice.chosen
        reasons = Reasons(self._bundle, profile, choice.pulled)
        causes: dict[int, bytes] = {}
        parts = []
        for position, (row, score, source, interest, topic, why) in enumerate(
            zip(
                chosen.rows.tolist(),
                chosen.scores.tolist(),
                chosen.sources.tolist(),
                chosen.interests.tolist(),
                topics,
                reasons.of(chosen),
                strict=True,
            )
        ):
            for cause in why:
                if cause not in causes:
                    causes[cause] = self._cause(cause, *reasons.told(cause))
            item = b"".join((
                self._item_id(row),
                number(_POSITION, position),
                double(_SCORE, score),
                number(_SOURCE, source),
                _INTEREST + varint(interest) if interest >= 0 else b"",
                self._topic_fields[topic] if topic >= 0 else b"",
                *(causes[cause] for cause in why),
                _price(prices, chosen.item_ids[position]) if prices else b"",
                _propensity(choice, row),
            ))  # fmt: skip
            parts.append(field(_ITEMS, item))
        return parts

    def _cause(self, row: int, action: int, time_ms: int) -> bytes:
        seconds, ms = divmod(time_ms, 1000)
        time = number(_SECONDS, seconds) + number(_NANOS, ms * 1_000_000)
        return field(_CAUSES, self._item_id(row) + number(_CAUSE_ACTION, action) + field(_CAUSE_TIME, time))

    def _mix(self, tag: bytes, mix: Floats) -> list[bytes]:
        """The topics of a mix, largest first, as in ranking/compose.py."""
        largest = np.argsort(-mix, kind="stable")[:MIX_TOPICS_MAX]
        shares = mix[largest].tolist()
        return [
            field(tag, self._topic_shares[topic] + _DOUBLE.pack(share))
            for topic, share in zip(largest.tolist(), shares, strict=True)
            if share > 0
        ]


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
