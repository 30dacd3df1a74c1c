"""`plural-serve`: reads settings, checks the machine, serves until a signal, and says how it ended.

Ends with 0 when it was told to stop, 1 where the store is away at the start, 2 for what must be corrected first:
settings, bundle, address, log.
"""

import asyncio
import gc
import logging
import multiprocessing
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import NoReturn

from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from interests.errors import BundleRejected, SettingsRejected, StoreError
from interests.runtime import check_onnxruntime, configure_logs, rejected
from server.settings import ServerSettings
from server.supervisor import supervise

STOPPED, FAILED, REJECTED = 0, 1, 2
COLLECT_AFTER = (10_000, 20, 50)  # objects, passes over the youngest, over the middle ones

log = logging.getLogger("server")


def main(argv: Sequence[str] | None = None) -> None:
    """The command. Does not return."""
    try:
        settings = read_settings(argv)
        if settings.workers > 1:
            configure_logs(settings.log_level, settings.log_format)
            sys.exit(supervise(settings, work))
        _run(settings)
    except (SettingsRejected, BundleRejected) as error:
        _fail(REJECTED, error)
    except StoreError as error:
        _fail(FAILED, error)
    sys.exit(STOPPED)


def work(settings: ServerSettings, number: int, ready: Connection) -> None:
    """One of several server processes; sends its port through `ready` once it serves. Does not return."""
    try:
        _run(settings, number, ready)
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


def _run(settings: ServerSettings, number: int = 0, ready: Connection | None = None) -> None:
    configure_logs(settings.log_level, settings.log_format)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it says each retry at length; our lines say it once
    check_onnxruntime()
    asyncio.run(_serve(settings, number, ready))


async def _serve(settings: ServerSettings, number: int, ready: Connection | None) -> None:
    # Only now: it needs the ONNX Runtime that was just looked for.
    from server.parts import running

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    if (supervisor := multiprocessing.parent_process()) is not None:
        loop.add_reader(supervisor.sentinel, stop.set)  # it was killed: nobody else would end this process
    async with running(settings, number) as port:
        _settle()
        if ready is not None:
            ready.send(port)
            ready.close()
        await stop.wait()
        log.info("stopping", extra={"drain_s": settings.drain_s})
    log.info("stopped")


def _settle() -> None:
    """Take what was built to serve from out of the collector's sight: a full pass over it stops all calls for long.

    What calls leave behind is reached by counting; cycles are rare, so they are looked for rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _fail(code: int, error: Exception) -> NoReturn:
    sys.stderr.write(f"plural-serve: {error}\n")
    sys.exit(code)
