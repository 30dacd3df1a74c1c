"""Where RecordInteractions and ForgetUser go: into the server's own log, or into the topic."""

from collections.abc import Sequence
from typing import Protocol

from interests.encoder import Encoder
from interests.events import Interaction


class Recorder(Protocol):
    """Takes interactions in, in the order of each user's calls. Used from the event loop."""

    absorbed: bool
    """True where what was recorded already counts when the call returns."""

    def use(self, encoder: Encoder) -> None:
        """Encode states with another bundle's models from now on."""

    async def record(self, interactions: Sequence[Interaction]) -> None:
        """Returns once they are durable. Raises StoreUnavailable, BrokerUnavailable or LimitReached.

        Embedded, nothing is half-recorded after an error unless its message says so. Through a topic some may be in
        it already. In both cases `event_id` makes sending again harmless.
        """

    async def forget(self, user_id: str) -> None:
        """Returns once the erasure is durable, behind everything recorded before it. Raises as `record` does."""

    async def close(self) -> None:
        """Finish what was taken, and stop."""
