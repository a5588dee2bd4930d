"""What is checked before anything is generated: that every setting can act, and that it does."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from math import isfinite

from torch import nn
from transformers import PreTrainedModel

from zsc.data.record import Record
from zsc.data.source import KNOWLEDGE, Source, Sources
from zsc.errors import ZscError
from zsc.knobs.anatomy import is_causal
from zsc.knobs.base import Knob
from zsc.knobs.cached import LostAtCachedSteps
from zsc.knobs.finite import ADVICE, NotFinite
from zsc.knobs.probe import Effect, NoEffect, probe, unmodified
from zsc.knobs.spans import NoSuchSpan
from zsc.knobs.supported import check_model
from zsc.models.kinds import reading_embeddings
from zsc.models.load import Loaded

Settings = Mapping[str, Sequence[Knob]]
POSITIONS = ("max_encoder_position_embeddings", "max_position_embeddings")  # the first is LED's
TABLE = "position_embeddings"


def check_settings(loaded: Loaded, settings: Settings, records: Sequence[Record], sources: Sources) -> None:
    """Raise ZscError if the model does not decode soundly, or a knob cannot act on it or on ``records``, laid out as
    ``sources``: the record at fault is named."""
    try:
        check_model(loaded.model)
    except ValueError as error:
        raise ZscError(str(error)) from error
    for first, source in sources.chunks():
        some = records[first : first + len(source.input_ids)]
        check_sources(loaded.model, some, source)
        for knob in (knob for knobs in settings.values() for knob in knobs):
            try:
                knob.check(loaded.model, source)
            except NoSuchSpan as error:
                record = some[error.row]
                focus = f" (its focus is '{record.text('focus')}')" if record.focus and "focus" in error.profile else ""
                raise ZscError(
                    f"record {record.id} has no {error.profile}{focus}, which {knob} is to bias towards."
                    " Leave such records out, or choose another knob.profile."
                ) from error
            except ValueError as error:
                raise ZscError(f"{knob}: {error}") from error


def check_sources(model: PreTrainedModel, records: Sequence[Record], source: Source) -> None:
    """Raise ZscError for a record that leaves nothing to read, or holds a token that ``model`` does not know."""
    readable = (source.segments >= KNOWLEDGE).any(dim=1)
    if not bool(readable.all()):
        record = records[int((~readable).nonzero()[0])]
        raise ZscError(
            f"record {record.id} has neither knowledge nor history that the model could read. Leave such records out."
        )
    rows = reading_embeddings(model).weight.shape[0]
    if (beyond := (source.input_ids >= rows).any(dim=1).nonzero()).numel():
        raise ZscError(
            f"record {records[int(beyond[0])].id} holds a token that the model has no embedding for (it has {rows}):"
            " a mask token that the tokenizer alone knows. Take it out of the text."
        )


def probe_settings(loaded: Loaded, settings: Settings, source: Source, cached: bool = True) -> dict[str, Effect]:
    """Return what every setting with knobs does to the model on ``source``.

    Raises ZscError if one does nothing, gives logits that are not finite, or, where ``cached``, does otherwise at steps
    with a cache.
    """
    batch = source.to(loaded.model.device)
    effects, plain = {}, None
    for name, knobs in settings.items():
        if knobs:
            try:
                plain = unmodified(loaded.model, batch) if plain is None else plain
                effects[name] = probe(loaded.model, knobs, batch, cached, plain)
            except LostAtCachedSteps as error:
                raise ZscError(str(error)) from error
            except NotFinite as error:
                raise ZscError(f"{name}, probed on the first examples: {error}") from error
            except NoEffect as error:
                raise ZscError(
                    f"{error} Either it weighs nothing against anything (a part that is the whole source), or this"
                    " model ignores it (try model.attention=eager)."
                ) from error
            if not all(map(isfinite, astuple(effects[name]))):
                raise ZscError(f"{name}: its effect on the first examples is not finite ({effects[name]}). {ADVICE}")
    return effects


def check_lengths(
    model: PreTrainedModel, positions: int, new_tokens: int, option: str = "decoding.max_new_tokens"
) -> None:
    """Raise ZscError if sources or responses are longer than the position embeddings of ``model``, if it has such; in a
    causal model a response goes on where its prompt ends, so that both share them."""
    if is_causal(model):
        window = source_limit(model, 0)
        if window is not None and positions + new_tokens > window - (not positions):
            taken = f"prompts take {positions} positions and responses" if positions else "a prompt and responses take"
            raise ZscError(
                f"{taken} {new_tokens}, but this model has a window of {window} for both. Reduce {option}"
                f"{' or what the layout takes' * bool(positions)}."
            )
        return
    parts = [("sources", positions, "layout", model.get_encoder())] if positions else []
    parts.append(("responses", new_tokens, option, model.get_decoder()))
    for what, length, key, part in parts:
        limit = position_limit(part)
        if limit is not None and length > limit:
            raise ZscError(f"{what} take {length} positions, but this model has {limit}. Reduce {key}.")


def source_limit(model: PreTrainedModel, new_tokens: int) -> int | None:
    """Return how many positions a source may take, None for no limit: of a causal model, what responses leave."""
    if is_causal(model):
        window = position_limit(model.get_decoder())
        return None if window is None else window - new_tokens
    return position_limit(model.get_encoder())


def position_limit(stack: nn.Module) -> int | None:
    """Return how many positions an encoder or decoder has, None for no limit. RoBERTa counts from behind padding."""
    config = getattr(stack, "config", None)
    limits = (getattr(config, name, None) for name in POSITIONS)
    limit = next((limit for limit in limits if limit is not None), None)
    paddings = (getattr(part, "padding_idx", None) for name, part in stack.named_modules() if name.endswith(TABLE))
    padding = next((index for index in paddings if index is not None), None)
    return limit if limit is None or padding is None else limit - padding - 1
