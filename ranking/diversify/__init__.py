"""Choosing a set out of candidates: several methods behind one signature.

    (relevance, vectors, mixes, target, size, diversity) -> places of the chosen candidates, best first

relevance (n,) float32, higher is better; vectors (n, dim) float32, unit rows or zero where nothing is known
mixes: topics of each candidate; target (T,): the mix to keep to; size: how many, fewer where there are fewer
diversity: 0 gives relevance order exactly, 1 all the breadth that the method can give
Raises ValueError for NaN or infinity, shapes that do not fit, or a dial outside [0, 1]. Pure and deterministic: of
equals the more relevant, then the earlier comes first.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ranking.diversify.calibrated import calibrated
from ranking.diversify.dpp import dpp
from ranking.diversify.inputs import Diversify
from ranking.diversify.mmr import mmr
from ranking.diversify.relevance import relevance_only

METHODS: Mapping[str, Diversify] = MappingProxyType(
    {"calibrated": calibrated, "mmr": mmr, "dpp": dpp, "relevance": relevance_only}
)

__all__ = ["METHODS", "Diversify", "calibrated", "dpp", "mmr", "relevance_only"]
