"""What one Recommend of 20 items costs beside an empty gRPC call that answers with the same bytes.

    python -m bench.recommend [--json FILE] [--rounds N]

warm: the same request again, its slate in the cache. cold: 2,500 users in turn and no slate cache, so each call reads
a state and retrieves, scores, diversifies and builds a slate from 10,000 items.
"""

from pathlib import Path

import grpc
from plural.v1 import recommendations_pb2

from bench import echo, load
from bench.report import Row, against, arguments, finish, percentile
from bench.world import DIRECTORY, USERS, World, free_address, run, user, wait_for, world
from examples.programs import running

METHOD = "/plural.v1.RecommendationService/Recommend"
WARM_CALLS, COLD_CALLS = 6_000, 2_500


def main() -> None:
    """Run all rounds and report."""
    options = arguments(__doc__, rounds=5)
    shop = world()
    store = f"lmdb:{DIRECTORY / 'recommend'}"
    run("-m", "consumer", "--from-file", shop.interactions, "--store", store, "--bundle", shop.bundles,
        "--log-level", "WARNING")  # fmt: skip
    warm, cold, empty = free_address(), free_address(), free_address()
    with running(_server(shop, store, warm)), running([*_server(shop, store, cold), "--cache-mib", "0"]):
        wait_for(warm)
        wait_for(cold)
        request = _request(0)
        answer = _call(warm, request)
        with running(["-m", "bench.echo", empty, str(len(answer))]):
            wait_for(empty)
            rows = _measure(warm, cold, empty, request, options.rounds)
    conditions = f"one server process each, {len(answer):,} bytes an answer, load of {load.IN_FLIGHT} calls in flight"
    finish("Recommend against an empty echo of the same bytes", rows, options.json, conditions)


def _measure(warm: str, cold: str, empty: str, request: bytes, rounds: int) -> list[Row]:
    requests = [_request(number) for number in range(USERS)]
    figures: dict[str, tuple[list[float], list[float]]] = {}
    latencies: dict[str, list[float]] = {"warm": [], "cold": []}

    def note(name: str, value: float, limit: float) -> None:
        figures.setdefault(name, ([], []))[0].append(value)
        figures[name][1].append(limit)

    for round_number in range(rounds + 1):
        limit, _ = load.python_client(empty, echo.METHOD, [request], COLD_CALLS)
        warm_rate, warm_ms = load.python_client(warm, METHOD, [request], COLD_CALLS)
        cold_rate, cold_ms = load.python_client(cold, METHOD, requests, COLD_CALLS)
        fast = _h2load_rates(warm, empty, request) if load.h2load_is_there() else None
        if round_number == 0:
            continue  # everything warms up
        note("warm, Python client", warm_rate, limit)
        note("cold, Python client", cold_rate, limit)
        if fast:
            note("warm, h2load", *fast)
        latencies["warm"] += warm_ms
        latencies["cold"] += cold_ms
    rows = [against(name, "calls/s", values, limits) for name, (values, limits) in figures.items()]
    for name, found in latencies.items():
        rows += [Row(f"{name}, p{share:.0%}".rstrip("%"), percentile(found, share), "ms") for share in (0.5, 0.99)]
    return rows


def _h2load_rates(warm: str, empty: str, request: bytes) -> tuple[float, float]:
    limit = load.h2load(empty, echo.METHOD, request, WARM_CALLS)
    return load.h2load(warm, METHOD, request, WARM_CALLS), limit


def _server(shop: World, store: str, address: str) -> list[str]:
    log = Path(DIRECTORY / f"recommend-{address.rpartition(':')[2]}.jsonl")
    return ["-m", "server", "--listen", address, "--bundle", str(shop.bundles), "--store", store,
            "--log", str(log), "--log-level", "WARNING"]  # fmt: skip


def _request(number: int) -> bytes:
    return recommendations_pb2.RecommendRequest(user_id=user(number), size=20).SerializeToString()


def _call(address: str, request: bytes) -> bytes:
    with grpc.insecure_channel(address) as channel:
        answer: bytes = channel.unary_unary(METHOD)(request)
        return answer


if __name__ == "__main__":
    main()
