"""A setting that was exported, with its model: one record in, one response out, from any number of threads."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsc import __version__
from zsc.data.columns import turns
from zsc.data.layouts import Layout
from zsc.data.record import Record, check_sound, parse_record
from zsc.errors import ZscError
from zsc.generation.batches import by_length
from zsc.generation.cells import hashed, library_versions
from zsc.generation.checks import check_settings
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, generate
from zsc.generation.room import room
from zsc.knobs import Knob, apply
from zsc.knobs.base import other_models
from zsc.knobs.read import read as read_source
from zsc.models.load import Loaded
from zsc.models.options import ModelOptions
from zsc.models.prepacked import prepacked
from zsc.options import read
from zsc.study.experiment import code_of
from zsc.study.exported import FILE, MODEL, OTHER, Exported, ExportedModel, read_exported
from zsc.study.formats import Format
from zsc.study.gates import OneAtATime, admitted, lock_of
from zsc.study.hub import fetched, pushed
from zsc.study.knobs import knob_class, load_once, made_knob

if TYPE_CHECKING:
    from transformers import Pipeline

UNREAD = ("id", "reference", "references")  # fields of a record that no response depends on, but for its id


@dataclass(frozen=True, eq=False)
class Setting:
    """An exported setting with its model, as :func:`load` gives it.

    Threads may use it, and several settings of one model, at once. Where knobs change the model itself (``swap``,
    ``dec_mix`` with level ``weights``), and in the first call, which checks the model, others wait.
    """

    folder: Path
    exported: Exported
    loaded: Loaded = field(repr=False)
    knobs: Sequence[Knob] = field(repr=False)
    _used: list[bool] = field(default_factory=list, init=False, repr=False)

    @property
    def name(self) -> str:
        return self.exported.setting

    def __str__(self) -> str:
        return self.name

    def generate(
        self,
        history: Sequence[str | Mapping[str, str]] | str | None = None,
        knowledge: str | None = None,
        *,
        id: str | None = None,
        seed: int | None = None,
        **texts: Any,
    ) -> str:
        """Return the response to one record.

        ``history`` lists what was said, oldest first: texts of two speakers in alternation, or mappings of ``speaker``
        and ``text``. ``texts`` are further fields, such as ``topic``, ``document``, ``question`` or ``focus``. Sampling
        noise depends on ``seed``, by default the first of the run, and on ``id``: with the id and seed of a record of
        the run, the response is that of the run, byte for byte. Without an id it is a hash of the texts and speakers,
        so that the same record has the same response; another id or seed draws another sample. Raises ZscError.
        """
        if unread := [name for name, one in texts.items() if name not in ("focus", *UNREAD) and one is not None
                      and not isinstance(one, str)]:  # fmt: skip
            raise ZscError(
                f"{unread[0]}={texts[unread[0]]!r} is no text of a record, and decoding is the setting's own."
            )
        given = {"history": history, "knowledge": knowledge, "id": id, **texts}
        return self.generate_many([{name: one for name, one in given.items() if one is not None}], seed=seed)[0]

    def generate_many(self, records: Sequence[Record | Mapping[str, Any]], *, seed: int | None = None) -> list[str]:
        """Return the response to each of ``records``, read and decoded in batches.

        A record is a mapping of what :meth:`generate` takes, or a :class:`zsc.data.record.Record`. Raises ZscError.
        """
        given = [as_record(one, f"record {place}") for place, one in enumerate(records, start=1)]
        seed = self.exported.seeds[0] if seed is None else seed
        if type(seed) is not int or seed < 0:
            raise ZscError(f"seed={seed!r} must be a whole number of at least 0.")
        if not given:
            return []
        model, others = self.loaded.model, other_models(self.knobs)
        if not self._used:
            alone, shared = [model, *others], []
        elif any(knob.weights_alone for knob in self.knobs):
            alone, shared = [model], others
        else:
            alone, shared = [], [model, *others]
        plain = apply(model, [])  # which says that this thread wants no knobs of others
        with admitted(alone, shared), prepacked(model, *others), plain:
            responses = self._responses(given, seed)
            self._used.append(True)
        return responses

    def _responses(self, records: Sequence[Record], seed: int) -> list[str]:
        model, tokenizer, decoding = self.loaded.model, self.loaded.target_tokenizer, self.decoding
        with lock_of(self.loaded.tokenizer):
            sources, _ = Format(self.layout, decoding).lay_out(records, self.loaded)
        check_settings(self.loaded, {self.name: self.knobs}, records, sources)
        responses = [""] * len(records)
        size = room(model, sources.longest, decoding).read
        for rows in by_length(sources.lengths, sources.attended, size):
            reading = read_source(model, sources.batch(rows).to(model.device))
            ids = [records[row].id for row in rows]
            (made,) = generate(reading, tokenizer, ids, [Job(self.knobs, seed)], decoding)
            for row, one in zip(rows, made, strict=True):
                responses[row] = one.text
        return responses

    @property
    def layout(self) -> Layout:
        assert isinstance(self.exported.layout, Layout)
        return self.exported.layout

    @property
    def decoding(self) -> Decoding:
        assert isinstance(self.exported.decoding, Decoding)
        return self.exported.decoding

    def pipeline(self, **options: Any) -> "Pipeline":
        """Return a pipeline of transformers that takes records, as :meth:`generate_many`, and gives a mapping of
        ``generated_text`` for each; ``options`` are those of ``transformers.pipeline``, such as ``batch_size``."""
        from zsc.study.pipeline import pipeline_of

        return pipeline_of(self, **options)

    def push(self, repo: str, **options: Any) -> str:
        """Upload its folder to the hub as the model repository ``repo``, ORG/NAME, made if need be; return its address.

        ``options`` are those of ``huggingface_hub.create_repo``, such as ``private`` and ``token``. Raises ZscError.
        """
        return pushed(self.folder, repo, **options)


def load(
    folder: str | Path,
    model: str | Path | None = None,
    *,
    other: str | Path | None = None,
    device: str = "auto",
    revision: str | None = None,
) -> Setting:
    """Load a setting that `zsc export` wrote to ``folder``, or that was pushed to the hub as ORG/NAME, and its model.

    ``model`` is where that lies on this machine, if it is not in the folder and not of the name that the run had, and
    ``other`` the same of the second model of a knob; ``revision`` is a branch, tag or commit on the hub. Raises
    ZscError for other weights than those of the run and for a format of file that this version does not know; warns of
    other versions, code and kinds of device, with which responses may differ.
    """
    place = fetched(folder, revision, [name for name, given in ((MODEL, model), (OTHER, other)) if given is not None])
    exported = read_exported(place / FILE)
    if not isinstance(exported.layout, Layout) or not isinstance(exported.decoding, Decoding):
        raise ZscError(f"{place / FILE} has a layout or a decoding that is not settled. Export the run again.")
    loaded = loaded_as(exported.model, place / MODEL, model, "model", device)
    knobs = [_knob(one, loaded, place / OTHER, other, device) for one in exported.knobs]
    if (name := "+".join(map(str, knobs)) or exported.setting) != exported.setting:
        raise ZscError(f"{place / FILE}: its knobs are {name}, its setting {exported.setting}. Export the run again.")
    setting = Setting(place, exported, loaded, knobs)
    if differing := list(differences(setting)):
        warnings.warn(
            f"{setting.name} was exported with {'; '.join(differing)}: responses may differ from those of its run.",
            stacklevel=2,
        )
    return setting


def loaded_as(wanted: ExportedModel, own: Path, given: str | Path | None, argument: str, device: str) -> Loaded:
    """Return the model ``wanted``: the one ``given``, that in the folder ``own``, or else that of its name.

    Raises ZscError, which names the ``argument`` of :func:`load`, for one that is not to be had or has other weights.
    """
    checkpoint = str(given if given is not None else own if own.is_dir() else wanted.checkpoint)
    values = {name: one for name, one in asdict(wanted).items() if name != "fingerprint"}
    options = read(ModelOptions, {**values, "checkpoint": checkpoint, "device": device}, "model")
    say = f"Name a folder with it: zsc.load(FOLDER, {argument}=PATH)."
    try:
        loaded = load_once(options)
    except ZscError as error:
        raise ZscError(f"{error} {say}") from error
    if loaded.fingerprint != wanted.fingerprint:
        raise ZscError(
            f"{argument} {checkpoint} has other weights, configuration or tokenizer than the setting was made with:"
            f" fingerprint {loaded.fingerprint[:12]} instead of {wanted.fingerprint[:12]}. {say}"
        )
    return loaded


def _knob(values: Mapping[str, Any], loaded: Loaded, own: Path, other: str | Path | None, device: str) -> Knob:
    given = dict(values)
    name = str(given.pop("knob", ""))
    kind = knob_class(name)
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    if unknown := [key for key in given if key not in known]:
        raise ZscError(f"knob {name} of this version of zsc has no '{unknown[0]}'.")
    if "tokenizer" in known:
        given["tokenizer"] = OneAtATime(loaded.tokenizer)
    if given.get("other") is not None:
        wanted = read(ExportedModel, given["other"], f"knob {name}: other")
        given["other"] = loaded_as(wanted, own, other, "other", device).model
    return made_knob(kind, name, given)


def differences(setting: Setting) -> list[str]:
    """Return what of the code, libraries and device differs from those that the run had, in words."""
    exported, now = setting.exported, library_versions() | {"zsc": __version__}
    found = [
        f"{name} {exported.versions.get(name)} in place of {own}"
        for name, own in now.items()
        if exported.versions.get(name) != own
    ]
    if exported.code != code_of(Format(setting.layout, setting.decoding), setting.knobs):
        found.append("other code of zsc")
    if exported.device != (own := setting.loaded.model.device.type):
        found.append(f"a device {exported.device} in place of {own}")
    return found


def as_record(given: Record | Mapping[str, Any], where: str) -> Record:
    """Return a record as it is, or one made of a mapping, which without an id has a hash of its texts and speakers for
    one. Raises ZscError."""
    if isinstance(given, Record):
        return check_sound(given)
    if not isinstance(given, Mapping):
        raise ZscError(f"{where}: must be a mapping of fields, such as history and knowledge, not {given!r}.")
    values = dict(given)
    if isinstance(history := values.get("history"), str | list | tuple):
        values["history"] = turns(history if isinstance(history, str) else list(history), "one")
    named = values.get("id") is not None
    record = parse_record(values if named else {**values, "id": "?"}, where)
    if named:
        return record
    texts = {name: one for name, one in record.to_json().items() if name not in UNREAD}
    return replace(record, id=hashed(texts)[:16])
