"""Events move a household's slate, on one machine with Python alone.

    python -m examples.demo [--serve]

Takes a year of one grocer's baskets, trains on all but the last four weeks, absorbs them, serves, and plays one
household's last weeks back as live events. What is there already is skipped; each run plays another household.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import polars as pl
from plural.v1 import events_pb2, interests_pb2, interests_pb2_grpc
from rich.console import Console

from examples import complete_journey
from examples.complete_journey import Files
from examples.playback import Player, Publish, Purchase
from examples.programs import running

DIRECTORY = Path("data/demo")
ADDRESS = "127.0.0.1:50051"
EVENTS_PLAYED = 12
SERVER_TIMEOUT_S = 60.0
CALL_TIMEOUT_S = 10.0


def main() -> None:
    """Run the demo, or with --serve leave its server running."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help=f"only serve what the demo made, on {ADDRESS}")
    options = parser.parse_args()
    console = Console(highlight=False)
    files = prepare(console, DIRECTORY)
    if options.serve:
        console.print(f"Serving on {ADDRESS}; Ctrl-C stops. Next: python -m examples.client {first_household(files)}")
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *serve_command(DIRECTORY)])
    console.print(f"[bold]4/4[/bold] serving on {ADDRESS}, and playing one household's last weeks back")
    with running(serve_command(DIRECTORY)), connected() as channel:
        interests = interests_pb2_grpc.InterestServiceStub(channel)

        def publish(event: events_pb2.Interaction) -> None:
            interests.RecordInteractions(
                interests_pb2.RecordInteractionsRequest(interactions=[event]), timeout=CALL_TIMEOUT_S
            )

        play(console, channel, publish, files, DIRECTORY / "played.txt")
    console.print("\n`make serve` leaves the server running; the README's next step calls it.")


def prepare(console: Console, directory: Path) -> Files:
    """The history, a bundle learned from it and the interest states in LMDB; skips each that is there."""
    console.print("[bold]1/4[/bold] the history: a year of one grocer's baskets")
    files = complete_journey.prepare(directory)
    if (directory / "bundles" / "CURRENT").is_file():
        console.print("[bold]2/4[/bold] the bundle is there")
    else:
        console.print("[bold]2/4[/bold] training on all but the last four weeks (two to five minutes)")
        run("trainer", "fit", "--interactions", files.history, "--items", files.items, "--out", directory / "bundles",
            "--profile", "demo")  # fmt: skip
    console.print("[bold]3/4[/bold] absorbing the history into LMDB")
    run("consumer", "--from-file", files.history, "--store", store(directory), "--bundle", directory / "bundles",
        "--log-format", "console", "--log-level", "WARNING")  # fmt: skip
    return files


def play(console: Console, channel: grpc.Channel, publish: Publish, files: Files, played: Path) -> None:
    """Play the first household that no earlier run has played, and remember it."""
    done = set(played.read_text().split()) if played.is_file() else set()
    user_id = first_household(files, done)
    latencies_ms = Player(channel, publish, titles(files), console).play(user_id, purchases(files, user_id))
    played.write_text("\n".join([*sorted(done), user_id]) + "\n")
    console.rule()
    console.print(
        f"{len(latencies_ms)} events: a new slate after {statistics.median(latencies_ms):.1f} ms (median), "
        f"{max(latencies_ms):.1f} ms at worst, measured at the client."
    )


def first_household(files: Files, done: frozenset[str] | set[str] = frozenset()) -> str:
    """A household with many baskets in the last weeks, in an order that is always the same."""
    weeks = (
        pl.read_parquet(files.live).group_by("user_id").agg(pl.col("timestamp").n_unique().alias("baskets"), pl.len())
    )
    known = pl.read_parquet(files.history).group_by("user_id").len("before").filter(pl.col("before") > 300)
    busy = (
        weeks.join(known, on="user_id")
        .filter(pl.col("baskets").is_between(6, 12))
        .sort("len", "user_id", descending=True)
    )
    left = [user_id for user_id in busy["user_id"] if user_id not in done]
    return left[0] if left else str(busy["user_id"][0])


def purchases(files: Files, user_id: str) -> list[Purchase]:
    """The first events of the household's last weeks."""
    rows = pl.read_parquet(files.live).filter(pl.col("user_id") == user_id).sort("timestamp", maintain_order=True)
    return [
        Purchase(row["item_id"], row["timestamp"], row["value"])
        for row in rows.head(EVENTS_PLAYED).iter_rows(named=True)
    ]


def titles(files: Files) -> dict[str, str]:
    """Title by item id."""
    return dict(pl.read_parquet(files.items).select("item_id", "title").iter_rows())


def store(directory: Path) -> str:
    """Where the demo keeps its states."""
    return f"lmdb:{directory / 'interests'}"


def serve_command(directory: Path, *, log: bool = True) -> list[str]:
    """The server's arguments; `log` where it absorbs by itself, without a Kafka before it."""
    command = ["-m", "server", "--listen", ADDRESS, "--bundle", str(directory / "bundles"), "--store", store(directory),
               "--reflection", "--log-level", "WARNING", "--log-format", "console"]  # fmt: skip
    return [*command, "--log", str(directory / "interactions.jsonl")] if log else command


def run(*arguments: str | Path) -> None:
    """Run one of our commands to its end; stops the demo with the command's own message where it fails."""
    done = subprocess.run([sys.executable, "-m", *map(str, arguments)], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


@contextmanager
def connected(address: str = ADDRESS) -> Iterator[grpc.Channel]:
    """A channel, once the server answers. Stops the demo where it does not."""
    with grpc.insecure_channel(address) as channel:
        started = time.monotonic()
        try:
            grpc.channel_ready_future(channel).result(timeout=SERVER_TIMEOUT_S)
        except grpc.FutureTimeoutError:
            raise SystemExit(
                f"no server on {address} after {time.monotonic() - started:.0f} s; see its message above"
            ) from None
        yield channel


if __name__ == "__main__":
    main()
