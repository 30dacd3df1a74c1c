"""The closed loop: the same luck for every row, measures that mean what they say, bursts, and the command line."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interests.bundle import Bundle
from interests.errors import HistoryRejected
from interests.events import Action
from ranking.diversify import METHODS
from tests.support.tiny_bundle import ITEMS_A_TOPIC, TOPICS
from tests.trainer.build import events
from tests.trainer.simulation.conftest import USERS
from trainer.app import main
from trainer.data import Events
from trainer.simulation.burst import BURST_EVENTS, after_events, burst, foreign_topics, one_like, topic_items
from trainer.simulation.figures import Measures, divergence, measure_trace
from trainer.simulation.loop import ROWS, SIZE, Row, Trace, World, recount, run
from trainer.simulation.people import CHOICES, People, Tastes
from trainer.simulation.report import figures_of, lines, write
from trainer.simulation.workers import Job, Stage, players
from trainer.simulation.world import EVENTS_MIN, build, first_halves

RELEVANCE, SERVED = ROWS[0], ROWS[-1]


def test_first_halves_end_with_a_whole_moment() -> None:
    baskets = events([(0, item, float(day)) for day in range(4) for item in range(3)] + [(1, 0, 0.0)], items=3)
    half = first_halves(baskets)
    assert np.bincount(half.users).tolist() == [6, 1]


def test_only_people_with_enough_of_a_past_are_drawn(bundle: Bundle, tastes: Tastes) -> None:
    short = events([(0, item, float(item)) for item in range(EVENTS_MIN - 1)], items=TOPICS * ITEMS_A_TOPIC)
    with pytest.raises(HistoryRejected, match="give more of it"):
        build(bundle, short, tastes, 5, seed=0)


def test_people_whose_items_have_no_topic_are_refused_and_not_called_too_few(
    bundle: Bundle, history: Events, tastes: Tastes
) -> None:
    shares = np.zeros_like(bundle.arrays.item_topic_shares)
    without = replace(bundle, arrays=replace(bundle.arrays, item_topic_shares=shares))
    with pytest.raises(HistoryRejected, match="categories"):
        build(without, first_halves(history), tastes, 5, seed=0)


def test_a_history_too_short_to_simulate_is_refused_before_anything_is_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"u{user},i{item},{1_700_000_000 + item}" for user in range(30) for item in range(2 * EVENTS_MIN - 2)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as refused:
        main(["simulate", "--interactions", str(tmp_path / "log.csv"), "--out", str(out)])
    assert refused.value.code == 2
    assert "give more of it" in capsys.readouterr().err
    assert not (out / "bundles").exists()


def test_the_same_seed_gives_the_same_loop_and_another_one_another(world: World) -> None:
    one, again, other = (run(world, SERVED, 3, True, seed) for seed in (1, 1, 2))
    assert (one.shown == again.shown).all()
    assert (one.chosen == again.chosen).all()
    assert (one.chosen != other.chosen).any()


def test_slates_hold_ten_different_items_and_choices_come_out_of_them(world: World) -> None:
    trace = run(world, RELEVANCE, 4, True, 1)
    assert trace.shown.shape == (4, len(world.users), SIZE)
    assert trace.chosen.shape == trace.true.shape == (4, len(world.users), CHOICES)
    for shown, chosen in zip(trace.shown.reshape(-1, SIZE), trace.chosen.reshape(-1, CHOICES), strict=True):
        assert len(set(shown.tolist())) == SIZE
        assert len(set(chosen.tolist())) == CHOICES
        assert set(chosen.tolist()) <= set(shown.tolist())


def test_what_serves_holds_interests_that_relevance_alone_loses_at_little_cost(measured: dict[str, Measures]) -> None:
    plain, served = measured[RELEVANCE.name], measured[SERVED.name]
    assert served.mean("kl") < 0.3 * plain.mean("kl")
    assert served.mean("utility", 0) > 0.9 * plain.mean("utility", 0)


def test_people_choose_what_they_like_and_come_to_like_what_they_choose(tastes: Tastes) -> None:
    people = People(tastes, position_bias=False, rng=np.random.default_rng(0))
    shown = np.tile(np.arange(40), (USERS, 1))
    liking = people.felt(shown)
    chosen = np.take_along_axis(liking, people.choose(liking), axis=1)
    assert chosen.mean() > liking.mean() + 0.5
    rows = np.tile([5, 6, -1], (USERS, 1))
    for _ in range(20):
        people.drift(rows)
    assert people.felt(shown)[:, 5:7].mean() > liking[:, 5:7].mean() + 0.5
    assert (people.true(shown) == liking).all()


def test_a_position_bias_favours_the_first_places(tastes: Tastes) -> None:
    alike = np.zeros((4_000, 10), dtype=np.float32)
    places = [People(tastes, biased, np.random.default_rng(0)).choose(alike).mean() for biased in (True, False)]
    assert places[0] < places[1] - 0.5
    assert places[1] == pytest.approx(4.5, abs=0.1)


def test_measures_mean_what_they_say(bundle: Bundle, tastes: Tastes) -> None:
    first = np.array([[0.5, 0.5, 0, 0, 0, 0]])
    topic0, topic1 = list(range(10)), list(range(20, 30))
    half = [*topic0[:5], *topic1[:5]]
    shown = np.array([[topic0], [topic1], [half]])
    true = np.array([[[3, 3, 3]], [[-9, -9, -9]], [[0, 0, 9]]], dtype=np.float32)
    trace = Trace(shown, shown[:, :, :3], true, true + 1)
    found = measure_trace(trace, first, tastes.of(np.array([0])), bundle).of
    assert found["kl"][:, 0] == pytest.approx([0.5 * np.log(0.5 / 0.995) + 0.5 * np.log(0.5 / 0.005), 0, 0], abs=1e-6)
    assert found["entropy"][:, 0] == pytest.approx([0, 0, np.log(2) / np.log(6)])
    assert found["utility"][:, 0].tolist() == [3, -9, 3]
    assert found["felt_utility"][:, 0].tolist() == [4, -8, 4]
    assert found["churn_risk"][:, 0].tolist() == [0, 1, 0]
    assert found["new_interests"][:, 0].tolist() == [0, 0, 0]
    assert found["coverage"] == pytest.approx([10 / 120, 20 / 120, 20 / 120])
    assert found["gini"][0] == pytest.approx(1 - 10 / 120)


def test_divergence_is_none_between_equals_and_bounded_where_nothing_is_shared() -> None:
    mix = np.array([0.2, 0.8, 0.0])
    assert divergence(mix, mix) == pytest.approx(0.0)
    assert divergence(mix, np.array([0.0, 0.0, 1.0])) == pytest.approx(np.log(100))


def test_links_are_counted_anew_with_what_was_chosen(world: World) -> None:
    chosen = np.tile(np.array([0, 119, 60]), (8, len(world.users), 1))
    before, after = world.bundle.arrays, recount(world, chosen).arrays
    assert 119 in after.neighbour_rows[0]
    assert after.popularity[119] > before.popularity[119]
    assert (after.item_vectors == before.item_vectors).all()


def test_a_burst_is_of_a_topic_the_person_never_cared_for(world: World, mixes: np.ndarray) -> None:
    foreign = foreign_topics(world, mixes)
    assert (mixes[np.arange(len(mixes)), foreign] == 0).all()
    state = world.states[int(world.users[0])]
    items = topic_items(world)[foreign[0]]
    moved = after_events(world, state, items, world.act, world.value)
    assert moved.interaction_count == state.interaction_count + min(BURST_EVENTS, ITEMS_A_TOPIC)


def test_a_burst_moves_served_slates_less_than_relevance_alone_and_one_like_turns_nobodys(
    world: World, mixes: np.ndarray
) -> None:
    plain, served = burst(world, mixes, RELEVANCE, 8, 1), burst(world, mixes, SERVED, 8, 1)
    assert served.added < 0.5 * plain.added
    assert 3 * served.back <= plain.back
    assert one_like(world, mixes, SERVED).most <= 0.5


def test_figures_come_with_intervals_and_ratios_against_relevance_alone(
    measured: dict[str, Measures], tmp_path: Path
) -> None:
    found = {name: [one] for name, one in measured.items()}
    figures = figures_of(found, seed=0)
    value = {(figure.row, figure.metric): figure for figure in figures}
    assert all(figure.low <= figure.value + 1e-9 and figure.value <= figure.high + 1e-9 for figure in figures)
    ratio = value[SERVED.name, "kl over relevance only"]
    assert ratio.value == pytest.approx(measured[SERVED.name].mean("kl") / measured[RELEVANCE.name].mean("kl"))
    assert value[RELEVANCE.name, "kl over relevance only"].value == 1.0
    assert len(lines(figures, found)) == len(ROWS) + 1
    write(tmp_path, figures, found, first_seed=1, people=USERS)
    with (tmp_path / "simulation.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12 * len(ROWS)
    said = json.loads((tmp_path / "simulation.json").read_text())
    assert set(said[0]) == {"row", "metric", "value", "low", "high"}
    page = (tmp_path / "simulation.html").read_text()
    assert page.count("<svg") == 9
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_last_utility_is_compared_with_what_is_served_person_by_person(measured: dict[str, Measures]) -> None:
    ours = measured[SERVED.name].of
    better = Measures({**ours, "utility": ours["utility"] + 0.5})
    figures = figures_of({SERVED.name: [measured[SERVED.name]], RELEVANCE.name: [better]}, seed=0)
    (less,) = [figure for figure in figures if figure.metric.endswith("less what is served")]
    assert less.row == RELEVANCE.name
    # People differ, their differences do not.
    assert (less.value, less.low, less.high) == pytest.approx((0.5, 0.5, 0.5))


def test_every_method_lives_through_a_loop(world: World) -> None:
    for name, method in METHODS.items():
        assert run(world, Row(name, method, 0.5), 1, False, 0).shown.min() >= 0


def test_choices_count_as_what_the_history_is_made_of(world: World) -> None:
    assert world.act is Action.PURCHASE
    assert world.value is None


def test_figures_do_not_hang_on_how_many_workers_there_are(path: Path, history: Events, tastes: Tastes) -> None:
    stage = Stage(path, first_halves(history), tastes)
    jobs = [Job(row, 6, 3, True, seed) for seed in (1, 2) for row in (RELEVANCE, SERVED)]
    found, ticks = [], []
    for workers in (1, 2):
        with players(stage, workers) as them:
            found.append((them.loops(jobs, lambda: ticks.append(1)), them.bursts(jobs[:1], lambda: None)))
    assert len(ticks) == 2 * len(jobs)
    assert found[0][1] == found[1][1]
    for here, there in zip(found[0][0], found[1][0], strict=True):
        assert all((here.of[metric] == there.of[metric]).all() for metric in here.of)


def test_utility_is_by_what_people_were_and_not_by_what_the_loop_made_of_them(world: World) -> None:
    trace = run(world, RELEVANCE, 6, True, 1)
    likes = world.tastes.preference(world.tastes.users, trace.chosen[-1])
    assert (trace.true[-1] == likes).all()
    assert trace.felt[-1].mean() > trace.true[-1].mean()
    assert (trace.felt[0] == trace.true[0]).all()


def test_where_nothing_drifts_there_is_no_ratio_to_it(measured: dict[str, Measures]) -> None:
    still = {name: [Measures(one.of | {"kl": one.of["kl"] * 0.0})] for name, one in measured.items()}
    figures = figures_of(still, seed=0)
    assert not any(figure.metric == "kl over relevance only" for figure in figures)
    assert all(np.isfinite([figure.value, figure.low, figure.high]).all() for figure in figures)
    assert len(lines(figures, still)) == len(ROWS) + 1
