"""A slate out of what was chosen: reasons, mixes, and what was given up."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from interests.bundle import Bundle
from interests.profile import Profile
from ranking.chosen import Chosen
from ranking.explore import Explored
from ranking.pull import Asks
from ranking.reasons import Reasons
from ranking.slate import Relaxation, Slate, SlateItem, Source
from ranking.target import Target
from ranking.topics import made_of, main_topics, mixes_of

MIX_TOPICS_MAX = 16

Floats = npt.NDArray[np.float32]


def compose(
    bundle: Bundle,
    profile: Profile,
    slate_id: str,
    chosen: Chosen,
    diversity: float,
    target: Target,
    relaxed: tuple[Relaxation, ...],
    explored: Explored | None = None,
    asks: Asks | None = None,
) -> Slate:
    """The slate of these items in this order; `target` is what it was held to, `explored` what chance put last.

    asks: as for Reasons
    """
    aim = target.owed(len(chosen))
    _, mix, kl = made_of(bundle, chosen.rows, aim)
    return Slate(
        slate_id=slate_id,
        user_id=profile.user_id,
        state_version=profile.state_version,
        bundle_version=bundle.version,
        diversity=diversity,
        items=_told(slate_items(bundle, profile, chosen, asks), explored),
        mix=_named(bundle, mix),
        target_mix=_named(bundle, aim),
        calibration_kl=kl,
        relaxed=relaxed,
    )


def slate_items(
    bundle: Bundle, profile: Profile | None, chosen: Chosen, asks: Asks | None = None
) -> tuple[SlateItem, ...]:
    """Each item with its topic and its causes; without a profile there is nobody whose doing it could be."""
    reasons = Reasons(bundle, profile, asks) if profile else None
    told = reasons.of(chosen).tolist() if reasons else [[]] * len(chosen)
    causes = [tuple(reasons.cause(row) for row in rows if row >= 0) if reasons else () for rows in told]
    topics = main_topics(mixes_of(bundle, chosen.rows)).tolist()
    return tuple(
        SlateItem(
            item_id=item_id,
            score=score,
            source=Source(source),
            interest=interest if interest >= 0 else None,
            topic=bundle.topic_names[topic] if topic >= 0 else "",
            causes=why,
        )
        for item_id, score, source, interest, topic, why in zip(
            chosen.item_ids,
            chosen.scores.tolist(),
            chosen.sources.tolist(),
            chosen.interests.tolist(),
            topics,
            causes,
            strict=True,
        )
    )


def _told(items: tuple[SlateItem, ...], explored: Explored | None) -> tuple[SlateItem, ...]:
    if explored is None:
        return items
    return (*items[:-1], replace(items[-1], propensity=explored.propensity))


def _named(bundle: Bundle, mix: Floats) -> tuple[tuple[str, float], ...]:
    """The topics of a mix, largest first, at most MIX_TOPICS_MAX of them."""
    largest = np.argsort(-mix, kind="stable")[:MIX_TOPICS_MAX].tolist()
    return tuple((bundle.topic_names[topic], float(mix[topic])) for topic in largest if mix[topic] > 0)
