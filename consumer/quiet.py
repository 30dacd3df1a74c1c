"""Keeps the client library from saying the same thing many times a second while a broker is away."""

import logging
import time

REPEAT_S = 30.0


class Repeats(logging.Filter):
    """Lets a message of the library pass once in `REPEAT_S`, whatever its arguments are."""

    def __init__(self) -> None:
        super().__init__()
        self._said_s: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let it pass."""
        if record.name.partition(".")[0] != "kafka" or record.levelno < logging.WARNING:
            return True
        place, now_s = (record.pathname, record.lineno), time.monotonic()
        if now_s - self._said_s.get(place, float("-inf")) < REPEAT_S:
            return False
        self._said_s[place] = now_s
        return True


def quiet_library_logs() -> None:
    """Apply it to every handler; below warnings the library is heard at DEBUG alone. Call after configuring logs."""
    root = logging.getLogger()
    for handler in root.handlers:
        handler.addFilter(Repeats())
    if root.level > logging.DEBUG:
        logging.getLogger("kafka").setLevel(logging.WARNING)
