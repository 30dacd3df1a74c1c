"""What a server compiles can be compiled ahead of its first start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interests.compiled import numba


@pytest.mark.skipif(numba() is None, reason="numba is not installed")
def test_compiling_ahead_leaves_nothing_for_a_server_to_compile(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "server.compile"]
    said = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert said.startswith("compiled, or found compiled, in ")
    ranks = "import logging; logging.basicConfig(level=20); from ranking.diversify import warm; warm();"
    ranks += "from ranking.whole.call import picker; assert picker() is not None"
    started = subprocess.run([sys.executable, "-c", ranks], check=True, capture_output=True, text=True)
    assert "compiling" not in started.stderr
    elsewhere = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    one = "import logging; logging.basicConfig(level=20); from interests.items_loop import had_loop; had_loop()"
    fresh = subprocess.run([sys.executable, "-c", one], check=True, capture_output=True, text=True, env=elsewhere)
    assert "compiling" in fresh.stderr, "and where nothing is kept yet, it is said"
