"""Both ONNX models with weights of a byte each, and what that costs and saves.

Weights become int8 once, activations are measured and rounded as the model runs ("dynamic"), so nothing has to be
calibrated. What a user gets then depends a little on who else is in the batch: one scale holds for the whole of it.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from interests.bundle import ENCODER_MODEL, MF_MODEL
from interests.encoder import BATCH_USERS_MAX, open_session, providers
from trainer.encoder.export import ExportFailed
from trainer.encoder.learn import Learned, Relevant
from trainer.encoder.onnx_order import renumber
from trainer.encoder.reading import scaled
from trainer.encoder.sequences import Sequences
from trainer.encoder.yardstick import Yardstick
from trainer.parts import HISTORY_MAX, Counted, Models, models
from trainer.progress import Reporter

ROUNDS = 30  # runs of one user, for the time of one

Floats = npt.NDArray[np.float32]
Feed = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Cost:
    """One model before and after: size, CPU microseconds of one user, NDCG@10 on validation."""

    bytes_before: int
    bytes_after: int
    microseconds_before: float
    microseconds_after: float
    ndcg_before: float
    ndcg_after: float

    def line(self, name: str) -> str:
        """For a person."""
        return (
            f"{name} as int8: {self.bytes_before:,} to {self.bytes_after:,} bytes, {self.microseconds_before:.0f} to "
            f"{self.microseconds_after:.0f} us a user, "
            f"validation NDCG@10 {self.ndcg_before:.4f} to {self.ndcg_after:.4f}"
        )


def quantized(model: bytes) -> bytes:
    """The model with int8 weights; the same model gives the same bytes. Raises ExportFailed."""
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory) / "float.onnx", Path(directory) / "int8.onnx"
        source.write_bytes(model)
        try:
            quantize_dynamic(source, target, weight_type=QuantType.QInt8)
        except Exception as error:  # ONNX Runtime's quantizer raises whatever it meets
            raise ExportFailed(f"int8: {str(error).splitlines()[0]}; train without --quantize") from None
        made = onnx.load_model(target)
    before = onnx.load_model_from_string(model)
    made.graph.name = before.graph.name
    renumber(made)
    return bytes(made.SerializeToString(deterministic=True))


def quantized_models(exported: Models) -> Models:
    """Both of them. How far they were from their sources before stays said: rounding is no error of the export."""
    return Models(
        replace(exported.encoder, model=quantized(exported.encoder.model)),
        replace(exported.mf, model=quantized(exported.mf.model)),
    )


def costs(counted: Counted, learned: Learned, relevant: Relevant, reporter: Reporter) -> dict[str, Any]:
    """A `Cost` of each model as a report has it; relevant: what users turned to after `counted`, by user row."""
    before = models(learned.encoder, learned.item_vectors, counted, {})
    after = quantized_models(before)
    yardstick = Yardstick(counted.events, relevant)
    windows = Sequences(counted.events, HISTORY_MAX).latest(yardstick.users)
    mask = windows.mask
    histories = {
        "item_vectors": learned.item_vectors[windows.items] * mask[:, :, None],
        "ages_days": windows.ages_days,
        "actions": windows.actions,
        "mask": mask,
    }
    had = {"item_factors": counted.factors.items[windows.items] * mask[:, :, None], "weights": mask}

    def ndcg_of_interests(session: Any) -> float:
        interests, shares = run_in_batches(session, ["interests", "shares"], histories)
        return yardstick.read(scaled(interests, shares), learned.item_vectors).ndcg

    def ndcg_of_factors(session: Any) -> float:
        factors = run_in_batches(session, ["factor"], had)[0]
        return yardstick.read(factors[:, None], counted.factors.items).ndcg

    found = {
        ENCODER_MODEL: _cost(before.encoder.model, after.encoder.model, histories, ndcg_of_interests),
        MF_MODEL: _cost(before.mf.model, after.mf.model, had, ndcg_of_factors),
    }
    for name, one in found.items():
        reporter.say(one.line(name))
    return {name: asdict(one) for name, one in found.items()}


def run_in_batches(session: Any, outputs: list[str], feed: Feed) -> list[Floats]:
    """Outputs of all users, BATCH_USERS_MAX at a time as when they serve."""
    users = len(next(iter(feed.values())))
    parts = [
        session.run(outputs, {name: value[begin : begin + BATCH_USERS_MAX] for name, value in feed.items()})
        for begin in range(0, users, BATCH_USERS_MAX)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _cost(before: bytes, after: bytes, feed: Feed, ndcg: Callable[[Any], float]) -> Cost:
    one_user = {name: value[:1] for name, value in feed.items()}
    sessions = [open_session(model, providers("cpu")) for model in (before, after)]
    times = [_microseconds(session, one_user) for session in sessions]
    figures = [ndcg(session) for session in sessions]
    return Cost(len(before), len(after), times[0], times[1], figures[0], figures[1])


def _microseconds(session: Any, feed: Feed) -> float:
    session.run(None, feed)
    took = []
    for _ in range(ROUNDS):
        begin = time.process_time_ns()
        session.run(None, feed)
        took.append((time.process_time_ns() - begin) / 1e3)
    return float(np.median(took))
