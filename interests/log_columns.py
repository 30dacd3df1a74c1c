"""Columns that a kept log has beside those of a history, so that a reader can tell its rows and its erasures apart.

log            which partition of which log, `<incarnation>/<partition>`
log_offset     the row's place in it; one row an offset, however many files hold it
logged         when the log took it, milliseconds since 1970
action         `erase` for a row that says that its user was erased: what stands before it is forgotten
"""

LOG = "log"
LOG_OFFSET = "log_offset"
LOGGED = "logged"
ERASE = "erase"
