"""The page of a simulation: one file that needs no network."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from trainer.page.charts import Curve, Plot, Point, curves, plotted
from trainer.page.style import STYLE
from trainer.simulation.frontier import HELD

PLOTS = {
    "kl": ("Drift", "KL of the mix people came with to all they were shown so far. Lower holds their interests."),
    "utility": (
        "Utility",
        "How much people truly like what they choose: by all they ever did, in deviations of their own preferences.",
    ),
    "felt_utility": (
        "Felt utility",
        "The same by what the loop has made of them: who was narrowed comes to like what is narrow.",
    ),
    "coverage": ("Coverage", "Share of the catalogue that anybody was shown so far."),
    "entropy": ("Breadth", "Entropy of each slate over topics, 1 is all topics alike."),
    "new_interests": ("New interests", "Topics people never cared for and have chosen from so far."),
    "churn_risk": ("Churn risk", "Share of people none of whose choices is among the tenth of items they like best."),
}
COSTS = (
    "What people like of what they choose against how much of the drift of relevance alone is left. Better is higher "
    "and further to the left; with --frontier the line is what is served, holding so many times as much as it does."
)


def page(
    figures: Sequence[Mapping[str, Any]],
    means: Mapping[str, Mapping[str, Sequence[float]]],
    frontier: Sequence[Plot],
    people: int,
) -> str:
    """HTML of figures (row, metric, value, low, high), of means by row, metric and round, and of what holding costs."""
    sections = [_section("What it costs", COSTS, "".join(plotted(plot) for plot in frontier))] if frontier else []
    sections += [_section(title, said, _rounds(means, metric)) for metric, (title, said) in PLOTS.items()]
    sections.append(_section("All figures", "Brackets: see the command's help.", _table(figures)))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Plural, closed loop</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>'
        f"<h1>What rounds of recommending do to interests</h1><p>{people} simulated people a seed; each round a slate "
        "of ten, three choices by true preference, tastes drifting towards what is chosen, links counted anew every "
        f"five rounds. Every row lives through the same luck.</p>{''.join(sections)}</main></body></html>\n"
    )


def _rounds(means: Mapping[str, Mapping[str, Sequence[float]]], metric: str) -> str:
    lines = [
        Curve(name, [Point(number + 1.0, value, value, value) for number, value in enumerate(of[metric])])
        for name, of in means.items()
        if not name.startswith(HELD)
    ]
    return curves(lines, "round", metric.replace("_", " "))


def _table(figures: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(one['row']))}</td><td>{escape(str(one['metric']))}</td><td>{one['value']:.4f} "
        f"<small>[{one['low']:.4f}, {one['high']:.4f}]</small></td></tr>"
        for one in figures
    )
    return f'<div class="scroll"><table><tr><th>row</th><th>metric</th><th>value</th></tr>{rows}</table></div>'


def _section(title: str, said: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(said)}</p>{body}</section>"
