"""What `plural-train simulate` can be told."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import CliImplicitFlag

from trainer.settings import HistorySettings

WORKERS_MAX = 8  # unless asked for more: each holds the history


class Simulate(HistorySettings):
    """Close the loop: simulated people choose from what is served, round after round, beside other methods."""

    out: Path = Field(description="directory for simulation.csv, .json and .html, and for the bundle that is simulated")
    bundle: Path | None = Field(
        None, description="simulate this bundle, made from the same files by an earlier run, instead of learning one"
    )
    users: int = Field(120, ge=1, le=100_000, description="people a seed, drawn from those with ten events or more")
    rounds: int = Field(20, ge=1, le=1_000, description="rounds, a day apart; a slate of ten and three choices each")
    seeds: int = Field(5, ge=1, le=100, description="how often everything is run, with other people and other luck")
    first_seed: int = Field(5, ge=0, description="constants were chosen on seeds 0 to 4, so report on others")
    position_bias: Literal["on", "off", "both"] = Field("both", description="whether people favour the first places")
    burst_rounds: int = Field(
        100, ge=0, le=1_000, description="how long to wait until slates are back after a burst; 0 leaves bursts out"
    )
    frontier: CliImplicitFlag[bool] = Field(
        False, description="also simulate what is served holding less and more, and draw what that trades"
    )
    workers: int = Field(0, ge=0, le=256, description="loops at the same time; 0: one a processor, at most 8")

    @property
    def processes(self) -> int:
        """As many as were asked for, or as this machine has processors for."""
        return self.workers or min(os.cpu_count() or 1, WORKERS_MAX)

    @property
    def biases(self) -> tuple[bool, ...]:
        """With, without, or both."""
        return {"on": (True,), "off": (False,), "both": (True, False)}[self.position_bias]
