"""What reliability tests share: `seen`, into which each notes what it saw, and the table that a long run leaves."""

import os
import platform
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import soak
from tests.support.soak import Seen

_ROWS: list[Seen] = []


@pytest.fixture
def rng() -> random.Random:
    return soak.rng_of_run()


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Of the promise named by the test's mark `promise`."""
    mark = request.node.get_closest_marker("promise")
    assert mark is not None, "a test that uses `seen` says which promise it is of: @pytest.mark.promise('R1')"
    words = request.node.name.removeprefix("test_").replace("_", " ")
    noted, start_s = Seen(mark.args[0], words), time.monotonic()
    _ROWS.append(noted)
    failed_before = request.session.testsfailed
    yield noted
    noted.seconds = time.monotonic() - start_s
    noted.passed = request.session.testsfailed == failed_before


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table of a long run."""
    if soak.TARGET and _ROWS:
        conditions = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
        soak.write_table(Path(soak.TARGET), _ROWS, conditions)
