"""From states to vectors with a real ONNX Runtime, and which models are refused."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from interests import bundle as bundles
from interests.absorb import absorb
from interests.bundle import Bundle
from interests.encoder import BATCH_USERS_MAX, Encoder, providers
from interests.errors import BundleRejected, SettingsRejected
from interests.events import Action
from interests.state import InterestState
from tests.support import tiny_bundle
from tests.support.entries import did
from tests.support.tiny_bundle import DIM, ITEMS_A_TOPIC, TOPICS, item

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("bundle")))


@pytest.fixture(scope="module")
def encoder(bundle: Bundle) -> Encoder:
    return Encoder(bundle)


def user(*item_ids: str, action: Action = Action.LIKE) -> InterestState:
    entries = [did("ada", offset, item_id, action) for offset, item_id in enumerate(item_ids)]
    return absorb(InterestState("ada"), entries)


def crowd(count: int) -> list[InterestState]:
    rng = random.Random(0)
    return [
        user(*(item(rng.randrange(TOPICS), rng.randrange(ITEMS_A_TOPIC)) for _ in range(rng.randint(1, 60))))
        for _ in range(count)
    ]


def test_interests_are_unit_rows_and_shares_sum_to_one(encoder: Encoder) -> None:
    for vectors in encoder.vectors(crowd(20)):
        assert vectors.bundle_version == encoder.bundle_version
        np.testing.assert_allclose(np.linalg.norm(vectors.interests, axis=1), 1.0, atol=TOLERANCE)
        assert vectors.shares.sum() == pytest.approx(1.0, abs=TOLERANCE)


def test_the_model_sees_the_history_oldest_first(bundle: Bundle, encoder: Encoder) -> None:
    [vectors] = encoder.vectors([user(item(0, 1), item(0, 2), item(3, 4))])
    latest = bundle.arrays.item_vectors[bundle.row_of[item(3, 4)]]
    np.testing.assert_allclose(vectors.interests[1], latest, atol=TOLERANCE)


def test_the_fold_in_weighs_what_was_done(bundle: Bundle, encoder: Encoder) -> None:
    state = absorb(InterestState("ada"), [did("ada", 0, item(0, 1), Action.VIEW), did("ada", 0 + 1, item(2, 1))])
    [vectors] = encoder.vectors([state])
    factors = bundle.arrays.item_factors
    expected = 0.3 * factors[bundle.row_of[item(0, 1)]] + factors[bundle.row_of[item(2, 1)]]
    np.testing.assert_allclose(vectors.factor, expected, atol=1e-4)


def test_a_user_comes_out_the_same_in_any_company(encoder: Encoder) -> None:
    states = crowd(2 * BATCH_USERS_MAX + 7)
    alone = [encoder.vectors([state])[0] for state in states]
    for together, by_itself in zip(encoder.vectors(states), alone, strict=True):
        np.testing.assert_allclose(together.interests, by_itself.interests, atol=TOLERANCE)
        np.testing.assert_allclose(together.shares, by_itself.shares, atol=TOLERANCE)
        np.testing.assert_allclose(together.factor, by_itself.factor, atol=TOLERANCE)


def test_cold_users_never_reach_the_model_even_beside_warm_ones(encoder: Encoder) -> None:
    nobody, stranger = InterestState("nobody"), user("of-another-catalogue")
    shown = user(item(0, 1), action=Action.IMPRESSION)
    found = encoder.vectors([nobody, user(item(0, 1)), stranger, shown])
    for place in (0, 2, 3):
        assert found[place].interests.shape == (0, DIM)
        assert found[place].shares.shape == (0,)
        assert not found[place].factor.any()
    assert found[1].interests.shape == (2, DIM)
    assert encoder.vectors([]) == []


def test_unknown_items_change_nothing(encoder: Encoder) -> None:
    mixed = encoder.vectors([user("unknown-1", item(0, 1), "unknown-2", item(1, 1), "unknown-3")])[0]
    known = encoder.vectors([user(item(0, 1), item(1, 1))])[0]
    np.testing.assert_allclose(mixed.interests, known.interests, atol=TOLERANCE)


def test_who_had_known_items_long_ago_keeps_a_factor(encoder: Encoder) -> None:
    state = user(item(0, 1), *(f"unknown-{number}" for number in range(64)))
    [vectors] = encoder.vectors([state])
    assert len(vectors.interests) == 0
    assert vectors.factor.any()


def test_a_history_longer_than_the_model_takes_is_cut_to_its_latest(bundle: Bundle) -> None:
    short = Bundle(
        bundle.manifest.model_copy(update={"history_max": 2}), bundle.arrays, bundle.mf_model, bundle.encoder_model
    )
    long_ago, latest = item(5, 1), [item(0, 1), item(0, 2)]
    cut = Encoder(short).vectors([user(long_ago, *latest)])[0]
    np.testing.assert_allclose(cut.interests, Encoder(short).vectors([user(*latest)])[0].interests, atol=TOLERANCE)


def test_states_that_have_this_bundles_vectors_are_not_encoded_again(encoder: Encoder) -> None:
    [encoded] = encoder.encode([user(item(0, 1))])
    assert encoder.encode([encoded]) == [encoded]
    assert encoder.encode([encoded])[0] is encoded


def test_states_with_another_bundles_vectors_are_encoded_anew(encoder: Encoder) -> None:
    [encoded] = encoder.encode([user(item(0, 1))])
    assert encoded.vectors is not None
    stale = replace(encoded, vectors=replace(encoded.vectors, bundle_version="another"))
    [fresh] = encoder.encode([stale])
    assert fresh.vectors is not None
    assert fresh.vectors.bundle_version == encoder.bundle_version


def test_the_golden_case_catches_models_of_other_weights(bundle: Bundle) -> None:
    for name, values in (("two_shares", [[0.25, 0.75]]), ("zero", [[1.0]])):
        model = _with_constant(bundle.encoder_model, name, np.array(values, dtype=np.float32))
        with pytest.raises(BundleRejected, match=r"interest_encoder\.onnx: is .* off the manifest's golden case"):
            Encoder(Bundle(bundle.manifest, bundle.arrays, bundle.mf_model, model))


def test_models_with_nan_weights_are_refused(bundle: Bundle) -> None:
    model = _with_constant(bundle.encoder_model, "two_shares", np.full((1, 2), np.nan, dtype=np.float32))
    with pytest.raises(BundleRejected, match=r"interest_encoder\.onnx: is nan off"):
        Encoder(Bundle(bundle.manifest, bundle.arrays, bundle.mf_model, model))


def test_models_of_another_width_are_refused(bundle: Bundle) -> None:
    model = onnx.load_from_string(bundle.mf_model)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[-1].dim_value = DIM * 2
    with pytest.raises(BundleRejected, match=r"mf\.onnx: ONNX Runtime refuses"):
        Encoder(Bundle(bundle.manifest, bundle.arrays, model.SerializeToString(), bundle.encoder_model))


def test_models_that_swapped_places_are_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleRejected, match=r"interest_encoder\.onnx: has inputs"):
        Encoder(Bundle(bundle.manifest, bundle.arrays, bundle.encoder_model, bundle.mf_model))


def test_what_is_no_model_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleRejected, match=r"mf\.onnx"):
        Encoder(Bundle(bundle.manifest, bundle.arrays, b"no model", bundle.encoder_model))


@pytest.mark.parametrize(
    "change",
    [
        {"item_rows": [0, 10_000]},
        {"item_rows": [-1, 0]},
        {"item_rows": [], "ages_days": [], "actions": []},
        {"ages_days": [1.0]},
        {"interests": [[1.0], [1.0, 2.0]]},
        {"interests": [[1.0] * DIM]},
        {"shares": [0.5, 0.5]},
        {"factor": [0.0] * DIM},
    ],
)
def test_a_golden_case_that_does_not_fit_is_refused(bundle: Bundle, change: dict[str, Any]) -> None:
    golden = bundle.manifest.golden[0].model_copy(update=change)
    manifest = bundle.manifest.model_copy(update={"golden": [golden]})
    with pytest.raises(BundleRejected, match="golden"):
        Encoder(Bundle(manifest, bundle.arrays, bundle.mf_model, bundle.encoder_model))


def test_a_gpu_that_is_not_here_is_refused_when_demanded_and_done_without_otherwise() -> None:
    if "CUDAExecutionProvider" in providers("auto"):
        pytest.skip("there is a GPU here")
    assert providers("cpu") == providers("auto") == ["CPUExecutionProvider"]
    with pytest.raises(SettingsRejected, match="--device gpu"):
        providers("gpu")


def _with_constant(model: bytes, name: str, value: Any) -> bytes:
    changed = onnx.load_from_string(model)
    [constant] = [tensor for tensor in changed.graph.initializer if tensor.name == name]
    constant.CopyFrom(numpy_helper.from_array(value, name))
    return bytes(changed.SerializeToString())


def test_a_bundle_written_to_disk_encodes_as_the_one_in_memory(bundle: Bundle, tmp_path: Path) -> None:
    again = bundles.load(tiny_bundle.write(tmp_path))
    one, other = Encoder(bundle).vectors(crowd(3)), Encoder(again).vectors(crowd(3))
    for left, right in zip(one, other, strict=True):
        assert left.interests.tobytes() == right.interests.tobytes()
