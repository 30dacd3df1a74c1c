"""What every program does once at its start: settings, logs that machines can read, exactly one ONNX Runtime."""

import logging
from importlib import metadata
from typing import Literal

import structlog
from pydantic import ValidationError

from interests.errors import SettingsRejected

LogFormat = Literal["json", "console"]


def configure_logs(level: str = "INFO", format: LogFormat = "json") -> None:
    """Send the standard library's logs to stderr, one JSON object a line (or coloured text).

    User ids are logged at DEBUG alone; values go in `extra`, so that they stay fields.
    """
    renderer = structlog.processors.JSONRenderer() if format == "json" else structlog.dev.ConsoleRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def check_onnxruntime() -> None:
    """Raise SettingsRejected unless exactly one of the two ONNX Runtime packages is installed.

    Both install into one folder, so having both means an unknown mix of the two.
    """
    found = [name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)]
    if len(found) == 2:
        raise SettingsRejected(
            "both onnxruntime and onnxruntime-gpu are installed and overwrite each other: "
            "`pip uninstall onnxruntime onnxruntime-gpu`, then install plural[cpu] or plural[gpu]"
        )
    if not found:
        raise SettingsRejected("no ONNX Runtime is installed: install plural[cpu] or plural[gpu]")


def rejected(error: Exception, program: str) -> SettingsRejected:
    """What pydantic or its settings say of flags, in one line that names the first bad flag and where to read on."""
    said = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        flag = "".join(f"--{str(part).replace('_', '-')}: " for part in first["loc"][:1])
        said = flag + first["msg"].removeprefix("Value error, ")
    return SettingsRejected(f"{said}; see {program} --help")


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
