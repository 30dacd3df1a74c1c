"""A whole fit on a planted shop: what is written, what it says of itself, and that it serves."""

import json
from pathlib import Path

import numpy as np
import pytest

from interests import bundle as bundles
from interests.absorb import absorb
from interests.encoder import Encoder
from interests.events import Action, Interaction, LogEntry, LogPartition
from interests.profile import profile
from interests.state import InterestState
from ranking.query import Query
from ranking.recommend import Ranker
from ranking.score import SIGNALS
from tests.support.planted_history import topic_of
from tests.trainer.conftest import Fitted


def test_the_bundle_is_the_current_one_and_its_models_answer_as_they_did_when_they_were_made(fitted: Fitted) -> None:
    assert bundles.resolve(fitted.out).name == fitted.bundle.version
    Encoder(fitted.bundle)  # refuses a model that does not give the golden cases
    assert len(fitted.bundle.manifest.golden) == 3


def test_a_newcomer_of_one_topic_is_served_that_topic_above_all_others(fitted: Fitted) -> None:
    bundle = fitted.bundle
    log = LogPartition("live", 0)
    bought = [Interaction("new", f"t2-{n:02d}", Action.PURCHASE, 1_700_000_000_000 + n) for n in range(4)]
    entries = [LogEntry(log, n, 1_700_000_000_100, "new", bought[n]) for n in range(4)]
    state = absorb(InterestState("new"), entries)
    seen = profile(state, bundle, Encoder(bundle).vectors([state])[0])
    slate = Ranker(bundle).recommend(seen, Query(size=8, diversity=0.0, repeats="filter"))
    assert len(slate.items) == 8
    topics = [topic_of(item.item_id) for item in slate.items]
    assert topics.count(2) >= 4  # of four topics; four items had leave room for what is popular
    assert all(topics.count(other) < topics.count(2) for other in (0, 1, 3))


def test_an_item_that_nobody_bought_lies_among_its_kind(fitted: Fitted) -> None:
    bundle, vectors = fitted.bundle, fitted.bundle.arrays.item_vectors
    kind = np.array([topic_of(item_id) for item_id in bundle.item_ids])
    for topic in range(4):
        similar = vectors @ vectors[bundle.row_of[f"t{topic}-new"]]
        assert similar[kind == topic].mean() > max(
            similar[kind == other].mean() for other in range(4) if other != topic
        )


def test_serving_beats_popularity_on_planted_tastes(fitted: Fitted) -> None:
    figures = {(f["row"], f["metric"]): f for f in fitted.report["figures"]}
    for row in ("popular", "recent-popular"):
        assert figures["served", "NDCG@10"]["low"] > figures[row, "NDCG@10"]["value"]
        assert figures["served (new items)", "NDCG@10"]["low"] > figures[f"{row} (new items)", "NDCG@10"]["value"]


def test_the_report_has_every_row_and_measure_with_its_interval(fitted: Fitted) -> None:
    figures = fitted.report["figures"]
    rows = {figure["row"] for figure in figures}
    for row in ("served", "random", "popular", "recent-popular", "repeat"):
        assert {row, f"{row} (new items)"} <= rows
        mine = {figure["metric"] for figure in figures if figure["row"] == row}
        whole = {"NDCG@10", "HR@10", "Recall@10", "Recall@100", "MRR", "coverage@10", "Gini@10", "ILD@10", "KL@10"}
        assert whole <= mine
        assert any(metric.startswith("NDCG@10, users with") for metric in mine)
        assert "NDCG@10, tail items" in mine
    assert {"served minus popular", "served minus repeat (new items)"} <= rows
    assert {f"served, first {count} events" for count in (0, 1, 2, 5, 10)} <= rows
    rounding = 1e-9
    assert all(figure["low"] - rounding <= figure["value"] <= figure["high"] + rounding for figure in figures)


def test_the_report_accounts_for_rows_time_and_memory(fitted: Fitted) -> None:
    history = fitted.report["history"]
    assert history["rows_read"] == history["rows_kept"] + sum(history["dropped"].values())
    assert history["rows_kept"] == fitted.report["learned_from"]["events"]
    assert fitted.report["peak_memory_mb"] > 0
    assert {"read", "count", "encoder", "evaluate", "encoder on everything"} <= set(fitted.report["seconds"])


def test_the_manifest_carries_the_metrics_and_what_validation_chose(fitted: Fitted) -> None:
    manifest = fitted.bundle.manifest
    assert manifest.metrics["figures"] == fitted.report["figures"]
    assert set(manifest.signal_weights) <= set(SIGNALS)
    assert sum(manifest.signal_weights.values()) == pytest.approx(1.0, abs=1e-4)
    assert min(manifest.signal_weights.values()) > 0
    assert manifest.diversity_default == fitted.report["chosen"]["diversity_default"]
    assert 0 < manifest.entropy_mean < 1


def test_what_ships_has_seen_everything(fitted: Fitted) -> None:
    lines = fitted.interactions.read_text().splitlines()[1:]
    assert fitted.bundle.manifest.cutoff_ms == max(int(line.split(",")[2]) for line in lines) * 1000


def test_training_curves_are_left_for_tensorboard(fitted: Fitted) -> None:
    assert list((fitted.out / "logs").rglob("events.out.tfevents.*"))


def test_nothing_but_the_bundle_its_report_and_its_logs_is_left(fitted: Fitted) -> None:
    version = fitted.bundle.version
    assert {path.name for path in fitted.out.iterdir()} == {version, f"{version}.report.json", "CURRENT", "logs"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures_and_the_same_bundle(fitted: Fitted, tmp_path: Path) -> None:
    from trainer.app import main

    arguments = ["--interactions", str(fitted.interactions), "--items", str(fitted.items), "--profile", "demo"]
    main(["fit", *arguments, "--out", str(tmp_path)])
    again = json.loads(next(tmp_path.glob("*.report.json")).read_text())
    assert again["figures"] == fitted.report["figures"]
    assert bundles.load(tmp_path).version == fitted.bundle.version  # of the bytes of arrays and models
