"""`plural-train`: learn a bundle from a shop's history, and measure it."""

import os
import sys
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, CliApp, CliSubCommand, SettingsConfigDict, get_subcommand

from interests.errors import PluralError
from trainer.settings import HistorySettings


class Fit(HistorySettings):
    """Learn from a history and write a bundle that the consumer and the server load."""

    out: Path = Field(description="directory of bundles; the new one becomes CURRENT there")


class TrainerSettings(BaseSettings):
    """Learn a bundle from a shop's history, and measure it."""

    model_config = SettingsConfigDict(
        env_prefix="PLURAL_",
        frozen=True,
        cli_prog_name="plural-train",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_enforce_required=False,
        cli_hide_none_type=True,
        nested_model_default_partial_update=True,
    )

    fit: CliSubCommand[Fit]


def main(arguments: list[str] | None = None) -> None:
    """The console command: exit 0 when done, 2 with one line where input or flags cannot be used."""
    settings = CliApp.run(
        TrainerSettings, cli_args=arguments if arguments is not None else sys.argv[1:], cli_exit_on_error=True
    )
    command = get_subcommand(settings)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from trainer.fit import fit
        from trainer.progress import TerminalReporter

        path = fit(command, command.out, None, TerminalReporter())
    except PluralError as error:
        print(f"plural-train: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(path)
