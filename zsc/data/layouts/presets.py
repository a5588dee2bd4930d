"""Layouts of published checkpoints, in configs/layout, and which of them fits a checkpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsc.configs import group_values
from zsc.errors import ZscError, suggestion


@dataclass(frozen=True)
class Checkpoint:
    """What is known of a checkpoint: its ``name``, the type of its ``model``, the class of its ``tokenizer``, the
    ``task`` it is used for, whether its vocabulary ``has`` a token, the ``folder`` it lies in, whether it is a decoder
    alone (``causal``), and whether its tokenizer has a ``chat`` template."""

    name: str
    model: str
    tokenizer: str
    task: str
    has: Callable[[str], bool]
    folder: Path | None = None
    causal: bool = False
    chat: bool = False

    @property
    def kind(self) -> str:
        return "causal" if self.causal else "encoder-decoder"

    def fits(self, rules: Mapping[str, list[Any]]) -> bool:
        """Say whether it keeps all of ``rules``: each lists what there may be, ``tokens`` what there must be."""
        name = self.name.lower()
        holds = {
            "names": lambda known: any(one in name for one in known),
            "models": lambda known: self.model in known,
            "tokenizers": lambda known: self.tokenizer in known,
            "tasks": lambda known: self.task in known,
            "tokens": lambda known: all(map(self.has, known)),
            "kinds": lambda known: self.kind in known,
            "chat": lambda known: self.chat in known,
        }
        return all(holds[rule](known) for rule, known in rules.items())

    def known_by(self, rules: Mapping[str, list[Any]]) -> str:
        """Say what of it ``rules`` go by."""
        told = {"names": "name", "models": f"model type {self.model}", "tokenizers": self.tokenizer}
        told |= {"tokens": f"tokens {' and '.join(rules.get('tokens', []))}"}
        told |= {"chat": "chat template" if self.chat else "lack of a chat template"}
        return " and ".join(text for rule, text in told.items() if rule in rules)


def presets() -> dict[str, dict[str, Any]]:
    """Return the content of every file in configs/layout, by its name."""
    return group_values("layout")


def preset_values(name: str) -> dict[str, Any]:
    """Return the options of the preset called ``name``. Raises ZscError if there is none."""
    if name not in presets():
        raise ZscError(f"no layout '{name}'.{suggestion(name, presets())} Known: {', '.join(presets())}.")
    return dict(presets()[name])


def preset_for(checkpoint: Checkpoint) -> tuple[str, str] | None:
    """Return the preset that fits ``checkpoint`` by the most rules, and what of the checkpoint tells so."""
    fitting = [
        (len(rules), name)
        for name, content in presets().items()
        if (rules := content.get("fits")) and checkpoint.fits(rules)
    ]
    if not fitting:
        return None
    _, name = max(fitting)
    return name, checkpoint.known_by(presets()[name]["fits"])
