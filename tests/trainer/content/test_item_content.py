"""An item that is new at the server is read as training would have read it."""

import numpy as np
import polars as pl
import pytest

from interests import item_content
from interests.item_content import FEATURES_AN_ITEM_MAX, Told
from trainer.catalogue import Catalogue, read_catalogue
from trainer.content.content import content_idf, content_table, features

ROWS = [
    {"item_id": "a", "title": "Rye bread, dark", "categories": ["Bread"], "brand": "Own", "text": "", "price": 2.5},
    {"item_id": "b", "title": "Rye crisps", "categories": ["Snacks", "bread"], "brand": "", "text": "rye " * 9},
    {"item_id": "c", "title": " ".join(f"word{n}" for n in range(60)), "text": "Made of oats, rye and 7 seeds"},
    {"item_id": "d", "title": "", "categories": [], "price": 0.0},
]


@pytest.fixture
def catalogue(tmp_path) -> Catalogue:
    pl.DataFrame(ROWS).write_parquet(tmp_path / "items.parquet")
    return read_catalogue(tmp_path / "items.parquet", [])


def told(catalogue: Catalogue, row: int) -> Told:
    price = float(catalogue.price[row])
    return Told(catalogue.categories[row], catalogue.brands[row], catalogue.titles[row], catalogue.texts[row], price)


def test_an_item_read_alone_has_the_features_that_training_gave_it(catalogue):
    trained = features(catalogue)
    alone = item_content.features([told(catalogue, row) for row in range(len(catalogue))], content_idf(trained))
    assert np.allclose(alone, trained.toarray(), atol=1e-6)
    ids, weights = content_table(trained)
    assert ids.shape[1] == FEATURES_AN_ITEM_MAX
    found_ids, found_weights = item_content.strongest(alone, ids.shape[1])
    assert np.allclose(found_weights, weights, atol=1e-6)
    for row in range(len(ids)):
        same = np.isclose(weights[row], weights[row].min()) if weights[row].min() > 0 else np.zeros(len(ids[row]), "?")
        assert set(ids[row][~same]) == set(found_ids[row][~same])


def test_of_what_nothing_is_said_there_are_no_features():
    found = item_content.features([Told()], np.ones(item_content.BUCKETS))
    ids, weights = item_content.strongest(found, 3)
    assert not found.any() and (ids == -1).all() and not weights.any()
    assert item_content.strongest(found, 0)[0].shape == (1, 0)
