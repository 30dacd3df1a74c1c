"""The items nearest to a vector: exact, or by an inverted file where the catalogue is large and that is faster.

    exact      one product with all vectors, in bytes first and to the end for what comes near
    inverted   vectors in bytes, in cells around centroids; the cells nearest to the query are looked through (faiss)

Which of the two is decided as a bundle is loaded, by measuring both on its own items: the fewest cells that find
RECALL_MIN of what is truly nearest, if that takes less time than the exact product. What a search misses for being
approximate is said in the log. Without faiss (the extra `large`) every search is exact.
Inverted files: Jégou, Douze, Schmid, "Product quantization for nearest neighbor search", TPAMI 2011.
"""

import logging
import math
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ranking.fast.near import near
from ranking.top import top

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

INVERTED_FROM = 50_000  # below this many items exact search is fast enough not to look further
RECALL_MIN, RECALL_AT, PROBES = 0.98, 200, 60
TRAIN_A_CELL = 64  # vectors that a centroid is learned from
CELLS_MAX = 4096
SPARE, SPARE_MIN = 1.5, 32  # more than asked for, so that what may not be shown can be left out
NARROW = 0.3  # of the items allowed: below it those alone are searched, exactly

log = logging.getLogger(__name__)


class Nearby(Protocol):
    """Finds the rows with the largest products; vectors need not be unit."""

    def search(self, queries: Floats, counts: list[int], allowed: Mask, open_rows: int) -> list[Rows]:
        """For each query (k, dim) up to counts[k] allowed rows, in no order. open_rows: how many are allowed"""


class Exact:
    """One product with everything. O(n * dim) a query."""

    def __init__(self, vectors: Floats) -> None:
        """vectors (n, dim); keeps them in steps of a byte beside, or where nothing is compiled a copy by dimension."""
        self._vectors = vectors
        self.codes, self.steps = np.zeros((0, vectors.shape[1]), dtype=np.int8), np.zeros(0, dtype=np.float32)
        if near() is None:
            self._columns = np.ascontiguousarray(vectors.T)
        else:
            self.codes, self.steps = _coded(vectors)

    def search(self, queries: Floats, counts: list[int], allowed: Mask, open_rows: int) -> list[Rows]:
        """See Nearby."""
        if (fast := near()) is not None:
            asked = (np.ascontiguousarray(queries), np.array(counts, dtype=np.int64))
            whose = np.zeros(len(counts), dtype=np.int64)
            made = (self._vectors, self.codes, self.steps, allowed[None], whose, np.array([open_rows]))
            rows, ends = fast(*asked, *made)
            return np.split(rows, ends[:-1])
        products = queries @ self._columns
        if open_rows < len(allowed):
            products[:, np.flatnonzero(~allowed)] = -np.inf
        return [top(product, min(count, open_rows)) for product, count in zip(products, counts, strict=True)]


class Inverted:
    """Some cells of an inverted file, and exactly what is left where few rows are allowed."""

    def __init__(self, vectors: Floats, index: Any, cells: int) -> None:
        self._vectors = vectors
        self._index = index
        self._index.nprobe = cells

    def search(self, queries: Floats, counts: list[int], allowed: Mask, open_rows: int) -> list[Rows]:
        """See Nearby."""
        if open_rows < NARROW * len(allowed):
            return self._among(np.flatnonzero(allowed), queries, counts)
        wanted = max(counts, default=0)
        if not wanted:
            return [np.zeros(0, dtype=np.int64) for _ in counts]
        asked = min(int(wanted * SPARE) + SPARE_MIN, len(allowed))
        _, found = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), asked)
        kept = []
        for rows, count in zip(found, counts, strict=True):
            rows = rows[rows >= 0]
            rows = rows[allowed[rows]][:count]  # faiss gives the nearest first
            if len(rows) < min(count, open_rows):
                return self._among(np.flatnonzero(allowed), queries, counts)
            kept.append(rows)
        return kept

    def _among(self, rows: Rows, queries: Floats, counts: list[int]) -> list[Rows]:
        products = queries @ self._vectors[rows].T
        return [rows[top(product, min(count, len(rows)))] for product, count in zip(products, counts, strict=True)]


def nearby(
    vectors: Floats, name: str, *, may_approximate: bool = True, clock_s: Callable[[], float] = time.process_time
) -> Nearby:
    """The faster of the two that finds what is nearest. name: of the vectors, for the log"""
    if not may_approximate or len(vectors) < INVERTED_FROM:
        return Exact(vectors)
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells of each build of itself that it tries to load
    try:
        faiss = import_module("faiss")
    except ImportError:
        log.warning("searching every item each time; install plural[large] for faster retrieval", extra=_said(vectors))
        return Exact(vectors)
    exact = Exact(vectors)
    index = _built(faiss, vectors)
    chosen = _measured(index, exact, vectors, clock_s)
    if chosen is None:
        log.info("retrieval is exact", extra={"vectors": name, **_said(vectors)})
        return exact
    cells, recall, exact_ms, found_ms = chosen
    said = {"cells": cells, "of": index.nlist, "recall": round(recall, 4), "at": RECALL_AT}
    times = {"exact_ms": round(exact_ms, 2), "inverted_ms": round(found_ms, 2)}
    log.info("retrieval by an inverted file", extra={"vectors": name, **_said(vectors), **said, **times})
    return Inverted(vectors, index, cells)


def _coded(vectors: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Each vector in whole steps (n, dim), and how long a step is (n,); zeros where the vector is."""
    codes, steps = np.empty(vectors.shape, dtype=np.int8), np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), 100_000):  # never the whole as one copy
        part = slice(start, start + 100_000)
        steps[part] = np.abs(vectors[part]).max(axis=1, initial=0.0) / 127.0
        codes[part] = np.rint(vectors[part] / np.maximum(steps[part], 1e-30)[:, None])
    return codes, steps


def _built(faiss: Any, vectors: Floats) -> Any:
    faiss.omp_set_num_threads(1)
    n, dim = vectors.shape
    cells = min(1 << round(math.log2(math.sqrt(n))), CELLS_MAX)  # few: building them is paid at every load
    # Vectors in bytes: a quarter of the memory, and of what a search reads.
    steps = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatIP(dim), dim, cells, steps, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.niter = 1, 6
    sample = np.random.default_rng(0).permutation(n)[: TRAIN_A_CELL * cells]
    index.train(np.ascontiguousarray(vectors[np.sort(sample)]))
    for start in range(0, n, 100_000):  # never the whole as one copy
        index.add(np.ascontiguousarray(vectors[start : start + 100_000]))
    return index


def _measured(
    index: Any, exact: Exact, vectors: Floats, clock_s: Callable[[], float]
) -> tuple[int, float, float, float] | None:
    """(cells, recall, exact ms, inverted ms) of the fewest cells that find enough, or None where exact is as fast."""
    queries = _probes(vectors)
    everything = np.ones(len(vectors), dtype=np.bool_)
    started_s = clock_s()
    wanted = [exact.search(query[None], [RECALL_AT], everything, len(vectors))[0] for query in queries]
    exact_ms = (clock_s() - started_s) * 1000 / PROBES
    cells = 1
    while cells < index.nlist:
        index.nprobe = cells
        started_s = clock_s()
        found = [index.search(query[None], RECALL_AT)[1][0] for query in queries]
        found_ms = (clock_s() - started_s) * 1000 / PROBES
        if found_ms >= exact_ms:
            return None
        recall = float(np.mean([np.isin(w, f).mean() for w, f in zip(wanted, found, strict=True)]))
        if recall >= RECALL_MIN:
            return cells, recall, exact_ms, found_ms
        cells *= 2
    return None


def _probes(vectors: Floats) -> Floats:
    """Queries as users' are: one item, or between two or four; what lies between items is harder to find."""
    rng = np.random.default_rng(1)
    picks = rng.integers(0, len(vectors), (PROBES, 4))
    parts = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [4, 3, 2, 1]], dtype=np.float32)[np.arange(PROBES) % 3]
    queries: Floats = np.einsum("pi,pid->pd", parts, vectors[picks]).astype(np.float32)
    return queries


def _said(vectors: Floats) -> dict[str, int]:
    return {"items": len(vectors), "dim": vectors.shape[1]}
