"""Vectors of texts on disk, by encoder and by the hash of the text, so that only what changed is encoded again.

One file an encoder, `<identity>.npz`: hashes (t, 2) uint64, vectors (t, dim) float16. It is replaced whole, so a reader
and a training that is killed find the old or the new one.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

TEXTS_MAX = 1_000_000  # those that the newest training did not need are dropped first

Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
Encode = Callable[[list[str]], Floats]


class TextCache:
    """The vectors of one encoder."""

    def __init__(self, directory: Path | None, identity: str, say: Callable[[str], None]) -> None:
        """A file that cannot be read is told of and written anew. directory: None keeps nothing."""
        self._file = directory / f"{identity}.npz" if directory else None
        self._hashes, self._vectors = np.zeros((0, 2), np.uint64), np.zeros((0, 0), np.float16)
        if self._file and self._file.exists():
            try:
                with np.load(self._file, allow_pickle=False) as kept:
                    hashes, vectors = kept["hashes"], kept["vectors"]
                if hashes.shape != (len(vectors), 2) or vectors.ndim != 2 or not np.isfinite(vectors).all():
                    raise ValueError("its arrays do not fit each other")
                self._hashes, self._vectors = hashes, vectors
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                say(f"{self._file}: cannot be read ({error}); texts are encoded again")

    def vectors(self, texts: Sequence[str], encode: Encode) -> tuple[Floats, int]:
        """Rows (t, dim) of the texts and how many had to be encoded; equal texts are encoded once.

        encode: distinct texts -> their vectors. What is new is on disk when this returns.
        """
        place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        distinct = list(place)
        hashes = hashes_of(distinct)
        known = {tuple(row): number for number, row in enumerate(self._hashes.tolist())}
        at = np.array([known.get(tuple(row), -1) for row in hashes.tolist()], dtype=np.int64)
        missing = np.flatnonzero(at < 0)
        if len(missing):
            made = encode([distinct[number] for number in missing]).astype(np.float16)
            width = self._vectors.shape[1] if len(self._vectors) else made.shape[1]
            both = np.concatenate([self._vectors.reshape(-1, width), made])
            at[missing] = len(self._vectors) + np.arange(len(missing))
            self._keep(np.concatenate([self._hashes, hashes[missing]]), both, at)
            found = both[at]
        else:
            found = self._vectors[at]
        return found[[place[text] for text in texts]].astype(np.float32), len(missing)

    def _keep(self, hashes: Hashes, vectors: npt.NDArray[np.float16], used: npt.NDArray[np.int64]) -> None:
        if self._file is None:
            return
        if len(hashes) > TEXTS_MAX:
            idle = np.setdiff1d(np.arange(len(hashes)), used)
            kept = np.concatenate([used, idle[max(len(idle) - max(TEXTS_MAX - len(used), 0), 0) :]])
            hashes, vectors = hashes[kept], vectors[kept]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._file.parent, prefix=".texts-", delete=False) as draft:
            try:
                np.savez(draft, hashes=hashes, vectors=vectors)
                draft.flush()
                os.fsync(draft.fileno())
                Path(draft.name).replace(self._file)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise


def hashes_of(texts: Sequence[str]) -> Hashes:
    """128 bits a text, (t, 2)."""
    data = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    return np.frombuffer(data, dtype=np.uint64).reshape(-1, 2)
