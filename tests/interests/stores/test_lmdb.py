"""What LMDB promises beyond the contract: crashes, full disks, other processes, what erasure leaves in the file."""

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import lmdb
import pytest

from interests.apply import apply
from interests.errors import SettingsRejected, StoreCorrupt, StoreError, StoreUnavailable
from interests.state import InterestState
from interests.stores import open_store
from interests.stores.base import Snapshots
from interests.stores.lmdb import LmdbStore
from tests.support import absorbing
from tests.support.entries import LOG, bits, did, random_log, replayed, users_of

MIB = 1024**2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "states"


def big(user_id: str, version: int = 1) -> InterestState:
    return InterestState(user_id, version=version, event_id_hashes=tuple(range(2**40, 2**40 + 16_000)))


@contextmanager
def no_file_grows(path: Path) -> Iterator[None]:
    """What a full disk does to a program, as far as one without a disk of its own can make it so."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((path / "data.mdb").stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))


@pytest.mark.parametrize("failpoint", ["before_put:3", "in_transaction:4", "after_put:5"])
def test_a_writer_killed_at_any_point_of_a_put_loses_and_doubles_nothing(path: Path, failpoint: str) -> None:
    url, seed, length = f"lmdb:{path}", 11, 300
    for _ in range(2):
        assert absorbing.run(url, seed, length, failpoint) == -signal.SIGKILL
    store = open_store(url)
    at = store.claim([LOG])[LOG]
    assert 0 < at < length
    assert bits(store.get(users_of(random_log(seed, length)))) == bits(replayed(random_log(seed, length)[:at]))
    absorbing.absorb_log(store, seed, length)
    assert bits(store.get(users_of(random_log(seed, length)))) == bits(replayed(random_log(seed, length)))
    store.close()


def test_a_full_map_refuses_the_write_and_a_larger_one_takes_it(path: Path) -> None:
    store = LmdbStore(path, map_bytes=2 * MIB)
    store.claim([LOG])
    store.put([big("ada")], {LOG: 1})
    with pytest.raises(StoreUnavailable, match="map_gib"):
        store.put([big(f"user-{n}") for n in range(100)], {LOG: 2})
    assert store.get(["ada", "user-0"]).keys() == {"ada"}
    store.put([InterestState("bob", version=1)], {LOG: 2})
    store.close()
    larger = LmdbStore(path, map_bytes=64 * MIB)
    assert larger.claim([LOG]) == {LOG: 2}
    larger.put([big(f"user-{n}") for n in range(100)], {LOG: 3})
    assert larger.count() == 102
    larger.close()


def test_a_full_disk_refuses_the_write_and_takes_it_once_there_is_room(path: Path) -> None:
    store = LmdbStore(path)
    store.claim([LOG])
    store.put([big("ada")], {LOG: 1})
    with no_file_grows(path), pytest.raises(StoreUnavailable, match="disk"):
        store.put([big(f"user-{n}") for n in range(100)], {LOG: 2})
    assert store.get(["ada", "user-0"]).keys() == {"ada"}
    store.put([big(f"user-{n}") for n in range(100)], {LOG: 2})
    assert store.count() == 101
    assert store.claim([LOG]) == {LOG: 2}
    store.close()


def test_a_reader_may_open_before_the_writer_and_sees_what_another_process_writes(path: Path) -> None:
    reader = open_store(f"lmdb:{path}", read_only=True)
    assert reader.count() == 0
    start = reader.end_of_changes()
    assert absorbing.run(f"lmdb:{path}", seed=5, length=100) == 0
    assert bits(reader.get(users_of(random_log(5, 100)))) == bits(replayed(random_log(5, 100)))
    assert {change.user_id for change in reader.changes(start).entries} == users_of(random_log(5, 100))
    reader.close()


def test_a_snapshot_says_versions_as_of_its_moment_and_knows_when_it_is_old(path: Path) -> None:
    writer, reader = open_store(f"lmdb:{path}"), open_store(f"lmdb:{path}", read_only=True)
    assert isinstance(reader, Snapshots)
    writer.claim([LOG])
    apply([did("ada", 0, "item-1")], {LOG: 1}, writer)
    snapshot = reader.snapshot()
    said = [snapshot.version(user_id) for user_id in ("ada", "nobody", "", "x" * 600)]
    assert said == [1, 0, 0, 0]
    assert snapshot.is_newest()
    apply([did("ada", 1, "item-2")], {LOG: 2}, writer)
    assert not snapshot.is_newest()
    assert snapshot.version("ada") == 1
    snapshot.close()
    assert reader.snapshot().version("ada") == 2


def test_a_read_only_handle_refuses_to_write(path: Path) -> None:
    reader = open_store(f"lmdb:{path}", read_only=True)
    for call in (lambda: reader.claim([LOG]), lambda: reader.put([], {}), lambda: reader.forget("ada")):
        with pytest.raises(StoreError, match="read-only"):
            call()
    reader.close()


def test_opening_frees_what_a_killed_reader_held(path: Path) -> None:
    LmdbStore(path).close()
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from interests.stores.lmdb import LmdbStore\n"
        "store = LmdbStore(Path(sys.argv[1]))\n"
        "with store._reading():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], cwd=absorbing.ROOT, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    LmdbStore(path).close()
    with lmdb.open(str(path)) as environment:
        assert environment.reader_check() == 0


def test_the_change_log_keeps_to_its_bound(path: Path) -> None:
    store = LmdbStore(path, changes_max=50)
    store.claim([LOG])
    for version in range(1, 101):
        store.put([replace(InterestState("ada", version=version), stored_version=version - 1)], {LOG: version})
    assert len(store.changes((50,)).entries) == 50
    assert store.changes((49,)).lost
    store.close()


def test_nothing_of_a_forgotten_user_can_be_read_or_is_left_in_a_compacted_copy(path: Path, tmp_path: Path) -> None:
    store = LmdbStore(path)
    store.claim([LOG])
    apply([did("ada", 0, "a-very-private-item"), did("bob", 1, "bobs-item")], {LOG: 2}, store)
    store.forget("ada")
    store.close()
    with lmdb.open(str(path), max_dbs=4) as environment:
        for name in (b"states", b"offsets", b"changes", b"meta"):
            database = environment.open_db(name, create=False)
            with environment.begin(db=database) as txn, txn.cursor() as cursor:
                assert not any(b"a-very-private-item" in value for _, value in cursor)
        compacted = tmp_path / "compacted"
        compacted.mkdir()
        environment.copy(str(compacted), compact=True)
    left = (compacted / "data.mdb").read_bytes()
    assert b"bobs-item" in left
    assert b"a-very-private-item" not in left


def test_later_writes_take_the_pages_that_held_a_forgotten_user(path: Path) -> None:
    store = LmdbStore(path)
    store.claim([LOG])
    apply([did("ada", 0, "a-very-private-item")], {LOG: 1}, store)
    store.forget("ada")
    for offset in range(1, 50):
        apply([did("bob", offset)], {LOG: offset + 1}, store)
    store.close()
    assert b"a-very-private-item" not in (path / "data.mdb").read_bytes()


def test_a_file_that_is_no_store_is_called_corrupt(path: Path) -> None:
    path.mkdir()
    (path / "data.mdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreCorrupt, match=str(path)):
        LmdbStore(path)


def test_a_store_of_a_newer_layout_is_refused(path: Path) -> None:
    LmdbStore(path).close()
    with lmdb.open(str(path), max_dbs=4) as environment, environment.begin(write=True) as txn:
        txn.put(b"format", b"99", db=environment.open_db(b"meta", txn=txn))
    with pytest.raises(StoreCorrupt, match="layout 99"):
        LmdbStore(path)


def test_a_record_damaged_on_disk_is_called_corrupt(path: Path) -> None:
    store = LmdbStore(path)
    store.claim([LOG])
    store.put([InterestState("ada", version=1)], {LOG: 1})
    store.close()
    with lmdb.open(str(path), max_dbs=4) as environment, environment.begin(write=True) as txn:
        txn.put(b"ada", b"\x00" * 8 + b"\xff" * 20, db=environment.open_db(b"states", txn=txn))
    damaged = LmdbStore(path)
    with pytest.raises(StoreCorrupt):
        damaged.get(["ada"])
    damaged.close()


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsRejected, match="file/states"):
        LmdbStore(tmp_path / "file" / "states")
