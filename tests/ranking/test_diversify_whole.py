"""The compiled call and the steps one by one choose the same set, whether what was had may come again or not."""

from dataclasses import replace

import numpy as np
import pytest

from interests.compiled import numba
from ranking.diversify import calibrated
from ranking.query import Query
from ranking.recommend import Ranker
from tests.support.catalogue import catalogue, someone


def step_by_step(*arguments):
    """The default method under another name: the compiled call serves that one alone."""
    return calibrated(*arguments)


@pytest.mark.skipif(numba() is None, reason="numba is not installed")
def test_who_was_shown_much_gets_the_same_slate_compiled_or_step_by_step_and_breadth_only_where_nothing_comes_again():
    made = catalogue()
    slates = {}
    for default in ("allow", "filter"):
        shop = replace(made, manifest=made.manifest.model_copy(update={"repeats_default": default, "dial_curve": []}))
        fast, steps = Ranker(shop), Ranker(shop, step_by_step)
        for seed in range(6):
            person = someone(shop, seed, recent=3 * seed, interests=1 + seed % 4, had=5 + seed * 7)
            rows = np.arange(40, dtype=np.int32)
            shown = replace(person, exposure_rows=rows, exposure_weights=np.full(40, 0.7, np.float32))
            shown = replace(shown, exposure_mix=person.anchor, exposure_weight=28.0)
            query = Query(size=12, diversity=0.3, repeats="allow")
            compiled, stepped = (ranker.choose(shown, query).chosen.rows.tolist() for ranker in (fast, steps))
            assert compiled == stepped
            slates.setdefault(default, []).append(compiled)
    assert slates["allow"] != slates["filter"]
