"""What choosing a set costs beside the size - 1 matrix-vector products that any greedy method over vectors has to make.

    python -m bench.rerank [--json FILE] [--rounds N]

Median CPU time of one call on one thread, everything that a caller pays included: checks, sorting, the set, its order.
The products are timed before and after each call's turn, so that a machine which others slow down slows both.
Candidates are unit vectors in clusters, one to three topics each; compiled where numba is installed, and by numpy
alone. pyversity's DPP stands beside them where it is installed.
"""

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from bench.report import Row, against, arguments, finish
from ranking.diversify import METHODS, warm
from ranking.diversify.calibrated import greedy_set
from ranking.diversify.dpp import greedy_map
from ranking.diversify.inputs import ordered
from ranking.target import Target, remembered
from ranking.topics import Mixes

SHAPES = ((500, 64, 20), (500, 64, 50), (1000, 64, 50), (1000, 384, 50), (5000, 64, 50))
TOPICS, CLUSTERS = 20, 20
DIAL = 0.6
SHOWN = 40  # places
CALLS = 15

Call = Callable[[], Any]


def main() -> None:
    """Run all rounds and report."""
    options = arguments(__doc__, rounds=9)
    compiled = warm()
    rows = [row for shape in SHAPES for row in _shape(shape, options.rounds, compiled)]
    conditions = f"one thread, dial {DIAL}, {'numba' if compiled else 'no numba'}"
    finish("Choosing a set against size - 1 matrix-vector products", rows, options.json, conditions)


def _shape(shape: tuple[int, int, int], rounds: int, compiled: bool) -> list[Row]:
    limit, calls = _calls(*shape, compiled)
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            before, spent, after = _median_us(limit), _median_us(call), _median_us(limit)
            if number:  # the first warms up
                found[name][0].append(spent)
                found[name][1].append((before + after) / 2)
    n, dim, size = shape
    return [against(f"{n} x {dim} -> {size}: {name}", "us", *pairs) for name, pairs in found.items()]


def _calls(n: int, dim: int, size: int, compiled: bool) -> tuple[Call, dict[str, Call]]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLUSTERS, dim))
    vectors = 0.7 * centres[rng.integers(CLUSTERS, size=n)] + rng.normal(size=(n, dim))
    vectors = np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
    relevance = rng.normal(size=n).astype(np.float32)
    topics = np.where(rng.random((n, 3)) < (1.0, 0.6, 0.3), rng.integers(TOPICS, size=(n, 3)), -1).astype(np.int32)
    shares = (topics >= 0) / np.maximum((topics >= 0).sum(axis=1, keepdims=True), 1)
    mixes = Mixes(topics, shares.astype(np.float32))
    mix, shown = rng.dirichlet(np.full(TOPICS, 0.4), 2).astype(np.float32)
    first, later = _target(mix, 0 * shown), _target(mix, SHOWN * shown)
    out, queries = np.empty(n, dtype=np.float32), [vectors[i].copy() for i in range(size - 1)]

    def limit() -> None:
        for query in queries:
            np.dot(vectors, query, out=out)

    given, again = (relevance, vectors, mixes, first, size, DIAL), (relevance, vectors, mixes, later, size, DIAL)
    calls: dict[str, Call] = {}
    if compiled:
        calls["calibrated"] = lambda: METHODS["calibrated"](*given)
        calls[f"calibrated, {SHOWN} places shown before"] = lambda: METHODS["calibrated"](*again)
        calls["dpp"] = lambda: METHODS["dpp"](*given)
    calls["calibrated, numpy"] = lambda: greedy_set(ordered(*given), first, DIAL, compiled=False)
    calls["dpp, numpy"] = lambda: greedy_map(ordered(*given), DIAL, compiled=False)
    if find_spec("pyversity"):
        from pyversity.strategies.dpp import dpp as theirs

        calls["dpp, pyversity"] = lambda: theirs(vectors, relevance, size, DIAL)
    return limit, calls


def _target(mix: np.ndarray, shown: np.ndarray) -> Target:
    """Held as firmly as who was shown these places is (ranking/target.py)."""
    return Target(mix, shown, remembered(float(shown.sum())))


def _median_us(call: Call) -> float:
    spent = []
    for _ in range(CALLS):
        started = time.process_time_ns()
        call()
        spent.append(time.process_time_ns() - started)
    return float(np.median(spent)) / 1000.0


if __name__ == "__main__":
    main()
