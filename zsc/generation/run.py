"""The runner: every setting on the same examples, written as they come, resumed where they stopped."""

from collections.abc import Callable, Mapping, Sequence

from transformers import PreTrainedModel

from zsc.data.layout import Source
from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.generation.decoding import Decoding
from zsc.generation.folder import RunFolder
from zsc.generation.generate import encode, generate
from zsc.knobs import Knob, NoSuchSpan
from zsc.knobs.probe import Effect, NoEffect, probe
from zsc.models.load import Loaded

Settings = Mapping[str, Sequence[Knob]]


def check_settings(loaded: Loaded, settings: Settings, records: Sequence[Record], source: Source) -> None:
    """Raise ZscError, naming the record where one is at fault, if a knob cannot act on the model or on ``records``.

    ``source`` holds all records, laid out.
    """
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


def check_lengths(model: PreTrainedModel, positions: int, new_tokens: int) -> None:
    """Raise ZscError if sources or responses are longer than the position embeddings of ``model``, if it has such."""
    limit = getattr(model.config, "max_position_embeddings", None)
    for what, length, key in [("sources", positions, "layout"), ("responses", new_tokens, "decoding.max_new_tokens")]:
        if limit is not None and length > limit:
            raise ZscError(f"{what} take {length} positions, but this model has {limit}. Reduce {key}.")


def run_settings(
    loaded: Loaded,
    records: Sequence[Record],
    whole: Source,
    settings: Settings,
    decoding: Decoding,
    seeds: Sequence[int],
    batch_size: int,
    folder: RunFolder,
    advance: Callable[[int], None],
) -> None:
    """Generate what ``folder`` does not hold yet.

    ``whole`` holds all records, laid out; ``settings`` maps the name of each setting to its knobs. ``advance`` is told
    how many responses are ready.
    """
    done = folder.done()
    advance(len(done))
    for start in range(0, len(records), batch_size):
        batch = range(start, min(start + batch_size, len(records)))
        cells = [
            (name, knobs, seed, missing)
            for seed in seeds
            for name, knobs in settings.items()
            if (missing := [i for i in batch if (name, seed, records[i].id) not in done])
        ]
        if not cells:
            continue
        states = encode(loaded.model, whole.select(batch).to(loaded.model.device))
        for name, knobs, seed, missing in cells:
            ids = [records[i].id for i in missing]
            source = whole.select(missing).to(loaded.model.device)
            rows = states[[i - start for i in missing]]
            responses = generate(loaded.model, loaded.tokenizer, source, rows, ids, seed, decoding, knobs)
            folder.append(
                {
                    "setting": name,
                    "seed": seed,
                    "id": identity,
                    "response": response.text,
                    "tokens": response.tokens,
                    "nll": round(response.nll, 5),
                }
                for identity, response in zip(ids, responses, strict=True)
            )
            advance(len(ids))
