"""A writer that can be killed: absorbs a random log into a store, in batches, from where the store stands.

python -m tests.support.absorbing STORE_URL SEED LENGTH
"""

import os
import random
import subprocess
import sys
from pathlib import Path

from interests.apply import apply
from interests.stores import open_store
from interests.stores.base import InterestStore
from tests.support.entries import LOG, random_log

ROOT = Path(__file__).parents[2]


def absorb_log(store: InterestStore, seed: int, length: int) -> None:
    """Absorb what the store has not absorbed yet."""
    entries = random_log(seed, length)
    rng = random.Random(seed)
    at = store.claim([LOG])[LOG]
    while at < length:
        batch = entries[at : at + rng.randint(1, 25)]
        at += len(batch)
        apply(batch, {LOG: at}, store)


def run(url: str, seed: int, length: int, failpoint: str = "") -> int:
    """The same in a process of its own; returns its exit code, -9 where the failpoint killed it."""
    command = [sys.executable, "-m", "tests.support.absorbing", url, str(seed), str(length)]
    environment = {**os.environ, "PLURAL_FAILPOINT": failpoint}
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False).returncode


if __name__ == "__main__":
    absorb_log(open_store(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
