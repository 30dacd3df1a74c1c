"""The catalogue: read in many forms, gaps filled, topics found."""

import json
from pathlib import Path

import numpy as np
import pytest

from interests.errors import HistoryRejected
from tests.trainer.build import catalogue
from trainer.catalogue import read_catalogue
from trainer.content.content import blend, content_vectors, features, unit
from trainer.content.topics import OTHER, TOPICS_MAX, find_topics, topic_shares, topic_vectors


def test_items_that_only_the_history_knows_get_a_row(tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("item_id,title\na,Apple\n")
    read = read_catalogue(file, ["z", "a", "b"])
    assert read.item_ids == ["a", "b", "z"]
    assert read.titles == ["Apple", "", ""]
    assert read.report["filled_from_history"] == 2


def test_without_a_catalogue_there_is_a_row_for_each_item_of_the_history() -> None:
    assert read_catalogue(None, ["b", "a"]).item_ids == ["a", "b"]


def test_categories_are_read_from_lists_and_from_bars(tmp_path: Path) -> None:
    bars, lists = tmp_path / "items.csv", tmp_path / "items.jsonl"
    bars.write_text("movieId,genres\n1, Comedy | Drama |Comedy||\n2,\n")
    lists.write_text(
        json.dumps({"item_id": "1", "categories": ["Comedy", "Drama"], "price": 2.5, "available": False}) + "\n"
    )
    assert read_catalogue(bars, []).categories == [["Comedy", "Drama"], []]
    read = read_catalogue(lists, [])
    assert (read.categories, read.price.tolist(), read.available.tolist()) == ([["Comedy", "Drama"]], [2.5], [False])


def test_catalogue_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text(f"item_id,title\na,old\na,new\n,lost\n{'x' * 300},long\n")
    read = read_catalogue(file, [])
    assert read.titles == ["new"]
    assert read.report["dropped"] == {"duplicate item_id": 1, "id over 256 bytes": 1, "missing item_id": 1}
    assert read.report["rows_read"] == read.report["rows_kept"] + sum(read.report["dropped"].values())


@pytest.mark.parametrize(
    ("text", "says"), [("name\nTea\n", "item_id"), ("item_id\n", "empty"), ("item_id,x\n,1\n", "no row")]
)
def test_a_catalogue_that_names_no_item_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "items.csv"
    file.write_text(text)
    with pytest.raises(HistoryRejected, match=says):
        read_catalogue(file, [])


def test_rare_categories_are_folded_into_one_topic() -> None:
    wide = catalogue([[f"c{row}"] for row in range(TOPICS_MAX + 50)])
    counts = np.arange(len(wide))[::-1].astype(np.int64)
    topics = find_topics(wide, np.eye(len(wide), 4, dtype=np.float32), counts, seed=0)
    assert len(topics.names) == TOPICS_MAX
    assert topics.names[-1] == OTHER
    assert (topics.ids[-51:, 0] == TOPICS_MAX - 1).all()
    assert topics.names[topics.ids[0, 0]] == "c0"


def test_shares_of_an_items_topics_sum_to_one_and_those_of_none_to_zero() -> None:
    topics = find_topics(catalogue([["a", "b"], ["b"], []]), np.eye(3, dtype=np.float32), np.ones(3, np.int64), 0)
    assert topics.shares.sum(axis=1).tolist() == [1.0, 1.0, 0.0]
    assert topics.ids[2].tolist() == [-1, -1]
    assert topic_shares(topics, np.array([1.0, 1.0, 5.0])).sum() == pytest.approx(1.0)


def test_without_categories_topics_are_clusters_named_by_their_most_popular_items() -> None:
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(3), 12)
    vectors = unit((np.eye(3)[kind] + 0.05 * rng.normal(size=(36, 3))).astype(np.float32))
    plain = catalogue([[]] * 36, titles=[f"Thing {row}" for row in range(36)])
    counts = np.tile(np.arange(12, 0, -1), 3).astype(np.int64)
    topics = find_topics(plain, vectors, counts, seed=1)
    assert len(topics.names) == 3
    assert all(len(set(topics.ids[kind == k, 0].tolist())) == 1 for k in range(3))
    assert sorted(topics.names) == ["Thing 0 / Thing 1", "Thing 12 / Thing 13", "Thing 24 / Thing 25"]
    assert np.allclose(np.linalg.norm(topic_vectors(topics, vectors), axis=1), 1.0, atol=1e-5)


def test_an_item_without_interactions_lies_where_its_kind_lies() -> None:
    kind = [row % 3 for row in range(60)]
    described = features(catalogue([[f"kind {k}"] for k in kind], titles=[f"Thing {row}" for row in range(60)]))
    rng = np.random.default_rng(0)
    learned = unit((np.eye(3, 8)[kind] + 0.1 * rng.normal(size=(60, 8))).astype(np.float32))
    counts = np.full(60, 20, dtype=np.int64)
    counts[:3] = 0
    learned[:3] = 0.0
    vectors = blend(learned, content_vectors(described, learned, counts), counts, seed=0)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for row in range(3):
        assert int(np.argmax(vectors[row, :3])) == kind[row]
        assert vectors[row, kind[row]] > 0.9


def test_features_do_not_depend_on_the_process() -> None:
    # A bucket as computed elsewhere: Python's own hash would give another in each process.
    assert features(catalogue([["tea"]])).indices.tolist() == [1497]
