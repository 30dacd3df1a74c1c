"""The files of a bundle: regular ones only, and trusted only by their hash."""

import hashlib
import os
from pathlib import Path

from interests.errors import BundleRejected
from interests.manifest import FileEntry, refuse_links

__all__ = ["check_file", "file_entry", "read_checked", "refuse_links", "sync"]


def file_entry(file: Path) -> FileEntry:
    """Size and hash of a file as it is."""
    with file.open("rb") as stream:
        return FileEntry(bytes=file.stat().st_size, sha256=hashlib.file_digest(stream, "sha256").hexdigest())


def check_file(file: Path, expected: FileEntry) -> None:
    """Raise BundleRejected where a file is not the one that the manifest means."""
    refuse_links(file)
    _compare(file, file_entry(file), expected)


def read_checked(file: Path, expected: FileEntry) -> bytes:
    """The very bytes that were hashed. Raises BundleRejected."""
    refuse_links(file)
    data = file.read_bytes()
    _compare(file, FileEntry(bytes=len(data), sha256=hashlib.sha256(data).hexdigest()), expected)
    return data


def sync(path: Path) -> None:
    """Have a file or a directory on disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _compare(file: Path, found: FileEntry, expected: FileEntry) -> None:
    if found.bytes != expected.bytes:
        raise BundleRejected(f"{file}: has {found.bytes} bytes, the manifest says {expected.bytes}")
    if found.sha256 != expected.sha256:
        raise BundleRejected(f"{file}: its SHA-256 is not the manifest's")
