"""States in an LMDB environment as of one moment."""

from typing import Any

import lmdb

from interests.stores import record
from interests.stores.environment import Environment

KEY_BYTES_MAX = 511  # LMDB's own


class LmdbSnapshot:
    """One read transaction."""

    __slots__ = ("_commit", "_env", "_txn")

    def __init__(self, env: Environment, txn: Any) -> None:
        self._env, self._txn = env, txn
        self._commit = txn.id()

    def is_newest(self) -> bool:
        """See Snapshot. A commit that is still being synced counts as written."""
        return bool(self._env.lmdb.info()["last_txnid"] == self._commit)

    def version(self, user_id: str) -> int:
        """See Snapshot."""
        return record.version(self._record(user_id))

    def stored(self, user_id: str) -> bytes | None:
        """See Snapshot."""
        data = self._record(user_id)
        return None if data is None else bytes(data[record.VERSION_BYTES :])

    def _record(self, user_id: str) -> Any:
        """The bytes as they lie there, good until the transaction ends."""
        key = user_id.encode()
        # Asked for each call, and so without a context manager.
        try:
            return self._txn.get(key, db=self._env.states) if 0 < len(key) <= KEY_BYTES_MAX else None
        except lmdb.Error:
            with self._env.errors():
                raise

    def close(self) -> None:
        """See Snapshot."""
        self._txn.abort()
        self._env.release()
