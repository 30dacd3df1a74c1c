"""Named places where a test can make a program die, set by PLURAL_FAILPOINT; nothing where it is unset.

PLURAL_FAILPOINT=before_put          die by SIGKILL the first time it is passed
PLURAL_FAILPOINT=in_transaction:3    the third time
"""

import os
import signal

NAMES = (
    *("before_put", "in_transaction", "after_put"),
    *("on_assign", "on_revoke", "after_dead_letter"),
    *("in_archive", "after_archive", "before_switch"),
)

_name, _, _count = os.environ.get("PLURAL_FAILPOINT", "").partition(":")
_left = int(_count or 1)
if _name and _name not in NAMES:
    raise ValueError(f"PLURAL_FAILPOINT is {_name!r}; give one of {', '.join(NAMES)}")


def failpoint(name: str) -> None:
    """Die here if the environment says so."""
    global _left
    if name != _name:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
