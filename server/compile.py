"""Compile all that serving compiles, so that the first start of a server does not: in an image, or after an update.

python -m server.compile        says how long it took; a second run takes a second
"""

import sys
import time

from server.answer_loop import answerer


def main() -> None:
    """Compile, or say what is missing for it."""
    started_s = time.perf_counter()
    if answerer() is None:  # it compiles all that it calls, and that is all there is
        sys.stdout.write("numba is not installed, so nothing is compiled: pip install 'plural[fast]'\n")
    else:
        sys.stdout.write(f"compiled, or found compiled, in {time.perf_counter() - started_s:.1f} s\n")


if __name__ == "__main__":
    main()
