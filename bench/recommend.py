"""What one Recommend of 20 items costs beside an empty gRPC call that answers with the same bytes.

    python -m bench.recommend [--json FILE] [--rounds N]

warm: the same request again, its slate in the cache. cold: 2,500 users in turn and no slate cache, so each call reads
a state and retrieves, scores, diversifies and builds a slate from 10,000 items; unbatched: each call by itself
(--together-max 1). Two workers are held against two echoes on one port. At half load calls come evenly spaced at half
the rate that was reached before, and latency counts from when a call was due. At last what each stage of one slate
takes (bench/stages.py).
"""

from collections import defaultdict
from pathlib import Path

import grpc
from plural.v1 import recommendations_pb2

from bench import echo, load
from bench.report import Row, against, arguments, finish, percentile
from bench.stages import stages
from bench.world import DIRECTORY, USERS, World, free_address, run, user, wait_for, world
from examples.programs import running
from interests.bundle import resolve

METHOD = "/plural.v1.RecommendationService/Recommend"
WARM_CALLS, COLD_CALLS = 6_000, 2_500
CONNECTIONS = 8  # of the client, so that the kernel can spread them over workers
HALF_LOAD_S = 5.0

Figures = dict[str, tuple[list[float], list[float]]]


def main() -> None:
    """Run all rounds and report."""
    options = arguments(__doc__, rounds=10)
    shop = world()
    # A store of this bundle's own: states of another's would be encoded again at each call.
    store = f"lmdb:{DIRECTORY / f'recommend-{resolve(shop.bundles).name}'}"
    run("-m", "consumer", "--from-file", shop.interactions, "--store", store, "--bundle", shop.bundles,
        "--log-level", "WARNING")  # fmt: skip
    rows, size = _one_process(shop, store, options.rounds)
    rows += _two_workers(shop, store, size, options.rounds)
    rows += stages(shop, store)
    conditions = f"{size:,} bytes an answer, {load.IN_FLIGHT} calls in flight, {options.rounds} paired rounds"
    finish("Recommend against an empty echo of the same bytes", rows, options.json, conditions)


def _one_process(shop: World, store: str, rounds: int) -> tuple[list[Row], int]:
    warm, cold, alone, empty = (free_address() for _ in range(4))
    no_cache = ["--cache-mib", "0"]
    with (
        running(_server(shop, store, warm)),
        running([*_server(shop, store, cold), *no_cache]),
        running([*_server(shop, store, alone), *no_cache, "--together-max", "1"]),
    ):
        for address in (warm, cold, alone):
            wait_for(address)
        size = len(_call(warm, _request(0)))
        with running(["-m", "bench.echo", empty, str(size)]):
            wait_for(empty)
            return _measure(warm, cold, alone, empty, rounds), size


def _measure(warm: str, cold: str, alone: str, empty: str, rounds: int) -> list[Row]:
    request, requests = _request(0), [_request(number) for number in range(USERS)]
    figures: Figures = defaultdict(lambda: ([], []))
    half: dict[str, list[float]] = defaultdict(list)

    def note(name: str, value: float, limit: float) -> None:
        figures[name][0].append(value)
        figures[name][1].append(limit)

    for round_number in range(rounds + 1):
        limit, _ = load.python_client(empty, echo.METHOD, [request], COLD_CALLS)
        warm_rate, _ = load.python_client(warm, METHOD, [request], COLD_CALLS)
        cold_rate, _ = load.python_client(cold, METHOD, requests, COLD_CALLS)
        alone_rate, _ = load.python_client(alone, METHOD, requests, COLD_CALLS)
        fast = _h2load_rates(warm, empty, request) if load.h2load_is_there() else None
        if round_number == 0:
            continue  # everything warms up
        note("warm, Python client", warm_rate, limit)
        note("cold, Python client", cold_rate, limit)
        note("cold, unbatched, Python client", alone_rate, limit)
        if fast:
            note("warm, h2load", *fast)
        half["warm"] += load.paced(warm, METHOD, [request], warm_rate / 2, HALF_LOAD_S)
        half["cold"] += load.paced(cold, METHOD, requests, cold_rate / 2, HALF_LOAD_S)
    rows = [against(name, "calls/s", *pairs) for name, pairs in figures.items()]
    for name, found in half.items():
        rows += [Row(f"{name} at half load, p{share:.0%}".rstrip("%"), percentile(found, share), "ms")
                 for share in (0.5, 0.99)]  # fmt: skip
    return rows


def _two_workers(shop: World, store: str, size: int, rounds: int) -> list[Row]:
    ours, empty = free_address(), free_address()
    # Nothing is recorded, so no broker needs to be there.
    workers = ["--workers", "2", "--brokers", "127.0.0.1:1", "--cache-mib", "0"]
    echoes = ["-m", "bench.echo", empty, str(size), "shared"]
    requests = [_request(number) for number in range(USERS)]
    values: list[float] = []
    limits: list[float] = []
    server = ["-m", "server", "--listen", ours, "--bundle", str(shop.bundles), "--store", store, "--log-level", "ERROR"]
    with running([*server, *workers]), running(echoes), running(echoes):
        wait_for(ours)
        wait_for(empty)
        for round_number in range(rounds + 1):
            limit, _ = load.python_client(empty, echo.METHOD, requests, COLD_CALLS, CONNECTIONS)
            rate, _ = load.python_client(ours, METHOD, requests, COLD_CALLS, CONNECTIONS)
            if round_number:
                values.append(rate)
                limits.append(limit)
    return [against("cold, two workers", "calls/s", values, limits)]


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
