"""The case in small: every part has its row, and a part that finds planted interests beats one that cannot."""

import numpy as np
import pytest


@pytest.mark.slow
def test_each_part_has_its_row_and_content_finds_what_was_planted(capsys: pytest.CaptureFixture[str]) -> None:
    from examples.article_case import ROWS, ablation, show

    table = ablation(users=900, items=500, seed=0)
    assert tuple(table) == ROWS
    assert all({"precision@10", "recall@10", "F1", "KL"} <= set(found) for found in table.values())
    assert table["generator"]["precision@10"] > 1.3 * table["popular"]["precision@10"]
    assert table["MF + generator + gate"]["F1"] > table["MF"]["F1"]
    show([table])
    printed = capsys.readouterr().out
    assert all(row in printed for row in ROWS)


def test_what_is_asked_of_a_user_was_never_shown_to_training() -> None:
    from examples.article_case import plant

    world = plant(users=50, items=200, seed=1)
    assert not (world.train * world.validation).any()
    assert not ((world.train + world.validation) * world.test).any()
    assert world.train.sum(axis=1).min() >= 3


def test_reweighting_prefers_the_item_nearer_to_the_generated_user() -> None:
    from examples import article_case

    items = np.eye(120, 8, dtype=np.float32)
    scores = np.zeros((1, 120), dtype=np.float32)
    again = article_case.reweighted(scores, items, items[3:4])
    assert again[0].argmax() == 3
