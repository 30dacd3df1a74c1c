"""Certificates for tests, made by the openssl command where they are needed."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Signed(NamedTuple):
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path


def authority(directory: Path, name: str) -> Signed:
    """A certificate that signs others."""
    made = Signed(directory / f"{name}.pem", directory / f"{name}.key")
    _openssl("req", "-x509", *_new_key(made.key), "-out", made.cert, "-days", "2", "-subj", f"/CN={name}")
    return made


def signed_by(ca: Signed, directory: Path, name: str) -> Signed:
    """A certificate of `localhost` and 127.0.0.1, signed by `ca`."""
    made, request = Signed(directory / f"{name}.pem", directory / f"{name}.key"), directory / f"{name}.csr"
    extensions = directory / f"{name}.ext"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _openssl("req", *_new_key(made.key), "-out", request, "-subj", f"/CN={name}")
    ours = ("-CA", ca.cert, "-CAkey", ca.key, "-CAcreateserial", "-extfile", extensions)
    _openssl("x509", "-req", "-in", request, *ours, "-out", made.cert, "-days", "2")
    return made


def _new_key(key: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
