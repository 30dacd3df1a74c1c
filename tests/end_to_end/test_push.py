"""The embedded path as a person runs it: absorb a history, serve, record an event, see the slate pushed.

Programs only: `plural-consume --from-file` and `plural-serve` as processes, and clients that know the .proto files.
"""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from plural.v1 import events_pb2, interests_pb2, recommendations_pb2

from tests.support.server import WAIT_S, connect, event, follow, is_quiet, read, record, shared_bundle
from tests.support.server_program import flags, program
from tests.support.tiny_bundle import CUTOFF_MS, item


def history(path: Path) -> Path:
    """Ada likes topics 0 and 1, Bob topic 2."""
    bought = [("ada", item(topic, number)) for number in range(6) for topic in (0, 1)]
    bought += [("bob", item(2, number)) for number in range(6)]
    rows = [
        {"user_id": user_id, "item_id": item_id, "timestamp": CUTOFF_MS - 1000 * place, "action": "purchase"}
        for place, (user_id, item_id) in enumerate(bought)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def absorb(directory: Path, file: Path) -> None:
    """`plural-consume --from-file`."""
    store = f"lmdb:{directory / 'store'}?map_gib=1"
    command = [sys.executable, "-m", "consumer", "--from-file", str(file), "--store", store]
    subprocess.run([*command, "--bundle", str(shared_bundle())], check=True, capture_output=True, timeout=60)


def topics(slate: recommendations_pb2.Slate) -> Counter[str]:
    return Counter(each.topic for each in slate.items)


async def test_a_live_event_moves_one_users_followed_slate_and_a_restart_keeps_it(tmp_path: Path) -> None:
    file = history(tmp_path / "history.jsonl")
    absorb(tmp_path, file)
    async with program(flags(tmp_path)) as (process, port), connect(port) as client, connect(port) as backend:
        ada, bob = follow(client, "ada", size=12), follow(client, "bob", size=12)
        before, bobs = (await read(ada)).slate, (await read(bob)).slate
        assert topics(before)["topic-0"] + topics(before)["topic-1"] >= 6
        assert topics(bobs).most_common(1)[0][0] == "topic-2"
        await record(
            backend, *(event("ada", item(4, number), "PURCHASE", event_id=f"e{number}") for number in range(3))
        )
        after = (await read(ada)).slate
        assert after.state_version == before.state_version + 3
        assert topics(after)["topic-4"] > topics(before)["topic-4"]
        assert topics(after)["topic-0"] and topics(after)["topic-1"], "old interests stay beside the new one"
        brought = [each for each in after.items if each.topic == "topic-4"]
        assert any(cause.item_id.startswith("t4-") for each in brought for cause in each.causes)
        assert await is_quiet(ada, bob)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), WAIT_S) == 0
    absorb(tmp_path, file)
    async with program(flags(tmp_path)) as (_, port), connect(port) as client:
        assert (await read(follow(client, "ada", size=12))).slate == after
        found = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="ada"))
    assert found.interaction_count == 15, "neither the history nor the log counts twice"


async def test_impressions_of_a_slate_reach_the_log_with_slate_and_position(tmp_path: Path) -> None:
    async with program(flags(tmp_path)) as (_, port), connect(port) as client:
        slate = (await read(follow(client, "ada", size=12))).slate
        shown = [
            events_pb2.Interaction(
                user_id="ada",
                item_id=each.item_id,
                action=events_pb2.ACTION_IMPRESSION,
                slate_id=slate.slate_id,
                position=each.position,
            )
            for each in slate.items
        ]
        await record(client, *shown)
        found = await client.interests.GetInterests(interests_pb2.GetInterestsRequest(user_id="ada"))
    assert found.interaction_count == 0 and found.exposure_mix
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(row["slate_id"], row["position"]) for row in rows] == [
        (slate.slate_id, place) for place in range(len(shown))
    ]
