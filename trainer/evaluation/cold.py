"""Protocol `cold`: how well items that nobody ever turned to are ranked among themselves.

    20% of the items, drawn by the seed, lose all their events: no part of training sees one
    each user's last fifth of timestamp groups (one at least) is later; a user's state is their warm events before it
    relevant: the cold items that the user turned to in that later part
    fitted to the warm events before it; signal weights chosen on each user's last warm group there, weights of cold
    items on a second 20% of items whose evidence is taken away after the fit (trainer/weights/cold_weights.py)

So a state is never later than what it is asked, and neither cold items nor later events teach anything. `served` is
the pipeline that serves, with the cold items as all that is available. Recall@20, ties averaged, 95% intervals over
users. `category affinity` is the share of a user's faded weight in an item's categories, summed over them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.errors import HistoryRejected
from interests.profile import Profile
from ranking.content import content
from ranking.query import Query
from ranking.recommend import Ranker
from trainer import rules
from trainer.data import Events, positive, speaks
from trainer.encoder.learn import learn, next_items, seed_everything
from trainer.encoder.model import Shape
from trainer.evaluation.measure import assemble, count
from trainer.evaluation.metrics import interval
from trainer.evaluation.splits import TEST, natural, split
from trainer.evaluation.table import Figure
from trainer.inputs import Inputs
from trainer.parts import with_manifest
from trainer.progress import Reporter
from trainer.rules import CHOOSING_USERS, choose_rules
from trainer.settings import EFFORTS, HistorySettings
from trainer.states import Case, absorb_users, profiles
from trainer.timing import Stopwatch
from trainer.weights.cold_weights import TICKS, choose_cold
from trainer.weights.weights import choose, steps

COLD_SHARE = 0.2
LATER_SHARE = 0.2
SIZE = 20
METRIC = f"Recall@{SIZE}"
SERVED, AFFINITY = "served", "category affinity"
GAIN = f"{SERVED} - {AFFINITY}"

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ColdSplit:
    """cold (n,): items without evidence. warm: events that teach and make states. later: cold events to be ranked."""

    cold: Mask
    warm: Events
    later: Events


def cold_evaluation(
    inputs: Inputs, settings: HistorySettings, seeds: int, reporter: Reporter, watch: Stopwatch
) -> list[Figure]:
    """The table, told line by line. With several seeds, other items are cold in each, and users of all count alike."""
    measured: dict[str, list[Doubles]] = {}
    for seed in range(settings.seed, settings.seed + seeds):
        reporter.say(f"seed {seed}, {seed - settings.seed + 1} of {seeds}")
        for row, values in cold_recall(inputs, settings, seed, reporter, watch).items():
            measured.setdefault(row, []).append(values)
    found = [Figure(row, METRIC, *interval(np.concatenate(values), settings.seed)) for row, values in measured.items()]
    for figure in found:
        reporter.say(f"{figure.row:<28}{METRIC}  {figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]")
    return found


def cold_figures(inputs: Inputs, settings: HistorySettings, reporter: Reporter, watch: Stopwatch) -> list[Figure]:
    """The table of one seed."""
    return cold_evaluation(inputs, settings, 1, reporter, watch)


def cold_recall(
    inputs: Inputs, settings: HistorySettings, seed: int, reporter: Reporter, watch: Stopwatch
) -> dict[str, Doubles]:
    """Fit without the cold items and rank them: Recall@SIZE by row, then by user.

    Raises HistoryRejected where no user turned to one later.
    """
    seed_everything(seed)
    parted = cold_split(inputs.events, seed)
    wanted = next_items(parted.later, EFFORTS[settings.profile].evaluation_users, seed)
    bundle = _fit(inputs, parted.warm, settings.model_copy(update={"seed": seed}), reporter, watch)
    available = parted.cold & inputs.catalogue.available
    bundle = replace(bundle, arrays=replace(bundle.arrays, available=available))
    with watch.lap("evaluate"), reporter.task("rank cold items", 2 * len(wanted)) as tick:
        states = absorb_users(parted.warm, inputs.catalogue.item_ids, list(wanted), tick=tick)
        cases = [Case(user, states[user], rows) for user, rows in wanted.items() if states[user].interaction_count > 0]
        counts = np.bincount(parted.warm.items, minlength=parted.warm.item_count).astype(np.float64)
        measured = _measure(bundle, cases, np.flatnonzero(available), category_popularity(bundle, counts), tick)
    if not len(measured[SERVED]):
        raise HistoryRejected(
            "--protocol cold: no user turned to a cold item after something else; give a longer history"
        )
    return measured


def cold_split(events: Events, seed: int) -> ColdSplit:
    """Which items are cold, what teaches, and what is asked. Raises HistoryRejected where nothing can be asked."""
    known = speaks(events)
    items = np.unique(events.items[known])
    chosen = np.random.default_rng(seed).permutation(items)[: int(COLD_SHARE * len(items))]
    cold = np.zeros(events.item_count, dtype=np.bool_)
    cold[chosen] = True
    groups, first = np.unique(events.groups[known], return_index=True)
    owners = events.users[known][first]
    count_of = np.bincount(owners, minlength=events.user_count)
    later_count = np.where(count_of >= 2, np.maximum((LATER_SHARE * count_of).astype(np.int64), 1), 0)
    starts = np.full(events.user_count, np.iinfo(np.int64).max)
    asked = np.flatnonzero(later_count)
    starts[asked] = groups[np.cumsum(count_of)[asked] - later_count[asked]]
    later = events.groups >= starts[events.users]
    is_cold = cold[events.items]
    asked_of = events.where(later & is_cold & known)
    if not len(asked_of):
        raise HistoryRejected(
            "--protocol cold: needs users with two timestamp groups or more, and five items; give a longer history"
        )
    return ColdSplit(cold, events.where(~later & ~is_cold), asked_of)


def category_affinity(bundle: Bundle, profile: Profile, rows: npt.NDArray[np.int64]) -> Floats:
    """The user's faded share of each row's categories, summed over them (n,)."""
    mix = np.append(profile.anchor, np.float32(0))  # -1, the padding, points at the 0
    found: Floats = mix[bundle.arrays.item_topic_ids[rows]].sum(axis=1)
    return found


def category_popularity(bundle: Bundle, counts: Doubles) -> Doubles:
    """Interactions a warm item of each item's categories has on average, mean over them (n,)."""
    ids, shares = bundle.arrays.item_topic_ids, bundle.arrays.item_topic_shares
    known, topics = ids >= 0, bundle.manifest.topic_count
    warm = shares * (counts > 0)[:, None]
    total = np.bincount(ids[known], weights=(shares * counts[:, None])[known], minlength=topics)
    size = np.bincount(ids[known], weights=warm[known], minlength=topics)
    mean = np.append(total / np.maximum(size, 1.0), 0.0)
    found: Doubles = (mean[ids] * shares).sum(axis=1)
    return found


def expected_recall(scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.int64], size: int) -> float:
    """Share of `relevant` (places in scores) among the best `size`, averaged over the orders of equal scores."""
    ascending, wanted = np.sort(scores), scores[relevant]
    above = len(scores) - np.searchsorted(ascending, wanted, side="right")
    level = len(scores) - above - np.searchsorted(ascending, wanted, side="left")
    return float(np.clip((size - above) / level, 0.0, 1.0).mean())


def _fit(inputs: Inputs, warm: Events, settings: HistorySettings, reporter: Reporter, watch: Stopwatch) -> Bundle:
    effort, seed = EFFORTS[settings.profile], settings.seed
    last = split(warm, natural(warm)) == TEST
    train, validation = warm.where(~last), warm.where(last)
    known = validation.where(np.isin(validation.users, train.users))
    relevant = next_items(known, max(effort.stopping_users, effort.weight_users, CHOOSING_USERS), seed)
    stopping = dict(list(relevant.items())[: effort.stopping_users])
    with watch.lap("choose rules"), reporter.task("how events are counted", rules.steps()) as tick:
        chosen_rules = choose_rules(positive(train), relevant, Shape().dim, seed, tick)
    with watch.lap("count"):
        counted = count(inputs, train, seed, reporter, chosen_rules.rules)
    with watch.lap("encoder"):
        learned = learn(counted, stopping, Shape(), effort, seed, None, reporter)
    with watch.lap("choose"), reporter.task("weights, warm and cold", steps() + TICKS) as tick:
        bundle = assemble(inputs, counted, learned, settings)
        before = absorb_users(train, inputs.catalogue.item_ids, list(relevant))
        cases = [Case(user, before[user], rows) for user, rows in relevant.items()][: effort.weight_users]
        bundle = with_manifest(bundle, choose(bundle, cases, effort.dial_users, tick).manifest)
        chosen = choose_cold(bundle, train, counted.described, cases, seed, tick)
    said = ", ".join(f"{name} {weight:g}" for name, weight in chosen.weights.items())
    reporter.say(f"weights of cold items: {said or 'none'}")
    return with_manifest(bundle, {"cold_weights": chosen.weights})


def _measure(
    bundle: Bundle,
    cases: Sequence[Case],
    rows: npt.NDArray[np.int64],
    popular: Doubles,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Doubles]:
    """Recall of each row of the table by user."""
    ranker, query = Ranker(bundle), Query(size=min(SIZE, max(len(rows), 1)))
    found: dict[str, list[float]] = {
        name: [] for name in ("random", "popular category", AFFINITY, "content alone", SERVED)
    }
    for case, one in zip(cases, profiles(cases, bundle), strict=True):
        tick()
        places = np.flatnonzero(np.isin(rows, case.relevant))
        if not len(places):
            continue  # what they turned to is no longer available
        found["random"].append(min(SIZE / len(rows), 1.0))
        found["popular category"].append(expected_recall(popular[rows], places, SIZE))
        found[AFFINITY].append(expected_recall(category_affinity(bundle, one, rows), places, SIZE))
        found["content alone"].append(expected_recall(content(bundle, one, rows), places, SIZE))
        shown = {bundle.row_of[item.item_id] for item in ranker.recommend(one, query).items}
        found[SERVED].append(len(shown.intersection(case.relevant.tolist())) / len(places))
    measured = {name: np.array(values) for name, values in found.items()}
    measured[GAIN] = measured[SERVED] - measured[AFFINITY]
    return measured
