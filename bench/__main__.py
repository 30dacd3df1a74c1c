"""Runs every benchmark in turn, with their default rounds; figures go to data/bench/<script>.json too."""

import subprocess
import sys

from bench.world import DIRECTORY

SCRIPTS = ("recommend", "consume", "push", "record", "followers", "growth", "rerank")


def main() -> None:
    """Run them; exits with 1 where one of them fails, after the others have run."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    failed = []
    for script in SCRIPTS:
        command = [sys.executable, "-m", f"bench.{script}", "--json", str(DIRECTORY / f"{script}.json")]
        if subprocess.run(command, check=False).returncode:
            failed.append(script)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
