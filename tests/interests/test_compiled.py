"""What is compiled is kept, and compiled again when anything it calls has changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interests.compiled import numba

pytestmark = pytest.mark.skipif(numba() is None, reason="numba is not installed")

INNER = """
from interests.compiled import EXACT, compile_into, numba
{constant}
def ready():
    compile_into(globals(), {{"more": EXACT}})
def more(value):
    return {formula}
"""
OUTER = """
import sys
import inner
from interests.compiled import compiled, numba
def answer(value):
    return inner.more(value)
inner.ready()
made = compiled(answer, "q")
print(made(20), sum(made.stats.cache_hits.values()))
"""


def answer(directory: Path, formula: str, constant: str = "") -> tuple[int, bool]:
    """What the outer module answers, in a process of its own, and whether it was kept from before."""
    (directory / "inner.py").write_text(INNER.format(formula=formula, constant=constant))
    (directory / "outer.py").write_text(OUTER)
    environment = os.environ | {"PYTHONPATH": f"{directory}{os.pathsep}{Path.cwd()}", "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(
        [sys.executable, "-m", "outer"], env=environment, cwd=directory, check=True, capture_output=True, text=True
    )
    value, hits = said.stdout.split()
    return int(value), int(hits) > 0


def test_what_is_compiled_is_kept_for_the_next_process(tmp_path: Path) -> None:
    assert answer(tmp_path, "value + 1") == (21, False)
    assert answer(tmp_path, "value + 1") == (21, True)


def test_a_change_in_another_module_that_is_called_compiles_again(tmp_path: Path) -> None:
    assert answer(tmp_path, "value + 1") == (21, False)
    assert answer(tmp_path, "value + 2") == (22, False)


def test_a_constant_that_was_taken_from_elsewhere_and_changed_compiles_again(tmp_path: Path) -> None:
    take = "from taken import STEP"
    (tmp_path / "taken.py").write_text("STEP = 5\n")
    assert answer(tmp_path, "value + STEP", take) == (25, False)
    (tmp_path / "taken.py").write_text("STEP = 6\n")
    assert answer(tmp_path, "value + STEP", take) == (26, False)
    assert answer(tmp_path, "value + STEP", take) == (26, True)
