"""Compile all that serving compiles, so that the first start of a server does not: in an image, or after an update.

python -m server.compile        says how long it took; a second run takes a second
"""

import sys
import time
from collections.abc import Callable

from interests.assembled import assembler
from interests.items_loop import had_loop
from interests.loops import loops
from interests.stored_loop import reader
from ranking.fast.causes import causes
from ranking.fast.mixes import mix_kernels
from ranking.whole.call import picker
from server.answer_loop import answerer
from server.wire_loops import wire_loops

PARTS: tuple[Callable[[], object | None], ...] = (
    loops, had_loop, assembler, reader, picker, answerer, mix_kernels, causes, wire_loops,
)  # fmt: skip


def main() -> None:
    """Compile, or say what is missing for it."""
    started_s = time.perf_counter()
    if any(part() is None for part in PARTS):
        sys.stdout.write("numba is not installed, so nothing is compiled: pip install 'plural[fast]'\n")
    else:
        sys.stdout.write(f"compiled, or found compiled, in {time.perf_counter() - started_s:.1f} s\n")


if __name__ == "__main__":
    main()
