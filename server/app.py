"""`plural-serve`: reads settings, checks the machine, serves until a signal, and says how it ended.

Ends with 0 when it was told to stop, 1 where the store is away at the start, 2 for what must be corrected first:
settings, bundle, address, log.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from interests.errors import BundleRejected, SettingsRejected, StoreError
from interests.runtime import check_onnxruntime, configure_logs, rejected
from server.settings import ServerSettings

STOPPED, FAILED, REJECTED = 0, 1, 2

log = logging.getLogger("server")


def main(argv: Sequence[str] | None = None) -> None:
    """The command. Does not return."""
    try:
        settings = read_settings(argv)
        configure_logs(settings.log_level, settings.log_format)
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it says each retry at length; our lines say it once
        check_onnxruntime()
        asyncio.run(_serve(settings))
    except (SettingsRejected, BundleRejected) as error:
        _fail(REJECTED, error)
    except StoreError as error:
        _fail(FAILED, error)
    sys.exit(STOPPED)


def read_settings(argv: Sequence[str] | None = None) -> ServerSettings:
    """Flags over environment over defaults. Raises SettingsRejected naming the flag."""
    try:
        return CliApp.run(ServerSettings, cli_args=list(sys.argv[1:] if argv is None else argv))
    except (ValidationError, SettingsError) as error:
        raise rejected(error, "plural-serve") from None


async def _serve(settings: ServerSettings) -> None:
    # Only now: it needs the ONNX Runtime that was just looked for.
    from server.parts import running

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings):
        await stop.wait()
        log.info("stopping", extra={"drain_s": settings.drain_s})
    log.info("stopped")


def _fail(code: int, error: Exception) -> NoReturn:
    sys.stderr.write(f"plural-serve: {error}\n")
    sys.exit(code)
