"""Judges: neural models that give numbers to responses, each response by itself. A line here makes a new one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zsc.errors import ZscError, suggestion
from zsc.metrics.judges.base import Judge
from zsc.metrics.judges.classifier import SentimentClassifier, TopicClassifier
from zsc.metrics.judges.embedder import Embedder
from zsc.metrics.judges.entailment import Entailment
from zsc.metrics.judges.language_model import LanguageModel
from zsc.models.load import silence_library

JUDGES: dict[str, Callable[[str, str, "Topic"], Judge]] = {
    "language_model": lambda name, device, topic: LanguageModel(name, device),
    "embedder": lambda name, device, topic: Embedder(name, device, topic.needed("embedder").phrases),
    "topic_classifier": lambda name, device, topic: TopicClassifier(
        name, device, topic.needed("topic_classifier").label
    ),
    "sentiment_classifier": lambda name, device, topic: SentimentClassifier(name, device),
    "entailment": lambda name, device, topic: Entailment(name, device),
}


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


def build_judges(settings: dict[str, Any], topic: Topic) -> list[Judge]:
    """Load the judges that ``settings`` name; those set to null are left out. Raises ZscError for what cannot be."""
    silence_library()
    device = settings["device"]
    chosen = {kind: name for kind, name in settings.items() if kind != "device" and name is not None}
    for kind, name in chosen.items():
        if kind not in JUDGES:
            raise ZscError(f"no judge '{kind}'.{suggestion(kind, JUDGES)} Known: {', '.join(JUDGES)}.")
        if not isinstance(name, str) or not name:
            raise ZscError(f"judges.{kind}={name} must be a name on the hub or a folder, or null.")
    return [JUDGES[kind](name, device, topic) for kind, name in chosen.items()]
