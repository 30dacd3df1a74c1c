"""What an encoder as it stands scores on validation."""

import numpy as np
import numpy.typing as npt

from trainer.encoder.model import Encoder
from trainer.encoder.sequences import Sequences, Windows
from trainer.encoder.training import Trainer
from trainer.encoder.yardstick import Reading, Yardstick

ENCODE_BATCH = 256

Floats = npt.NDArray[np.float32]


def read(trainer: Trainer, sequences: Sequences, yardstick: Yardstick) -> Reading:
    """Of the yardstick's users; zeros where it has none."""
    if not len(yardstick.users):
        return Reading()
    vectors = trainer.item_vectors
    return yardstick.read(encode(trainer.encoder, vectors, sequences.latest(yardstick.users)), vectors)


def encode(encoder: Encoder, item_vectors: Floats, windows: Windows) -> Floats:
    """Queries (w, K, dim) of windows: interests scaled as ranking/score.py does."""
    found = []
    for begin in range(0, len(windows), ENCODE_BATCH):
        part = windows.take(np.arange(begin, min(begin + ENCODE_BATCH, len(windows))))
        vectors = item_vectors[part.items] * part.mask[:, :, None]
        interests, shares = encoder(vectors, part.ages_days, part.actions, part.mask)
        found.append(scaled(interests.numpy(), shares.numpy()))
    return np.concatenate(found)


def scaled(interests: Floats, shares: Floats) -> Floats:
    """Interests (w, K, dim) by the roots of their shares (w, K), the largest 1."""
    weights: Floats = np.sqrt(shares / shares.max(axis=1, keepdims=True)).astype(np.float32)
    return interests * weights[:, :, None]
