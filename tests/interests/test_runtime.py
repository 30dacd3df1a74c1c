"""What programs check at their start, and the failpoints that tests kill them at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interests.errors import SettingsRejected
from interests.runtime import check_onnxruntime

ROOT = Path(__file__).parents[2]


def pretend_installed(directory: Path, name: str) -> None:
    information = directory / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


def test_one_onnxruntime_is_right() -> None:
    check_onnxruntime()


def test_two_onnxruntimes_are_refused_with_what_to_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        pretend_installed(tmp_path, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(SettingsRejected, match="pip uninstall onnxruntime onnxruntime-gpu"):
        check_onnxruntime()


def test_no_onnxruntime_is_refused_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(SettingsRejected, match=r"plural\[cpu\] or plural\[gpu\]"):
        check_onnxruntime()


@pytest.mark.parametrize(
    ("setting", "passes", "code"),
    [("", 5, 0), ("before_put", 1, -9), ("before_put:3", 2, 0), ("before_put:3", 3, -9), ("after_put", 5, 0)],
)
def test_a_failpoint_kills_the_time_it_says(setting: str, passes: int, code: int) -> None:
    program = f"from interests.failpoints import failpoint\nfor _ in range({passes}): failpoint('before_put')"
    assert _run(program, setting) == code


def test_a_failpoint_that_does_not_exist_is_refused() -> None:
    assert _run("import interests.failpoints", "befor_put") == 1


def _run(program: str, setting: str) -> int:
    environment = {**os.environ, "PLURAL_FAILPOINT": setting}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False
    ).returncode
