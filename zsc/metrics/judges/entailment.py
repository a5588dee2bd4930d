"""Informativeness: whether the knowledge entails a response."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from zsc.errors import ZscError
from zsc.metrics.judges.base import Pair, Values, by_length
from zsc.metrics.judges.classifier import BUDGET, Classifier


class Entailment:
    """Probability that a natural-language-inference model gives to the entailment of a response by its knowledge.

    It is that of the label whose name begins with ``entail``, by softmax over all labels. Of a pair longer than the
    model's window the longer text loses its end, token by token, which is the knowledge unless the response takes more
    than half of the window [D]. An empty knowledge or response has no probability.
    """

    columns: tuple[str, ...] = ("entailment_probability",)
    premise = "knowledge"

    def __init__(self, name: str, device: str):
        self.classifier = Classifier("judges.entailment", "text-classification", name, device)
        labels = [str(label) for _, label in sorted(self.classifier.pipeline.model.config.id2label.items())]
        named = [label for label in labels if label.lower().startswith("entail")]
        if len(named) != 1 or len(labels) < 2:
            raise ZscError(
                f"judges.entailment={name} has no one label of entailment among {', '.join(labels)}: it needs a model"
                " for natural language inference, with one label whose name begins with 'entail', and others."
            )
        self.label = named[0]

    @property
    def signature(self) -> str:
        return f"{self.classifier.signature}-longer|label:{self.label}|premise:{self.premise}"

    @property
    def networks(self) -> Sequence[nn.Module]:
        return self.classifier.networks

    def batches(self, pairs: Sequence[Pair]) -> Iterable[list[Pair]]:
        return by_length(pairs, [len(premise) + len(response) for premise, response in pairs], BUDGET)

    def judge(self, batch: list[Pair]) -> list[Values]:
        read = [
            {"text": premise, "text_pair": response} for premise, response in batch if complete((premise, response))
        ]
        arguments: dict[str, Any] = {"top_k": None, "truncation": True, "function_to_apply": "softmax"}
        found = iter(self.classifier.pipeline(read, batch_size=len(read), **arguments) if read else [])
        return [[self._probability(next(found))] if complete(pair) else None for pair in batch]

    def _probability(self, labels: list[dict[str, Any]]) -> float:
        return float(next(one["score"] for one in labels if one["label"] == self.label))


def complete(pair: Pair) -> bool:
    """Say whether neither text of ``pair`` is empty."""
    return all(text.strip() for text in pair)
