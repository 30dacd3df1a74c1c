"""Wake-ups between processes of one host: who listens is woken, whoever is gone is forgotten, nothing ever blocks."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from interests.events import LogPartition
from interests.state import InterestState
from interests.stores import lmdb as lmdb_store
from interests.stores.lmdb import LmdbStore
from interests.stores.wake import Listener, Notifier

WAIT_S = 10.0
LOG = LogPartition("test-log", 0)


def test_all_who_listen_are_woken_and_each_wake_up_counts_once(tmp_path: Path) -> None:
    first, second, notifier = Listener(tmp_path), Listener(tmp_path), Notifier(tmp_path)
    assert first.hears and not first.wait(0.0)
    notifier.notify()
    notifier.notify()
    assert first.wait(WAIT_S) and second.wait(WAIT_S)
    assert not first.wait(0.0)
    for each in (first, second, notifier):
        each.close()
    assert list(tmp_path.iterdir()) == []


def test_a_listener_that_came_later_is_found(tmp_path: Path) -> None:
    notifier = Notifier(tmp_path / "deep")
    notifier.notify()
    listener = Listener(tmp_path / "deep")
    deadline_s = time.monotonic() + WAIT_S
    while not listener.wait(0.05):
        assert time.monotonic() < deadline_s
        notifier.notify()
    listener.close()


def test_a_path_longer_than_a_sockets_address_is_no_hindrance(tmp_path: Path) -> None:
    far = tmp_path / ("d" * 120)
    listener, notifier = Listener(far), Notifier(far)
    far_notified = listener.hears
    notifier.notify()
    assert far_notified and listener.wait(WAIT_S)
    listener.close()


def test_what_a_killed_listener_left_is_removed(tmp_path: Path) -> None:
    program = (
        f"import os, pathlib\nfrom interests.stores.wake import Listener\n"
        f"Listener(pathlib.Path({str(tmp_path)!r}))\nos._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    Notifier(tmp_path).notify()
    assert list(tmp_path.iterdir()) == []


def test_a_listener_that_never_looks_blocks_no_writer(tmp_path: Path) -> None:
    listener, notifier = Listener(tmp_path), Notifier(tmp_path)
    for _ in range(5000):
        notifier.notify()
    assert listener.wait(0.0)
    listener.close()


def test_a_commit_of_another_handle_ends_the_wait(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(lmdb_store, "SAFETY_POLL_S", 60.0)
    reader, writer = LmdbStore(tmp_path, read_only=True), LmdbStore(tmp_path)
    writer.claim([LOG])
    waiting = threading.Event()
    found: list[str] = []

    def wait() -> None:
        since = reader.end_of_changes()
        waiting.set()
        found.extend(change.user_id for change in reader.changes(since, wait_s=WAIT_S).entries)

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    time.sleep(0.1)
    writer.put([InterestState("ada", version=1)], {LOG: 1})
    thread.join(WAIT_S / 2)
    assert found == ["ada"]
    reader.close()
    writer.close()


def test_a_change_is_seen_though_its_wake_up_was_lost(tmp_path: Path, monkeypatch) -> None:
    reader, writer = LmdbStore(tmp_path, read_only=True), LmdbStore(tmp_path)
    monkeypatch.setattr(writer._notifier, "notify", lambda: None)
    writer.claim([LOG])
    since = reader.end_of_changes()
    timer = threading.Timer(0.1, lambda: writer.put([InterestState("ada", version=1)], {LOG: 1}))
    timer.start()
    assert [change.user_id for change in reader.changes(since, wait_s=WAIT_S).entries] == ["ada"]
    timer.join()
    reader.close()
    writer.close()
