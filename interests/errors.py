"""All that can go wrong, drawn as one tree.

PluralError
├── InvalidRequest       a caller's mistake; names the field and the range
├── BadRecord            a log entry that cannot be used; goes to the dead letters with its reason
├── HistoryRejected      a file that cannot be learned from; names file, column and remedy
├── BundleRejected       a bundle that must not be served; names the file and the reason
├── SettingsRejected     settings that contradict each other; names the flags
├── StoreError
│   ├── StoreUnavailable the store cannot be reached or cannot write now; wait and try again
│   ├── StoreCorrupt     what is stored cannot be read
│   └── Fenced           somebody else moved what this writer began from; claim again and re-read
└── BrokerUnavailable    the broker cannot be reached now; wait and try again
"""


class PluralError(Exception):
    """The root: everything the project raises on purpose."""


class InvalidRequest(PluralError):
    """A caller's mistake. `field` is a path such as `interactions[3].user_id`; `problem` says range and remedy."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class BadRecord(PluralError):
    """A log entry that cannot be used. `reason` is a fixed lower-case word for counting, the message says more.

    The message never holds a user id or the record's raw text: it reaches logs.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class HistoryRejected(PluralError):
    """A history or catalogue that cannot be learned from. One line: file, column, what was found, what to do."""


class BundleRejected(PluralError):
    """A bundle that must not be served. Names the file and the reason."""


class SettingsRejected(PluralError):
    """Settings that contradict each other or cannot be met. Names the flags."""


class StoreError(PluralError):
    """A store did not do what it was asked."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or cannot write now; nothing was lost, try again."""


class StoreCorrupt(StoreError):
    """Something stored cannot be read; says what."""


class Fenced(StoreError):
    """Another writer moved the partition or a state that this one began from; claim again and re-read."""


class BrokerUnavailable(PluralError):
    """The broker cannot be reached now; try again."""
