"""How far a factor usually reaches is the median user's largest product over their factor's length."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.catalogue import catalogue, someone
from trainer.weights.weights import mf_reach


def test_it_is_the_median_users_largest_product_for_a_factor_of_length_one() -> None:
    bundle = catalogue()
    people = [someone(bundle, seed) for seed in range(5)]
    tops = [float((bundle.arrays.item_factors @ one.vectors.factor).max()) for one in people]
    lengths = [float(np.linalg.norm(one.vectors.factor)) for one in people]
    wanted = float(np.median([top / length for top, length in zip(tops, lengths, strict=True)]))
    assert mf_reach(bundle, people) == pytest.approx(wanted, abs=1e-5)


def test_who_has_no_factor_says_nothing_and_nobody_says_0() -> None:
    bundle = catalogue()
    known = someone(bundle, 1)
    unknown = replace(known, vectors=replace(known.vectors, factor=np.zeros_like(known.vectors.factor)))
    assert mf_reach(bundle, [known, unknown]) == mf_reach(bundle, [known])
    assert mf_reach(bundle, [unknown]) == mf_reach(bundle, []) == 0.0
