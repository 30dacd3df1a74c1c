"""The bundle: what the trainer publishes and the other programs serve from.

    <directory>/manifest.json           what it is, and the SHA-256 of every other file
    <directory>/mf.onnx                 history's factors and weights -> the user's factor (fold-in)
    <directory>/interest_encoder.onnx   history's vectors, ages, actions -> K interests and their shares
    <directory>/<array>.npy             one file an array of BundleArrays

A directory is complete when it is renamed into place and never changed after. It is trusted only once every hash is
right: models are handed on as the very bytes that were hashed, arrays are memory-mapped after it. No pickle, no
symbolic link, no external data. A directory of bundles names the one to serve in its file CURRENT.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.bundle_arrays import HALVED, OPTIONAL, BundleArrays, check_arrays, string_list
from interests.bundle_files import check_file, file_entry, read_checked, refuse_links, sync
from interests.errors import BundleRejected
from interests.manifest import VERSION_PATTERN, FileEntry, Manifest, read_manifest, sealed
from interests.onnx_guard import refuse_external_data

MF_MODEL = "mf.onnx"
ENCODER_MODEL = "interest_encoder.onnx"
MANIFEST = "manifest.json"
CURRENT = "CURRENT"

ARRAY_NAMES = tuple(field.name for field in fields(BundleArrays))
FILE_NAMES = (MF_MODEL, ENCODER_MODEL, *(f"{name}.npy" for name in ARRAY_NAMES))
OPTIONAL_FILES = frozenset(f"{name}.npy" for name in OPTIONAL)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle, ready to serve from."""

    manifest: Manifest
    arrays: BundleArrays
    mf_model: bytes
    encoder_model: bytes

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.manifest.version

    @cached_property
    def item_ids(self) -> list[str]:
        """Item ids by row."""
        return string_list(self.arrays.item_ids_bytes, self.arrays.item_ids_offsets)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row by item id."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    @cached_property
    def topic_names(self) -> list[str]:
        """Topic names by topic."""
        return string_list(self.arrays.topic_names_bytes, self.arrays.topic_names_offsets)

    def title(self, row: int) -> str:
        """The title of one item, empty where it has none."""
        start, end = self.arrays.item_titles_offsets[row : row + 2]
        return bytes(self.arrays.item_titles_bytes[start:end]).decode()


def save(directory: Path, manifest: Manifest, arrays: BundleArrays, mf_model: bytes, encoder_model: bytes) -> Path:
    """Write a bundle as `directory`/<version> and name it in `directory`/CURRENT; returns its path.

    `manifest.version` and `manifest.files` are filled in here. A bundle of that version that is there already stays.
    Raises BundleRejected, publishing nothing, for one that would be refused when read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=directory))
    try:
        (draft / MF_MODEL).write_bytes(mf_model)
        (draft / ENCODER_MODEL).write_bytes(encoder_model)
        for name in ARRAY_NAMES:
            array = np.ascontiguousarray(getattr(arrays, name))
            kept = array.astype(np.float16) if name in HALVED and manifest.vectors == "float16" else array
            np.save(draft / f"{name}.npy", kept, allow_pickle=False)
        files = {name: file_entry(draft / name) for name in FILE_NAMES}
        version = _version(files, manifest)
        full = manifest.model_copy(update={"files": files, "version": version})
        (draft / MANIFEST).write_text(sealed(json.loads(full.model_dump_json())))
        for name in (*FILE_NAMES, MANIFEST):
            sync(draft / name)
        draft.chmod(0o755)
        target = directory / version
        if target.exists():
            load(target)
        else:
            load(draft)
            draft.rename(target)
            sync(directory)
        set_current(directory, version)
        return target
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def set_current(directory: Path, version: str) -> None:
    """Name the bundle to serve, in one step that readers see whole."""
    with tempfile.NamedTemporaryFile("w", dir=directory, prefix=".current-", delete=False) as draft:
        draft.write(version + "\n")
        draft.flush()
        os.fsync(draft.fileno())
    Path(draft.name).chmod(0o644)
    Path(draft.name).replace(directory / CURRENT)
    sync(directory)


def resolve(path: Path) -> Path:
    """The bundle meant by `path`: itself, or the one that its CURRENT names. Raises BundleRejected."""
    if (path / MANIFEST).is_file():
        return path
    pointer = path / CURRENT
    if not pointer.exists():
        remedy = f"train one with `plural-train fit --out {path}`"
        raise BundleRejected(f"{path}: holds neither {MANIFEST} nor {CURRENT}; {remedy}")
    refuse_links(pointer)
    version = pointer.read_bytes().decode(errors="replace").strip()
    if not re.fullmatch(VERSION_PATTERN, version) or version.startswith("."):
        raise BundleRejected(f"{pointer}: names {version[:100]!r}, which is not a bundle beside it")
    if (path / version).is_symlink():
        raise BundleRejected(f"{path / version}: is a symbolic link; {CURRENT} may name a directory only")
    return path / version


def load(path: Path) -> Bundle:
    """Verify a bundle and open it. Raises BundleRejected naming the file and the reason."""
    try:
        return _load(resolve(path))
    except OSError as error:
        raise BundleRejected(f"{error.filename or path}: cannot be read: {error.strerror or error}") from None


def _load(path: Path) -> Bundle:
    manifest = read_manifest(path / MANIFEST)
    odd = sorted((set(manifest.files) ^ set(FILE_NAMES)) - (OPTIONAL_FILES - set(manifest.files)))
    if odd:
        raise BundleRejected(f"{path / MANIFEST}: files missing or unexpected: {', '.join(odd[:5])}")
    if not manifest.golden:
        raise BundleRejected(f"{path / MANIFEST}: has no golden case, so a broken model would not be noticed")
    models = {name: read_checked(path / name, manifest.files[name]) for name in (MF_MODEL, ENCODER_MODEL)}
    for name, model in models.items():
        refuse_external_data(path / name, model)
    there = [name for name in ARRAY_NAMES if f"{name}.npy" in manifest.files]
    arrays = BundleArrays(**{name: _open_array(path, name, manifest) for name in there})
    check_arrays(path, manifest, arrays)
    return Bundle(manifest, arrays, models[MF_MODEL], models[ENCODER_MODEL])


def _version(files: Mapping[str, FileEntry], manifest: Manifest) -> str:
    # Of what changes a slate and nothing else: neither when it was made nor what was measured.
    said = manifest.model_dump(exclude={"version", "files", "created_at", "metrics", "settings", "golden"})
    hashes = {name: entry.sha256 for name, entry in files.items()}
    return hashlib.sha256(json.dumps([said, hashes], sort_keys=True).encode()).hexdigest()[:16]


def _open_array(path: Path, name: str, manifest: Manifest) -> npt.NDArray[Any]:
    file = path / f"{name}.npy"
    check_file(file, manifest.files[file.name])
    try:
        array: npt.NDArray[Any] = np.lib.format.open_memmap(file, mode="r")
    except ValueError as error:
        raise BundleRejected(f"{file}: is not an array: {error}") from None
    if name in HALVED and manifest.vectors == "float16":
        return np.asarray(array, dtype=np.float32)
    return array
