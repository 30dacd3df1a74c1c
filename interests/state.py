"""All that is known of one user, kept by item id so that it outlives every bundle; and its stored form.

A state is immutable: absorbing makes a new one. What is stored has a layout version, and old layouts are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from plural.v1 import storage_pb2

from interests.columns import Columns, Faded, Latest, Memories, Recent, exposure_columns, memory_columns, recent_columns
from interests.errors import StoreCorrupt
from interests.events import Action, LogPartition

FORMAT = 1


@dataclass(frozen=True, slots=True)
class InterestVectors:
    """What the encoder makes of a state: good for the bundle that made it, and for no other.

    interests (K, dim) float32, unit rows; shares (K,) float32, sum 1; factor (factor_dim,) float32.
    """

    bundle_version: str
    interests: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float32]
    factor: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class InterestState:
    """One user's interests.

    version: log entries absorbed so far, whatever batches they came in
    memories: faded sums by (item id, action), capped; negative after a dislike
    recent: latest interactions in log order, oldest first, capped; no impressions
    exposure: faded sums of impressions by item id, capped
    watermarks: last offset absorbed of each log partition
    event_id_hashes: of the latest event ids, oldest first, capped
    vectors: the encoder's output, a cache and no part of what the state says
    stored_version: the version the store held when this was read, 0 for none; what `put` is fenced by
    """

    user_id: str
    version: int = 0
    interaction_count: int = 0
    last_event_ms: int = 0
    memories: Mapping[tuple[str, Action], Faded] = field(default_factory=dict)
    recent: Sequence[Recent] = ()
    exposure: Mapping[str, Faded] = field(default_factory=dict)
    watermarks: Mapping[LogPartition, int] = field(default_factory=dict)
    event_id_hashes: tuple[int, ...] = ()
    erased: bool = False
    vectors: InterestVectors | None = field(default=None, compare=False)
    stored_version: int = field(default=0, compare=False)

    @property
    def is_cold(self) -> bool:
        """True where nothing speaks of the user's interests."""
        return not self.memories


def erased(state: InterestState) -> InterestState:
    """A user's tombstone: nothing of what they did, and the watermarks that keep a replay from bringing it back."""
    return InterestState(
        user_id=state.user_id,
        version=state.version,
        watermarks=state.watermarks,
        erased=True,
        stored_version=state.stored_version,
    )


def to_bytes(state: InterestState) -> bytes:
    """The stored form, in the order of the state's own tables: states made from one log give equal bytes."""
    stored = storage_pb2.StoredState(
        format=FORMAT,
        user_id=state.user_id,
        version=state.version,
        interaction_count=state.interaction_count,
        last_event_ms=state.last_event_ms,
        event_id_hashes=state.event_id_hashes,
        erased=state.erased,
    )
    # By column: a field set at once costs a fraction of one appended to.
    if state.memories:
        _extend(stored.memories, memory_columns(state.memories))
    stored.exposure.SetInParent()  # also where it is empty, so that stored forms keep their bytes
    if state.exposure:
        _extend(stored.exposure, exposure_columns(state.exposure))
    if state.recent:
        columns = recent_columns(state.recent)
        stored.recent.item_ids.extend(columns.item_ids)
        stored.recent.actions.extend(columns.actions)
        stored.recent.times_ms.extend(columns.times_ms)
    for (incarnation, partition), offset in state.watermarks.items():
        stored.watermarks.add(incarnation=incarnation, partition=partition, offset=offset)
    if state.vectors is not None:
        stored.vectors.CopyFrom(_vectors_to_message(state.vectors))
    return stored.SerializeToString(deterministic=True)


def from_bytes(data: bytes) -> InterestState:
    """Read a stored form. Raises StoreCorrupt where it is not one, or where its layout is newer than this program."""
    try:
        stored = storage_pb2.StoredState.FromString(data)
    except DecodeError as error:
        raise StoreCorrupt(f"a stored state of {len(data)} bytes cannot be parsed: {error}") from None
    if not 1 <= stored.format <= FORMAT:
        raise StoreCorrupt(f"a stored state has layout {stored.format}; this program reads 1 to {FORMAT}")
    try:
        return _state(stored)
    except ValueError as error:  # columns of unequal length, or an action unknown here
        raise StoreCorrupt(f"a stored state of {len(data)} bytes does not hold together: {error}") from None


def with_vectors(state: InterestState, vectors: InterestVectors) -> InterestState:
    """The same state with the encoder's output beside it."""
    return replace(state, vectors=vectors)


def as_stored(state: InterestState) -> InterestState:
    """The same state as a reader of the store would find it now."""
    return InterestState(
        state.user_id,
        state.version,
        state.interaction_count,
        state.last_event_ms,
        state.memories,
        state.recent,
        state.exposure,
        state.watermarks,
        state.event_id_hashes,
        state.erased,
        state.vectors,
        state.version,
    )


def _state(stored: storage_pb2.StoredState) -> InterestState:
    recent = stored.recent
    return InterestState(
        user_id=stored.user_id,
        version=stored.version,
        interaction_count=stored.interaction_count,
        last_event_ms=stored.last_event_ms,
        memories=Memories(_columns(stored.memories)),
        recent=Latest(Columns(recent.item_ids[:], recent.actions[:], (), recent.times_ms[:])),
        exposure=Memories(_columns(stored.exposure), by_action=False),
        watermarks={LogPartition(mark.incarnation, mark.partition): mark.offset for mark in stored.watermarks},
        event_id_hashes=tuple(stored.event_id_hashes),
        erased=stored.erased,
        vectors=_vectors_from_message(stored.vectors) if stored.HasField("vectors") else None,
        stored_version=stored.version,
    )


def _extend(stored: storage_pb2.Memories, columns: Columns) -> None:
    stored.item_ids.extend(columns.item_ids)
    stored.actions.extend(columns.actions)
    stored.weights.extend(columns.weights)
    stored.as_of_ms.extend(columns.times_ms)


def _columns(stored: storage_pb2.Memories) -> Columns:
    return Columns(stored.item_ids[:], stored.actions[:], stored.weights[:], stored.as_of_ms[:])


def _vectors_to_message(vectors: InterestVectors) -> storage_pb2.CachedVectors:
    return storage_pb2.CachedVectors(
        bundle_version=vectors.bundle_version,
        interest_count=len(vectors.interests),
        interests=vectors.interests.astype("<f4").tobytes(),
        shares=vectors.shares.tolist(),
        factor=vectors.factor.astype("<f4").tobytes(),
    )


def _vectors_from_message(message: storage_pb2.CachedVectors) -> InterestVectors:
    interests = np.frombuffer(message.interests, dtype="<f4")
    return InterestVectors(
        bundle_version=message.bundle_version,
        interests=interests.reshape(message.interest_count, -1) if message.interest_count else interests.reshape(0, 0),
        shares=np.array(message.shares, dtype=np.float32),
        factor=np.frombuffer(message.factor, dtype="<f4"),
    )
