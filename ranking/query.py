"""What is asked of a slate."""

from dataclasses import dataclass
from typing import Literal

SIZE_MAX = 500
SIZE_DEFAULT = 20

Repeats = Literal["allow", "filter"]


@dataclass(frozen=True, slots=True)
class Query:
    """One request, checked. Hashable: it is half of a slate's identity.

    size: 1 to SIZE_MAX
    diversity: 0 (relevance alone) to 1; None for the bundle's default fitted to the user
    repeats: None for the bundle's default
    only_items, only_categories: empty means any
    """

    size: int = SIZE_DEFAULT
    diversity: float | None = None
    repeats: Repeats | None = None
    exclude_items: frozenset[str] = frozenset()
    only_items: frozenset[str] = frozenset()
    exclude_categories: frozenset[str] = frozenset()
    only_categories: frozenset[str] = frozenset()
