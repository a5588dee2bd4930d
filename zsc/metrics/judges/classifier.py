"""Probabilities of classifiers: of a topic without training for it, of positive sentiment and of a formal register."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from zsc.errors import ZscError, first_line
from zsc.metrics.judges.base import Values, by_length
from zsc.metrics.judges.checkpoint import find_judge, fingerprint
from zsc.models.load import resolve_device
from zsc.models.pretrained import read_model, read_tokenizer
from zsc.models.tokens import check_vocabulary

BUDGET = 16_384  # characters of a padded batch
NUMBERED = re.compile(r"(?i)(?:label)?_?\d+")  # a label that says nothing of itself


class Classifier:
    """A text-classification checkpoint of transformers. A text longer than its window is read as far as it reaches."""

    columns: tuple[str, ...]

    def __init__(self, option: str, task: str, name: str, device: str):
        from transformers import AutoModelForSequenceClassification, pipeline

        what = f"{option}={name}"
        folder = find_judge(what, name, "a classifier")
        model = read_model(AutoModelForSequenceClassification, folder, what)
        tokenizer, on = read_tokenizer(folder, what), resolve_device(device)
        check_vocabulary(what, tokenizer, model.get_input_embeddings())
        try:
            self.pipeline: Any = pipeline(task, model=model, tokenizer=tokenizer, device=on)  # type: ignore[call-overload]
        except Exception as error:  # the library passes on those of every format
            raise ZscError(f"{what} cannot be used as a classifier: {first_line(error)}") from error
        self.window = min(tokenizer.model_max_length, positions(model))
        tokenizer.model_max_length = self.window
        self.name, self.fingerprint = Path(name).name, fingerprint(self.pipeline.model)

    @property
    def signature(self) -> str:
        return f"model:{self.name}|weights:{self.fingerprint}|window:{self.window}-cut"

    @property
    def networks(self) -> Sequence[nn.Module]:
        return (self.pipeline.model,)

    def batches(self, texts: Sequence[str]) -> Iterable[list[str]]:
        return by_length(texts, [len(text) for text in texts], BUDGET)

    def judge(self, batch: list[str]) -> list[Values]:
        nonempty = [text for text in batch if text.strip()]
        values = iter(self.probabilities(nonempty) if nonempty else [])
        return [[next(values)] if text.strip() else None for text in batch]

    def probabilities(self, texts: list[str]) -> list[float]:
        raise NotImplementedError


def positions(model: nn.Module) -> int:
    """Return how many tokens the position embeddings of ``model`` reach; those of RoBERTa begin after its padding."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return 2**31


class TopicClassifier(Classifier):
    """Probability that a natural-language-inference model entails the topic from a text (Yin et al., 2019)."""

    columns: tuple[str, ...] = ("topic_probability",)

    def __init__(self, name: str, device: str, label: str):
        self.label = label
        super().__init__("judges.topic_classifier", "zero-shot-classification", name, device)

    @property
    def signature(self) -> str:
        return f"{super().signature}|label:{self.label}"

    def probabilities(self, texts: list[str]) -> list[float]:
        found = self.pipeline(texts, candidate_labels=[self.label], multi_label=True, batch_size=len(texts))
        return [float(one["scores"][0]) for one in found]


class LabelClassifier(Classifier):
    """Probability of one label, by softmax or as the model's own configuration says."""

    label: str

    @property
    def labels(self) -> list[str]:
        """Every label of the model, in its order."""
        return [str(label) for _, label in sorted(self.pipeline.model.config.id2label.items())]

    @property
    def signature(self) -> str:
        return f"{super().signature}|label:{self.label}"

    def probabilities(self, texts: list[str]) -> list[float]:
        found = self.pipeline(texts, top_k=None, truncation=True, batch_size=len(texts))
        return [float(next(one["score"] for one in labels if one["label"] == self.label)) for labels in found]


class SentimentClassifier(LabelClassifier):
    """Probability of the positive label: the one whose name begins with ``pos``, or the second of two."""

    columns: tuple[str, ...] = ("positive_probability",)

    def __init__(self, name: str, device: str):
        super().__init__("judges.sentiment_classifier", "text-classification", name, device)
        named = [label for label in self.labels if label.lower().startswith("pos")]
        if len(named) != 1 and len(self.labels) != 2:
            raise ZscError(
                f"judges.sentiment_classifier={name} has no one positive label among {', '.join(self.labels)}:"
                " it needs two labels, or one whose name begins with 'pos'."
            )
        self.label = named[0] if len(named) == 1 else self.labels[1]


class RegisterClassifier(LabelClassifier):
    """Probability of the formal label: the one whose name begins with ``formal`` or, where two labels have numbers for
    names, the second, as in the classifier of the shared task of IWSLT 2023."""

    columns: tuple[str, ...] = ("formal_probability",)

    def __init__(self, name: str, device: str):
        super().__init__("judges.register_classifier", "text-classification", name, device)
        named = [label for label in self.labels if label.lower().startswith("formal")]
        if len(self.labels) == 2 and all(NUMBERED.fullmatch(label) for label in self.labels):
            named = self.labels[1:]
        if len(named) != 1 or len(self.labels) < 2:
            raise ZscError(
                f"judges.register_classifier={name} has no one formal label among {', '.join(self.labels)}: it needs"
                " one whose name begins with 'formal', and others, or two whose names are numbers, such as LABEL_0."
            )
        self.label = named[0]
