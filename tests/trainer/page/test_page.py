"""The page: stands alone, says what was measured, and holds no name from outside unescaped."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from trainer.page.charts import Curve, Mark, Point, bars, curves, intervals
from trainer.page.page import page

VOID = {"meta", "circle", "line", "rect", "path", "br"}


class Balanced(HTMLParser):
    """Fails where a tag is closed that is not the open one."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def figure(row: str, metric: str, value: float) -> dict[str, Any]:
    return {"row": row, "metric": metric, "value": value, "low": value - 0.01, "high": value + 0.01}


@pytest.fixture
def report() -> dict[str, Any]:
    figures = [figure(row, "NDCG@10", value) for row, value in (("served", 0.2), ("EASE", 0.1), ("encoder", 0.05))]
    figures += [figure(f"served minus {row}", "NDCG@10", 0.1) for row in ("EASE", "encoder")]
    figures += [figure("served", "NDCG@10, head items", 0.3), figure("served", "NDCG@10, users with 1–9 events", 0.2)]
    figures += [figure(f"served, first {count} events", "NDCG@10", 0.01 * count) for count in (0, 1, 10)]
    figures += [figure(f"served, diversity {dial}", metric, 0.1) for dial in (0, 1) for metric in ("NDCG@10", "KL@10")]
    figures += [figure("served (new items)", "NDCG@10", 0.02)]
    return {
        "protocol": "last-basket",
        "figures": figures,
        "baseline_rows": ["EASE"],
        "baseline_items": 8000,
        "baselines": {"EASE": {"": {"ridge": 400.0}}},
        "learned_from": {"events": 10, "users": 3, "items": 4, "groups": 5},
        "catalogue": {"items": 4},
        "evaluated_users": 3,
        "evaluated_moments": 3,
        "seeds": 1,
        "seed": 0,
        "profile": "demo",
        "seconds_total": 12.0,
        "peak_memory_mb": 900,
        "seconds": {"read": 1.0, "encoder": 9.0},
        "chosen": {"signal_weights": {"a <signal>": 1.0}, "repeats_default": "allow"},
        "best_signals": {"": "a <signal>"},
        "encoder_curves": [[{"epoch": 1, "loss": 3.0, "validation_ndcg@10": 0.1}]],
    }


def test_the_page_needs_no_network_and_is_well_formed(report: dict[str, Any]) -> None:
    said = page(report)
    assert not re.findall(r"(?:src|href)=|https?:|@import|url\(", said)
    parser = Balanced()
    parser.feed(said)
    assert parser.open == []
    assert "a &lt;signal&gt;" in said
    assert "<signal>" not in said


def test_the_page_leads_with_the_best_baseline_and_whether_the_difference_is_clear(report: dict[str, Any]) -> None:
    lead = page(report).split('class="lead">')[1].split("</p>")[0]
    assert "+100% against the best baseline, EASE" in lead
    assert "clear of 0" in lead
    assert "not clear" not in lead


def test_what_was_not_measured_has_no_section(report: dict[str, Any]) -> None:
    assert "A new user" in page(report)
    assert "What live states are worth" not in page(report)
    report["figures"] = []
    assert "Nobody could be asked" in page(report)


def test_charts_put_larger_values_further_and_hold_a_single_value() -> None:
    one, two = (float(x) for x in re.findall(r'<circle[^>]*cx="([\d.]+)"', intervals([_mark(0.1), _mark(0.3)])))
    assert one < two
    (width,) = re.findall(r'<rect[^>]*width="([\d.]+)"', bars([("a", 0.0)]))
    assert float(width) == 0.0
    assert "NaN" not in curves([Curve("flat", [Point(1.0, 0.0, 0.0, 0.0)])], "x", "y").replace("nan", "NaN")


def _mark(value: float) -> Mark:
    return Mark("row", value, value, value)
