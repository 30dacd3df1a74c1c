"""What a bundle says of itself, sealed by a hash over itself and checked as it is read."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from interests.errors import BundleRejected

FORMAT = 1
VERSION_PATTERN = "^[0-9a-zA-Z._-]{1,64}$"
BYTES_MAX = 16 * 1024 * 1024
SEAL = "sha256"


class Golden(BaseModel):
    """One history and what the models must make of it, so that a broken runtime is noticed before it serves."""

    model_config = ConfigDict(frozen=True)

    item_rows: list[int]
    ages_days: list[float]
    actions: list[int]
    interests: list[list[float]]
    shares: list[float]
    factor: list[float]


class FileEntry(BaseModel):
    """A file's size and hash."""

    model_config = ConfigDict(frozen=True)

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class DialPoint(NamedTuple):
    """What one strength of diversifying did to slates on validation.

    ndcg_kept: NDCG@10 over that of relevance alone; ild: mean distance of category vectors; kl: from the users' mixes
    """

    strength: Annotated[float, Field(ge=0, le=1)]
    ndcg_kept: Annotated[float, Field(ge=0)]
    ild: float
    kl: Annotated[float, Field(ge=0)]


class Manifest(BaseModel):
    """What a bundle says of itself.

    version: from the contents, so that equal bundles have equal versions
    cutoff_ms: the latest interaction it learned from, milliseconds since 1970
    history_max: how many of the latest interactions the encoder takes; fold_in_max: how many items the fold-in takes
    signal_weights: by signal name, of the weighted sum in ranking/score.py
    new_weights: the same where items that the user had are filtered out; empty: as signal_weights
    few_items_max: users with so many items or fewer are scored by few_weights and few_new_weights, where there are any
    known_items: items had, from which on a user's own past is all that counts; 0: from the first on
    mf_reach: a user's largest product with any item over the length of their factor, as it usually is; see
        ranking/score.py
    vectors: how vectors lie on disk; they are float32 once loaded
    cold_weights: the same for items that nobody ever turned to; empty: they are scored like all others
    query_half_life_days: how fast a past interaction stops asking for its neighbours
    transition_half_life, neighbour_half_life: the same in places: how many later events halve it
    neighbour_had: the part of the neighbours' query that is everything had, whenever
    diversity_default: the dial where a request leaves it unset, before the personal factor
    dial_curve: by rising strength, from 0 to 1; what a dial means in this catalogue, see ranking/dial.py
    entropy_mean: mean entropy of users' anchors on validation, where the personal factor is 1
    repeats_default: whether items a user had may come again, as validation chose
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    version: str = Field(pattern=VERSION_PATTERN)
    created_at: str
    cutoff_ms: int
    item_count: int = Field(ge=1)
    topic_count: int = Field(ge=0)
    dim: int = Field(ge=1, le=4096)
    factor_dim: int = Field(ge=1, le=4096)
    interest_count: int = Field(ge=1, le=64)
    history_max: int = Field(ge=1, le=4096)
    fold_in_max: int = Field(ge=1, le=4096)
    signal_weights: dict[str, float]
    vectors: Literal["float32", "float16"] = "float32"
    new_weights: dict[str, float] = Field(default_factory=dict)
    few_items_max: int = Field(default=0, ge=0)
    few_weights: dict[str, float] = Field(default_factory=dict)
    few_new_weights: dict[str, float] = Field(default_factory=dict)
    known_items: int = Field(default=20, ge=0)
    mf_reach: float = Field(default=0.0, ge=0)
    cold_weights: dict[str, float] = Field(default_factory=dict)
    query_half_life_days: float = Field(gt=0)
    transition_half_life: float = Field(3.0, gt=0)
    neighbour_half_life: float = Field(12.0, gt=0)
    neighbour_had: float = Field(0.5, ge=0, le=1)
    diversity_default: float = Field(ge=0, le=1)
    dial_curve: list[DialPoint] = Field(default_factory=list)
    entropy_mean: float = Field(ge=0, le=1)
    repeats_default: Literal["allow", "filter"]
    metrics: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    golden: list[Golden] = Field(default_factory=list)
    files: dict[str, FileEntry] = Field(default_factory=dict)


def sealed(said: dict[str, Any]) -> str:
    """The text of manifest.json: what a manifest says, in JSON's own types, and the hash of it."""
    return json.dumps({**said, SEAL: _seal(said)}, indent=1)


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest. Raises BundleRejected with the reason."""
    refuse_links(path)
    if path.stat().st_size > BYTES_MAX:
        raise BundleRejected(f"{path}: larger than {BYTES_MAX} bytes")
    try:
        said = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleRejected(f"{path}: is not JSON: {error}") from None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        found = said.get("format") if isinstance(said, dict) else type(said).__name__
        raise BundleRejected(f"{path}: has format {found!r}, this program reads {FORMAT}; train again")
    if said.pop(SEAL, None) != _seal(said):
        raise BundleRejected(f"{path}: is not as it was published: its {SEAL} is not that of what it says")
    try:
        return Manifest.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleRejected(f"{path}: {where or 'manifest'}: {first['msg']}") from None


def refuse_links(file: Path) -> None:
    """Raise BundleRejected for anything but a regular file."""
    if file.is_symlink():
        raise BundleRejected(f"{file}: is a symbolic link; a bundle holds regular files only")
    if not file.is_file():
        raise BundleRejected(f"{file}: is missing")


def _seal(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
