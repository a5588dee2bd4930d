"""From the options of knobs to knobs, and to settings: knobs with all their values, by the name of the setting."""

import json
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from functools import lru_cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from zsc.data.control_phrases import load_phrases
from zsc.errors import ZscError, suggestion
from zsc.knobs import KNOBS, Knob
from zsc.knobs.anatomy import decoder_layers
from zsc.models.load import Loaded, load_model
from zsc.models.local import stamp
from zsc.models.options import ModelOptions
from zsc.options import read, shown
from zsc.study.options import KnobChoice, KnobOptions

OFF = "off"  # the setting without knobs
MADE = ("tokenizer", "other")  # fields that are made here
EACH = "each"  # of layers: one setting for each


@dataclass(frozen=True)
class Built:
    """``settings`` by name, ``off`` the first; ``made_from``, what decides their knobs beside their options: the
    weights of other models and, of each setting that draws control phrases, those by the name of their set; and by the
    name of a setting, what decides what each of its knobs does."""

    settings: dict[str, Sequence[Knob]]
    made_from: dict[str, Any]
    deciding: dict[str, list[dict[str, Any]]]


def build_settings(choices: Sequence[KnobChoice], model: ModelOptions, loaded: Loaded) -> Built:
    """Return the model as it is, called off, and the settings that ``choices`` make, those of several choices once.

    A choice makes one for every combination of the values that it lists. ``loaded`` was made from ``model``. Raises
    ZscError for values that a knob refuses, and for different settings of one name.
    """
    return merged([build_choice(choice, model, loaded) for choice in choices])


def build_choice(choice: KnobChoice, model: ModelOptions, loaded: Loaded) -> Built:
    """Return the settings of one choice, all of which have knobs on."""
    made_from: dict[str, Any] = {}
    depth = len(decoder_layers(loaded.model))
    axes = [
        [build_knob(options, model, loaded, made_from) for options in expanded(part, depth)] for part in choice.parts
    ]
    built = Built({}, made_from, {})
    for knobs in product(*axes) if axes else []:
        name = "+".join(map(str, knobs))
        _check_new(name, built.settings)
        built.settings[name] = list(knobs)
        built.deciding[name] = [deciding(knob, made_from) for knob in knobs]
        if phrases := {label: texts for knob in knobs for label, texts in knob.control_phrases.items()}:
            made_from.setdefault("phrases", {})[name] = phrases
    return built


def merged(parts: Sequence[Built]) -> Built:
    """Return the model as it is, called off, and the settings of all ``parts``, those that several have once."""
    joint = Built({OFF: []}, {}, {OFF: []})
    for part in parts:
        for name, knobs in part.settings.items():
            if joint.deciding.get(name) != part.deciding[name]:
                _check_new(name, joint.settings)
                joint.settings[name], joint.deciding[name] = knobs, part.deciding[name]
        phrases = {**joint.made_from.get("phrases", {}), **part.made_from.get("phrases", {})}
        joint.made_from.update(part.made_from | ({"phrases": phrases} if phrases else {}))
    return joint


def described(knob: Knob) -> dict[str, Any]:
    """Return the name of ``knob`` and its values, without the tokenizer and models it uses."""
    name = next(name for name, kind in KNOBS.items() if kind is type(knob))
    return {"knob": name} | {field.name: getattr(knob, field.name) for field in fields(knob) if field.compare}  # type: ignore[arg-type]


def described_briefly(knob: Knob) -> dict[str, Any]:
    """Return :func:`described` without the phrases, which stand in a run's manifest once."""
    return {key: value for key, value in described(knob).items() if key != "phrases"}


def deciding(knob: Knob, made_from: dict[str, Any]) -> dict[str, Any]:
    """Return all that decides what ``knob`` does: its values, and the weights of another model that it uses."""
    own = described(knob)
    if "phrases" in own:
        own.pop("label")
    uses_other = getattr(knob, "other", None) is not None
    return own | ({"other": made_from[f"{own['knob']}.other"]} if uses_other else {})


def _check_new(name: str, settings: dict[str, Sequence[Knob]]) -> None:
    if name in settings:
        raise ZscError(f"two settings would both be called {name}: give different values.")


def count_settings(choice: KnobChoice) -> int:
    """Return how many settings with knobs on a choice makes, with a decoder of two layers."""
    return prod(len(expanded(part, depth=2)) for part in choice.parts)


def knob_class(name: str) -> type[Knob]:
    """Return the class of the knob called ``name``. Raises ZscError if there is none."""
    if name not in KNOBS:
        raise ZscError(f"no knob '{name}'.{suggestion(name, KNOBS)} Known: {', '.join(KNOBS)}.")
    return KNOBS[name]


def expanded(options: KnobOptions, depth: int) -> list[KnobOptions]:
    """Return one choice of values for every combination of those that are listed.

    Of a field whose values are lists themselves, several are a list of lists. ``layers: each`` is each of the ``depth``
    layers of the decoder by itself.
    """
    values = dict(options.values)
    lists = knob_class(options.name).lists
    layers = values.get("layers") if "layers" in lists else None
    if isinstance(layers, str):
        if layers != EACH:
            raise ZscError(
                f"knob.layers={layers} must be a list, such as [0,1], {EACH} (one setting for each), or null."
            )
        values["layers"] = [[number] for number in range(depth)]
    listed = {
        key: value
        for key, value in values.items()
        if isinstance(value, list) and (key not in lists or any(isinstance(one, list) for one in value))
    }
    if empty := [key for key, value in listed.items() if not value]:
        raise ZscError(f"knob.{empty[0]}=[] lists no value.")
    template = KnobOptions(options.name, values)
    return [template.replace(**dict(zip(listed, chosen, strict=True))) for chosen in product(*listed.values())]


def build_knob(options: KnobOptions, model: ModelOptions, loaded: Loaded, made_from: dict[str, Any]) -> Knob:
    """Build one knob. What its options only name is loaded; another model is noted in ``made_from``."""
    kind, name = knob_class(options.name), options.name
    own = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := [key for key in options.values if key not in own]:
        raise ZscError(f"knob {name} has no '{unknown[0]}'.{suggestion(unknown[0], own)}")
    if lacking := [key for key in _required(kind) if key not in options.values]:
        raise ZscError(f"knob {name} needs {lacking[0]}: give knob.{lacking[0]}=VALUE.")
    given = dict(options.values)
    if "tokenizer" in own:
        given["tokenizer"] = loaded.tokenizer
    if "phrases" in own and "phrases" in given:
        if not isinstance(given["phrases"], str):
            raise ZscError(f"knob.phrases={shown(given['phrases'])} must name a set of phrases or a text file.")
        given |= {"phrases": load_phrases(given["phrases"]), "label": Path(given["phrases"]).stem}
    if "other" in own:
        needed = kind.needs_other(given)
        given["other"] = _load_other(name, given.get("other"), model, loaded, made_from) if needed else None
    return made_knob(kind, name, given)


def made_knob(kind: type[Knob], name: str, values: dict[str, Any]) -> Knob:
    """Return the knob called ``name`` with ``values``. Raises ZscError where it refuses them."""
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ZscError(f"knob {name}: {error}") from error


def _required(kind: type[Knob]) -> list[str]:
    """Return the fields that have no default and that are not made here."""
    defaults = {field.name: (field.default, field.default_factory) for field in fields(kind)}  # type: ignore[arg-type]
    return [name for name, given in defaults.items() if given == (MISSING, MISSING) and name not in MADE]


def _load_other(name: str, values: Any, model: ModelOptions, loaded: Loaded, made_from: dict[str, Any]) -> Any:
    if not isinstance(values, dict) or not set(values) <= set(asdict(model)):
        raise ZscError(f"other={values} must hold checkpoint and decoder, as configs/model does.")
    other = load_once(read(ModelOptions, asdict(model) | values, f"knob {name}: other"))
    if other.fingerprint == loaded.fingerprint:
        raise ZscError(
            f"knob {name}: the other model is the model itself. Set other.checkpoint, or other.decoder to a file of"
            " decoder weights in its folder."
        )
    made_from[f"{name}.other"] = other.fingerprint
    return other.model


def load_once(model: ModelOptions) -> Loaded:
    """Load ``model``, or return it if it is one of the last two that were loaded, from unchanged files."""
    return _load_cached(json.dumps(asdict(model), sort_keys=True), stamp(model.checkpoint))


@lru_cache(maxsize=2)
def _load_cached(options: str, files: object) -> Loaded:
    return load_model(**json.loads(options))
