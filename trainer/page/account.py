"""Sections of the page that account for how the figures came about: training, choices, all figures, seconds."""

from collections.abc import Mapping
from html import escape
from typing import Any

from trainer.evaluation.evaluate import SIZE
from trainer.evaluation.table import SERVED, Figure
from trainer.page.charts import Curve, Point, bars, curves
from trainer.page.figures import METRIC, Figures, section

COLUMNS = (
    *(f"{name}@{SIZE}" for name in ("NDCG", "HR", "Recall")),
    *("Recall@100", "MRR", f"coverage@{SIZE}", f"Gini@{SIZE}", f"ILD@{SIZE}", f"KL@{SIZE}"),
)


def training(report: Mapping[str, Any]) -> str:
    """Loss and validation of the encoder by epoch."""
    losses: list[Curve] = []
    gains: list[Curve] = []
    for place, curve in enumerate(report["encoder_curves"]):
        name = f"seed {report['seed'] + place}" if len(report["encoder_curves"]) > 1 else "encoder"
        epochs = [epoch for epoch in curve if "interests" not in epoch]
        for metric, lines in (("loss", losses), ("validation_ndcg@10", gains)):
            points = [Point(one["epoch"], one[metric], one[metric], one[metric]) for one in epochs if metric in one]
            if points:
                lines.append(Curve(name, points))
    charts = curves(losses, "epoch", "training loss") + curves(gains, "epoch", f"validation {METRIC}")
    return section("Training", "The encoder, on the training part alone; the best epoch is kept.", charts)


def signals(report: Mapping[str, Any]) -> str:
    """What validation gave each signal."""
    chosen: Mapping[str, Any] = report["chosen"]
    charts = ""
    for field in [name for name in chosen if name.endswith("_weights") and chosen[name]]:
        heaviest = sorted(chosen[field].items(), key=lambda pair: -pair[1])
        charts += f"<p><strong>{escape(field.replace('_', ' '))}</strong></p>{bars(heaviest)}"
    said = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in chosen.items()
        if isinstance(value, (int, float, str)) and not isinstance(value, bool)
    ]
    alone = ", ".join(f"{name}{suffix}" for suffix, name in report["best_signals"].items())
    best = f" Best alone on validation: {alone}." if alone else ""
    return section("Signals", f"Weights that validation chose.{best} {'; '.join(said)}.", charts)


def table(found: Figures, suffix: str) -> str:
    """Every figure of every row."""
    columns = [metric for metric in COLUMNS if any(found.of(row, metric) for row in found.variant(suffix))]
    head = "".join(f"<th>{escape(metric)}</th>" for metric in ("row", *columns))
    lines = []
    for row in found.variant(suffix):
        cells = "".join(f"<td>{_cell(found.of(row, metric))}</td>" for metric in columns)
        kind = ' class="strong"' if row == SERVED + suffix else ""
        lines.append(f"<tr{kind}><td>{escape(row.removesuffix(suffix))}</td>{cells}</tr>")
    said = "Coverage: share of items in any slate. Gini: 0 where all items are shown alike. KL: less is closer."
    body = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    return section(f"All figures{suffix}", said, body if lines else "")


def settings(report: Mapping[str, Any]) -> str:
    """What validation chose for the baselines."""
    lines = []
    for name, by_suffix in report["baselines"].items():
        for suffix, values in by_suffix.items():
            told = ", ".join(f"{key} {'all' if value >= 1e9 else f'{value:g}'}" for key, value in values.items())
            lines.append(f"<tr><td>{escape(name + suffix)}</td><td>{escape(told)}</td></tr>")
    said = (
        "Chosen on validation for each question, then counted anew with everything before the test. Dense "
        f"baselines (ItemKNN, EASE, transitions) rank the {report['baseline_items']:,} most popular; others score 0."
    )
    return section("Baselines at their best", said, f"<table>{''.join(lines)}</table>" if lines else "")


def work(report: Mapping[str, Any]) -> str:
    """Where the time went."""
    said = f"At most {report['peak_memory_mb']:,} MB of memory."
    return section("Seconds by step", said, bars(list(report["seconds"].items()), " s"))


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    spread = f"<br><small>{figure.low:.3f}–{figure.high:.3f}</small>" if figure.low < figure.high else ""
    return f"{figure.value:.4f}{spread}"
