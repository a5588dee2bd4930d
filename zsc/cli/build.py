"""From the mappings of a composed config to the objects the stages take, with errors that name the setting."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from zsc.cli.counts import check_count
from zsc.data.control_phrases import load_phrases
from zsc.data.layout import BucketLayout
from zsc.errors import ZscError, suggestion
from zsc.generation.checks import Settings
from zsc.knobs import KNOBS, ContextAugmentation, Knob
from zsc.knobs.anatomy import decoder_layers
from zsc.knobs.swap import OF_ANOTHER
from zsc.models.files import stamp
from zsc.models.load import Loaded, load_model

LISTS = ("layers", "heads")  # settings whose values are lists


@dataclass(frozen=True)
class Built:
    """``settings`` by name; what decides their knobs beside the config, namely the weights of other models and, of each
    setting that draws control phrases, those by the name of their set; and by name, all that decides what the knobs of
    a setting do."""

    settings: dict[str, Sequence[Knob]]

    made_from: dict[str, Any]
    deciding: dict[str, list[dict[str, Any]]]


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


def build_settings(knob: dict[str, Any], model: dict[str, Any], loaded: Loaded) -> Built:
    """Return the settings of a run by name: the knobs off, and on with every combination of their listed values.

    ``knob`` is one knob's config, or holds several of them under ``name: several``; ``model`` is the config that
    ``loaded`` was made from. Raises ZscError for settings a knob refuses.
    """
    return merged([build_knobs(knob, model, loaded)])


def build_knobs(knob: dict[str, Any], model: dict[str, Any], loaded: Loaded) -> Built:
    """Return those of the settings of :func:`build_settings` that have the knobs on."""
    made_from: dict[str, Any] = {}
    depth = len(decoder_layers(loaded.model))
    axes = [
        [_build_knob(options, model, loaded, made_from) for options in _expanded(part, depth)]
        for part in knob_parts(knob)
    ]
    built = Built({}, made_from, {})
    for knobs in product(*axes) if axes else []:
        name = "+".join(map(str, knobs))
        _check_new(name, built.settings)
        built.settings[name] = list(knobs)
        built.deciding[name] = [deciding(one, made_from) for one in knobs]
        if drawn := {knob.label: knob.drawn for knob in knobs if isinstance(knob, ContextAugmentation)}:
            made_from.setdefault("phrases", {})[name] = drawn
    return built


def merged(parts: Sequence[Built]) -> Built:
    """Return the model as it is, called off, and the settings of all ``parts``, those that several have once."""
    whole = Built({"off": []}, {}, {"off": []})
    for part in parts:
        for name, knobs in part.settings.items():
            if whole.deciding.get(name) != part.deciding[name]:
                _check_new(name, whole.settings)
                whole.settings[name], whole.deciding[name] = knobs, part.deciding[name]
        phrases = {**whole.made_from.get("phrases", {}), **part.made_from.get("phrases", {})}
        whole.made_from.update(part.made_from | ({"phrases": phrases} if phrases else {}))
    return whole


def described(knob: Knob) -> dict[str, Any]:
    """Return the name of ``knob`` and its settings, without the tokenizer and models it uses."""
    name = next(name for name, kind in KNOBS.items() if kind is type(knob))
    return {"knob": name} | {field.name: getattr(knob, field.name) for field in fields(knob) if field.compare}  # type: ignore[arg-type]


def deciding(knob: Knob, made_from: dict[str, Any]) -> dict[str, Any]:
    """Return all that decides what ``knob`` does: its settings, and the weights of another model that it uses."""
    own = described(knob)
    own.pop("label", None)
    uses_other = getattr(knob, "other", None) is not None
    return own | ({"other": made_from[f"{own['knob']}.other"]} if uses_other else {})


def _check_new(name: str, settings: Settings) -> None:
    if name in settings:
        raise ZscError(f"two settings would both be called {name}: give different values.")


def knob_parts(knob: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the configs of the single knobs in a knob config."""
    if knob["name"] == "several":
        parts = [part for key, part in knob.items() if key != "name"]
        if not parts or not all(isinstance(part, dict) for part in parts):
            raise ZscError("knob=several needs knobs: write them as a list, such as knob=[attn_bias,ctx_aug].")
        return parts
    return [] if knob["name"] == "none" else [knob]


def count_settings(knob: dict[str, Any]) -> int:
    """Return how many settings with knobs on a knob config makes, with a decoder of two layers."""
    return prod(len(_expanded(part, depth=2)) for part in knob_parts(knob))


def _expanded(options: dict[str, Any], depth: int) -> list[dict[str, Any]]:
    """Return one mapping for every combination of the values that are listed.

    Layers and heads are lists themselves: several of them are a list of lists. ``layers: each`` is each of the
    ``depth`` layers of the decoder by itself.
    """
    layers = options.get("layers")
    if isinstance(layers, str) and layers != "each":
        raise ZscError(f"knob.layers={layers} must be a list, such as [0,1], each (one setting for each), or null.")
    if layers == "each":
        options = options | {"layers": [[number] for number in range(depth)]}
    listed = {
        key: value
        for key, value in options.items()
        if isinstance(value, list) and (key not in LISTS or any(isinstance(one, list) for one in value))
    }
    if empty := [key for key, values in listed.items() if not values]:
        raise ZscError(f"knob.{empty[0]}=[] lists no value.")
    return [options | dict(zip(listed, values, strict=True)) for values in product(*listed.values())]


def _build_knob(options: dict[str, Any], model: dict[str, Any], loaded: Loaded, made_from: dict[str, Any]) -> Knob:
    """Build one knob. What its settings only name is loaded; another model is noted in ``made_from``."""
    name = options["name"]
    if name not in KNOBS:
        raise ZscError(f"no knob '{name}'.{suggestion(str(name), KNOBS)} Known: {', '.join(KNOBS)}.")
    given = {key: value for key, value in options.items() if key != "name"}
    known = {field.name for field in fields(KNOBS[name])}  # type: ignore[arg-type]
    if "tokenizer" in known:
        given["tokenizer"] = loaded.tokenizer
    if "phrases" in known:
        if not isinstance(given["phrases"], str):
            raise ZscError(f"knob.phrases={given['phrases']} must name a set of phrases or a text file.")
        given |= {"phrases": load_phrases(given["phrases"]), "label": Path(given["phrases"]).stem}
    if "other" in known:
        if given.get("by", "other") not in OF_ANOTHER:
            given["other"] = None
        else:
            other = _load_other(given["other"], model)
            if other.fingerprint == loaded.fingerprint:
                raise ZscError(
                    f"knob {name}: the other model is the model itself. Set other.checkpoint, or other.decoder to a"
                    " file of decoder weights in its folder."
                )
            made_from[f"{name}.other"], given["other"] = other.fingerprint, other.model
    try:
        return KNOBS[name](**given)
    except (TypeError, ValueError) as error:
        raise ZscError(f"knob {name}: {error}") from error


def _load_other(settings: Any, model: dict[str, Any]) -> Loaded:
    if not isinstance(settings, dict) or not set(settings) <= set(model):
        raise ZscError(f"other={settings} must hold checkpoint and decoder, as configs/model does.")
    return load_once(model | settings)


def load_once(model: dict[str, Any]) -> Loaded:
    """Load the model of a config, or return it if it is one of the last two that were loaded, from unchanged files."""
    return _load_cached(json.dumps(model, sort_keys=True), stamp(str(model["checkpoint"])))


@lru_cache(maxsize=2)
def _load_cached(settings: str, files: object) -> Loaded:
    return load_model(**json.loads(settings))


def check_seeds(seeds: Any) -> list[int]:
    """Return ``seeds``. Raises ZscError unless they are different whole numbers of at least 0."""
    whole = isinstance(seeds, list) and seeds and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or len(set(seeds)) < len(seeds):
        raise ZscError(f"seeds={seeds} must be a non-empty list of different whole numbers, such as seeds=[0,1,2].")
    return seeds
