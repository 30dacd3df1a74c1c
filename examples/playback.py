"""Plays one household's purchases back as live events, and shows what each of them does to its slate.

Knows the wire format alone: a client in any other language could do the same.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
from plural.v1 import events_pb2, interests_pb2, interests_pb2_grpc, recommendations_pb2, recommendations_pb2_grpc
from rich.console import Console
from rich.table import Table

SLATE_SIZE = 10
PUSH_TIMEOUT_S = 15.0
PAUSE_S = 0.2  # a person's pace: pushes that follow each other faster are put together by the server
TOPICS_SHOWN = 8
BAR_CELLS = 24

Publish = Callable[[events_pb2.Interaction], None]


@dataclass(frozen=True)
class Purchase:
    """One row of the history."""

    item_id: str
    time: datetime
    quantity: float


@dataclass(frozen=True)
class Push:
    """A slate that came unasked, and when."""

    slate: recommendations_pb2.Slate
    received_s: float


class Player:
    """Follows one user, publishes their purchases and prints what comes back."""

    def __init__(self, channel: grpc.Channel, publish: Publish, titles: Mapping[str, str], console: Console) -> None:
        """`publish` hands one event to the system: a gRPC call, or a Kafka producer."""
        self._recommendations = recommendations_pb2_grpc.RecommendationServiceStub(channel)
        self._interests = interests_pb2_grpc.InterestServiceStub(channel)
        self._publish = publish
        self._titles = titles
        self._console = console

    def play(self, user_id: str, purchases: Sequence[Purchase]) -> list[float]:
        """Play the purchases, one event each; returns for each how many milliseconds its slate took to arrive."""
        self._show_interests("Interests before", user_id)
        stream = self._recommendations.Follow(recommendations_pb2.FollowRequest(user_id=user_id, size=SLATE_SIZE))
        pushes: queue.Queue[Push] = queue.Queue()
        threading.Thread(target=_collect, args=(stream, pushes), daemon=True).start()
        slate = pushes.get(timeout=PUSH_TIMEOUT_S).slate
        self._show_slate("The slate before", slate)
        latencies_ms = []
        for number, purchase in enumerate(purchases):
            time.sleep(PAUSE_S)
            event = _event(user_id, number, purchase)
            latency_ms, slate = self._step(purchase, event, slate, pushes)
            latencies_ms.append(latency_ms)
        stream.cancel()
        self._show_slate("The slate after", slate)
        self._show_interests("Interests after", user_id)
        self._show_kept(user_id)
        return latencies_ms

    def _step(
        self,
        purchase: Purchase,
        event: events_pb2.Interaction,
        before: recommendations_pb2.Slate,
        pushes: "queue.Queue[Push]",
    ) -> tuple[float, recommendations_pb2.Slate]:
        place = next((n for n, item in enumerate(before.items, 1) if item.item_id == purchase.item_id), None)
        started_s = time.perf_counter()
        self._publish(event)
        push = pushes.get(timeout=PUSH_TIMEOUT_S)
        while push.slate.state_version <= before.state_version:
            push = pushes.get(timeout=PUSH_TIMEOUT_S)
        latency_ms = (push.received_s - started_s) * 1000
        seen = f", [green]number {place} of the slate[/green]" if place else ""
        self._console.print(
            f"\n[bold]{purchase.time:%a %d %b %H:%M}  bought {self._name(purchase.item_id)}[/bold]{seen}"
        )
        self._console.print(f"  [cyan]{latency_ms:.1f} ms later[/cyan] a new slate is there:")
        self._show_difference(before, push.slate)
        return latency_ms, push.slate

    def _show_difference(self, before: recommendations_pb2.Slate, after: recommendations_pb2.Slate) -> None:
        old = {item.item_id: item for item in before.items}
        new = {item.item_id: item for item in after.items}
        for item_id, item in new.items():
            if item_id not in old:
                self._console.print(f"  [green]+ {self._name(item_id)}[/green]  [dim]{self._why(item)}[/dim]")
        for item_id in old:
            if item_id not in new:
                self._console.print(f"  [red]- {self._name(item_id)}[/red]")
        moved = [
            f"{self._name(item_id)} {old[item_id].position + 1} → {item.position + 1}"
            for item_id, item in new.items()
            if item_id in old and old[item_id].position != item.position
        ]
        if moved:
            self._console.print(f"  [dim]moved: {'; '.join(moved[:3])}{' …' if len(moved) > 3 else ''}[/dim]")
        elif list(old) == list(new):
            self._console.print("  [dim]the same ten: this purchase changed no place[/dim]")

    def _show_interests(self, title: str, user_id: str) -> None:
        known = self._interests.GetInterests(interests_pb2.GetInterestsRequest(user_id=user_id))
        self._console.rule(f"{title}: household {user_id}, {known.interaction_count} purchases")
        table = Table(box=None, pad_edge=False)
        for column in ("interest", "share", "", "because of"):
            table.add_column(column)
        for interest in known.interests:
            causes = ", ".join(self._name(cause.item_id) for cause in interest.causes[:3])
            table.add_row(interest.topic, f"{interest.share:.0%}", _bar(interest.share), f"[dim]{causes}[/dim]")
        self._console.print(table)
        anchor = ", ".join(f"{share.topic} {share.share:.0%}" for share in known.anchor[:TOPICS_SHOWN])
        self._console.print(f"long-term mix: {anchor} …  (breadth {known.entropy:.2f} of 1)")

    def _show_slate(self, title: str, slate: recommendations_pb2.Slate) -> None:
        self._console.rule(
            f"{title}: diversity {slate.diversity:.2f}, distance to the target mix {slate.calibration_kl:.2f}"
        )
        table = Table(box=None, pad_edge=False)
        for column in ("", "item", "topic", "why"):
            table.add_column(column)
        for item in slate.items:
            table.add_row(str(item.position + 1), self._name(item.item_id), item.topic, f"[dim]{self._why(item)}[/dim]")
        self._console.print(table)

    def _show_kept(self, user_id: str) -> None:
        """What a slate ordered by relevance alone would have lost, among the topics this household lives by."""
        ask = recommendations_pb2.RecommendRequest
        ours = self._recommendations.Recommend(ask(user_id=user_id, size=SLATE_SIZE)).slate
        plain = self._recommendations.Recommend(ask(user_id=user_id, size=SLATE_SIZE, diversity=0.0)).slate
        target = {share.topic: share.share for share in ours.target_mix}
        plain_topics = {item.topic for item in plain.items}
        kept = [item for item in ours.items if item.topic in target and item.topic not in plain_topics]
        self._console.rule("What relevance alone would have lost")
        self._console.print(
            f"By relevance alone: {len(plain_topics)} topics in {len(plain.items)} items, distance to the household's "
            f"mix {plain.calibration_kl:.2f}. As served: {len({i.topic for i in ours.items})} topics, distance "
            f"{ours.calibration_kl:.2f}."
        )
        for item in kept:
            share = f"{target[item.topic]:.0%} of the household"
            self._console.print(f"  kept: [green]{item.topic}[/green] ({share}) by {self._name(item.item_id)}")
        if not kept:
            self._console.print("  Nothing: this household's relevance-only slate covers its topics already.")

    def _name(self, item_id: str) -> str:
        return self._titles.get(item_id, f"item {item_id}")

    def _why(self, item: recommendations_pb2.SlateItem) -> str:
        causes = ", ".join(self._name(cause.item_id) for cause in item.causes[:2])
        reason = {
            recommendations_pb2.SOURCE_INTEREST: "near an interest",
            recommendations_pb2.SOURCE_NEIGHBOUR: "goes with",
            recommendations_pb2.SOURCE_POPULAR: "popular of late",
            recommendations_pb2.SOURCE_FRESH: "new",
            recommendations_pb2.SOURCE_REPEAT: "due again",
        }.get(item.source, "")
        named = causes and causes != self._name(item.item_id)
        return f"{reason}: {causes}" if named else reason


def _event(user_id: str, number: int, purchase: Purchase) -> events_pb2.Interaction:
    event = events_pb2.Interaction(
        event_id=f"demo/{user_id}/{number}",
        user_id=user_id,
        item_id=purchase.item_id,
        action=events_pb2.ACTION_PURCHASE,
        value=purchase.quantity,
    )
    event.time.FromDatetime(purchase.time.replace(tzinfo=UTC))
    return event


def _collect(stream: grpc.Call, pushes: "queue.Queue[Push]") -> None:
    try:
        for response in stream:  # type: ignore[attr-defined]
            if response.WhichOneof("event") == "slate":
                pushes.put(Push(response.slate, time.perf_counter()))
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.CANCELLED:
            raise


def _bar(share: float) -> str:
    return "█" * max(1, round(share * BAR_CELLS))
