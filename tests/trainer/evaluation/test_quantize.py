"""Models with weights of a byte each: smaller, close to what they were, the same for the same model."""

from typing import Any

import numpy as np
import pytest

DIM = 64


@pytest.fixture(scope="module")
def model() -> bytes:
    from trainer.encoder.export import export_encoder
    from trainer.encoder.learn import seed_everything
    from trainer.encoder.model import Encoder, Shape

    seed_everything(0)
    return export_encoder(Encoder(Shape(dim=DIM)), [], {"seed": "0"}).model


@pytest.fixture(scope="module")
def small(model: bytes) -> bytes:
    from trainer.evaluation.quantize import quantized

    return quantized(model)


def histories(users: int = 20, length: int = 12) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(users, length, DIM)).astype(np.float32)
    return {
        "item_vectors": vectors / np.linalg.norm(vectors, axis=2, keepdims=True),
        "ages_days": np.sort(rng.random((users, length)).astype(np.float32) * 30)[:, ::-1].copy(),
        "actions": np.full((users, length), 3, dtype=np.int32),
        "mask": np.ones((users, length), dtype=np.float32),
    }


def answers(model: bytes) -> Any:
    from interests.encoder import open_session, providers
    from trainer.evaluation.quantize import run_in_batches

    return run_in_batches(open_session(model, providers("cpu")), ["interests", "shares"], histories())


def test_an_int8_encoder_is_smaller_and_asks_in_nearly_the_same_direction(model: bytes, small: bytes) -> None:
    assert len(small) < 0.6 * len(model)
    (before, _), (after, shares) = answers(model), answers(small)
    assert np.allclose(np.linalg.norm(after, axis=2), 1.0, atol=1e-4)
    assert (before * after).sum(axis=2).min() > 0.98
    assert shares.tolist() == [[1.0]] * 20


def test_the_same_model_gives_the_same_int8_bytes_with_its_properties(model: bytes, small: bytes) -> None:
    import onnx

    from trainer.evaluation.quantize import quantized

    assert quantized(model) == small
    made = onnx.load_model_from_string(small)
    assert {prop.key: prop.value for prop in made.metadata_props}["seed"] == "0"
    assert made.graph.name == onnx.load_model_from_string(model).graph.name
    onnx.checker.check_model(made)


def test_what_is_no_model_is_refused_in_one_line() -> None:
    from trainer.encoder.export import ExportFailed
    from trainer.evaluation.quantize import quantized

    with pytest.raises(ExportFailed, match=r"int8: .*train without --quantize"):
        quantized(b"nothing")
