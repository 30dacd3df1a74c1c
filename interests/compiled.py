"""Plain loops made machine code by numba, where it is installed (the extra `fast`).

Compiled for types that are written down, so that nothing is left to compile while calls are answered, and for arrays
that nobody may write to, so that memory-mapped ones pass as they are. Compiled code is cached beside its module, or in
the user's cache directory where that cannot be written. A cache knows the file of its function alone, so a function
calls only functions of its own module.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

ANY_ORDER = frozenset({"reassoc", "contract", "nsz"})
"""Sums in any order, so that they use all lanes; NaN and infinity keep their meaning."""

FINITE = ANY_ORDER | {"nnan", "ninf"}
"""The same, where neither NaN nor infinity can come."""

_TYPES = {"f": "float32", "d": "float64", "i": "int32", "q": "int64", "b": "boolean", "y": "int8", "u": "uint8"}


@lru_cache(maxsize=1)
def numba() -> Any | None:
    """The package, or None where it is not installed."""
    try:
        import numba as found
    except ImportError:
        return None
    return found


def compile_into(scope: dict[str, Any], helpers: Mapping[str, frozenset[str]]) -> None:
    """Put compiled functions where these were in a module: a compiled function calls what its module holds.

    scope: the module's globals; helpers: names in the order in which they call each other, and what their sums allow
    """
    for name, fastmath in helpers.items():
        scope[name] = _njit(scope[name], None, set(fastmath) or False)


def compiled(function: Callable[..., Any], signature: str) -> Callable[..., Any]:
    """`function` for arguments of these types.

    signature: one word an argument, a letter of _TYPES, then its dimensions where it is an array: "f2 q1 d"
    """
    found: Callable[..., Any] = _njit(function, tuple(map(_type, signature.split())), False)
    return found


def _type(word: str) -> Any:
    types = numba().types  # type: ignore[union-attr]
    scalar = getattr(types, _TYPES[word[0]])
    return types.Array(scalar, int(word[1:]), "C", readonly=True) if word[1:] else scalar


def _njit(function: Callable[..., Any], signature: tuple[Any, ...] | None, fastmath: set[str] | bool) -> Any:
    package: Any = numba()
    try:
        return package.njit(signature, cache=True, fastmath=fastmath, nogil=True)(function)
    except RuntimeError:  # nowhere to write a cache
        return package.njit(signature, fastmath=fastmath, nogil=True)(function)
