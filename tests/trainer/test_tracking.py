"""What a training leaves in its logs."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from interests.errors import SettingsRejected

HAS_WANDB = importlib.util.find_spec("wandb") is not None


def logged(directory: Path) -> dict[str, Any]:
    """Values of the TensorBoard files in a directory, by name."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util import tensor_util

    found = {}
    for file in directory.glob("events.*"):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                found[value.tag] = tensor_util.make_ndarray(value.tensor)
    return found


def track(directory: Path, **options: Any) -> None:
    from trainer.tracking import Tracker

    tracker = Tracker(directory, **options)
    tracker.settings({"seed": 3, "profile": "demo"})
    tracker.scalars(1, {"loss": 2.5, "validation_ndcg@10": 0.25})
    tracker.finished("20260101-abc", {"served/NDCG@10": 0.125})
    tracker.close()


def test_losses_metrics_settings_and_the_bundle_are_left_for_tensorboard(tmp_path: Path) -> None:
    track(tmp_path)
    found = logged(tmp_path)
    assert found["loss"] == pytest.approx(2.5)
    assert found["validation_ndcg@10"] == pytest.approx(0.25)
    assert found["final/served/NDCG@10"] == pytest.approx(0.125)
    assert '"seed": 3' in str(found["settings"])
    assert "20260101-abc" in str(found["bundle_version"])


def test_without_a_directory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.tracking import Tracker

    monkeypatch.chdir(tmp_path)
    tracker = Tracker()
    tracker.scalars(1, {"loss": 2.5})
    tracker.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(HAS_WANDB, reason="W&B is installed here")
def test_asking_for_wandb_where_it_is_not_installed_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SettingsRejected, match=r"--wandb offline.*pip install 'plural\[wandb\]'"):
        track(tmp_path, wandb="offline")


@pytest.mark.skipif(not HAS_WANDB, reason="W&B is not installed here")
def test_wandb_offline_leaves_a_run_without_a_network(tmp_path: Path) -> None:
    track(tmp_path, wandb="offline")
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
