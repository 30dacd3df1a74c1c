"""From a state to interest vectors, by the bundle's two ONNX models.

    interest_encoder.onnx  item_vectors (B, L, dim) float32, ages_days (B, L) float32, actions (B, L) int32,
                           mask (B, L) float32 1 or 0; oldest first, padded in front
                           -> interests (B, K, dim) float32 unit rows, shares (B, K) float32 summing to 1
    mf.onnx                item_factors (B, M, factor_dim) float32, weights (B, M) float32, 0 where padded
                           -> factor (B, factor_dim) float32

Item vectors enter as inputs, so new items need no new export. Unknown items are left out and a cold user is never
run, because the models give finite nonsense for a row of padding.
"""

import ctypes
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from interests.absorb import MS_PER_DAY
from interests.bundle import ENCODER_MODEL, MF_MODEL, Bundle
from interests.errors import BundleRejected, SettingsRejected
from interests.items import items_had, recent_items
from interests.manifest import Golden
from interests.state import InterestState, InterestVectors, with_vectors

BATCH_USERS_MAX = 32  # larger batches fall out of the cache and are slower a user
GOLDEN_TOLERANCE = 1e-3

_INPUTS = {ENCODER_MODEL: {"item_vectors", "ages_days", "actions", "mask"}, MF_MODEL: {"item_factors", "weights"}}
_OUTPUTS = {ENCODER_MODEL: ["interests", "shares"], MF_MODEL: ["factor"]}

Floats = npt.NDArray[np.float32]
History = tuple[npt.NDArray[np.int32], Floats, npt.NDArray[np.int32]]
"""Item rows, ages in days and actions of one user, oldest first."""

log = logging.getLogger(__name__)


def providers(device: str) -> list[str]:
    """ONNX Runtime's execution providers for `device`: `cpu`, `gpu` (demanded) or `auto`. Raises SettingsRejected.

    The GPU build lists CUDA where there is no GPU, and then falls back without a word: the driver must load too.
    """
    has_gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers() and _driver_loads()
    if device == "gpu" and not has_gpu:
        raise SettingsRejected(
            "--device gpu: no CUDA driver or no onnxruntime-gpu here; install plural[gpu] or use cpu"
        )
    cpu = ["CPUExecutionProvider"]
    return ["CUDAExecutionProvider", *cpu] if has_gpu and device != "cpu" else cpu


class Encoder:
    """The two models of one bundle, on one thread."""

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        """Loads, warms up and checks both models. Raises BundleRejected where they are not what the manifest says."""
        self._bundle = bundle
        wanted = providers(device)
        self._encoder = _session(ENCODER_MODEL, bundle.encoder_model, wanted)
        self._mf = _session(MF_MODEL, bundle.mf_model, wanted)
        # Plain arrays over the same memory: indexing a memory map makes another one each time.
        self._item_vectors, self._item_factors = map(
            np.asarray, (bundle.arrays.item_vectors, bundle.arrays.item_factors)
        )
        self._cold = _cold(bundle)
        self._check_golden()

    def over(self, bundle: Bundle) -> "Encoder":
        """The same models over a bundle of this version that knows more items."""
        other = copy(self)
        other._bundle = bundle
        other._item_vectors, other._item_factors = bundle.arrays.item_vectors, bundle.arrays.item_factors
        return other

    @property
    def bundle_version(self) -> str:
        """The version of the bundle whose models these are."""
        return self._bundle.version

    def vectors(self, states: Sequence[InterestState]) -> list[InterestVectors]:
        """Interests, shares and factor of each state; K = 0 without known recent items, a zero factor without any.

        About 0.3 ms for one user, less each in a batch.
        """
        found: list[InterestVectors] = []
        for start in range(0, len(states), BATCH_USERS_MAX):
            found.extend(self._batch(states[start : start + BATCH_USERS_MAX]))
        return found

    def encode(self, states: Sequence[InterestState]) -> list[InterestState]:
        """The states with their vectors beside them; those that have this bundle's vectors already stay as they are."""
        stale = [s for s in states if s.vectors is None or s.vectors.bundle_version != self.bundle_version]
        fresh = {s.user_id: v for s, v in zip(stale, self.vectors(stale), strict=True)}
        return [with_vectors(s, fresh[s.user_id]) if s.user_id in fresh else s for s in states]

    def _batch(self, states: Sequence[InterestState]) -> list[InterestVectors]:
        version, count = self.bundle_version, len(states)
        interests, shares = [self._cold.interests] * count, [self._cold.shares] * count
        factors = [self._cold.factor] * count
        histories = {at: history for at, state in enumerate(states) if len((history := self._history(state))[0])}
        if histories:
            found = self._run_encoder(list(histories.values()))
            for at, theirs, their_shares in zip(histories, *found, strict=True):
                interests[at], shares[at] = theirs, their_shares
        had = {at: items[:2] for at, s in enumerate(states) if len((items := items_had(s, self._bundle)).rows)}
        if had:
            for at, factor in zip(had, self._run_mf(list(had.values())), strict=True):
                factors[at] = factor
        return [InterestVectors(version, *parts) for parts in zip(interests, shares, factors, strict=True)]

    def _history(self, state: InterestState) -> History:
        rows, times_ms, actions = recent_items(state, self._bundle)
        keep = slice(-self._bundle.manifest.history_max, None)
        ages = np.maximum(state.last_event_ms - times_ms[keep], 0) / MS_PER_DAY
        return rows[keep], ages.astype(np.float32), actions[keep]

    def _run_encoder(self, histories: Sequence[History]) -> tuple[Floats, Floats]:
        if len(histories) == 1:  # one event that comes alone: nothing to pad
            [(rows, age, action)] = histories
            alone = (self._item_vectors.take(rows, axis=0), age, action, np.ones(len(rows), dtype=np.float32))
            return self._encode_padded(*(column[None] for column in alone))
        longest = max(len(rows) for rows, _, _ in histories)
        shape = (len(histories), longest)
        vectors = np.zeros((*shape, self._bundle.manifest.dim), dtype=np.float32)
        ages, mask = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        actions = np.zeros(shape, dtype=np.int32)
        for place, (rows, age, action) in enumerate(histories):
            start = longest - len(rows)
            self._item_vectors.take(rows, axis=0, out=vectors[place, start:])
            ages[place, start:], actions[place, start:], mask[place, start:] = age, action, 1.0
        return self._encode_padded(vectors, ages, actions, mask)

    def _encode_padded(self, vectors: Any, ages: Any, actions: Any, mask: Any) -> tuple[Floats, Floats]:
        feed = {"item_vectors": vectors, "ages_days": ages, "actions": actions, "mask": mask}
        interests, shares = self._encoder.run(_OUTPUTS[ENCODER_MODEL], feed)
        return interests, shares

    def _run_mf(self, items: Sequence[tuple[npt.NDArray[np.int32], Floats]]) -> Floats:
        limit = self._bundle.manifest.fold_in_max
        longest = max(1, min(limit, max(len(rows) for rows, _ in items)))
        factors = np.zeros((len(items), longest, self._bundle.manifest.factor_dim), dtype=np.float32)
        weights = np.zeros((len(items), longest), dtype=np.float32)
        for place, (rows, weight) in enumerate(items):
            count = min(len(rows), longest)
            self._item_factors.take(rows[:count], axis=0, out=factors[place, :count])
            weights[place, :count] = weight[:count]
        feed = {"item_factors": factors, "weights": weights}
        factor: Floats = self._mf.run(_OUTPUTS[MF_MODEL], feed)[0]
        return factor

    def _check_golden(self) -> None:
        for golden in self._bundle.manifest.golden:
            history, item_count = _golden_history(golden), self._bundle.manifest.item_count
            rows = history[0]
            if not len(rows) or rows.min() < 0 or rows.max() >= item_count:
                raise BundleRejected("manifest.json: golden: names items outside the catalogue")
            with _model_errors(ENCODER_MODEL):
                interests, shares = self._run_encoder([history])
            with _model_errors(MF_MODEL):
                factor = self._run_mf([(rows, np.ones(len(rows), dtype=np.float32))])
            _compare(ENCODER_MODEL, interests[0], golden.interests)
            _compare(ENCODER_MODEL, shares[0], golden.shares)
            _compare(MF_MODEL, factor[0], golden.factor)


def _cold(bundle: Bundle) -> InterestVectors:
    """What is said of a user of whom nothing is known."""
    manifest = bundle.manifest
    return InterestVectors(
        manifest.version,
        np.zeros((0, manifest.dim), dtype=np.float32),
        np.zeros(0, dtype=np.float32),
        np.zeros(manifest.factor_dim, dtype=np.float32),
    )


def _golden_history(golden: Golden) -> History:
    if not len(golden.item_rows) == len(golden.ages_days) == len(golden.actions):
        raise BundleRejected("manifest.json: golden: its rows, ages and actions differ in length")
    return (
        np.array(golden.item_rows, dtype=np.int32),
        np.array(golden.ages_days, dtype=np.float32),
        np.array(golden.actions, dtype=np.int32),
    )


@contextmanager
def _model_errors(name: str) -> Iterator[None]:
    # ONNX Runtime raises a class for each of its codes, without a public base.
    try:
        yield
    except Exception as error:
        raise BundleRejected(
            f"{name}: ONNX Runtime refuses it or the bundle's arrays: {str(error).splitlines()[0]}"
        ) from None


def open_session(model: bytes, wanted: list[str]) -> Any:
    """ONNX Runtime over a model's bytes, on one thread. Raises its own errors, which have no public base."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=wanted)


def _session(name: str, model: bytes, wanted: list[str]) -> Any:
    with _model_errors(name):
        session = open_session(model, wanted)
    inputs, outputs = {i.name for i in session.get_inputs()}, {o.name for o in session.get_outputs()}
    if inputs != _INPUTS[name] or not set(_OUTPUTS[name]) <= outputs:
        raise BundleRejected(f"{name}: has inputs {sorted(inputs)} and outputs {sorted(outputs)}")
    log.info("model loaded", extra={"model": name, "providers": session.get_providers()})
    return session


def _compare(name: str, found: Floats, expected: object) -> None:
    try:
        wanted = np.asarray(expected, dtype=np.float32)
    except ValueError:
        raise BundleRejected("manifest.json: golden: its rows differ in length") from None
    if found.shape != wanted.shape:
        raise BundleRejected(f"{name}: gives {found.shape} where the manifest's golden case has {wanted.shape}")
    worst = float(np.abs(found - wanted).max(initial=0.0))
    if not worst <= GOLDEN_TOLERANCE * max(1.0, float(np.abs(wanted).max(initial=0.0))):
        raise BundleRejected(f"{name}: is {worst:.2g} off the manifest's golden case")


def _driver_loads() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
