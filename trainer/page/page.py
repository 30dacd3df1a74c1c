"""The page of an evaluation: one file that needs no network, from the report that a measurement gives."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from trainer.evaluation.evaluate import SIZE
from trainer.evaluation.table import MINUS, SERVED
from trainer.page.account import settings, signals, table, training, work
from trainer.page.figures import Figures
from trainer.page.sections import ahead, bands, diversity, knowing, ranking
from trainer.page.style import STYLE

PROTOCOLS = {
    "last-out": "Each user's last event is asked for, out of all items that are new to them.",
    "last-basket": "Each user's last basket (timestamp group) is asked for, out of all items.",
    "time-split": "All that each user did in the last tenth of the events is asked for, from their state at its start.",
    "prequential": "Models know the first half of the log; then every event is first predicted, then absorbed.",
}


def page(report: Mapping[str, Any]) -> str:
    """HTML of one report, see trainer/report.py."""
    found = Figures(report)
    sections = [
        *(ranking(found, suffix) for suffix in found.suffixes),
        *(ahead(found, suffix) for suffix in found.suffixes),
        diversity(found),
        bands(found),
        knowing(found),
        training(report),
        signals(report),
        *(table(found, suffix) for suffix in found.suffixes),
        settings(report),
        work(report),
    ]
    title = f"Plural, {report['protocol']}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>'
        f"<h1>How well the served slates rank</h1><p>{escape(PROTOCOLS[report['protocol']])} Every item is ranked, "
        f"settings were chosen on validation, the test part was touched once. Brackets and bars are 95% bootstrap "
        f'intervals over users.</p><p class="lead">{_lead(found)}</p>{_facts(report)}'
        f"{''.join(section for section in sections if section)}</main></body></html>\n"
    )


def _lead(found: Figures) -> str:
    metric = f"NDCG@{SIZE}"
    served = found.of(SERVED, metric)
    best = found.best_baseline("")
    if served is None or best is None:
        return "Nobody could be asked."
    said = f"<b>{metric} {served.value:.4f}</b> [{served.low:.4f}, {served.high:.4f}]"
    beaten, ahead_of = found.of(best, metric), found.of(MINUS + best, metric)
    if beaten and ahead_of and beaten.value > 0:
        share = served.value / beaten.value - 1
        clear = "clear of 0" if ahead_of.low > 0 or ahead_of.high < 0 else "not clear of 0"
        said += (
            f", {share:+.0%} against the best baseline, {escape(best)}: a difference of {ahead_of.value:+.4f} "
            f"[{ahead_of.low:+.4f}, {ahead_of.high:+.4f}], {clear}"
        )
    return said + "."


def _facts(report: Mapping[str, Any]) -> str:
    learned = report["learned_from"]
    facts: Sequence[tuple[str, str]] = (
        (f"{learned['events']:,}", "events"),
        (f"{learned['users']:,}", "users"),
        (f"{report['catalogue']['items']:,}", "items"),
        (f"{report['evaluated_moments']:,}", f"questions to {report['evaluated_users']:,} users"),
        (str(report["seeds"]), f"seed{'s' if report['seeds'] > 1 else ''}, profile {report['profile']}"),
        (_time(report["seconds_total"]), "in all"),
        (f"{report['peak_memory_mb']:,} MB", "peak memory"),
    )
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in facts)
    return f'<div class="facts">{cells}</div>'


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
