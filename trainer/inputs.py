"""Both files, read and cleaned, before anything heavy is loaded: what cannot be learned from is refused at once."""

from dataclasses import dataclass

from scipy import sparse

from interests.history import HistoryReport, read_interactions
from trainer.catalogue import Catalogue, read_catalogue
from trainer.content import features
from trainer.data import Events, encode, positive
from trainer.progress import Reporter
from trainer.settings import HistorySettings


@dataclass(frozen=True, eq=False)
class Inputs:
    """What was read, as rows; described (n, buckets): content features of the n items."""

    history: HistoryReport
    catalogue: Catalogue
    events: Events
    described: sparse.csr_array


def read(settings: HistorySettings, until_ms: int | None, reporter: Reporter) -> Inputs:
    """Read both files and tell what became of them. Raises HistoryRejected."""
    history = read_interactions(settings.interactions, until_ms)
    for line in history.report.lines():
        reporter.say(line)
    catalogue = read_catalogue(settings.items, history.frame["item_id"].unique().to_list())
    reporter.say(catalogue.line())
    events = encode(history, catalogue)
    positive(events)
    return Inputs(history.report, catalogue, events, features(catalogue))
