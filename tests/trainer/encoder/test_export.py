"""Exported models are what they were made from, and nothing else leaves."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.trainer.conftest import Fitted
from trainer.factorise import FactorRule, Factors, fold_in

RULES = (FactorRule(), FactorRule(alpha=40.0, regularisation=1.0, is_fading=False))


@pytest.fixture(scope="module", params=RULES, ids=["fading", "lasting"])
def system(request: pytest.FixtureRequest) -> tuple[Any, list[dict[str, Any]]]:
    """The rule and Gram matrix of a small shop, and histories from one item to many, one padded."""
    rng = np.random.default_rng(0)
    spread = (rng.normal(size=(500, 64)) * np.geomspace(1.0, 0.05, 64)).astype(np.float32)
    gram = spread.T.astype(np.float64) @ spread + request.param.regularisation * np.eye(64)
    made = Factors(spread[:0], spread, gram, request.param).whitened()
    items, cases = made.items, []
    for length in (1, 7, 200):
        weights = rng.gamma(0.5, 2.0, size=(2, length)).astype(np.float32)
        factors = items[np.stack([rng.permutation(500)[:length] for _ in range(2)])]
        weights[1, length // 2 + 1 :] = 0.0
        factors[1, length // 2 + 1 :] = 0.0
        cases.append({"item_factors": factors, "weights": weights})
    return (made.gram, made.rule), cases


def test_fold_in_inside_the_graph_is_the_exact_solve(system: tuple[Any, list[dict[str, Any]]]) -> None:
    from trainer.encoder.export import export_fold_in

    (gram, rule), cases = system
    exported = export_fold_in(gram, rule, cases, {})
    assert exported.difference_max < 1e-4
    assert exported.cosine_min is not None
    assert exported.cosine_min > 0.999
    session = onnxruntime.InferenceSession(exported.model)
    for case in cases:
        for found, factors, weights in zip(session.run(["factor"], case)[0], *case.values(), strict=True):
            exact = fold_in(gram, rule, factors, weights)
            assert np.linalg.norm(found - exact) < 0.05 * np.linalg.norm(exact)


def test_an_empty_history_folds_in_to_zero(system: tuple[Any, list[dict[str, Any]]]) -> None:
    from trainer.encoder.export import export_fold_in

    model = export_fold_in(*system[0], [], {}).model
    feed = {"item_factors": np.zeros((1, 3, 64), np.float32), "weights": np.zeros((1, 3), np.float32)}
    assert (onnxruntime.InferenceSession(model).run(["factor"], feed)[0] == 0).all()


def test_a_fold_in_of_too_few_steps_does_not_leave(
    system: tuple[Any, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.encoder import export

    monkeypatch.setattr(export, "fold_in_steps", lambda rule: 1)
    with pytest.raises(export.ExportFailed, match="cosine to the exact solve"):
        export.export_fold_in(*system[0], system[1], {})


def test_a_model_has_the_same_bytes_whatever_its_tensors_were_called_and_in_which_order(fitted: Fitted) -> None:
    from trainer.encoder.onnx_order import renumber

    model = onnx.load_from_string(fitted.bundle.encoder_model)
    other = onnx.load_from_string(fitted.bundle.encoder_model)
    kept = {value.name for value in (*other.graph.input, *other.graph.output)}
    names = {"": ""} | {name: name for name in kept}
    for tensor in other.graph.initializer:
        tensor.name = names.setdefault(tensor.name, f"x{len(names)}")
    for node in other.graph.node:
        outputs = [names.setdefault(name, f"y{len(names)}") for name in node.output]
        inputs = [names[name] for name in node.input]
        del node.input[:], node.output[:]
        node.input.extend(inputs)
        node.output.extend(outputs)
    shuffled = list(other.graph.initializer)[::-1]
    del other.graph.initializer[:]
    other.graph.initializer.extend(shuffled)
    assert other.SerializeToString(deterministic=True) != model.SerializeToString(deterministic=True)
    renumber(other)
    assert other.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_the_encoder_leaves_with_named_dimensions_and_its_versions(fitted: Fitted) -> None:
    model = onnx.load_from_string(fitted.bundle.encoder_model)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }
    assert shapes == {
        "item_vectors": ["batch", "length", 64],
        "ages_days": ["batch", "length"],
        "actions": ["batch", "length"],
        "mask": ["batch", "length"],
    }
    props = {prop.key: prop.value for prop in model.metadata_props}
    assert props["cutoff_ms"] == str(fitted.bundle.manifest.cutoff_ms)
    assert props["plural_version"]


def test_parity_was_measured_and_is_in_the_manifest(fitted: Fitted) -> None:
    settings = fitted.bundle.manifest.settings
    assert 0 <= settings["encoder_difference_max"] < 1e-4
    assert 0 <= settings["mf_difference_max"] < 1e-4
    assert settings["mf_cosine_min"] > 0.99


def _histories(dim: int) -> list[dict[str, Any]]:
    """Histories of one event to many: padded, with several events at one time, in no order within it."""
    rng = np.random.default_rng(1)
    cases = []
    for length in (1, 6, 40):
        mask = np.ones((3, length), np.float32)
        mask[1, : length // 2] = 0.0
        ages = np.round(np.sort(rng.exponential(30.0, (3, length)), axis=1)[:, ::-1]).astype(np.float32)
        cases.append(
            {
                "item_vectors": rng.normal(size=(3, length, dim)).astype(np.float32) * mask[:, :, None],
                "ages_days": ages,
                "actions": rng.integers(0, 9, (3, length)).astype(np.int32),
                "mask": mask,
            }
        )
    return cases


@pytest.mark.parametrize("interests", [1, 4])
def test_the_encoder_leaves_in_another_arrangement_and_gives_the_same(interests: int) -> None:
    from trainer.encoder.export import export_encoder
    from trainer.encoder.model import Encoder, Shape

    encoder = Encoder(Shape(interests=interests))
    rng = np.random.default_rng(2)
    for weight in encoder.body.weights:  # no gain of one, no bias of zero may hide a sum that was left out
        weight.assign(weight + rng.normal(size=weight.shape).astype(np.float32) * 0.05)
    exported = export_encoder(encoder, _histories(64), {})
    assert exported.difference_max < 1e-5


def test_an_arrangement_that_is_not_the_trained_model_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.encoder import encoder_export, export
    from trainer.encoder.model import Encoder, Shape

    monkeypatch.setattr(encoder_export, "BIAS_SPEED", 5.0)
    with pytest.raises(export.ExportFailed, match="off TensorFlow"):
        export.export_encoder(Encoder(Shape()), _histories(64), {})
