"""The text encoder: a directory is enough, padding changes nothing, and what is missing is said in one line."""

from pathlib import Path

import numpy as np
import pytest

from interests.errors import SettingsRejected
from tests.support import tiny_text_encoder
from tests.trainer.build import catalogue
from trainer.content.text_encoder import TextEncoder, describe, find_encoder


@pytest.fixture
def encoder(tmp_path: Path) -> TextEncoder:
    return TextEncoder(find_encoder(str(tiny_text_encoder.write(tmp_path / "encoder"))))


def test_a_text_has_the_same_vector_alone_and_beside_a_longer_one(encoder: TextEncoder) -> None:
    texts = ["red wine", "green tea book blue red wine wine", "tea"]
    together = encoder.encode(texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.allclose(encoder.encode([text])[0], vector, atol=1e-6)


def test_vectors_are_means_of_tokens_of_length_one(encoder: TextEncoder) -> None:
    red, wine, both = encoder.encode(["red", "wine", "red wine"])
    assert np.linalg.norm(both) == pytest.approx(1.0, abs=1e-5)
    assert both @ red > 0.2
    assert both @ wine > 0.2


def test_vectors_come_in_the_order_of_the_texts_whatever_their_length(encoder: TextEncoder) -> None:
    texts = [" ".join(["tea"] * length + ["wine"]) for length in (40, 1, 90, 3, 200, 2)] * 30
    found = encoder.encode(texts)
    expected = {text: encoder.encode([text])[0] for text in set(texts)}
    assert all(np.allclose(vector, expected[text], atol=1e-5) for text, vector in zip(texts, found, strict=True))


def test_an_item_of_which_nothing_is_said_has_no_direction(encoder: TextEncoder) -> None:
    assert not encoder.encode(["tea", ""])[1].any()


def test_each_text_is_told_of_once(encoder: TextEncoder) -> None:
    told: list[None] = []
    encoder.encode(["tea", "wine", "red tea"], lambda: told.append(None))
    assert len(told) == 3


def test_the_same_encoder_elsewhere_has_the_same_identity(tmp_path: Path) -> None:
    here, there, other = (
        find_encoder(str(tiny_text_encoder.write(tmp_path / name, seed)))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert here.identity() == there.identity() != other.identity()


def test_what_a_text_is_made_of() -> None:
    described = catalogue([["Wine", "Red"], []], titles=["Rioja", ""])
    assert describe(described) == ["Rioja. Wine, Red", ""]


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsRejected, match="is no directory; give one, `minilm` or `none`"):
        find_encoder(str(tmp_path / "nowhere"))


def test_a_directory_without_a_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    directory = tiny_text_encoder.write(tmp_path)
    (directory / "tokenizer.json").unlink()
    with pytest.raises(SettingsRejected, match=r"needs one tokenizer\.json, has none"):
        find_encoder(str(directory))


def test_two_models_in_a_directory_are_one_too_many(tmp_path: Path) -> None:
    directory = tiny_text_encoder.write(tmp_path)
    (directory / "other.onnx").write_bytes((directory / "model.onnx").read_bytes())
    with pytest.raises(SettingsRejected, match=r"needs one \*\.onnx, has 2: model\.onnx, other\.onnx"):
        find_encoder(str(directory))


@pytest.mark.parametrize(("name", "said"), [("model.onnx", "is no ONNX model"), ("tokenizer.json", "is no tokenizer")])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, name: str, said: str) -> None:
    directory = tiny_text_encoder.write(tmp_path)
    (directory / name).write_text("{")
    with pytest.raises(SettingsRejected, match=said):
        TextEncoder(find_encoder(str(directory)))
