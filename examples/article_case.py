"""Behaviour and content fused, part by part: 10,000 users, 1,000 items, 50 dimensions, planted interests.

    python -m examples.article_case --seeds 2

    X_u   matrix factorisation: a factor of the user's own
    G(U)  generator: a network from the mean content of what the user did to X̂_u, a factor nobody had to learn
    z_u = g_u X_u + (1 - g_u) G(U),   g_u = sigmoid(w . [log history, entropy of topics, bias])          the gate
    R'  = R * softmax(cos(R, X̂_u))      the list R, reweighted by how near each of its items is to the generated user

Interests are planted, so that there is something to find: each user mixes a few of TOPICS topics, items are points
around the topics' centres, content features are a noisy view of them, and histories are from 3 to 40 items long. Each
part is switched on alone and together with the others; all are fitted by softmax over all items with early stopping on
validation items, and ranked on test items that none of them saw. KL is from what the user turned to in training to
what is shown, by topic: smaller keeps more of their interests.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

DIM, TOPICS, CONTENT_DIM = 50, 20, 64
SIZE, CANDIDATES = 10, 100
HISTORY_MIN, HISTORY_MAX, VALIDATION_ITEMS, TEST_ITEMS = 3, 40, 3, 8
TASTE, POPULARITY, CONTENT_NOISE = 10.0, 0.5, 1.0
BATCH, EPOCHS_MAX, PATIENCE, LEARNING_RATE = 128, 60, 2, 0.004
ROWS = ("popular", "MF", "generator", "MF + generator", "MF + generator + gate", "the same, R'")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class World:
    """Planted users and items. Items of each user: train (U, n), validation and test as 0 or 1; features of users."""

    topics: npt.NDArray[np.int64]
    content: Floats
    train: Floats
    validation: Floats
    test: Floats

    @property
    def profiles(self) -> Floats:
        """Mean content of what each user did, (U, CONTENT_DIM)."""
        mean: Floats = self.train @ self.content / np.maximum(self.train.sum(axis=1, keepdims=True), 1.0)
        return mean

    @property
    def mixes(self) -> Floats:
        """Each user's mix over topics in training, (U, TOPICS)."""
        mix = self.train @ np.eye(TOPICS, dtype=np.float32)[self.topics]
        shares: Floats = mix / mix.sum(axis=1, keepdims=True)
        return shares

    @property
    def gate_features(self) -> Floats:
        """Length of the history on a log scale and entropy of its topics, each in [0, 1], and 1; (U, 3)."""
        length = np.log(self.train.sum(axis=1)) / np.log(HISTORY_MAX)
        mixes = self.mixes
        entropy = -(mixes * np.log(np.maximum(mixes, 1e-12))).sum(axis=1) / np.log(TOPICS)
        features: Floats = np.stack([length, entropy, np.ones_like(length)], axis=1).astype(np.float32)
        return features


def plant(users: int, items: int, seed: int) -> World:
    """Users who mix topics, items around them; what a user does is drawn without repeats by taste and popularity."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(TOPICS, DIM))
    topics = rng.integers(TOPICS, size=items)
    factors = centres[topics] + 0.7 * rng.normal(size=(items, DIM))
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    # Content tells half of what an item is; the other half only behaviour tells.
    view = rng.normal(size=(DIM, CONTENT_DIM)) / np.sqrt(DIM)
    view[DIM // 2 :] = 0.0
    content = factors @ view
    content += CONTENT_NOISE * content.std() * rng.normal(size=content.shape)
    mixtures = rng.dirichlet(np.full(TOPICS, 0.15), size=users)
    own = mixtures @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)) + 0.08 * rng.normal(size=(users, DIM))
    liking = TASTE * own @ factors.T / np.linalg.norm(own, axis=1, keepdims=True)
    liking += POPULARITY * rng.normal(size=items) + rng.gumbel(size=liking.shape)
    order = np.argsort(-liking, axis=1)[:, : HISTORY_MAX + VALIDATION_ITEMS + TEST_ITEMS]
    order = rng.permuted(order, axis=1)
    lengths = np.exp(rng.uniform(np.log(HISTORY_MIN), np.log(HISTORY_MAX + 1), size=users)).astype(np.int64)
    place = np.arange(order.shape[1])
    parts = []
    begin = np.zeros(users, dtype=np.int64)
    for size in (np.full(users, VALIDATION_ITEMS), np.full(users, TEST_ITEMS), lengths):
        taken = (place >= begin[:, None]) & (place < (begin + size)[:, None])
        part = np.zeros((users, items), dtype=np.float32)
        row, column = np.nonzero(taken)
        part[row, order[row, column]] = 1.0
        parts.append(part)
        begin = begin + size
    return World(topics, content.astype(np.float32), parts[2], parts[0], parts[1])


class Fused(keras.Model):  # type: ignore[misc]
    """Scores of all items for a batch of users, from whichever parts are switched on."""

    def __init__(self, users: int, items: int, factor: bool, generator: bool, gate: bool) -> None:
        super().__init__()
        self._parts = factor, generator, gate
        self._users = keras.layers.Embedding(
            users, DIM, embeddings_initializer=keras.initializers.RandomNormal(0, 0.05)
        )
        self._items = self.add_weight(shape=(items, DIM), initializer=keras.initializers.RandomNormal(0, 0.2))
        self._bias = self.add_weight(shape=(items,), initializer="zeros")
        self._generator = keras.Sequential([keras.layers.Dense(128, activation="relu"), keras.layers.Dense(DIM)])
        self._gate = keras.layers.Dense(1, use_bias=False, activation="sigmoid")

    def build(self, shapes: Any) -> None:
        """The parts that are switched on."""
        for layer, shape, used in zip((self._users, self._generator, self._gate), shapes, self._parts, strict=True):
            if used:
                layer.build(shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Scores (B, items)."""
        return tf.matmul(self.vectors(inputs)[0], self._items, transpose_b=True) + self._bias

    def vectors(self, inputs: Any) -> tuple[Any, Any]:
        """z_u and G(U), (B, DIM) each; G(U) is zeros where there is no generator."""
        factor, generator, gate = self._parts
        rows, profiles, features = inputs
        own = self._users(rows) if factor else tf.zeros((tf.shape(rows)[0], DIM))
        made = self._generator(profiles) if generator else tf.zeros_like(own)
        if not (factor and generator):
            return own + made, made
        share = self._gate(features) if gate else 0.5
        return 2.0 * (share * own + (1.0 - share) * made), made

    @property
    def item_vectors(self) -> Floats:
        """(items, DIM)."""
        return np.asarray(self._items)


def fit(world: World, seed: int, factor: bool, generator: bool, gate: bool) -> tuple[Fused, int]:
    """A fitted model and how many epochs it took until validation stopped gaining."""
    keras.utils.set_random_seed(seed)
    users, items = world.train.shape
    model = Fused(users, items, factor, generator, gate)

    def loss(wanted: Any, scores: Any) -> Any:
        return -tf.reduce_sum(wanted * tf.nn.log_softmax(scores), axis=-1) / tf.reduce_sum(wanted, axis=-1)

    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss=loss)
    inputs = _inputs(world)
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    ran = model.fit(
        inputs,
        world.train,
        validation_data=(inputs, world.validation),
        batch_size=BATCH,
        validation_batch_size=1024,
        epochs=EPOCHS_MAX,
        callbacks=[stop],
        verbose=0,
    )
    return model, len(ran.history["loss"])


def _inputs(world: World) -> tuple[npt.NDArray[np.int32], Floats, Floats]:
    return np.arange(len(world.train), dtype=np.int32), world.profiles, world.gate_features


def reweighted(scores: Floats, item_vectors: Floats, generated: Floats) -> Floats:
    """R' of each user's best CANDIDATES: their shares of the scores' softmax times softmax(cos); the rest last."""
    best = np.argpartition(-scores, CANDIDATES - 1, axis=1)[:, :CANDIDATES]
    rows = np.arange(len(scores))[:, None]
    items = item_vectors / np.maximum(np.linalg.norm(item_vectors, axis=1, keepdims=True), 1e-12)
    made = generated / np.maximum(np.linalg.norm(generated, axis=1, keepdims=True), 1e-12)
    cosines = np.take_along_axis(made @ items.T, best, axis=1)
    relevance = np.take_along_axis(scores, best, axis=1)
    out = np.full_like(scores, -np.inf)
    # A product of softmaxes orders as the sum of what is under them.
    out[rows, best] = relevance + cosines
    return out


def measure(world: World, scores: Floats) -> dict[str, float]:
    """Precision, recall and F1 at SIZE over test items, and KL of topics; what is known of a user is not shown."""
    hidden = np.where((world.train + world.validation) > 0, -np.inf, scores)
    shown = np.argsort(-hidden, axis=1, kind="stable")[:, :SIZE]
    hits = np.take_along_axis(world.test, shown, axis=1).sum(axis=1)
    precision = float((hits / SIZE).mean())
    recall = float((hits / world.test.sum(axis=1)).mean())
    mixes = world.mixes
    shares = np.eye(TOPICS)[world.topics[shown]].mean(axis=1)
    smoothed = 0.99 * shares + 0.01 * mixes
    kl = np.where(mixes > 0, mixes * np.log(np.maximum(mixes, 1e-12) / np.maximum(smoothed, 1e-12)), 0.0).sum(axis=1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-12)
    return {"precision@10": precision, "recall@10": recall, "F1": f1, "KL": float(kl.mean())}


def ablation(users: int, items: int, seed: int) -> dict[str, dict[str, float]]:
    """The table of one seed: a row a part switched on."""
    world = plant(users, items, seed)
    popular = np.tile(world.train.sum(axis=0), (users, 1))
    table = {ROWS[0]: measure(world, popular)}
    fitted: Fused | None = None
    for name, (factor, generator, gate) in zip(
        ROWS[1:5], ((True, False, False), (False, True, False), (True, True, False), (True, True, True)), strict=True
    ):
        fitted, epochs = fit(world, seed, factor, generator, gate)
        table[name] = measure(world, _scores(fitted, world)) | {"epochs": float(epochs)}
    assert fitted is not None
    _, generated = fitted.vectors(tuple(map(tf.constant, _inputs(world))))
    again = reweighted(_scores(fitted, world), fitted.item_vectors, np.asarray(generated))
    table[ROWS[5]] = measure(world, again)
    return table


def _scores(model: Fused, world: World) -> Floats:
    return np.asarray(model.predict(_inputs(world), batch_size=1024, verbose=0))


def show(tables: Sequence[dict[str, dict[str, float]]]) -> None:
    """Mean over seeds, and the standard deviation between them."""
    metrics = ("precision@10", "recall@10", "F1", "KL", "epochs")
    print(f"{'':<24}" + "".join(f"{metric:>18}" for metric in metrics))
    for row in ROWS:
        cells = []
        for metric in metrics:
            values = np.array([table[row][metric] for table in tables if metric in table[row]])
            cells.append(f"{values.mean():.4f} ± {values.std():.4f}" if len(values) else "")
        print(f"{row:<24}" + "".join(f"{cell:>18}" for cell in cells))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The article's case: each part switched on, measured.")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=2)
    told = parser.parse_args(arguments)
    tables = []
    for seed in range(told.seeds):
        tables.append(ablation(told.users, told.items, seed))
        print(f"seed {seed} of {told.seeds} done", flush=True)
    show(tables)


if __name__ == "__main__":
    main()
