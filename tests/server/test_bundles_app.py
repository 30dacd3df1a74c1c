"""The command that lists bundles and names the one to serve."""

from pathlib import Path

import pytest

from interests import bundle as bundles
from server.bundles_app import main
from tests.support import tiny_bundle


@pytest.fixture
def directory(tmp_path: Path) -> tuple[Path, list[str]]:
    times = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z")
    names = [tiny_bundle.write(tmp_path, seed=seed, created_at=time).name for seed, time in enumerate(times)]
    return tmp_path, names


def ends_with(*arguments: object) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_it_lists_the_newest_first_and_marks_the_one_served(
    directory: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, names = directory
    assert ends_with("--bundle", path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[2:].split()[0] for line in lines] == names[::-1]
    assert [line[0] for line in lines] == ["*", " ", " "]


def test_going_back_names_the_one_before_until_there_is_none(
    directory: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, names = directory
    for name in names[1::-1]:
        assert ends_with("--bundle", path, "--rollback") == 0
        assert bundles.resolve(path).name == name
    assert ends_with("--bundle", path, "--rollback") == 2
    assert "no bundle is older" in capsys.readouterr().err
    assert ends_with("--bundle", path, "--use", names[2]) == 0
    assert bundles.resolve(path).name == names[2]


def test_a_damaged_bundle_or_one_that_is_not_there_is_never_named(
    directory: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, names = directory
    vectors = path / names[0] / "item_vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-1])
    for version, told in ((names[0], "item_vectors.npy"), ("none", "has no bundle 'none'"), ("..", "has no bundle")):
        assert ends_with("--bundle", path, "--use", version) == 2
        assert told in capsys.readouterr().err
    assert bundles.resolve(path).name == names[2]
    assert ends_with("--bundle", path, "--use", names[1], "--rollback") == 2
    assert ends_with("--bundle", path / "nowhere") == 2
