"""Notices a reader that has died without a sign: its log grows and it stands still.

A client library can come to poll empty for ever on a partition, while its heartbeats go on and its group sees nothing
wrong. Only a restart of the program is known to help, so the program ends and its supervisor starts it again.
Pure: time is passed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from interests.errors import PluralError
from interests.events import LogPartition


class SourceStuck(PluralError):
    """A partition has not moved though its log grows; start the program again."""


@dataclass(slots=True)
class _Still:
    """A partition that has not moved: where it stands, its end when that began, and since when the end is known to
    have grown."""

    position: int
    end: int
    growing_since_s: float | None = None


class Watchdog:
    """Looks at positions and ends every few seconds."""

    def __init__(self, patience_s: float = 120.0) -> None:
        self._patience_s = patience_s
        self._still: dict[LogPartition, _Still] = {}

    def look(
        self, now_s: float, positions: Mapping[LogPartition, int], ends: Mapping[LogPartition, int]
    ) -> list[LogPartition]:
        """The partitions that have stood still for `patience_s` since their end was seen to grow.

        positions: of the partitions that should move; one left out (paused, or moved elsewhere) starts afresh
        now_s: any clock that only goes forward
        """
        before, self._still = self._still, {}
        stuck = []
        for partition, position in positions.items():
            end = ends.get(partition, position)
            still = before.get(partition)
            if still is None or still.position != position or end <= position:
                still = _Still(position, end)
            elif still.growing_since_s is None:
                if end > still.end:
                    still.growing_since_s = now_s
            elif now_s - still.growing_since_s >= self._patience_s:
                stuck.append(partition)
            self._still[partition] = still
        return stuck
