"""One real fit, shared: TensorFlow alone costs seconds to import."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from interests import bundle as bundles
from interests.bundle import Bundle
from tests.support import planted_history


@dataclass(frozen=True)
class Fitted:
    """Files, output directory, the bundle and its report."""

    interactions: Path
    items: Path
    out: Path
    bundle: Bundle
    report: dict[str, Any]


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """`plural-train fit` run to its end, as its command line runs it."""
    from trainer.app import main

    directory = tmp_path_factory.mktemp("planted")
    interactions, items = planted_history.write(directory)
    out = directory / "bundles"
    arguments = ["--interactions", str(interactions), "--items", str(items), "--out", str(out), "--profile", "demo"]
    main(["fit", *arguments])
    bundle = bundles.load(out)
    report = json.loads((out / f"{bundle.version}.report.json").read_text())
    return Fitted(interactions, items, out, bundle, report)
