"""Relevance alone: what every other method gives at diversity 0."""

from ranking.diversify.inputs import Floats, ordered
from ranking.target import Target
from ranking.topics import Mixes


def relevance_only(
    relevance: Floats, vectors: Floats, mixes: Mixes, target: Target, size: int, diversity: float
) -> list[int]:
    """The most relevant, best first, whatever the dial says. O(n log n)."""
    candidates = ordered(relevance, vectors, mixes, target, size, diversity)
    return candidates.original(range(candidates.size))
