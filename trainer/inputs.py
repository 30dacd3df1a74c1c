"""Both files, read and cleaned, before anything heavy is loaded: what cannot be learned from is refused at once."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from interests.history import HistoryReport, read_interactions
from trainer.catalogue import Catalogue, read_catalogue
from trainer.content.content import features
from trainer.content.text_cache import TextCache
from trainer.content.text_encoder import TextEncoder, describe, find_encoder
from trainer.content.text_features import Described, with_texts
from trainer.data import Events, encode, positive
from trainer.progress import Reporter
from trainer.settings import HistorySettings

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What was read, as rows; described (n, features): content features of the n items; content: a report of them."""

    history: HistoryReport
    catalogue: Catalogue
    events: Events
    described: sparse.csr_array
    content: dict[str, Any] = field(default_factory=dict)


def read(settings: HistorySettings, until_ms: int | None, reporter: Reporter) -> Inputs:
    """Read both files and tell what became of them. Raises HistoryRejected."""
    history = read_interactions(settings.interactions, until_ms)
    for line in history.report.lines():
        reporter.say(line)
    catalogue = read_catalogue(settings.items, history.frame["item_id"].unique().to_list())
    reporter.say(catalogue.line())
    events = encode(history, catalogue)
    positive(events)
    described = _described(settings, catalogue, events, reporter)
    return Inputs(history.report, catalogue, events, described.features, described.report)


def _described(settings: HistorySettings, catalogue: Catalogue, events: Events, reporter: Reporter) -> Described:
    hashed = features(catalogue)
    if settings.text_encoder == "none":
        return Described(hashed, {"text_encoder": "none"})
    files = find_encoder(settings.text_encoder)
    texts = describe(catalogue)
    began = time.monotonic()

    def encode(missing: list[str]) -> Floats:
        encoder = TextEncoder(files, settings.text_threads)
        with reporter.task("encode texts", len(missing)) as tick:
            return encoder.encode(missing, tick)

    out: Path | None = getattr(settings, "out", None)
    directory = settings.text_cache or (out / "texts" if out else None)
    encoded, new = TextCache(directory, files.identity(), reporter.say).vectors(texts, encode)
    found = with_texts(hashed, encoded, events, settings.seed)
    report = {
        "text_encoder": settings.text_encoder,
        "texts": len(set(texts)),
        "encoded_now": new,
        "seconds": round(time.monotonic() - began, 1),
    }
    share = found.report["text_share"]
    reporter.say(f"texts: {len(set(texts)):,} distinct, {new:,} encoded now; {share:.0%} of what content says")
    return Described(found.features, report | found.report)
