"""What the figures of a simulation are called, for those who write them and those who look one up."""

UNBIASED = " (no position bias)"
DRIFT_LEFT = "kl over relevance only"


def of_round(metric: str, number: int) -> str:
    """A metric in one round, from 1."""
    return f"{metric}, round {number}"


def mean_of_rounds(metric: str) -> str:
    """A metric's mean over all rounds."""
    return f"{metric}, mean of rounds"
