"""Where a training leaves its losses, metrics and settings: TensorBoard's files, and Weights & Biases where asked for.

W&B is loaded only when asked for; offline it writes beside the TensorBoard files and needs no network.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from interests.errors import SettingsRejected
from trainer.settings import Wandb

PROJECT = "plural"


class Tracker:
    """One training's log. Without a directory nothing is written."""

    def __init__(self, directory: Path | None = None, wandb: Wandb = "off") -> None:
        """Raises SettingsRejected where W&B is asked for and not installed."""
        self._writer = tf.summary.create_file_writer(str(directory)) if directory else tf.summary.create_noop_writer()
        self._run = _start(directory or Path(), wandb)

    def settings(self, said: Mapping[str, Any]) -> None:
        """What the training was told."""
        with self._writer.as_default(step=0):
            tf.summary.text("settings", json.dumps(dict(said), indent=1, default=str))
        if self._run is not None:
            self._run.config.update(dict(said))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Figures at a step, by name."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writer.flush()
        if self._run is not None:
            self._run.log(dict(values), step=step)

    def finished(self, bundle_version: str, metrics: Mapping[str, float]) -> None:
        """What came of it: final figures, and the bundle they belong to."""
        with self._writer.as_default(step=0):
            tf.summary.text("bundle_version", bundle_version)
            for name, value in metrics.items():
                tf.summary.scalar(f"final/{name}", value)
        if self._run is not None:
            self._run.summary.update({f"final/{name}": value for name, value in metrics.items()})
            self._run.summary["bundle_version"] = bundle_version

    def close(self) -> None:
        """Write what is still held."""
        self._writer.close()
        if self._run is not None:
            self._run.finish()


def _start(directory: Path, wandb: Wandb) -> Any:
    if wandb == "off":
        return None
    directory.mkdir(parents=True, exist_ok=True)
    return _module(wandb).init(project=PROJECT, dir=str(directory), mode=wandb)


def _module(wandb: Wandb) -> Any:
    try:
        import wandb as module  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise SettingsRejected(
            f"--wandb {wandb}: Weights & Biases is not installed; pip install 'plural[wandb]', or leave the flag out"
        ) from None
    return module
