"""What is checked before anything is generated: that every setting can act, and that it does."""

from collections.abc import Mapping, Sequence

from transformers import PreTrainedModel

from zsc.data.layout import KNOWLEDGE, Source
from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.knobs import Knob, NoSuchSpan
from zsc.knobs.probe import Effect, NoEffect, probe
from zsc.models.load import Loaded

Settings = Mapping[str, Sequence[Knob]]


def check_settings(loaded: Loaded, settings: Settings, records: Sequence[Record], source: Source) -> None:
    """Raise ZscError, naming the record where one is at fault, if a knob cannot act on the model or on ``records``.

    ``source`` holds all records, laid out. Raises ZscError also for a record that leaves nothing to read.
    """
    readable = (source.segments >= KNOWLEDGE).any(dim=1)
    if not bool(readable.all()):
        record = records[int((~readable).nonzero()[0])]
        raise ZscError(
            f"record {record.id} has neither knowledge nor history that the model could read. Leave such records out."
        )
    for knob in (knob for knobs in settings.values() for knob in knobs):
        try:
            knob.check(loaded.model, source)
        except NoSuchSpan as error:
            raise ZscError(
                f"record {records[error.row].id} has no {error.profile}, which {knob} is to bias towards."
                " Leave such records out, or choose another knob.profile."
            ) from error
        except ValueError as error:
            raise ZscError(f"{knob}: {error}") from error


def probe_settings(loaded: Loaded, settings: Settings, source: Source) -> dict[str, Effect]:
    """Return what every setting with knobs does to the model on ``source``. Raises ZscError if one does nothing."""
    batch = source.to(loaded.model.device)
    effects = {}
    for name, knobs in settings.items():
        if knobs:
            try:
                effects[name] = probe(loaded.model, knobs, batch)
            except NoEffect as error:
                raise ZscError(
                    f"{error} Either it weighs nothing against anything (a part that is the whole source), or this"
                    " model ignores it (try model.attention=eager)."
                ) from error
    return effects


def check_lengths(
    model: PreTrainedModel, positions: int, new_tokens: int, setting: str = "decoding.max_new_tokens"
) -> None:
    """Raise ZscError if sources or responses are longer than the position embeddings of ``model``, if it has such."""
    parts = [("sources", positions, "layout", model.get_encoder())] if positions else []
    parts.append(("responses", new_tokens, setting, model.get_decoder()))
    for what, length, key, part in parts:
        limit = getattr(part.config, "max_position_embeddings", None)
        if limit is not None and length > limit:
            raise ZscError(f"{what} take {length} positions, but this model has {limit}. Reduce {key}.")
