"""The demo over a real Apache Kafka: a plain producer, the consumer, the server, and a plain client.

    python -m examples.demo_kafka

Needs Java 17 and Maven beside Python. The producer knows events.proto and nothing else of Plural; the client that
follows the household knows the gRPC services alone. States are in the demo's LMDB, as the demo's own are.
"""

import tempfile
from pathlib import Path

from kafka import KafkaProducer
from plural.v1 import events_pb2
from rich.console import Console

from examples.complete_journey import Files
from examples.demo import ADDRESS, DIRECTORY, connected, play, prepare, serve_command, store
from examples.kafka_broker import BrokerFailed, KafkaBroker
from examples.programs import running

TOPIC = "interactions"
SEND_TIMEOUT_S = 10.0


def main() -> None:
    """Run the demo over Kafka."""
    console = Console(highlight=False)
    files = prepare(console, DIRECTORY)
    with tempfile.TemporaryDirectory(prefix="plural-kafka-") as directory:
        broker = KafkaBroker(Path(directory))
        console.print("[bold]4/4[/bold] starting Apache Kafka (its first start fetches it: 54 MB)")
        try:
            broker.start()
        except BrokerFailed as error:
            raise SystemExit(str(error)) from None
        try:
            _play(console, broker, files)
        finally:
            broker.stop()


def _play(console: Console, broker: KafkaBroker, files: Files) -> None:
    broker.create_topic(TOPIC, partitions=4)
    broker.create_topic(f"{TOPIC}.dead-letters")
    consume = ["-m", "consumer", "--brokers", broker.address, "--store", store(DIRECTORY), "--bundle",
               str(DIRECTORY / "bundles"), "--log-level", "WARNING", "--log-format", "console"]  # fmt: skip
    serve = [*serve_command(DIRECTORY, log=False), "--brokers", broker.address]
    console.print(f"Kafka answers at {broker.address}, the server at {ADDRESS}; the producer writes to {TOPIC!r}")
    producer = KafkaProducer(bootstrap_servers=broker.address, acks="all", linger_ms=0)

    def publish(event: events_pb2.Interaction) -> None:
        sent = producer.send(TOPIC, key=event.user_id.encode(), value=event.SerializeToString())
        sent.get(timeout=SEND_TIMEOUT_S)

    with running(consume), running(serve), connected() as channel:
        play(console, channel, publish, files, DIRECTORY / "played.txt")
    producer.close()


if __name__ == "__main__":
    main()
