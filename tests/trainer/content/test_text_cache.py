"""Encoded texts on disk: only what changed is encoded again, and a broken file costs time and nothing else."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from trainer.content import text_cache
from trainer.content.text_cache import TextCache


class Counting:
    """Encodes a text as its length, and remembers which texts it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> npt.NDArray[np.float32]:
        self.asked += texts
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def test_a_second_training_encodes_what_changed_only(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    TextCache(tmp_path, "e", print).vectors(["tea", "wine"], first)
    vectors, encoded = TextCache(tmp_path, "e", print).vectors(["wine", "a book", "tea"], second)
    assert second.asked == ["a book"]
    assert encoded == 1
    assert vectors[:, 0].tolist() == [4, 6, 3]


def test_equal_texts_are_encoded_once(tmp_path: Path) -> None:
    counting = Counting()
    vectors, encoded = TextCache(tmp_path, "e", print).vectors(["tea", "wine", "tea"], counting)
    assert (counting.asked, encoded) == (["tea", "wine"], 2)
    assert np.array_equal(vectors[0], vectors[2])


def test_another_encoder_has_vectors_of_its_own(tmp_path: Path) -> None:
    TextCache(tmp_path, "e", print).vectors(["tea"], Counting())
    other = Counting()
    TextCache(tmp_path, "f", print).vectors(["tea"], other)
    assert other.asked == ["tea"]


def test_a_file_cut_short_is_told_of_and_written_anew(tmp_path: Path) -> None:
    TextCache(tmp_path, "e", print).vectors(["tea"], Counting())
    file = tmp_path / "e.npz"
    file.write_bytes(file.read_bytes()[:100])
    told: list[str] = []
    counting = Counting()
    vectors, _ = TextCache(tmp_path, "e", told.append).vectors(["tea"], counting)
    assert "cannot be read" in told[0]
    assert vectors[0, 0] == 3
    assert TextCache(tmp_path, "e", told.append).vectors(["tea"], Counting())[1] == 0


def test_an_encoder_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    TextCache(tmp_path, "e", print).vectors(["tea"], Counting())

    def fails(texts: list[str]) -> npt.NDArray[np.float32]:
        raise MemoryError

    with pytest.raises(MemoryError):
        TextCache(tmp_path, "e", print).vectors(["tea", "wine"], fails)
    assert [file.name for file in tmp_path.iterdir()] == ["e.npz"]
    assert TextCache(tmp_path, "e", print).vectors(["tea"], Counting())[1] == 0


def test_without_a_directory_nothing_is_kept(tmp_path: Path) -> None:
    assert TextCache(None, "e", print).vectors(["tea"], Counting())[1] == 1
    assert TextCache(None, "e", print).vectors(["tea"], Counting())[1] == 1


def test_of_too_many_texts_those_of_the_newest_training_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_cache, "TEXTS_MAX", 3)
    TextCache(tmp_path, "e", print).vectors(["a", "b", "c"], Counting())
    TextCache(tmp_path, "e", print).vectors(["d", "e"], Counting())
    assert TextCache(tmp_path, "e", print).vectors(["d", "e"], Counting())[1] == 0
    assert len(np.load(tmp_path / "e.npz")["vectors"]) == 3
