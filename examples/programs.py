"""Our programs in the background, for the demos and the benchmarks."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

STOP_S = 30.0


@contextmanager
def running(arguments: Sequence[object]) -> Iterator[subprocess.Popen[bytes]]:
    """Python with these arguments; stopped as an operator would stop it, and killed where that does not help."""
    process = subprocess.Popen([sys.executable, *map(str, arguments)])
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
