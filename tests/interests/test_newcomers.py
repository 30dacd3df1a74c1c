"""Items that a bundle does not know, placed into it by what is said of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interests import bundle as bundles
from interests.bundle import Bundle
from interests.bundle_arrays import check_arrays
from interests.encoder import Encoder
from interests.item_content import BUCKETS, Told, bucket
from interests.newcomers import Newcomer, has_place, with_newcomers
from tests.support import tiny_bundle

SHOES = Newcomer("shoes", Told(("topic-2",), "", "Red shoes"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("bundles")))


@pytest.fixture
def worded(plain: Bundle) -> Bundle:
    """One that learned where the word `red` leads: to the first item."""
    leads = np.zeros((BUCKETS, plain.manifest.dim), dtype=np.float32)
    leads[bucket("title", "red")] = plain.arrays.item_vectors[0]
    ids = np.full((plain.manifest.item_count, 2), -1, dtype=np.int32)
    arrays = replace(
        plain.arrays,
        content_idf=np.ones(BUCKETS, dtype=np.float32),
        content_map=leads,
        content_ids=ids,
        content_weights=np.zeros(ids.shape, dtype=np.float32),
    )
    return replace(plain, arrays=arrays)


def topic_of(bundle: Bundle) -> dict[str, int]:
    return {name: topic for topic, name in enumerate(bundle.topic_names)}


def test_a_bundle_with_newcomers_is_a_bundle_whose_own_rows_are_as_they_were(plain):
    made = with_newcomers(plain, [SHOES, Newcomer("hat", Told(("topic-3", "topic-0", "other")), False, 5)])
    check_arrays(Path(), made.manifest, made.arrays)
    n = plain.manifest.item_count
    assert made.item_ids == [*plain.item_ids, "shoes", "hat"] and made.title(n) == "Red shoes"
    assert made.version == plain.version
    for name in bundles.ARRAY_NAMES:
        old, new = getattr(plain.arrays, name), getattr(made.arrays, name)
        assert np.array_equal(new[: len(old)], old), name
    assert made.arrays.available[n:].tolist() == [True, False]
    assert made.arrays.first_seen_ms[n:].tolist() == [plain.manifest.cutoff_ms, 5]
    assert not made.arrays.popularity[n:].any()


def test_without_words_the_place_is_that_of_the_topics(plain):
    made = with_newcomers(plain, [SHOES])
    assert np.allclose(made.arrays.item_vectors[-1], plain.arrays.topic_vectors[2], atol=1e-6)
    assert made.arrays.item_topic_ids[-1, 0] == 2 and made.arrays.item_topic_shares[-1, 0] == 1


def test_words_that_are_known_lead_to_where_training_found_them_to_lead(worded):
    made = with_newcomers(worded, [SHOES])
    assert np.allclose(made.arrays.item_vectors[-1], worded.arrays.item_vectors[0], atol=1e-6)
    assert set(made.arrays.content_ids[-1]) < {
        bucket("category", "topic-2"),
        bucket("title", "red"),
        bucket("title", "shoes"),
    }
    assert np.linalg.norm(made.arrays.content_weights[-1]) == pytest.approx(1.0)


def test_one_of_whom_nothing_is_known_has_no_place(plain, worded):
    assert has_place(plain, Told(("x", "topic-1")), topic_of(plain))
    assert not has_place(plain, Told(("x",), title="Red"), topic_of(plain))
    assert has_place(worded, Told(("x",), title="Red"), topic_of(worded))
    assert not has_place(worded, Told(("x",), title="Blue"), topic_of(worded))


def test_the_same_models_read_histories_with_newcomers_in_them(plain):
    made = with_newcomers(plain, [SHOES])
    encoder = Encoder(plain)
    over = encoder.over(made)
    row = np.array([made.row_of["shoes"]], dtype=np.int32)
    interests, _ = over._run_encoder([(row, np.zeros(1, dtype=np.float32), np.ones(1, dtype=np.int32))])
    assert np.allclose(interests[0], made.arrays.item_vectors[-1], atol=1e-5)
    assert encoder._bundle is plain
