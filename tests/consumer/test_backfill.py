"""A history file absorbed by the command: once, in few writes, and to the same states as any other way."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from consumer.app import main
from consumer.backfill import backfill
from consumer.dead_letters import MemoryDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.file import FileSource
from consumer.watchdog import SourceStuck
from interests.history import read_interactions, to_interactions
from interests.stores import open_store
from interests.stores.memory import MemoryStore
from tests.support.entries import bits, replayed

ROWS, USERS = 600, 20


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "history.csv"
    rows = [f"user-{n * 7 % USERS},item-{n % 50},{1_700_000_000 + 60 * n},purchase" for n in range(ROWS)]
    path.write_text("\n".join(["user_id,item_id,timestamp,action", *rows, "user-1,,5,purchase"]))
    return path


def command(history: Path, store_url: str) -> subprocess.CompletedProcess[str]:
    flags = ["--from-file", str(history), "--store", store_url, "--log-level", "WARNING"]
    return subprocess.run([sys.executable, "-m", "consumer", *flags], capture_output=True, text=True)


def consumer_of(source: FileSource, store: MemoryStore, batch: int) -> Consumer:
    return Consumer(source, store, MemoryDeadLetters(), pace=Pace(batch, 0.0), sleep_s=lambda _: None)


def test_the_command_absorbs_a_file_once_and_says_what_became_of_each_row(history, store_url):
    first, second = command(history, store_url), command(history, store_url)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "1 missing item" in first.stdout
    assert f"{ROWS} of {ROWS} rows absorbed" in first.stdout
    assert f"0 of {ROWS} rows absorbed" in second.stdout
    assert f"{ROWS} were there before" in second.stdout
    store = open_store(store_url, read_only=True)
    found = store.get(f"user-{number}" for number in range(USERS))
    assert sum(state.interaction_count for state in found.values()) == ROWS
    store.close()


def test_each_user_s_history_is_written_in_few_puts_and_in_order_of_time(history):
    puts: list[int] = []

    class Counting(MemoryStore):
        def put(self, states, *rest) -> None:
            listed = list(states)
            puts.append(len(listed))
            super().put(listed, *rest)

    store, source = Counting(), FileSource(history)
    backfill(consumer_of(source, store, batch=100), source, lambda: True)
    assert sum(puts) <= USERS + len(puts)
    recent = store.get(["user-3"])["user-3"].recent
    assert [one.time_ms for one in recent] == sorted(one.time_ms for one in recent)


def test_a_backfill_that_was_stopped_goes_on_where_it_was(history):
    store = MemoryStore()
    source, stop = FileSource(history), threading.Event()
    stopping = consumer_of(source, store.handle(), batch=50)
    turns = iter([True] * 5)
    line = backfill(stopping, source, lambda: next(turns, False))
    assert "run it again to go on" in line
    again = FileSource(history)
    line = backfill(consumer_of(again, store.handle(), batch=50), again, lambda: not stop.is_set())
    assert "were there before" in line
    assert bits(store.get(whole(history))) == bits(whole(history))


def whole(history: Path):
    """The states of the file, one row at a time."""
    source = FileSource(history)
    ordered = read_interactions(history).frame.sort("user_id", "time_ms", maintain_order=True)
    from interests.events import LogEntry

    return replayed(
        LogEntry(source.partition, offset, row.time_ms or 0, row.user_id, row)
        for offset, row in enumerate(to_interactions(ordered))
    )


def test_the_identity_of_a_file_is_its_bytes_and_not_its_name(history, tmp_path):
    copy = tmp_path / "copy.csv"
    copy.write_bytes(history.read_bytes())
    other = tmp_path / "other.csv"
    other.write_bytes(history.read_bytes() + b"\nuser-1,item-1,1700000000,purchase")
    assert FileSource(history).partition == FileSource(copy).partition
    assert FileSource(history).partition != FileSource(other).partition


def test_a_reader_that_is_stuck_ends_the_command_with_3(monkeypatch, capsys):
    def stuck(*_: object) -> None:
        raise SourceStuck("partition 0: the log grows and reading stands still; start this program again")

    monkeypatch.setattr("consumer.app.consume_topic", stuck)
    monkeypatch.setattr("consumer.app.configure_logs", lambda *_: None)
    monkeypatch.setattr("consumer.app._stop_on_signals", threading.Event)
    with pytest.raises(SystemExit) as ended:
        main(["--brokers", "a:1"])
    assert ended.value.code == 3
    assert "partition 0" in capsys.readouterr().err
