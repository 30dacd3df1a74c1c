"""What ranking found, as the messages that clients read."""

from collections.abc import Iterable, Mapping

from plural.v1 import events_pb2, interests_pb2, recommendations_pb2

from interests.bundle import Bundle
from interests.profile import Profile
from interests.state import InterestState
from ranking.explain import NamedInterest, named_interests
from ranking.slate import Cause, Slate, SlateItem


def slate_message(slate: Slate, user_id: str, prices: Mapping[str, float]) -> recommendations_pb2.Slate:
    """A slate as it is sent to `user_id`, who may be nobody (empty). prices: by item id, of those that have one"""
    return recommendations_pb2.Slate(
        slate_id=slate.slate_id,
        user_id=user_id,
        state_version=slate.state_version,
        bundle_version=slate.bundle_version,
        diversity=slate.diversity,
        items=item_messages(slate.items, prices),
        mix=_mix(slate.mix),
        target_mix=_mix(slate.target_mix),
        calibration_kl=slate.calibration_kl,
        relaxed=[recommendations_pb2.Relaxation.ValueType(relaxed) for relaxed in slate.relaxed],
    )


def item_messages(items: Iterable[SlateItem], prices: Mapping[str, float]) -> list[recommendations_pb2.SlateItem]:
    """Items in their places, counted from 0."""
    return [
        recommendations_pb2.SlateItem(
            item_id=item.item_id,
            position=position,
            score=item.score,
            source=recommendations_pb2.Source.ValueType(item.source),
            interest=item.interest,
            topic=item.topic,
            causes=_causes(item.causes),
            price=prices.get(item.item_id),
            propensity=item.propensity,
        )
        for position, item in enumerate(items)
    ]


def interests_message(state: InterestState, profile: Profile, bundle: Bundle) -> interests_pb2.GetInterestsResponse:
    """All that GetInterests tells of one user."""
    message = interests_pb2.GetInterestsResponse(
        user_id=state.user_id,
        state_version=state.version,
        bundle_version=bundle.version,
        interests=[_interest(named) for named in named_interests(bundle, profile)],
        anchor=_named_mix(bundle, profile.anchor.tolist()),
        recent_mix=_named_mix(bundle, profile.recent_mix.tolist()),
        exposure_mix=_named_mix(bundle, profile.exposure_mix.tolist()),
        entropy=profile.entropy,
        interaction_count=state.interaction_count,
    )
    if state.last_event_ms:
        message.last_event_time.FromMilliseconds(state.last_event_ms)
    return message


def _interest(named: NamedInterest) -> interests_pb2.Interest:
    return interests_pb2.Interest(index=named.index, share=named.share, topic=named.topic, causes=_causes(named.causes))


def _causes(causes: Iterable[Cause]) -> list[interests_pb2.Cause]:
    messages = []
    for cause in causes:
        message = interests_pb2.Cause(item_id=cause.item_id, action=events_pb2.Action.ValueType(cause.action))
        message.time.FromMilliseconds(cause.time_ms)
        messages.append(message)
    return messages


def _named_mix(bundle: Bundle, shares: list[float]) -> list[interests_pb2.TopicShare]:
    named = [(bundle.topic_names[topic], share) for topic, share in enumerate(shares) if share > 0]
    return _mix(sorted(named, key=lambda pair: -pair[1]))


def _mix(mix: Iterable[tuple[str, float]]) -> list[interests_pb2.TopicShare]:
    return [interests_pb2.TopicShare(topic=topic, share=share) for topic, share in mix]
