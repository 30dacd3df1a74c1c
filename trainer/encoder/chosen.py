"""One vector or several: both are tried on validation, and several ship only where they find more and show more."""

from dataclasses import asdict
from typing import Any

import numpy as np

from trainer.encoder.heads_training import TARGETS, HeadsTrainer
from trainer.encoder.reading import read
from trainer.encoder.sequences import Sequences
from trainer.encoder.training import Trainer
from trainer.encoder.yardstick import Reading, Yardstick
from trainer.progress import Reporter

TRIED = 4


def choose(
    trainer: Trainer, sequences: Sequences, yardstick: Yardstick, windows: int, seed: int, reporter: Reporter
) -> dict[str, Any]:
    """Leaves the encoder giving as many interests as won; returns both readings, and how many ship, for a report.

    windows: how many the heads are trained on
    """
    single = read(trainer, sequences, yardstick)
    trainer.encoder.set_interests(TRIED)
    train_heads(trainer, sequences, windows, seed, reporter)
    multi = read(trainer, sequences, yardstick)
    if not several_win(single, multi):
        trainer.encoder.set_interests(1)
    shipped = trainer.encoder.shape_of.interests
    for name, reading in (("one vector", single), (f"{TRIED} interests", multi)):
        reporter.say(
            f"{name}: validation NDCG@10 {reading.ndcg:.4f}, Recall@100 {reading.recall:.4f}, "
            f"coverage@100 {reading.coverage:.4f}"
        )
    reporter.say("several interests ship" if shipped > 1 else "one vector ships")
    return {"single": asdict(single), "multi": asdict(multi), "tried": TRIED, "shipped": shipped}


def several_win(single: Reading, multi: Reading) -> bool:
    """Whether several interests find more of what comes next, and show more of the catalogue."""
    return multi.recall > single.recall and multi.coverage > single.coverage


def train_heads(trainer: Trainer, sequences: Sequences, count: int, seed: int, reporter: Reporter) -> None:
    """Train the encoder's heads, if it has any, briefly on up to `count` windows."""
    if trainer.encoder.heads is None:
        return
    heads = HeadsTrainer(trainer, trainer.encoder.heads)
    windows = sequences.whole_moments(count, TARGETS, np.random.default_rng(seed))
    with reporter.task("interest heads", trainer.steps(windows)) as tick:
        heads.train(windows, tick)
