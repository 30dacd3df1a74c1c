"""What a bundle says of itself, checked as it is read."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1


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


class Manifest(BaseModel):
    """What a bundle says of itself.

    version: from the contents, so that equal bundles have equal versions
    cutoff_ms: the latest interaction it learned from, milliseconds since 1970
    history_max: how many of the latest interactions the encoder takes; fold_in_max: how many items the fold-in takes
    signal_weights: by signal name, of the weighted sum in ranking/score.py
    query_half_life_days: how fast a past interaction stops asking for its neighbours
    diversity_default: the dial where a request leaves it unset, before the personal factor
    entropy_mean: mean entropy of users' anchors on validation, where the personal factor is 1
    repeats_default: whether items a user had may come again, as validation chose
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    version: str = Field(pattern="^[0-9a-zA-Z._-]{1,64}$")
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
    query_half_life_days: float = Field(gt=0)
    diversity_default: float = Field(ge=0, le=1)
    entropy_mean: float = Field(ge=0, le=1)
    repeats_default: Literal["allow", "filter"]
    metrics: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    golden: list[Golden] = Field(default_factory=list)
    files: dict[str, FileEntry] = Field(default_factory=dict)
