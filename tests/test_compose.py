"""The compose file says only what the programs understand."""

import re
from pathlib import Path

from consumer.settings import ConsumerSettings
from server.settings import ServerSettings

COMPOSE = Path(__file__).parent.parent / "docker-compose.yml"


def test_every_setting_of_the_compose_file_is_one_of_both_programs() -> None:
    named = {name.lower() for name in re.findall(r"^ +PLURAL_([A-Z_]+):", COMPOSE.read_text(), re.MULTILINE)}
    assert named >= {"brokers", "store", "bundle"}
    assert named <= set(ServerSettings.model_fields) & set(ConsumerSettings.model_fields)


def test_every_server_flag_of_the_compose_file_exists() -> None:
    server = COMPOSE.read_text().split("\n  server:\n")[1]
    flags = {flag.replace("-", "_") for flag in re.findall(r'"--([a-z-]+)', server)}
    assert "insecure_listen" in flags
    assert flags <= set(ServerSettings.model_fields)
