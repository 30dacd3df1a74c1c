"""Several generations of states under one store URL, and the pointer that says which one is read.

    URL                        the first generation
    URL?generation=NAME        another one, with states, offsets and a change log of its own
    URL?generation=current     the one that `make_current` named last; the first one where none was named

A history can so be absorbed anew (under another rule, or after a mistake) beside what is being served: fill a
generation, let it read the live topic too until nothing waits, and name it. Running servers and consumers follow by
themselves (interests/stores/following.py); any other handle keeps the generation that it opened.
"""

import re
from pathlib import Path
from typing import Any, Protocol

from interests.bundle_files import sync
from interests.errors import SettingsRejected, StoreUnavailable
from interests.failpoints import failpoint
from interests.stores.redis_client import NAMESPACE, RedisClient, without_credentials

OPTION = "generation"
CURRENT = "current"
FIRST = ""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Pointer(Protocol):
    """Where the name of the current generation is kept."""

    def read(self) -> str:
        """The name, FIRST where none was written. Raises StoreUnavailable."""

    def write(self, name: str) -> None:
        """Durably, in one step. Raises StoreUnavailable."""

    def close(self) -> None:
        """Let go of it."""


class FilePointer:
    """A file beside the states of an LMDB store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self) -> str:
        """See Pointer."""
        try:
            return (self._directory / "CURRENT").read_text().strip()
        except FileNotFoundError:
            return FIRST
        except OSError as error:
            raise StoreUnavailable(f"lmdb:{self._directory}: its CURRENT cannot be read: {error.strerror}") from None

    def write(self, name: str) -> None:
        """See Pointer."""
        temporary = self._directory / ".CURRENT.part"
        try:
            temporary.write_text(name + "\n")
            sync(temporary)
            failpoint("before_switch")
            temporary.replace(self._directory / "CURRENT")
            sync(self._directory)
        except OSError as error:
            raise StoreUnavailable(f"lmdb:{self._directory}: CURRENT cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """See Pointer."""


class RedisPointer:
    """A key beside the states of a Redis store."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    def read(self) -> str:
        """See Pointer."""
        with self._client.errors():
            return (self._client.reads.get(f"{NAMESPACE}:current") or b"").decode()

    def write(self, name: str) -> None:
        """See Pointer."""
        with self._client.errors():
            self._client.writes.set(f"{NAMESPACE}:current", name)

    def close(self) -> None:
        """See Pointer."""
        self._client.close()


def named(url: str, options: dict[str, Any]) -> str:
    """Take the generation out of a store URL's options, FIRST where there is none. Raises SettingsRejected."""
    name = str(options.pop(OPTION, FIRST))
    if name != FIRST and not _NAME.fullmatch(name):
        raise SettingsRejected(
            f"store URL {without_credentials(url)!r}: {OPTION} is {name!r}; give 1 to 64 letters, digits, - and _"
        )
    return name


def directory_of(root: Path, name: str) -> Path:
    """Where an LMDB store has a generation."""
    name = FilePointer(root).read() if name == CURRENT else name
    return root if name == FIRST else root / "generations" / name


def namespace_of(name: str) -> str:
    """What the keys of a generation in Redis begin with."""
    return NAMESPACE if name == FIRST else f"{NAMESPACE}.{name}"
