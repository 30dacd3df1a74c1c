"""Vectors of two bytes a number, and what that costs and saves.

A bundle keeps them on disk as float16 and hands them out as float32, so it is half as large to store and to send and
as fast to serve. They are rounded before anything is measured or exported: what is reported is what ships.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.bundle_arrays import HALVED, BundleArrays
from interests.encoder import open_session, providers
from trainer.encoder.learn import Learned, Relevant
from trainer.encoder.reading import scaled
from trainer.encoder.sequences import Sequences
from trainer.encoder.yardstick import Yardstick
from trainer.evaluation.quantize import run_in_batches
from trainer.parts import HISTORY_MAX, Counted, models
from trainer.progress import Reporter

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class HalvesCost:
    """Item vectors before and after: bytes on disk, NDCG@10 of the encoder on validation."""

    bytes_before: int
    bytes_after: int
    ndcg_before: float
    ndcg_after: float


def halved(arrays: BundleArrays) -> BundleArrays:
    """The same arrays with vectors rounded to what float16 can say."""
    rounded: dict[str, Any] = {name: _rounded(getattr(arrays, name)) for name in HALVED}
    return replace(arrays, **rounded)


def halves_cost(counted: Counted, learned: Learned, relevant: Relevant, reporter: Reporter) -> dict[str, Any]:
    """A `HalvesCost` as a report has it; relevant: what users turned to after `counted`, by user row."""
    session = open_session(models(learned.encoder, learned.item_vectors, counted, {}).encoder.model, providers("cpu"))
    yardstick = Yardstick(counted.events, relevant)
    windows = Sequences(counted.events, HISTORY_MAX).latest(yardstick.users)
    whole, half = learned.item_vectors, _rounded(learned.item_vectors)

    def ndcg(vectors: Floats) -> float:
        feed = {
            "item_vectors": vectors[windows.items] * windows.mask[:, :, None],
            "ages_days": windows.ages_days,
            "actions": windows.actions,
            "mask": windows.mask,
        }
        interests, shares = run_in_batches(session, ["interests", "shares"], feed)
        return yardstick.read(scaled(interests, shares), vectors).ndcg

    found = HalvesCost(whole.nbytes, whole.nbytes // 2, ndcg(whole), ndcg(half))
    reporter.say(
        f"vectors as float16: {found.bytes_before:,} to {found.bytes_after:,} bytes, "
        f"validation NDCG@10 {found.ndcg_before:.4f} to {found.ndcg_after:.4f}"
    )
    return asdict(found)


def _rounded(vectors: Floats) -> Floats:
    rounded: Floats = vectors.astype(np.float16).astype(np.float32)
    return rounded
