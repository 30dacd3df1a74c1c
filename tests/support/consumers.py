"""Consumers for tests over a real broker: in a thread of this process, or in a process that can be killed."""

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from consumer.broker import Broker as BrokerOptions
from consumer.dead_letters import KafkaDeadLetters
from consumer.loop import Consumer
from consumer.pace import Pace
from consumer.sources.kafka import KafkaSource
from interests.events import LogPartition
from interests.stores.base import InterestStore
from tests.support.kafka_broker import Broker

FAST = Pace(batch_records=100, poll_s=0.1, look_s=1.0)
WAIT_S = 30.0


def until(holds: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
    """Wait until it holds; a liveness deadline, no measurement."""
    deadline_s = time.monotonic() + wait_s
    while not holds():
        if time.monotonic() > deadline_s:
            faulthandler.dump_traceback()  # where every thread hangs
            raise AssertionError(f"not within {wait_s:g} s: {what}")
        time.sleep(0.05)


class ConsumerThread:
    """The consumer over a topic, in a thread; a context manager that stops it and leaves the group."""

    def __init__(
        self,
        broker: Broker,
        topic: str,
        store: InterestStore,
        group: str = "",
        session_timeout_s: float = 6.0,
        **parts: Any,
    ) -> None:
        options = BrokerOptions((broker.address,))
        self.source = KafkaSource(options, topic, group or f"group-{topic}", session_timeout_s)
        self.dead_letters = KafkaDeadLetters(options, f"{topic}.dead-letters", topic, timeout_s=2.0)
        self.consumer = Consumer(self.source, store, self.dead_letters, **({"pace": FAST} | parts))
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "ConsumerThread":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "the consumer does not stop"
        if self.error and error is None:
            raise self.error

    def value(self, name: str, **labels: str) -> float:
        """One of its metrics; 0 where it has not been set."""
        return self.consumer.metrics.registry.get_sample_value(f"plural_consumer_{name}", labels) or 0.0

    def _run(self) -> None:
        try:
            self.consumer.run(lambda: not self._stop.is_set())
        except BaseException as error:  # handed to the test's own thread
            self.error = error
        finally:
            self.source.close()
            self.dead_letters.close()


class ConsumerProcess:
    """`plural-consume`, or another program of its kind, as a process."""

    def __init__(
        self,
        broker: Broker,
        topic: str,
        store_url: str,
        out: Path,
        *flags: str,
        module: str = "consumer",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", module, "--brokers", broker.address, "--topic", topic, "--store", store_url]
        said = ["--dead-letter-topic", f"{topic}.dead-letters", "--group", f"group-{topic}", "--poll-s", "0.1", *flags]
        self.out = out
        with out.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *said], stdout=log, stderr=log, env=os.environ | (environment or {})
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; returns its exit code."""
        self._process.terminate()
        return self._process.wait(WAIT_S)

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(WAIT_S)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def said(self) -> str:
        """All that it wrote."""
        return self.out.read_text()


def absorbed(store: InterestStore, partitions: Iterable[LogPartition]) -> int:
    """How many records of a log the store says are absorbed. Claims them for this handle."""
    return sum(store.claim(partitions).values())
