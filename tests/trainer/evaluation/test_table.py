"""The table: means, intervals over users, paired differences, seeds that are averaged."""

import numpy as np
import pytest

from trainer.evaluation.bands import POPULARITY, activity, popularity
from trainer.evaluation.moments import Past
from trainer.evaluation.table import SERVED, Table, averaged, gini
from trainer.evaluation.table_lines import lines


def filled(values: dict[str, dict[int, float]], owners: list[int]) -> Table:
    table = Table(owners)
    for name, by_moment in values.items():
        for at, value in by_moment.items():
            table.row(name).add(at, {"NDCG@10": value}, [at % 3])
    table.close(available=10, size=10)
    return table


def test_each_row_and_metric_is_one_figure_inside_its_interval() -> None:
    rng = np.random.default_rng(0)
    values = {name: dict(enumerate(rng.random(80).tolist())) for name in (SERVED, "popular")}
    figures = filled(values, list(range(80))).figures(0)
    names = [(figure.row, figure.metric) for figure in figures]
    assert len(names) == len(set(names))
    assert all(figure.low <= figure.value <= figure.high for figure in figures)
    assert {row for row, _ in names} == {SERVED, "popular", "served minus popular"}
    mean = next(figure for figure in figures if (figure.row, figure.metric) == (SERVED, "NDCG@10"))
    assert mean.value == pytest.approx(np.mean(list(values[SERVED].values())))


def test_a_difference_is_paired_so_that_what_users_share_cancels() -> None:
    rng = np.random.default_rng(1)
    base = rng.random(200)
    table = filled({SERVED: dict(enumerate(base + 0.01)), "other": dict(enumerate(base))}, list(range(200)))
    by_name = {(figure.row, figure.metric): figure for figure in table.figures(0)}
    difference, served = by_name["served minus other", "NDCG@10"], by_name[SERVED, "NDCG@10"]
    assert difference.value == pytest.approx(0.01)
    assert difference.high - difference.low < 1e-9
    assert served.high - served.low > 0.05


def test_a_difference_is_over_moments_that_both_answered() -> None:
    table = filled({SERVED: {0: 1.0, 1: 0.0}, "other": {1: 0.5}}, [0, 1])
    by_name = {(figure.row, figure.metric): figure.value for figure in table.figures(0)}
    assert by_name["served minus other", "NDCG@10"] == pytest.approx(-0.5)


def test_an_interval_is_over_users_and_not_over_their_moments() -> None:
    # Two users who never agree, with 500 moments each: a thousand moments, but a sample of two.
    values = {at: float(at < 500) for at in range(1000)}
    by_user = filled({SERVED: values}, [int(at < 500) for at in range(1000)]).figures(0)[0]
    by_moment = filled({SERVED: values}, list(range(1000))).figures(0)[0]
    assert by_user.high - by_user.low == pytest.approx(1.0)
    assert by_moment.high - by_moment.low < 0.1


def test_a_ratio_pairs_its_two_rows() -> None:
    base = np.random.default_rng(2).random(100)
    table = filled({"a": dict(enumerate(0.9 * base)), "b": dict(enumerate(base))}, list(range(100)))
    ratio = table.ratio("a", "b", "NDCG@10", 0)
    assert ratio is not None
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((0.9, 0.9, 0.9))
    assert table.ratio("a", "nobody", "NDCG@10", 0) is None


def test_seeds_are_averaged_by_moment_and_a_row_of_one_seed_stands_for_all() -> None:
    first = filled({SERVED: {0: 1.0, 1: 0.0}, "popular": {0: 0.2, 1: 0.4}}, [0, 1])
    second = filled({SERVED: {0: 0.0, 1: 0.0}}, [0, 1])
    by_name = {(figure.row, figure.metric): figure.value for figure in averaged([first, second]).figures(0)}
    assert by_name[SERVED, "NDCG@10"] == pytest.approx(0.25)
    assert by_name["served minus popular", "NDCG@10"] == pytest.approx(-0.05)
    assert by_name[SERVED, "coverage@10"] == pytest.approx(0.2)


def test_gini_is_0_where_all_are_shown_alike_and_near_1_where_one_is() -> None:
    assert gini(np.ones(50), 50) == pytest.approx(0.0)
    assert gini(np.array([7.0]), 50) == pytest.approx(0.98)
    counts = np.array([1.0, 2.0, 5.0])
    padded = np.r_[0.0, counts]
    apart = np.abs(padded[:, None] - padded[None]).sum() / (2 * len(padded) ** 2 * padded.mean())
    assert gini(counts, 4) == pytest.approx(apart)


def test_a_person_reads_served_first_variant_after_variant_and_no_row_that_is_a_curve() -> None:
    table = Table([0, 1])
    for name, suffix, compared in (
        ("popular", "", True),
        (SERVED, "", True),
        (SERVED, " (new items)", True),
        ("popular", " (new items)", True),
        ("dial", "", False),
    ):
        table.row(name, suffix, compared).add(0, {"NDCG@10": 0.5}, [1])
    table.row(SERVED, " (new users)")
    table.close(2, 10)
    said = lines(table.figures(0), ["NDCG@10", "coverage@10"])
    assert [line.split("  ")[0] for line in said[1:]] == [
        "popular",
        "served",
        "served (new items)",
        "popular (new items)",
    ]
    assert "+0.0000" in said[1]


def test_bands_hold_about_as_many_users_each_and_a_third_of_the_events_each() -> None:
    pasts = [Past(np.zeros(n, np.int32), np.zeros(n, np.int64), np.zeros(n)) for n in [0, *range(1, 31)]]
    names = activity(pasts)
    assert names[0] == "users with no event"
    assert [names[1:].count(name) for name in dict.fromkeys(names[1:])] == pytest.approx([10, 10, 10], abs=1)
    counts = np.array([100, 1, 1, 50, 50, 98, 0])
    band = popularity(counts)
    assert len(POPULARITY) == 3
    assert band[[0, 5, 6, 1]].tolist() == [0, 1, 2, 2]
