"""What clients ask, checked: message to query. Every refusal names the field and what it may be.

The ranges are those of the .proto files; nothing behind this module checks them again.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from plural.v1 import interests_pb2, recommendations_pb2

from interests.errors import InvalidRequest
from interests.events import Interaction, check_id, from_message
from ranking.query import SIZE_DEFAULT, SIZE_MAX, Query, Repeats

LIST_MAX = 1000
INTERACTIONS_MAX = 500

_REPEATS: dict[int, Repeats | None] = {
    recommendations_pb2.REPEATS_UNSPECIFIED: None,
    recommendations_pb2.REPEATS_ALLOW: "allow",
    recommendations_pb2.REPEATS_FILTER: "filter",
}
_M = TypeVar("_M", bound=Message)

Candidates = tuple[tuple[str, float | None], ...]
"""Item ids and the caller's own relevance of each: of all or of none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and for what. `recent_item_ids`, oldest first, stands in for a user who has no id."""

    user_id: str
    recent_item_ids: tuple[str, ...]
    query: Query


def parse(kind: type[_M], data: bytes) -> _M:
    """Read a request off the wire. Raises InvalidRequest where the bytes are no such message."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidRequest("message", f"is not a {kind.DESCRIPTOR.full_name} in protobuf") from None


def recommend(message: recommendations_pb2.RecommendRequest) -> Asked:
    """Check a RecommendRequest. Raises InvalidRequest."""
    _check_who(message.user_id, message.recent_item_ids)
    return Asked(message.user_id, tuple(message.recent_item_ids), _query(message, "size"))


def stream(message: recommendations_pb2.StreamRecommendationsRequest) -> Asked:
    """Check a StreamRecommendationsRequest; its size is that of a chunk. Raises InvalidRequest."""
    _check_who(message.user_id, message.recent_item_ids)
    return Asked(message.user_id, tuple(message.recent_item_ids), _query(message, "chunk_size"))


def follow(message: recommendations_pb2.FollowRequest) -> Asked:
    """Check a FollowRequest. Raises InvalidRequest."""
    check_id("user_id", message.user_id)
    return Asked(message.user_id, (), _query(message, "size"))


def similar(message: recommendations_pb2.SimilarRequest) -> Query:
    """Check a SimilarRequest, whose diversity is 0 where it is unset. Raises InvalidRequest."""
    check_id("item_id", message.item_id)
    diversity = _diversity(message) if message.HasField("diversity") else 0.0
    return _filtered(message.filters, _size(message, "size"), diversity, None)


def rerank(message: recommendations_pb2.RerankRequest) -> tuple[Candidates, Query]:
    """Check a RerankRequest. Raises InvalidRequest."""
    check_id("user_id", message.user_id)
    candidates = message.candidates
    if not 1 <= len(candidates) <= LIST_MAX:
        raise InvalidRequest("candidates", f"holds {len(candidates)} entries; give 1 to {LIST_MAX}")
    seen: set[str] = set()
    for index, candidate in enumerate(candidates):
        check_id(f"candidates[{index}].item_id", candidate.item_id)
        if candidate.item_id in seen:
            raise InvalidRequest(f"candidates[{index}].item_id", "is there twice; give each item once")
        seen.add(candidate.item_id)
        if candidate.HasField("relevance") != candidates[0].HasField("relevance"):
            problem = "is set for some candidates only; set it for all of them or for none"
            raise InvalidRequest(f"candidates[{index}].relevance", problem)
        if not math.isfinite(candidate.relevance):
            raise InvalidRequest(f"candidates[{index}].relevance", f"is {candidate.relevance}; give a finite number")
    size = _size(message, "size") if message.HasField("size") else min(len(candidates), SIZE_MAX)
    pairs = tuple((c.item_id, c.relevance if c.HasField("relevance") else None) for c in candidates)
    return pairs, Query(size=size, diversity=_diversity(message))


def interactions(message: interests_pb2.RecordInteractionsRequest) -> list[Interaction]:
    """Check a RecordInteractionsRequest: all of it is good or none is taken. Raises InvalidRequest."""
    count = len(message.interactions)
    if not 1 <= count <= INTERACTIONS_MAX:
        raise InvalidRequest("interactions", f"holds {count} entries; give 1 to {INTERACTIONS_MAX}")
    return [from_message(each, f"interactions[{index}].") for index, each in enumerate(message.interactions)]


def _check_who(user_id: str, recent_item_ids: Iterable[str]) -> None:
    recent = list(recent_item_ids)
    if not user_id and not recent:
        raise InvalidRequest("user_id", "is empty; give 1 to 256 bytes of UTF-8, or recent_item_ids in its place")
    if user_id and recent:
        raise InvalidRequest("recent_item_ids", "is given together with user_id; give one of the two")
    check_id("user_id", user_id, required=False)
    _check_list("recent_item_ids", recent)


def _query(message: "_Slates", size_field: str) -> Query:
    if message.repeats not in _REPEATS:
        names = ", ".join(recommendations_pb2.Repeats.keys())
        raise InvalidRequest("repeats", f"is {message.repeats}; give one of {names}")
    size = _size(message, size_field)
    return _filtered(message.filters, size, _diversity(message), _REPEATS[message.repeats])


def _filtered(
    filters: recommendations_pb2.Filters, size: int, diversity: float | None, repeats: Repeats | None
) -> Query:
    return Query(
        size=size,
        diversity=diversity,
        repeats=repeats,
        exclude_items=_entries("filters.exclude_item_ids", filters.exclude_item_ids),
        only_items=_entries("filters.only_item_ids", filters.only_item_ids),
        exclude_categories=_entries("filters.exclude_categories", filters.exclude_categories),
        only_categories=_entries("filters.only_categories", filters.only_categories),
    )


def _size(message: "_Sized", field: str) -> int:
    if not message.HasField(field):  # type: ignore[arg-type]
        return SIZE_DEFAULT
    size: int = getattr(message, field)
    if not 1 <= size <= SIZE_MAX:
        raise InvalidRequest(field, f"is {size}; give 1 to {SIZE_MAX} or leave it out")
    return size


def _diversity(message: "_Sized") -> float | None:
    if not message.HasField("diversity"):
        return None
    if not 0.0 <= message.diversity <= 1.0:  # NaN is in no range
        raise InvalidRequest("diversity", f"is {message.diversity}; give 0 to 1 or leave it out")
    return message.diversity


def _entries(field: str, values: Iterable[str]) -> frozenset[str]:
    entries = list(values)
    _check_list(field, entries)
    return frozenset(entries)


def _check_list(field: str, values: list[str]) -> None:
    if len(values) > LIST_MAX:
        raise InvalidRequest(field, f"holds {len(values)} entries; give at most {LIST_MAX}")
    for index, value in enumerate(values):
        check_id(f"{field}[{index}]", value)


_Slates = (
    recommendations_pb2.RecommendRequest
    | recommendations_pb2.StreamRecommendationsRequest
    | recommendations_pb2.FollowRequest
)
_Sized = _Slates | recommendations_pb2.RerankRequest | recommendations_pb2.SimilarRequest
