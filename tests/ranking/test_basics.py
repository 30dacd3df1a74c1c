"""What loops over rows share gives what sorting gives."""

import numpy as np
import pytest

from interests.compiled import numba
from ranking.fast import basics

if numba() is None:
    pytest.skip("needs the extra fast", allow_module_level=True)
basics.ready()

SEED = 20_261_126


@pytest.mark.parametrize("kind", ["any", "few different", "zeros of both signs", "far apart"])
@pytest.mark.parametrize("count", [1, 2, 300, 3000])
def test_the_kth_largest_and_the_falling_order_are_those_of_sorting(count, kind):
    rng = np.random.default_rng(SEED)
    values = rng.normal(size=count).astype(np.float32)
    if kind == "few different":
        values = np.rint(2 * values)
    elif kind == "zeros of both signs":
        values = np.where(rng.random(count) < 0.5, np.float32(0.0), np.float32(-0.0))
    elif kind == "far apart":
        values *= np.float32(10.0) ** rng.integers(-37, 37, count).astype(np.float32)
    before = values.copy()
    falling = np.argsort(-values, kind="stable")
    assert basics.falling(values).tolist() == falling.tolist(), f"seed {SEED}"
    for place in {1, count // 2 + 1, count}:
        assert basics.kth(values, place) == values[falling[place - 1]], f"seed {SEED}"
    assert (values == before).all(), "and nothing is moved about"
