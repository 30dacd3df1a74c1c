"""A client in thirty lines: what draws a user, their slate, one click, and the slate that follows from it.

python -m examples.client USER [ADDRESS]
"""

import sys

import grpc
from plural.v1 import events_pb2, interests_pb2, interests_pb2_grpc, recommendations_pb2, recommendations_pb2_grpc


def main(user_id: str, address: str = "127.0.0.1:50051") -> None:
    """Print the user's interests and slate, click its last item, and print the slate that is pushed."""
    with grpc.insecure_channel(address) as channel:
        interests = interests_pb2_grpc.InterestServiceStub(channel)
        recommendations = recommendations_pb2_grpc.RecommendationServiceStub(channel)

        known = interests.GetInterests(interests_pb2.GetInterestsRequest(user_id=user_id))
        for interest in known.interests:
            print(f"{interest.share:4.0%}  {interest.topic}")

        slates = recommendations.Follow(recommendations_pb2.FollowRequest(user_id=user_id, size=5))
        before = next(slates).slate
        print("slate: ", [item.item_id for item in before.items])

        last = before.items[-1]
        click = events_pb2.Interaction(
            user_id=user_id,
            item_id=last.item_id,
            action=events_pb2.ACTION_CLICK,
            slate_id=before.slate_id,
            position=last.position,
        )
        interests.RecordInteractions(interests_pb2.RecordInteractionsRequest(interactions=[click]))
        print("pushed:", [item.item_id for item in next(slates).slate.items])
        slates.cancel()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
