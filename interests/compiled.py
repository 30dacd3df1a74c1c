"""Plain loops made machine code by numba, where it is installed (the extra `fast`).

Compiled for types that are written down, so that nothing is left to compile while calls are answered, and for arrays
that nobody may write to, so that memory-mapped ones pass as they are.

A function may call those of other modules that compile too, as attributes of the module: `finds.nearest(...)`. Compiled
code is kept on disk. What is kept of a function knows the file of that function alone, so it lies in a directory named
after the sources and constants of all that it could call: whatever changes there is compiled again. That directory
is beside the module, or in the user's cache directory where that cannot be written, or where NUMBA_CACHE_DIR says.
"""

import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ANY_ORDER = frozenset({"reassoc", "contract", "nsz"})
"""Sums in any order, so that they use all lanes; NaN and infinity keep their meaning."""

FINITE = ANY_ORDER | {"nnan", "ninf"}
"""The same, where neither NaN nor infinity can come."""

EXACT = frozenset[str]()
"""Sums in the order that is written."""

log = logging.getLogger(__name__)

_TYPES = {"f": "float32", "d": "float64", "i": "int32", "q": "int64", "b": "boolean", "y": "int8", "u": "uint8"}
_CONSTANTS = (bool, int, float, str)

Tuple = tuple[type[tuple[Any, ...]], str]
"""A class of named tuples, and a word for each of its fields."""


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

    scope: the module's globals; helpers: names and what their sums allow. They are compiled with what calls them, and
    kept as part of it.
    """
    package: Any = numba()
    for name, fastmath in helpers.items():
        scope[name] = package.njit(fastmath=set(fastmath) or False, nogil=True)(scope[name])


def compiled(function: Callable[..., Any], *signature: "str | Tuple") -> Any:
    """`function` for arguments of these types, which its module holds in its place from then on.

    signature: one word an argument, a letter of _TYPES, then its dimensions where it is an array, then w where it is
    written to: "f2 q1w d"; a named tuple is given by itself, with its fields' words
    """
    package: Any = numba()
    types = tuple(kind for part in signature for kind in _types(part))
    module = sys.modules[function.__module__]
    directory = _directory(module)
    if not directory or not any(Path(directory).glob(f"*/*.{function.__name__}-*.nbi")):
        _say_once()
    with _kept_in(directory):
        made = package.njit(types, cache=bool(directory), nogil=True)(function)
    setattr(module, function.__name__, made)
    return made


def read_only(value: Any) -> Any:
    """A view that nobody may write to: the type that is compiled for. What is no array stays as it is."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view


@lru_cache(maxsize=1)
def _say_once() -> None:
    log.info("compiling loops to machine code, once for this host and version: a minute or two of one core")


def _types(part: "str | Tuple") -> list[Any]:
    if isinstance(part, str):
        return [_type(word) for word in part.split()]
    kind, words = part
    return [numba().types.NamedTuple(tuple(map(_type, words.split())), kind)]  # type: ignore[union-attr]


def _type(word: str) -> Any:
    types = numba().types  # type: ignore[union-attr]
    scalar, dims = getattr(types, _TYPES[word[0]]), word[1:].rstrip("w")
    return types.Array(scalar, int(dims), "C", readonly="w" not in word) if dims else scalar


def _directory(module: ModuleType) -> str:
    """Where compiled code of a module is kept; empty where nothing can be written."""
    given = numba().config.CACHE_DIR  # type: ignore[union-attr]
    beside = Path(str(module.__file__)).parent / "__pycache__"
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plural"
    name = f"compiled-{_digest(module)}"
    for base in [Path(given)] if given else [beside, users]:
        try:
            (base / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=base / name):
                return str(base / name)
        except OSError:
            continue
    return ""


def _digest(module: ModuleType) -> str:
    """Of the sources and constants of all that the module's functions could call."""
    told = hashlib.blake2b(digest_size=8)
    for _, each in sorted(_family(module, {}).items()):
        held = [(name, vars(each)[name]) for name in sorted(vars(each)) if not name.startswith("__")]
        told.update(Path(str(each.__file__)).read_bytes())
        told.update(repr([(name, value) for name, value in held if isinstance(value, _CONSTANTS)]).encode())
    return told.hexdigest()


def _family(module: ModuleType, known: dict[str, ModuleType]) -> dict[str, ModuleType]:
    """A module and those it takes in that compile too."""
    known[module.__name__] = module
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType) and value.__name__ not in known and _compiles(value):
            _family(value, known)
    return known


def _compiles(module: ModuleType) -> bool:
    return any(vars(module).get(made.__name__) is made for made in (compile_into, compiled))


@contextmanager
def _kept_in(directory: str) -> Iterator[None]:
    """Where numba keeps what is decorated in here; it takes the place when it decorates."""
    config = numba().config  # type: ignore[union-attr]
    before = config.CACHE_DIR
    config.CACHE_DIR = directory
    try:
        yield
    finally:
        config.CACHE_DIR = before
