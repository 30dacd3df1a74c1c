"""The command line: exit codes, one line for what cannot be used, help for a newcomer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import planted_history
from trainer.app import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    interactions, items = planted_history.write(tmp_path, users=3)
    return ["--interactions", str(interactions), "--items", str(items)]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    return capsys.readouterr().err


def test_a_history_without_a_needed_column_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history.csv"
    file.write_text("user_id,timestamp\nada,1\n")
    said = refused(["fit", "--interactions", str(file), "--out", str(tmp_path / "out")], capsys)
    assert said.count("\n") == 1
    assert str(file) in said
    assert "item_id" in said


def test_a_refusal_is_all_that_the_process_says(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trainer", "fit", "--interactions", "nowhere.csv", "--out", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == ["plural-train: nowhere.csv: is not there; give a file, a directory or a glob"]


def test_a_history_with_nothing_left_ends_with_2_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history.csv"
    file.write_text("user_id,item_id,timestamp\nada,tea,soon\n")
    said = refused(["evaluate", "--interactions", str(file)], capsys)
    assert said.count("\n") == 1
    assert "1 bad timestamp" in said


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--until", "never"], "--until: 'never'"),
        (["--until", "1999-01-01", "--out", "OUT"], "later than --until"),
        (["--profile", "enormous"], "--profile"),
        (["--seed", "-1"], "--seed"),
        (["--epochs", "3"], "--epochs"),
    ],
)
def test_flags_that_cannot_be_used_end_with_2_and_are_named(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    out = str(tmp_path / "out")
    flags = [out if flag == "OUT" else flag for flag in flags]
    arguments = ["fit", *files, *flags, *([] if "--out" in flags else ["--out", out])]
    assert says in refused(arguments, capsys)


def test_flags_that_are_needed_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--interactions" in refused(["fit", "--out", "x"], capsys)


def test_a_protocol_that_is_not_measured_is_refused(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "last-basket" in refused(["evaluate", *files, "--protocol", "first-in"], capsys)


def test_an_output_that_cannot_be_written_is_refused_before_training(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert "cannot be written" in refused(["fit", *files, "--out", str(blocked / "out")], capsys)


def test_settings_are_read_from_the_environment_too(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLURAL_UNTIL", "never")
    assert "--until: 'never'" in refused(["fit", *files, "--out", str(tmp_path / "out")], capsys)


@pytest.mark.parametrize(("command", "flag"), [("fit", "--out"), ("evaluate", "--protocol")])
def test_help_says_what_the_files_must_hold(command: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert flag in said
    assert "user_id" in said


@pytest.mark.parametrize(
    ("rows", "protocol", "says"),
    [
        (["ada,tea,1", "bo,tea,2", "cy,tea,3"], "last-out", "three events or more"),
        (["ada,tea,1", "ada,jam,1", "ada,salt,2"], "last-basket", "three timestamp groups or more"),
        (["ada,tea,1", "bo,jam,1", "cy,salt,1"], "time-split", "three times or more"),
        ([f"ada,tea,{time}" for time in range(1, 9)], "last-out", "nobody turned to an item that was new"),
        (["ada,tea,1", "bo,jam,1", "cy,salt,1"], "prequential", "three times or more"),
    ],
)
def test_a_history_that_a_protocol_cannot_split_ends_with_2_and_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[str], protocol: str, says: str
) -> None:
    file = tmp_path / "history.csv"
    file.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    said = refused(["evaluate", "--interactions", str(file), "--protocol", protocol], capsys)
    assert f"--protocol {protocol}: " in said
    assert says in said


@pytest.mark.slow
def test_evaluate_writes_its_figures_as_a_list_and_a_page_that_stands_alone(tmp_path: Path) -> None:
    interactions, _ = planted_history.write(tmp_path, users=20)
    file = tmp_path / "figures.json"
    page = tmp_path / "page.html"
    command = ["evaluate", "--interactions", str(interactions), "--profile", "demo", "--seeds", "2"]
    main([*command, "--json", str(file), "--html", str(page)])
    figures = json.loads(file.read_text())
    assert all(set(figure) == {"row", "metric", "value", "low", "high"} for figure in figures)
    rows = {figure["row"] for figure in figures}
    assert {"served", "random", "popular", "recent-popular", "repeat", "ItemKNN", "EASE", "EASE, recent query"} <= rows
    assert {"transitions", "iALS", "encoder", "best signal", "served, all items", "served minus EASE"} <= rows
    names = [(figure["row"], figure["metric"]) for figure in figures]
    assert len(names) == len(set(names))
    said = page.read_text()
    assert said.count("<svg") > 6
    assert "http" not in said
