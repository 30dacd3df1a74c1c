"""`plural-train`: learn a bundle from a shop's history, and measure it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSubCommand,
    SettingsConfigDict,
    SettingsError,
    get_subcommand,
)

from interests.errors import PluralError, SettingsRejected
from trainer.settings import HistorySettings, Wandb
from trainer.simulation.settings import Simulate

if TYPE_CHECKING:
    from trainer.evaluation.splits import Protocol
    from trainer.evaluation.table import Figure
    from trainer.inputs import Inputs
    from trainer.progress import Reporter
    from trainer.timing import Stopwatch


class Fit(HistorySettings):
    """Learn from a history and write a bundle that the consumer and the server load."""

    out: Path = Field(description="directory of bundles; the new one becomes its CURRENT, a report lies beside it")
    wandb: Wandb = Field(
        "off", description="offline or online: losses, metrics and settings go to Weights & Biases too, if installed"
    )


class Evaluate(HistorySettings):
    """Measure on a split of the history's own, without writing a bundle."""

    protocol: Literal["last-out", "last-basket", "time-split", "prequential", "cold"] = Field(
        "last-basket",
        description="last-out, last-basket: a user's last event, or timestamp group, is the test, the one before "
        "validates; time-split: 80/10/10 by time; prequential: models from the first half, the rest replayed; "
        "cold: a fifth of the items lose all their events and are ranked among themselves",
    )
    seeds: int = Field(1, ge=1, le=100, description="models are learned this often, from --seed on; figures are means")
    json_file: Path | None = Field(
        None, alias="json", description="write the figures there: a list of row, metric, value, low, high"
    )
    html_file: Path | None = Field(
        None, alias="html", description="write a page there: tables, curves and what it took; needs no network"
    )


class TrainerSettings(BaseSettings):
    """Learn a bundle from a shop's history, and measure it. A flag may also stand in the environment: PLURAL_<FLAG>."""

    model_config = SettingsConfigDict(
        frozen=True,
        cli_prog_name="plural-train",
        cli_kebab_case=True,
        cli_hide_none_type=True,
    )

    fit: CliSubCommand[Fit]
    evaluate: CliSubCommand[Evaluate]
    simulate: CliSubCommand[Simulate]


def main(arguments: list[str] | None = None) -> None:
    """The console command: exit 0 when done, 2 with one line where flags or files cannot be used."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        settings = CliApp.run(TrainerSettings, cli_args=sys.argv[1:] if arguments is None else arguments)
        command = get_subcommand(settings)
        if isinstance(command, Fit):
            _fit(command)
        elif isinstance(command, Evaluate):
            _evaluate(command)
        elif isinstance(command, Simulate):
            _simulate(command)
    except ValidationError as error:
        first = error.errors()[0]
        place = first["loc"][-1] if first["loc"] else "flags"
        raise _refused(f"--{str(place).replace('_', '-')}: {first['msg']}") from None
    except (PluralError, SettingsError) as error:
        raise _refused(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _fit(command: Fit) -> None:
    until_ms = _until_ms(command.until)
    _check_writable(command.out)
    inputs, reporter, watch = _read(command, until_ms)
    with _quiet_start():
        from trainer.fit import fit
    print(fit(inputs, command, command.out, reporter, watch, command.wandb))


def _evaluate(command: Evaluate) -> None:
    until_ms = _until_ms(command.until)
    for file in (command.json_file, command.html_file):
        if file:
            _check_writable(file.parent)
    if command.protocol == "cold" and command.html_file:
        raise SettingsRejected("--html: --protocol cold has no page; leave it out, --json holds the figures")
    inputs, reporter, watch = _read(command, until_ms)
    found = (
        _cold(inputs, command, reporter, watch)
        if command.protocol == "cold"
        else _warm(inputs, command, command.protocol, reporter, watch)
    )
    if command.json_file:
        command.json_file.write_text(json.dumps([asdict(figure) for figure in found], indent=1) + "\n")
        print(command.json_file)
    if command.html_file:
        print(command.html_file)


def _warm(
    inputs: "Inputs", command: Evaluate, protocol: "Protocol", reporter: "Reporter", watch: "Stopwatch"
) -> "list[Figure]":
    from trainer.evaluation.variants import split_to_answer

    split_to_answer(inputs.events, protocol)  # refused now, and not after TensorFlow has loaded
    with _quiet_start():
        from trainer.evaluation.evaluation import evaluation
    return evaluation(inputs, command, protocol, command.seeds, command.html_file, reporter, watch)


def _cold(inputs: "Inputs", command: Evaluate, reporter: "Reporter", watch: "Stopwatch") -> "list[Figure]":
    with _quiet_start():
        from trainer.evaluation.cold import cold_evaluation
    return cold_evaluation(inputs, command, command.seeds, reporter, watch)


def _simulate(command: Simulate) -> None:
    until_ms = _until_ms(command.until)
    _check_writable(command.out)
    inputs, reporter, watch = _read(command, until_ms)
    with _quiet_start():
        from trainer.simulation.frontier import FRONTIER_ROWS
        from trainer.simulation.simulate import Plan, simulate
    plan = Plan(
        users=command.users,
        rounds=command.rounds,
        seeds=command.seeds,
        first_seed=command.first_seed,
        biases=command.biases,
        frontier=FRONTIER_ROWS if command.frontier else (),
        burst_rounds=command.burst_rounds,
        workers=command.processes,
    )
    simulate(inputs, command, plan, command.bundle, command.out, reporter, watch)
    print(command.out / "simulation.html")


def _read(command: HistorySettings, until_ms: int | None) -> "tuple[Inputs, Reporter, Stopwatch]":
    from trainer.inputs import read
    from trainer.progress import TerminalReporter
    from trainer.timing import Stopwatch

    reporter, watch = TerminalReporter(), Stopwatch()
    with watch.lap("read"):
        return read(command, until_ms, reporter), reporter, watch


@contextmanager
def _quiet_start() -> Iterator[None]:
    """TensorFlow's libraries greet on the process's own stderr, past every log setting, as they load and find devices.

    What goes wrong there is a Python exception, and still seen.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as tf

        tf.config.list_logical_devices()
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _until_ms(until: str | None) -> int | None:
    if until is None:
        return None
    import polars as pl

    from interests.history_columns import times_ms

    found = times_ms(pl.Series([until]), [])
    if found is None or found[0] is None:
        raise SettingsRejected(f"--until: {until!r} is no time; give ISO 8601, or seconds or milliseconds since 1970")
    return int(found[0])


def _check_writable(directory: Path) -> None:
    """Now, and not after ten minutes of training."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsRejected(f"{directory}: cannot be written: {error.strerror}; give another directory") from None
    if not os.access(directory, os.W_OK):
        raise SettingsRejected(f"{directory}: cannot be written: no permission; give another directory")


def _refused(line: str) -> SystemExit:
    print(f"plural-train: {' '.join(line.split())}", file=sys.stderr)
    return SystemExit(2)
