"""Where the live catalogue is kept: in a file of the server's own, or in the compacted topic `items`."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from google.protobuf import json_format
from plural.v1 import catalogue_pb2

from interests.bundle_files import sync
from interests.errors import InvalidRequest, SettingsRejected, StoreUnavailable
from server.items import Item, from_message, to_message

COMPACT_FROM_LINES = 10_000

log = logging.getLogger(__name__)


class ItemLog(Protocol):
    """Keeps what was said of items, each time whole."""

    def append(self, items: Sequence[Item]) -> bool:
        """Returns once they are durable; may block. True where they have been taken into the catalogue, too.

        Raises StoreUnavailable or BrokerUnavailable.
        """

    def close(self) -> None:
        """Let go of it."""


class ItemFile:
    """JSON Lines, one item a line in the form of CatalogueItem, the latest line of an item counts. One process only."""

    def __init__(self, path: Path) -> None:
        """Open or create it, without a last line that a crash left torn. Raises SettingsRejected."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not path.exists()
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise SettingsRejected(f"--catalogue {path}: another plural-serve writes it; give each its own") from None
        except OSError as error:
            raise SettingsRejected(f"--catalogue {path}: cannot be opened: {error.strerror}") from None
        if is_new:
            sync(path.parent)
        self._lines = 0
        self.items = self._read()
        if self._lines > max(COMPACT_FROM_LINES, 4 * len(self.items)):
            self._compact()

    def append(self, items: Sequence[Item]) -> bool:
        """See ItemLog."""
        data = b"".join(_line(item) for item in items)
        size = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise StoreUnavailable(f"the catalogue's file cannot be written: {error.strerror}") from None
        self._lines += len(items)
        return False

    def close(self) -> None:
        """See ItemLog."""
        os.close(self._file)

    def _read(self) -> dict[str, Item]:
        found: dict[str, Item] = {}
        good = 0
        for number, (end, line) in enumerate(_lines(self._path), 1):
            if not line.endswith(b"\n"):
                log.warning("the catalogue's last line was torn by a crash and is dropped; nobody was told of it")
                break
            try:
                item = from_message(json_format.Parse(line, catalogue_pb2.CatalogueItem()))
            except (json_format.ParseError, InvalidRequest, UnicodeDecodeError) as error:
                raise SettingsRejected(
                    f"--catalogue {self._path}: line {number}: is no item: {str(error)[:100]}; restore the file, or "
                    "move it away and say again what changed"
                ) from None
            found[item.item_id], good, self._lines = item, end, number
        os.ftruncate(self._file, good)
        return found

    def _compact(self) -> None:
        """Rewrite it in place of itself with one line an item."""
        draft = self._path.with_name(self._path.name + ".draft")
        with draft.open("wb") as stream:
            stream.writelines(_line(item) for item in self.items.values())
            stream.flush()
            os.fsync(stream.fileno())
        fresh = os.open(draft, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        fcntl.flock(fresh, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.replace(self._path)
        sync(self._path.parent)
        os.close(self._file)
        self._file, self._lines = fresh, len(self.items)


def _line(item: Item) -> bytes:
    message = json_format.MessageToDict(to_message(item), preserving_proto_field_name=True)
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line and where it ends."""
    end = 0
    with path.open("rb") as stream:
        for line in stream:
            end += len(line)
            yield end, line
