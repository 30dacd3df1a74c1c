"""The embedded server's log: JSON Lines in the columns that `plural-train fit --interactions` reads.

    {"user_id": .., "item_id": .., "timestamp": ms since 1970, "action": "click", "value": .., "event_id": ..,
     "slate_id": .., "position": ..}                                        one interaction
    {"user_id": .., "item_id": null, "timestamp": .., "action": "erase"}    this user was erased
    {"erased": true}                                                        what an erased user had here

Offsets are byte positions, so that a reader goes straight to where it stopped. The first row also has the log's
identity under "log": it moves with the file, and a new file is another log. A reader of histories drops the last two
kinds of rows for want of an action or a user, and counts them.
"""

import fcntl
import json
import logging
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from interests.bundle_files import sync
from interests.errors import SettingsRejected, StoreCorrupt, StoreUnavailable
from interests.events import Action, Interaction

ERASE = "erase"
_TAIL_BYTES = 1 << 20

log = logging.getLogger(__name__)


class EventLog:
    """One open log. One process at a time may have it, one thread at a time use it."""

    def __init__(self, path: Path) -> None:
        """Open or create it, and cut off a last line that a crash left torn. Raises SettingsRejected."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not path.exists()
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise SettingsRejected(f"--log {path}: cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise SettingsRejected(f"--log {path}: another plural-serve writes it; give each its own") from None
        if is_new:
            sync(path.parent)
        self._end = self._synced_end = self._cut_torn_line()
        self._dirty = False
        self.identity = self._read_identity()

    @property
    def end(self) -> int:
        """The offset behind the last row."""
        return self._end

    def append(self, rows: Sequence[dict[str, Any]]) -> list[int]:
        """Write rows durably, all or none; returns the offset of each. Raises StoreUnavailable, having written none."""
        offsets = self.write(rows)
        self.sync()
        return offsets

    def write(self, rows: Sequence[dict[str, Any]]) -> list[int]:
        """The same, durable only once `sync` has returned; nothing else may be done with the log before."""
        offsets, parts, at = [], [], self._end
        for row in rows:
            line = _to_line(row if at else {**row, "log": self.identity})
            offsets.append(at)
            parts.append(line)
            at += len(line)
        try:
            if self._dirty:
                self.truncate(self._end)
            self._dirty = True
            _write_all(self._file, b"".join(parts), self._end)
        except OSError as error:
            raise self._unwritten(error) from None
        self._synced_end, self._end = self._end, at
        return offsets

    def sync(self) -> None:
        """Make what was written last durable. Raises StoreUnavailable, having taken it back."""
        try:
            os.fsync(self._file)
        except OSError as error:
            self._end = self._synced_end
            raise self._unwritten(error) from None
        self._dirty, self._synced_end = False, self._end

    def truncate(self, end: int) -> None:
        """Take back what stands from `end` on. Raises OSError."""
        os.ftruncate(self._file, end)
        os.fsync(self._file)
        self._end, self._synced_end, self._dirty = end, end, False

    def read(self, offset: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """(offset, next offset, row) of each row from `offset` on. Raises StoreCorrupt where a row is not one."""
        with self._path.open("rb") as stream:
            stream.seek(offset)
            while offset < self._end:
                line = stream.readline()
                try:
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError("no object")
                except ValueError:
                    raise StoreCorrupt(f"{self._path}: byte {offset}: is not a row of ours; restore the file") from None
                yield offset, offset + len(line), row
                offset += len(line)

    def blank(self, user_id: str, before: int) -> int:
        """Overwrite, in place, the rows of one user that stand before an offset; returns how many. O(size of the log).

        Raises StoreUnavailable where that fails; doing it again is harmless.
        """
        count, marker = 0, f'"user_id": {json.dumps(user_id)}'.encode()
        try:
            with self._path.open("rb") as stream:
                offset = 0
                while offset < before and (line := stream.readline()):
                    if marker in line and json.loads(line).get("user_id") == user_id:
                        kept = {"erased": True} if offset else {"erased": True, "log": self.identity}
                        blank = json.dumps(kept).encode().ljust(len(line) - 1) + b"\n"
                        _write_all(self._file, blank, offset)
                        count += 1
                    offset += len(line)
            os.fsync(self._file)
        except (OSError, ValueError) as error:
            raise StoreUnavailable(f"the log cannot be cleared of an erased user: {error}") from None
        return count

    def close(self) -> None:
        """Let go of the file and its lock; again is harmless."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _unwritten(self, error: OSError) -> StoreUnavailable:
        """Cut the log back to what is durable; what to raise."""
        try:
            self.truncate(self._end)
        except OSError as worse:
            log.error("the log cannot be cut back either; the next write tries again", extra={"reason": str(worse)})
        return StoreUnavailable(f"the log cannot be written: {error.strerror}")

    def _cut_torn_line(self) -> int:
        size = end = os.fstat(self._file).st_size
        while end > 0:
            start = max(end - _TAIL_BYTES, 0)
            newline = os.pread(self._file, end - start, start).rfind(b"\n")
            end = start + newline + 1 if newline >= 0 else start
            if newline >= 0:
                break
        if end < size:
            log.warning("cut a torn line off the log", extra={"path": str(self._path), "bytes": size - end})
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        return end

    def _read_identity(self) -> str:
        if not self._end:
            return uuid.uuid4().hex
        with self._path.open("rb") as stream:
            line = stream.readline()
        try:
            identity = json.loads(line)["log"]
        except (ValueError, KeyError, TypeError):
            identity = None
        if not isinstance(identity, str):
            raise SettingsRejected(
                f"--log {self._path}: was not begun by plural-serve; name a new file, and absorb a history with "
                "`plural-consume --from-file`"
            )
        return identity


def interaction_row(interaction: Interaction) -> dict[str, Any]:
    """The row of an interaction whose time is known."""
    return {
        "user_id": interaction.user_id,
        "item_id": interaction.item_id,
        "timestamp": interaction.time_ms,
        "action": interaction.action.name.lower(),
        "value": interaction.value,
        "event_id": interaction.event_id or None,
        "slate_id": interaction.slate_id or None,
        "position": interaction.position,
    }


def erasure_row(user_id: str, time_ms: int) -> dict[str, Any]:
    """The row that says that a user was erased."""
    empty = dict.fromkeys(("value", "event_id", "slate_id", "position"))
    return {"user_id": user_id, "item_id": None, "timestamp": time_ms, "action": ERASE, **empty}


def from_row(row: dict[str, Any]) -> tuple[str, int, Interaction | None] | None:
    """(user id, time in ms, interaction or None for an erasure) of a row; None for one that was blanked.

    Raises KeyError, ValueError or TypeError for a row that is none of ours.
    """
    if row.get("erased"):
        return None
    user_id, time_ms = str(row["user_id"]), int(row["timestamp"])
    if row["action"] == ERASE:
        return user_id, time_ms, None
    interaction = Interaction(
        user_id=user_id,
        item_id=str(row["item_id"]),
        action=Action[row["action"].upper()],
        time_ms=time_ms,
        value=row["value"],
        event_id=row["event_id"] or "",
        slate_id=row["slate_id"] or "",
        position=row["position"],
    )
    return user_id, time_ms, interaction


def _to_line(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
