"""Resume tokens: what a stream's client hands back to go on where it stopped, on this server or on another.

    token = base64url(version | kind | digest of who asks | hashes of the items shown | checksum)

It holds what was shown and not where the server stood, because interests and bundles move on between the two streams;
so what was shown stays unshown whatever served it. Four bytes an item, the latest ITEMS_MAX of them; two items of one
hash (one in 430,000 at 10,000 shown) cost a feed one item. It is not signed: a forged one changes its bearer's own
feed and nothing else.
"""

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence

from interests.errors import InvalidRequest

ITEMS_MAX = 10_000
CHARS_MAX = 4 * ((18 + 4 * ITEMS_MAX) // 3 + 1)

_VERSION = 1
_HEAD = 10  # version, kind, eight bytes of who
_CHECK = 8

FOLLOW, FEED = 1, 2
"""Kinds of stream."""


def write(kind: int, who: str, shown: Sequence[int] = ()) -> str:
    """The token behind a message, when items of the hashes `shown` have been sent, oldest first."""
    body = bytes((_VERSION, kind)) + _digest(who) + _pack(shown[-ITEMS_MAX:])
    return base64.urlsafe_b64encode(body + _digest(body)).decode()


def read(kind: int, who: str, token: str) -> list[int]:
    """The hashes of what was shown, oldest first; none for an empty token. Raises InvalidRequest."""
    if not token:
        return []
    if len(token) > CHARS_MAX:
        raise InvalidRequest("resume_token", f"is {len(token)} characters long; give one of ours, at most {CHARS_MAX}")
    try:
        data = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    body, check = data[:-_CHECK], data[-_CHECK:]
    if len(body) < _HEAD or (len(body) - _HEAD) % 4 or _digest(body) != check or body[0] != _VERSION:
        raise InvalidRequest("resume_token", "is not one of ours; give the token of a stream's last message, or none")
    if body[1] != kind or body[2:_HEAD] != _digest(who):
        raise InvalidRequest("resume_token", "belongs to another user or another method; give this stream's own")
    return list(struct.unpack(f"<{(len(body) - _HEAD) // 4}I", body[_HEAD:]))


def who(user_id: str, recent_item_ids: Iterable[str]) -> str:
    """Names the one who asks, whether they have an id or only recent items."""
    return repr((user_id, tuple(recent_item_ids)))


def item_hash(item_id: str) -> int:
    """32 bits of an item id, the same in every process."""
    return zlib.crc32(item_id.encode())


def _pack(hashes: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(hashes)}I", *hashes)


def _digest(data: str | bytes) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return hashlib.blake2b(raw, digest_size=8, person=b"plural-resume").digest()
