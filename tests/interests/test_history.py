"""Histories of any shop: what is kept, what is dropped and why, and what is refused in one line."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from interests.errors import HistoryRejected
from interests.events import Action
from interests.history import History, read_interactions, to_interactions

Write = Callable[..., Path]
NOON_2020_MS = 1_577_880_000_000


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def csv(*lines: str, name: str = "history.csv") -> Path:
        file = tmp_path / name
        file.write_text("\n".join(lines) + "\n")
        return file

    return csv


def column(history: History, name: str) -> list[object]:
    return history.frame[name].to_list()


def add_up(history: History) -> bool:
    report = history.report
    return report.rows_read == report.rows_kept + sum(report.dropped.values()) and report.rows_kept == len(
        history.frame
    )


def test_rows_read_are_rows_kept_and_rows_dropped_by_reason(write: Write) -> None:
    long = "x" * 257
    history = read_interactions(
        write(
            "user_id,item_id,timestamp,action,value,event_id",
            "ada,tea,2020-01-01T12:00:00Z,purchase,2,e1",
            "ada,tea,2020-01-01T12:00:00Z,purchase,2,e1",  # the same event id
            "ada,tea,2020-01-01T12:00:00Z,purchase,2,e2",  # the same row otherwise: a quantity
            "  ,tea,2020-01-01T12:00:00Z,purchase,,",
            "ada,,2020-01-01T12:00:00Z,purchase,,",
            f"ada,{long},2020-01-01T12:00:00Z,purchase,,",
            "ada,tea,yesterday,purchase,,",
            "ada,tea,2120-01-01,purchase,,",
            "ada,tea,2020-01-01T12:00:00Z,stare,,",
            "ada,tea,2020-01-01T12:00:00Z,,,",
            "ada,tea,2020-01-01T12:00:00Z,purchase,-1,",
            "ada,tea,2020-01-01T12:00:00Z,rating,,",
            "ada,tea,2021-01-01T12:00:00Z,purchase,,",
        ),
        until_ms=NOON_2020_MS,
    )
    assert history.report.dropped == {
        "bad timestamp": 2,
        "bad value": 2,
        "duplicate event_id": 1,
        "id over 256 bytes": 1,
        "later than --until": 1,
        "missing item": 1,
        "missing user": 1,
        "unknown action": 2,
    }
    assert history.report.rows_kept == 2
    assert add_up(history)


def test_a_broken_delivery_does_not_cost_its_good_retry(write: Write) -> None:
    lines = ("ada,tea,never,view,e1", "ada,tea,2020-01-01,view,e1")
    history = read_interactions(write("user_id,item_id,timestamp,action,event_id", *lines))
    assert history.report.rows_kept == 1


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-01T12:00:00Z",
        "2020-01-01T12:00:00",
        "2020-01-01 12:00",
        "2020-01-01 12:00:00 UTC",
        "2020-01-01T14:00:00+02:00",
        "2020-01-01T09:30:00-0230",
        "2020-01-01T13:00+01",
        "2020/01/01 12:00:00.000",
        "1577880000",
        "1577880000000",
        "1577880000000000",
        "1577880000.0",
    ],
)
def test_one_moment_is_read_from_many_spellings(write: Write, text: str) -> None:
    history = read_interactions(write("user_id,item_id,timestamp", f"ada,tea,{text}"))
    assert column(history, "time_ms") == [NOON_2020_MS]


def test_fractions_of_a_second_are_kept_to_the_millisecond(write: Write) -> None:
    iso = read_interactions(write("user_id,item_id,timestamp", "ada,tea,2020-01-01T12:00:00.1239Z"))
    epoch = read_interactions(write("user_id,item_id,timestamp", "ada,tea,1577880000.123", name="epoch.csv"))
    assert column(iso, "time_ms") == column(epoch, "time_ms") == [NOON_2020_MS + 123]


def test_typed_times_of_parquet_are_read_as_what_they_are(tmp_path: Path) -> None:
    ids = {"user_id": ["ada"], "item_id": ["tea"]}
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    for name, values in {
        "zoned": [noon],
        "naive": [noon.replace(tzinfo=None)],
        "seconds": [1_577_880_000],
        "ms": [1_577_880_000_000],
    }.items():
        file = tmp_path / f"{name}.parquet"
        pl.DataFrame(ids | {"timestamp": values}).write_parquet(file)
        assert column(read_interactions(file), "time_ms") == [NOON_2020_MS], name
    file = tmp_path / "date.parquet"
    pl.DataFrame(ids | {"timestamp": [date(2020, 1, 1)]}).write_parquet(file)
    assert column(read_interactions(file), "time_ms") == [NOON_2020_MS - 12 * 3_600_000]


def test_dates_written_as_numbers_are_dates_and_said_to_be_guessed(write: Write) -> None:
    history = read_interactions(write("user_id,item_id,timestamp", "ada,tea,20200101"))
    assert column(history, "time_ms") == [NOON_2020_MS - 12 * 3_600_000]
    assert any("YYYYMMDD" in guess for guess in history.report.guesses)


def test_ids_keep_their_leading_zeros_and_lose_what_a_gap_made_of_them(write: Write, tmp_path: Path) -> None:
    text = read_interactions(write("user_id,item_id,timestamp", " 007 ,12.0,1577880000", "8,13.0,1577880000"))
    assert column(text, "user_id") == ["007", "8"]
    assert column(text, "item_id") == ["12", "13"]
    mixed = read_interactions(write("user_id,item_id,timestamp", "a,1.0,1", "b,v1.0,1", name="mixed.csv"))
    assert column(mixed, "item_id") == ["1.0", "v1.0"]
    typed = tmp_path / "typed.parquet"
    frame = {"user_id": [1.0, None, float("nan")], "item_id": [5, 6, 7], "timestamp": [1, 1, 1]}
    pl.DataFrame(frame, strict=False).write_parquet(typed)
    history = read_interactions(typed)
    assert column(history, "user_id") == ["1"]
    assert column(history, "item_id") == ["5"]
    assert history.report.dropped == {"missing user": 2}


@pytest.mark.parametrize(
    "header",
    ["userId,movieId,timestamp", "household_id,product_id,ts", "user,item,time", "user_id:token,item_id:token,date"],
)
def test_columns_of_other_names_are_found_and_reported(write: Write, header: str) -> None:
    report = read_interactions(write(header, "ada,tea,1577880000")).report
    theirs = header.split(",")
    found = [report.columns.get(ours, ours) for ours in ("user_id", "item_id", "timestamp")]
    assert found == theirs
    assert set(report.columns.values()) == set(theirs) - {"user_id", "item_id", "timestamp"}


def test_an_exact_name_wins_over_an_alias(write: Write) -> None:
    history = read_interactions(write("user,user_id,item_id,timestamp", "wrong,right,tea,1577880000"))
    assert column(history, "user_id") == ["right"]
    assert history.report.columns == {}


def test_actions_are_read_in_any_case_with_or_without_their_prefix(write: Write) -> None:
    words = ["purchase", "ACTION_LIKE", "View", "action_cart", "5", "addtocart"]
    lines = [f"ada,tea,1577880000,{word}" for word in words]
    history = read_interactions(write("user_id,item_id,timestamp,action", *lines))
    assert column(history, "action") == [Action.PURCHASE, Action.LIKE, Action.VIEW, *[Action.CART] * 3]


@pytest.mark.parametrize(
    ("header", "rows", "action"),
    [
        ("rating", ["5", "1"], Action.RATING),
        ("value", ["5", "1", "3"], Action.RATING),
        ("quantity", ["2", "1"], Action.PURCHASE),
        ("value", ["200", "17"], Action.PURCHASE),
        ("other", ["x", "y"], Action.CLICK),
    ],
)
def test_a_history_without_actions_is_guessed_and_says_so(
    write: Write, header: str, rows: list[str], action: Action
) -> None:
    lines = [f"ada,tea,{1_577_880_000 + place},{row}" for place, row in enumerate(rows)]
    history = read_interactions(write(f"user_id,item_id,timestamp,{header}", *lines))
    assert set(column(history, "action")) == {action}
    assert any(action.name in guess for guess in history.report.guesses)


def test_baskets_without_actions_are_purchases(write: Write) -> None:
    lines = [f"ada,{item},1577880000" for item in ("tea", "milk", "rice")]
    assert set(column(read_interactions(write("user_id,item_id,timestamp", *lines)), "action")) == {Action.PURCHASE}


@pytest.mark.parametrize(("top", "expected"), [("5", 5.0), ("4.5", 4.5), ("10", 5.0), ("1", 5.0), ("100", 5.0)])
def test_ratings_are_mapped_to_five_stars_by_the_scale_they_use(write: Write, top: str, expected: float) -> None:
    lines = [f"ada,tea,1577880000,{top}", "ada,milk,1577880000,0"]
    history = read_interactions(write("user_id,item_id,timestamp,rating", *lines))
    assert column(history, "value") == [expected, 0.0]
    assert any("scale 0 to" in guess for guess in history.report.guesses)


def test_interactions_come_in_order_of_time_ties_in_order_of_the_file(write: Write) -> None:
    lines = ["ada,late,20", "ada,tie-1,10", "bob,tie-2,10", "ada,early,5"]
    history = read_interactions(write("user_id,item_id,timestamp", *lines))
    assert column(history, "item_id") == ["early", "tie-1", "tie-2", "late"]


def test_a_directory_and_a_glob_are_read_as_one_history(write: Write, tmp_path: Path) -> None:
    write("user_id,item_id,timestamp,action", "ada,tea,1577880000,view", name="a.csv")
    (tmp_path / "b.jsonl").write_text(
        json.dumps({"user_id": 1, "item_id": 2, "timestamp": 1_577_880_000, "action": "like", "event_id": "x"}) + "\n"
    )
    pl.DataFrame({"user_id": ["eve"], "item_id": ["rice"], "timestamp": [1], "action": ["view"]}).write_parquet(
        tmp_path / "c.parquet"
    )
    whole = read_interactions(tmp_path)
    assert sorted(map(str, column(whole, "user_id"))) == ["1", "ada", "eve"]
    assert len(whole.report.files) == 3
    assert read_interactions(tmp_path / "*.csv").report.rows_read == 1


def test_interactions_are_what_the_rows_say(write: Write) -> None:
    lines = ["ada,tea,1577880000,purchase,2,e1", "bob,milk,1577880001,like,,"]
    frame = read_interactions(write("user_id,item_id,timestamp,action,value,event_id", *lines)).frame
    first, second = to_interactions(frame)
    assert (first.user_id, first.item_id, first.action, first.value) == ("ada", "tea", Action.PURCHASE, 2.0)
    assert (first.time_ms, first.event_id) == (NOON_2020_MS, "e1")
    assert (second.user_id, second.value, second.event_id) == ("bob", None, "")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["user_id,when", "ada,1"], ["item_id", "user_id, when", "rename"]),
        (["user_id,item_id", "ada,tea"], ["timestamp", "rename"]),
        (["user_id,item_id,timestamp"], ["empty"]),
        ([""], ["CSV"]),
        (["user_id,item_id,timestamp", "ada,tea,soon", ",tea,1"], ["none of 2 rows", "1 missing user", "1 bad timest"]),
        (["User-Id,USERID,item_id,timestamp", "a,b,tea,1"], ["user_id", "User-Id or USERID"]),
    ],
)
def test_a_history_that_cannot_be_learned_from_is_refused_in_one_line(
    write: Write, lines: list[str], says: list[str]
) -> None:
    file = write(*lines)
    with pytest.raises(HistoryRejected) as refused:
        read_interactions(file)
    message = str(refused.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    for part in says:
        assert part in message


def test_files_that_are_missing_damaged_or_of_no_known_kind_are_refused(tmp_path: Path) -> None:
    damaged, odd, empty = tmp_path / "damaged.parquet", tmp_path / "history.xlsx", tmp_path / "empty"
    damaged.write_bytes(b"PAR1 not really")
    odd.write_bytes(b"x")
    empty.mkdir()
    for path, says in {
        damaged: "cannot be read as Parquet",
        odd: "of no known kind",
        empty: "holds no file",
        tmp_path / "nowhere.csv": "is not there",
    }.items():
        with pytest.raises(HistoryRejected, match=says):
            read_interactions(path)


def test_ids_of_an_impossible_type_are_refused_by_column(tmp_path: Path) -> None:
    file = tmp_path / "lists.parquet"
    pl.DataFrame({"user_id": [["a"]], "item_id": ["tea"], "timestamp": [1]}).write_parquet(file)
    with pytest.raises(HistoryRejected, match=r"user_id: holds List"):
        read_interactions(file)


def test_without_polars_the_remedy_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(HistoryRejected, match=r"plural\[files\]"):
        read_interactions(write("user_id,item_id,timestamp", "ada,tea,1"))


def test_rows_that_cannot_be_used_are_kept_with_their_reason_as_they_came(tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.jsonl"
    first.write_text(
        "user_id,item_id,timestamp,note\nada,tea,1700000000,good\nada,,1700000000,no item\n,tea,x,nobody\n"
    )
    second.write_text('{"user_id": "bob", "item_id": "pie", "timestamp": "never", "deep": {"a": 1}}\n')
    rejected = tmp_path / "out" / "rejected.jsonl"
    history = read_interactions(tmp_path, rejected=rejected)
    kept = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert history.report.rows_read == history.report.rows_kept + len(kept)
    assert [row["rejected_reason"] for row in kept] == ["missing item", "missing user", "bad timestamp"]
    assert [(row["rejected_file"], row["rejected_row"]) for row in kept] == [
        (str(first), 1),
        (str(first), 2),
        (str(second), 0),
    ]
    assert (kept[0]["note"], kept[1]["timestamp"], kept[2]["deep"]) == ("no item", "x", {"a": 1})


def test_nothing_of_an_erased_user_is_kept_among_the_rejected_rows(tmp_path):
    path, rejected = tmp_path / "a.jsonl", tmp_path / "rejected.jsonl"
    lines = [
        '{"user_id": "ada", "item_id": "secret", "timestamp": 1700000000, "action": "like"}',
        '{"user_id": "ada", "item_id": null, "timestamp": 1700000001, "action": "erase"}',
        '{"user_id": "bob", "item_id": "tea", "timestamp": 1700000000, "action": "like"}',
    ]
    path.write_text("\n".join(lines))
    history = read_interactions(path, rejected=rejected)
    assert history.frame["user_id"].to_list() == ["bob"]
    assert history.report.dropped == {"erased user": 1, "erasure": 1}
    assert rejected.read_text() == ""
