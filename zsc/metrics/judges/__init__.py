"""Judges: neural models that give numbers to responses, each response by itself. A line and a function here make a new
one; its file, and the libraries of models, are imported when it is wanted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zsc.errors import ZscError, suggestion
from zsc.metrics.judges.base import Judge


@dataclass(frozen=True)
class Topic:
    """The topic wanted of responses: phrases that describe it, and the name of their set."""

    name: str
    phrases: Sequence[str]

    @property
    def label(self) -> str:
        """The topic in words."""
        return self.name.removeprefix("topic_").replace("_", " ")

    def needed(self, judge: str) -> "Topic":
        """Return the topic. Raises ZscError if there is none."""
        if not self.phrases:
            raise ZscError(f"judges.{judge} needs a topic: give topic=NAME, a set of phrases (see `zsc ls`) or a file.")
        return self


def language_model(name: str, device: str, topic: Topic) -> Judge:
    from zsc.metrics.judges.language_model import LanguageModel

    return LanguageModel(name, device)


def embedder(name: str, device: str, topic: Topic) -> Judge:
    from zsc.metrics.judges.embedder import Embedder

    return Embedder(name, device, topic.needed("embedder").phrases)


def topic_classifier(name: str, device: str, topic: Topic) -> Judge:
    from zsc.metrics.judges.classifier import TopicClassifier

    return TopicClassifier(name, device, topic.needed("topic_classifier").label)


def sentiment_classifier(name: str, device: str, topic: Topic) -> Judge:
    from zsc.metrics.judges.classifier import SentimentClassifier

    return SentimentClassifier(name, device)


def register_classifier(name: str, device: str, topic: Topic) -> Judge:
    from zsc.metrics.judges.classifier import RegisterClassifier

    return RegisterClassifier(name, device)


def entailment(name: str, device: str, topic: Topic) -> Judge:
    from zsc.metrics.judges.entailment import Entailment

    return Entailment(name, device)


JUDGES: dict[str, Callable[[str, str, Topic], Judge]] = {
    "language_model": language_model,
    "embedder": embedder,
    "topic_classifier": topic_classifier,
    "sentiment_classifier": sentiment_classifier,
    "register_classifier": register_classifier,
    "entailment": entailment,
}


def build_judges(options: dict[str, Any], topic: Topic) -> list[Judge]:
    """Load the judges that ``options`` name; those set to null are left out. Raises ZscError for what cannot be."""
    device = options["device"]
    chosen = {kind: name for kind, name in options.items() if kind != "device" and name is not None}
    for kind, name in chosen.items():
        if kind not in JUDGES:
            raise ZscError(f"no judge '{kind}'.{suggestion(kind, JUDGES)} Known: {', '.join(JUDGES)}.")
        if not isinstance(name, str) or not name:
            raise ZscError(f"judges.{kind}={name} must be a name on the hub or a folder, or null.")
    if chosen:
        from zsc.models.load import silence_library

        silence_library()
    return [JUDGES[kind](name, device, topic) for kind, name in chosen.items()]
