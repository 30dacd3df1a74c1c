"""Requests read once: clients send the same bytes again and again, and parsing them costs more than a look-up.

Bounded in bytes; what was unused longest goes first. A request that was refused is not kept.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

REQUEST_BYTES_MAX = 2048  # longer ones are rare, and parsing them costs little beside what they ask for
ENTRY_OVERHEAD_BYTES = 900  # of the objects that a small request becomes, measured


class Memo(Generic[T]):
    """`parse`, remembered by the bytes it was given. Used from the event loop alone."""

    def __init__(self, parse: Callable[[bytes], T], bytes_max: int) -> None:
        self._parse = parse
        self._bytes_max = bytes_max
        self._known: OrderedDict[bytes, T] = OrderedDict()
        self.bytes = 0

    def __call__(self, data: bytes) -> T:
        """What `parse` makes of the bytes. Raises what it raises."""
        known = self._known
        found = known.get(data)
        if found is not None:
            known.move_to_end(data)
            return found
        made = self._parse(data)
        if len(data) <= REQUEST_BYTES_MAX:
            known[data] = made
            self.bytes += _cost(data)
            while self.bytes > self._bytes_max:
                gone, _ = known.popitem(last=False)
                self.bytes -= _cost(gone)
        return made

    def __len__(self) -> int:
        return len(self._known)


def _cost(data: bytes) -> int:
    return 5 * len(data) + ENTRY_OVERHEAD_BYTES  # an id of a filter is a string of its own, in a set
