"""From the mappings of a composed config to the objects the stages take, with errors that name the setting."""

from typing import Any

from zsc.data.layout import BucketLayout
from zsc.errors import ZscError
from zsc.generation.run import Settings
from zsc.knobs import KNOBS, Knob


def build_layout(settings: dict[str, Any]) -> BucketLayout:
    """Build the layout. Raises ZscError for settings of the wrong type or size."""
    if not isinstance(settings, dict):
        raise ZscError(f"layout={settings} must be a mapping of knowledge_tokens, turns, turn_tokens and so on.")
    for name in ("knowledge_tokens", "turns", "turn_tokens"):
        check_count(f"layout.{name}", settings[name])
    speakers = settings["speaker_tokens"]
    if not isinstance(speakers, list) or len(speakers) != 2 or not all(isinstance(token, str) for token in speakers):
        raise ZscError(f"layout.speaker_tokens={speakers} must be a list of two tokens.")
    return BucketLayout(**(settings | {"speaker_tokens": tuple(speakers)}))


def build_knobs(settings: dict[str, Any]) -> list[Knob]:
    """Build the knob a config names. Raises ZscError for settings it refuses."""
    options = dict(settings)
    name = options.pop("name")
    if name == "none":
        return []
    try:
        return [KNOBS[name](**options)]
    except (TypeError, ValueError) as error:
        raise ZscError(f"knob {name}: {error}") from error


def build_settings(knobs: list[Knob]) -> Settings:
    """Return the settings of a run by name: the knob off, and on."""
    on = {"+".join(map(str, knobs)): knobs} if knobs else {}
    return {"off": [], **on}


def check_seeds(seeds: Any) -> list[int]:
    """Return ``seeds``. Raises ZscError unless they are different whole numbers of at least 0."""
    whole = isinstance(seeds, list) and seeds and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or len(set(seeds)) < len(seeds):
        raise ZscError(f"seeds={seeds} must be a non-empty list of different whole numbers, such as seeds=[0,1,2].")
    return seeds


def check_count(key: str, value: Any) -> int:
    """Return ``value``, the setting ``key``. Raises ZscError unless it is a whole number of at least 1."""
    if type(value) is not int or value < 1:
        raise ZscError(f"{key}={value} must be a whole number of at least 1.")
    return value
