"""Choosing a set out of candidates: several methods behind one signature.

    (relevance, vectors, mixes, target, size, diversity) -> places of the chosen candidates, best first

relevance (n,) float32, higher is better; vectors (n, dim) float32, unit rows or zero where nothing is known
mixes: topics of each candidate; target: the mix to keep to, and what was shown already (ranking/target.py)
size: how many, fewer where there are fewer
diversity: 0 gives relevance order exactly, 1 all the breadth that the method can give
Raises ValueError for NaN or infinity, shapes that do not fit, or a dial outside [0, 1]. Pure and deterministic: of
equals the more relevant, then the earlier comes first.

`calibrated` is what serves; the others are there to choose instead, and to measure it against.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ranking.diversify.calibrated import calibrated
from ranking.diversify.dpp import dpp
from ranking.diversify.inputs import Diversify
from ranking.diversify.kernels import greedy_kernels
from ranking.diversify.mmr import mmr
from ranking.diversify.msd import msd
from ranking.diversify.relevance import relevance_only
from ranking.diversify.reweighted import reweighted
from ranking.diversify.ssd import ssd
from ranking.diversify.steck import steck, with_memory

METHODS: Mapping[str, Diversify] = MappingProxyType(
    {
        "calibrated": calibrated,
        "mmr": mmr,
        "msd": msd,
        "dpp": dpp,
        "ssd": ssd,
        "steck": steck,
        "steck-memory": with_memory,
        "reweighted": reweighted,
        "relevance": relevance_only,
    }
)


def warm() -> bool:
    """Compile what compiles, once a process; False where numba is not installed and numpy does the work."""
    return greedy_kernels() is not None


__all__ = [
    "METHODS",
    "Diversify",
    "calibrated",
    "dpp",
    "mmr",
    "msd",
    "relevance_only",
    "reweighted",
    "ssd",
    "steck",
    "warm",
    "with_memory",
]
