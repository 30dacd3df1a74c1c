"""A real bundle in miniature, with planted topics, made without TensorFlow so that most tests start at once.

Six topics of twenty items: `t0-00` to `t5-19`. Items of one topic are neighbours of each other. Its encoder gives two
interests: the mean of the history, and its latest item. Its fold-in is the weighted sum of factors.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from interests import bundle as bundles
from interests.bundle_arrays import BundleArrays, string_table
from interests.manifest import Golden, Manifest

TOPICS, ITEMS_A_TOPIC, DIM = 6, 20, 16
CUTOFF_MS = 1_700_000_000_000


def item(topic: int, number: int) -> str:
    """The id of one item."""
    return f"t{topic}-{number:02d}"


def write(directory: Path, seed: int = 0, **manifest: Any) -> Path:
    """Write the bundle; keyword arguments replace fields of its manifest. Returns the bundle's own directory."""
    said = _manifest(seed) | manifest
    return bundles.save(directory, Manifest(**said), arrays(seed), mf_model(), encoder_model())


def arrays(seed: int = 0) -> BundleArrays:
    """The arrays of the planted catalogue."""
    rng = np.random.default_rng(seed)
    n = TOPICS * ITEMS_A_TOPIC
    topic = np.repeat(np.arange(TOPICS), ITEMS_A_TOPIC)
    centres = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0][:TOPICS]
    vectors = centres[topic] + 0.15 * rng.normal(size=(n, DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    neighbours = np.stack([[j for j in np.flatnonzero(topic == topic[i]) if j != i][:8] for i in range(n)])
    weights = np.tile(np.linspace(1.0, 0.3, 8), (n, 1))
    popularity = np.tile(np.linspace(1.0, 0.05, ITEMS_A_TOPIC), TOPICS) * np.linspace(1.0, 0.6, TOPICS)[topic]
    ids = [item(t, number) for t in range(TOPICS) for number in range(ITEMS_A_TOPIC)]
    ids_bytes, ids_offsets = string_table(ids)
    titles_bytes, titles_offsets = string_table([f"Item {name}" for name in ids])
    names_bytes, names_offsets = string_table([f"topic-{t}" for t in range(TOPICS)])
    return BundleArrays(
        item_vectors=vectors,
        item_factors=vectors.copy(),
        item_topic_ids=topic[:, None].astype(np.int32),
        item_topic_shares=np.ones((n, 1), dtype=np.float32),
        neighbour_rows=neighbours.astype(np.int32),
        neighbour_weights=weights.astype(np.float32),
        transition_rows=neighbours[:, :4].astype(np.int32),
        transition_weights=weights[:, :4].astype(np.float32),
        popularity=popularity.astype(np.float32),
        recent_popularity=popularity.astype(np.float32),
        first_seen_ms=np.full(n, CUTOFF_MS - 30 * 86_400_000, dtype=np.int64),
        available=np.ones(n, dtype=np.bool_),
        topic_vectors=(centres / np.linalg.norm(centres, axis=1, keepdims=True)).astype(np.float32),
        topic_shares=np.full(TOPICS, 1.0 / TOPICS, dtype=np.float32),
        item_ids_bytes=ids_bytes,
        item_ids_offsets=ids_offsets,
        item_titles_bytes=titles_bytes,
        item_titles_offsets=titles_offsets,
        topic_names_bytes=names_bytes,
        topic_names_offsets=names_offsets,
    )


def encoder_model() -> bytes:
    """Two interests: the history's mean and its latest item, three quarters and one quarter of the user."""
    nodes = [
        helper.make_node("Unsqueeze", ["mask", "last_axis"], ["mask3"]),
        helper.make_node("Mul", ["item_vectors", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "time_axis"], ["mean"], keepdims=1),
        helper.make_node("Slice", ["item_vectors", "minus_one", "end", "time_axis"], ["latest"]),
        helper.make_node("Concat", ["mean", "latest"], ["both"], axis=1),
        helper.make_node("LpNormalization", ["both"], ["interests"], axis=2, p=2),
        # Ages and actions enter with weight zero: a model must take them, this one has no use for them.
        helper.make_node("Cast", ["actions"], ["actions_float"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["ages_days", "actions_float"], ["unused"]),
        helper.make_node("ReduceSum", ["unused", "time_axis"], ["unused_sum"], keepdims=1),
        helper.make_node("Mul", ["unused_sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "two_shares"], ["shares"]),
    ]
    constants = {
        "last_axis": np.array([2]),
        "time_axis": np.array([1]),
        "minus_one": np.array([-1]),
        "end": np.array([2**31]),
        "zero": np.zeros((1, 1), dtype=np.float32),
        "two_shares": np.array([[0.75, 0.25]], dtype=np.float32),
    }
    inputs = [
        helper.make_tensor_value_info("item_vectors", TensorProto.FLOAT, ["batch", "length", DIM]),
        helper.make_tensor_value_info("ages_days", TensorProto.FLOAT, ["batch", "length"]),
        helper.make_tensor_value_info("actions", TensorProto.INT32, ["batch", "length"]),
        helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch", "length"]),
    ]
    outputs = [
        helper.make_tensor_value_info("interests", TensorProto.FLOAT, ["batch", 2, DIM]),
        helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["batch", 2]),
    ]
    return _model(nodes, inputs, outputs, constants)


def mf_model() -> bytes:
    """The weighted sum of the history's factors."""
    nodes = [
        helper.make_node("Unsqueeze", ["weights", "last_axis"], ["weights3"]),
        helper.make_node("Mul", ["item_factors", "weights3"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "time_axis"], ["factor"], keepdims=0),
    ]
    constants = {"last_axis": np.array([2]), "time_axis": np.array([1])}
    inputs = [
        helper.make_tensor_value_info("item_factors", TensorProto.FLOAT, ["batch", "length", DIM]),
        helper.make_tensor_value_info("weights", TensorProto.FLOAT, ["batch", "length"]),
    ]
    outputs = [helper.make_tensor_value_info("factor", TensorProto.FLOAT, ["batch", DIM])]
    return _model(nodes, inputs, outputs, constants)


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any]) -> bytes:
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _manifest(seed: int = 0) -> dict[str, Any]:
    made = arrays(seed)
    rows = [0, 21]
    both = made.item_vectors[rows]
    mean = both.sum(0) / np.linalg.norm(both.sum(0))
    golden = Golden(
        item_rows=rows,
        ages_days=[1.0, 0.0],
        actions=[3, 3],
        interests=[mean.tolist(), both[1].tolist()],
        shares=[0.75, 0.25],
        factor=both.sum(0).tolist(),
    )
    return {
        "version": "unset",
        "created_at": "2026-01-01T00:00:00Z",
        "cutoff_ms": CUTOFF_MS,
        "item_count": TOPICS * ITEMS_A_TOPIC,
        "topic_count": TOPICS,
        "dim": DIM,
        "factor_dim": DIM,
        "interest_count": 2,
        "history_max": 50,
        "fold_in_max": 64,
        "signal_weights": {"interest": 1.0, "neighbour": 0.5, "popularity": 0.1},
        "query_half_life_days": 7.0,
        "diversity_default": 0.3,
        "entropy_mean": 0.5,
        "repeats_default": "allow",
        "golden": [golden],
    }
