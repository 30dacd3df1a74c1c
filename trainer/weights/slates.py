"""What a slate that would be served is worth on validation."""

from interests.profile import Profile
from ranking.query import Query
from ranking.recommend import Ranker
from trainer.evaluation.metrics import ndcg
from trainer.states import Case

SIZE = 10


def slate_ndcg(ranker: Ranker, one: Profile, case: Case, query: Query) -> float:
    """NDCG@10 of one user's slate; nobody asks for its reasons, so none are looked for."""
    return ndcg(ranker.choose(one, query).chosen.rows.tolist(), case.relevant, SIZE)
