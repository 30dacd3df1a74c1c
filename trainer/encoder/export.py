"""The two models as ONNX, each checked against what it was made from before it leaves.

    interest_encoder.onnx  against Keras: largest difference below PARITY_MAX
    mf.onnx                against TensorFlow the same way, and against the exact solve: cosine above COSINE_MIN

Fold-in inside the graph is conjugate gradient with a fixed number of steps and the diagonal as its preconditioner; the
Gram matrix is a constant, so a user's factor needs nothing but the factors and weights of what they had. Of whitened
factors (trainer/factorise.py) the system's condition is at most 1 + the largest confidence while no item comes twice,
as in a state, and the steps needed grow with its root.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tensorflow as tf
import tf2onnx

from interests.bundle import ENCODER_MODEL, MF_MODEL
from interests.encoder import open_session, providers
from interests.errors import PluralError
from interests.manifest import Golden
from trainer.encoder.encoder_export import arranged
from trainer.encoder.model import Encoder
from trainer.encoder.onnx_order import renumber
from trainer.factorise import FactorRule, fold_in

OPSET = 18
FOLD_IN_STEPS_MIN, STEPS_A_ROOT = 16, 4.0
PARITY_MAX = 1e-4
COSINE_MIN = 0.99

Floats = npt.NDArray[np.float32]
Feed = dict[str, npt.NDArray[Any]]
Dims = tuple[str | int, ...]
"""One dimension each: a name where it is free, else its size."""


class ExportFailed(PluralError):
    """A model that is not what it was made from: names the model, what was measured and the limit."""


@dataclass(frozen=True)
class Checked:
    """A model's bytes and how far it was from its source."""

    model: bytes
    difference_max: float
    cosine_min: float | None = None


def export_encoder(encoder: Encoder, cases: list[Feed], props: Mapping[str, str]) -> Checked:
    """The encoder as bytes. cases: inputs by name, each of its own batch and length. Raises ExportFailed."""
    dim = encoder.shape_of.dim
    signature = [
        tf.TensorSpec((None, None, dim), tf.float32, name="item_vectors"),
        tf.TensorSpec((None, None), tf.float32, name="ages_days"),
        tf.TensorSpec((None, None), tf.int32, name="actions"),
        tf.TensorSpec((None, None), tf.float32, name="mask"),
    ]

    def trained(item_vectors: Any, ages_days: Any, actions: Any, mask: Any) -> dict[str, Any]:
        interests, shares = encoder(item_vectors, ages_days, actions, mask)
        return {"interests": interests, "shares": shares}

    shape = encoder.shape_of
    names: dict[str, Dims] = {
        "item_vectors": ("batch", "length", dim),
        "interests": ("batch", shape.interests, dim),
        "shares": ("batch", shape.interests),
    }
    names |= dict.fromkeys(("ages_days", "actions", "mask"), ("batch", "length"))
    return _export(ENCODER_MODEL, arranged(encoder), signature, names, cases, props, trained)


def export_fold_in(
    gram: npt.NDArray[np.float64], rule: FactorRule, cases: list[Feed], props: Mapping[str, str]
) -> Checked:
    """The fold-in as bytes. gram (d, d) and rule as in trainer/factorise.py. Raises ExportFailed."""
    dim = len(gram)
    signature = [
        tf.TensorSpec((None, None, dim), tf.float32, name="item_factors"),
        tf.TensorSpec((None, None), tf.float32, name="weights"),
    ]

    def run(item_factors: Any, weights: Any) -> dict[str, Any]:
        return {"factor": tf.identity(solve(gram, rule, item_factors, weights))}

    names: dict[str, Dims] = {
        "item_factors": ("batch", "items", dim),
        "weights": ("batch", "items"),
        "factor": ("batch", dim),
    }
    checked = _export(MF_MODEL, run, signature, names, cases, props)
    session = open_session(checked.model, providers("cpu"))
    cosine = 1.0
    for case in cases:
        for found, factors, weights in zip(
            session.run(["factor"], case)[0], case["item_factors"], case["weights"], strict=True
        ):
            exact = fold_in(gram, rule, factors, weights)
            lengths = float(np.linalg.norm(exact) * np.linalg.norm(found))
            cosine = min(cosine, float(exact @ found) / lengths if lengths > 0 else 1.0)
    if not cosine > COSINE_MIN:
        raise ExportFailed(f"{MF_MODEL}: cosine to the exact solve is {cosine:.4f}, must be above {COSINE_MIN}")
    return Checked(checked.model, checked.difference_max, cosine)


def solve(gram: npt.NDArray[np.float64], rule: FactorRule, factors: Any, weights: Any) -> Any:
    """Users' factors (B, d) by `fold_in_steps`. factors (B, M, d), weights (B, M) with 0 where padded.

    In products of matrices alone, (B, 1, d) a user: TensorFlow's einsum becomes several nodes of reshaping each, and a
    model this small spends its time between nodes.
    """
    own = tf.constant(np.diag(gram)[None, None], tf.float32)
    weights = tf.expand_dims(weights, 1)
    is_had = tf.cast(weights > 0.0, tf.float32)
    grown = tf.math.log(1.0 + tf.maximum(weights, 0.0)) if rule.is_fading else is_had  # ONNX has no log1p
    extra = rule.alpha * grown
    target = tf.matmul(tf.where(weights > 0.0, 1.0 + extra, 0.0), factors)
    system = tf.constant(gram[None], tf.float32) + tf.matmul(tf.transpose(factors, (0, 2, 1)) * extra, factors)
    diagonal = own + tf.matmul(extra, factors * factors)

    def dot(left: Any, right: Any) -> Any:
        return tf.matmul(left, right, transpose_b=True)

    x, residual = tf.zeros_like(target), target
    scaled = residual / diagonal
    direction, size = scaled, dot(residual, scaled)
    for _ in range(fold_in_steps(rule)):
        applied = tf.matmul(direction, system)
        # The floors keep a history that is solved already, or empty, from dividing zero by zero.
        step = size / tf.maximum(dot(direction, applied), 1e-20)
        x += step * direction
        residual -= step * applied
        scaled = residual / diagonal
        new_size = dot(residual, scaled)
        direction, size = scaled + new_size / tf.maximum(size, 1e-20) * direction, new_size
    return tf.squeeze(x, 1)


def fold_in_steps(rule: FactorRule) -> int:
    """How many steps solve a fold-in to about float32's own error."""
    return max(FOLD_IN_STEPS_MIN, math.ceil(STEPS_A_ROOT * math.sqrt(1.0 + rule.alpha)))


def golden(
    encoder: bytes, mf: bytes, item_vectors: Floats, item_factors: Floats, histories: list[Feed]
) -> list[Golden]:
    """What the models make of some histories: rows, ages_days and actions of each, oldest first."""
    sessions = open_session(encoder, providers("cpu")), open_session(mf, providers("cpu"))
    cases = []
    for history in histories:
        rows = history["rows"]
        feed = {
            "item_vectors": item_vectors[rows][None],
            "ages_days": history["ages_days"][None].astype(np.float32),
            "actions": history["actions"][None].astype(np.int32),
            "mask": np.ones((1, len(rows)), dtype=np.float32),
        }
        interests, shares = sessions[0].run(["interests", "shares"], feed)
        weights = np.ones((1, len(rows)), dtype=np.float32)
        factor = sessions[1].run(["factor"], {"item_factors": item_factors[rows][None], "weights": weights})[0]
        cases.append(
            Golden(
                item_rows=rows.tolist(),
                ages_days=feed["ages_days"][0].tolist(),
                actions=feed["actions"][0].tolist(),
                interests=interests[0].tolist(),
                shares=shares[0].tolist(),
                factor=factor[0].tolist(),
            )
        )
    return cases


def _export(
    name: str,
    run: Any,
    signature: list[Any],
    dims: Mapping[str, Dims],
    cases: list[Feed],
    props: Mapping[str, str],
    source: Any = None,
) -> Checked:
    """What `run` computes as a model that was checked against `source`, or else against `run`."""
    traced = tf.function(run, input_signature=signature)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_function(traced, input_signature=signature, opset=OPSET)
    for value in (*model.graph.input, *model.graph.output):
        for dim, said in zip(value.type.tensor_type.shape.dim, dims[value.name], strict=True):
            if isinstance(said, int):
                dim.dim_value = said
            else:
                dim.dim_param = said
    renumber(model)
    model.graph.name = name.removesuffix(".onnx")
    for key, said in sorted(props.items()):
        model.metadata_props.add(key=key, value=said)
    onnx.checker.check_model(model, full_check=True)
    data = bytes(model.SerializeToString(deterministic=True))
    worst = max(
        (_difference(source or traced, open_session(data, providers("cpu")), case) for case in cases), default=0.0
    )
    if not worst < PARITY_MAX:
        raise ExportFailed(f"{name}: is {worst:.2g} off TensorFlow, must be below {PARITY_MAX:g}")
    return Checked(data, worst)


def _difference(source: Any, session: Any, case: Feed) -> float:
    expected = source(**{name: tf.constant(value) for name, value in case.items()})
    found = session.run(list(expected), case)
    worst = 0.0
    for name, value in zip(expected, found, strict=True):
        wanted = expected[name].numpy()
        scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
        worst = max(worst, float(np.abs(value - wanted).max(initial=0.0)) / scale)
    return worst
