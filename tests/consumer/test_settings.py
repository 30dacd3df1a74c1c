"""Settings that contradict each other are refused in one line that names the flags, with exit code 2."""

import subprocess
import sys

import pytest

from consumer.app import read_settings
from interests.errors import SettingsRejected

CONTRADICTIONS = {
    "nothing to read": ([], "--brokers HOST:PORT, or --from-file"),
    "a file and Kafka": (["--from-file", "x", "--brokers", "a:1"], "leave out --brokers"),
    "a file and a group": (["--from-file", "x", "--group", "g"], "leave out --group"),
    "a file and an archive": (["--from-file", "x", "--archive", "y"], "leave out --archive"),
    "a topic and rejected rows": (["--brokers", "a:1", "--rejected-rows", "x"], "leave out --rejected-rows"),
    "two commands": (["--merge-archive", "x", "--make-current", "two"], "one at a time"),
    "one topic for both": (["--brokers", "a:1", "--topic", "t", "--dead-letter-topic", "t"], "--dead-letter-topic"),
    "a store that is lost": (["--brokers", "a:1", "--store", "memory:"], "--store memory:"),
    "SASL without a mechanism": (["--brokers", "a:1", "--security-protocol", "SASL_SSL"], "--sasl-mechanism"),
    "a mechanism without SASL": (["--brokers", "a:1", "--sasl-mechanism", "PLAIN"], "--security-protocol"),
    "no password": (
        ["--brokers", "a:1", "--security-protocol", "SASL_SSL", "--sasl-mechanism", "PLAIN", "--sasl-username", "u"],
        "--sasl-password",
    ),
    "certificates without TLS": (["--brokers", "a:1", "--ssl-ca-file", "pyproject.toml"], "--security-protocol SSL"),
    "a certificate that is not there": (
        ["--brokers", "a:1", "--security-protocol", "SSL", "--ssl-ca-file", "nowhere.pem"],
        "nowhere.pem: is not a file",
    ),
    "out of range": (["--brokers", "a:1", "--batch-records", "0"], "--batch-records"),
    "not a number": (["--brokers", "a:1", "--poll-s", "soon"], "--poll-s"),
    "unknown flag": (["--brokers", "a:1", "--bokers", "b"], "--bokers"),
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("PLURAL_BROKERS", "PLURAL_STORE", "PLURAL_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("flags", "says"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_flags_that_cannot_be_are_refused_by_name(flags, says):
    with pytest.raises(SettingsRejected) as raised:
        read_settings(flags)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_flags_stand_above_the_environment_and_secrets_are_not_shown(monkeypatch):
    monkeypatch.setenv("PLURAL_BROKERS", "env:1")
    monkeypatch.setenv("PLURAL_SASL_PASSWORD", "hunter2")
    flags = ["--topic", "acts", "--security-protocol", "SASL_SSL", "--sasl-mechanism", "SCRAM-SHA-512"]
    settings = read_settings([*flags, "--sasl-username", "ada", "--brokers", "a:1, b:2"])
    assert settings.addresses() == ("a:1", "b:2")
    assert settings.topic == "acts"
    assert settings.security()["sasl_plain_password"] == "hunter2"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--brokers", "a:1", "--store", "lmdb:"], "store URL"),
        (["--from-file", "nowhere.csv"], "nowhere.csv: is not there"),
        (["--brokers", "a:1", "--bundle", "nowhere"], "nowhere"),
    ],
)
def test_the_command_ends_with_2_and_one_line(flags, says, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "consumer", "--log-level", "ERROR", *flags], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
