"""The model, its format and its knobs, loaded once, and what it answers with knobs off and on."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zsc.data.record import Record
from zsc.data.source import Source
from zsc.errors import ZscError, first_line
from zsc.generation.attended import attended
from zsc.generation.attention import Attended
from zsc.generation.checks import check_settings
from zsc.generation.generate import Job, Response, generate
from zsc.knobs import KNOBS, AdditiveKnob, Knob, NoSuchSpan, UnsupportedModel
from zsc.knobs.anatomy import is_causal
from zsc.knobs.base import other_models
from zsc.knobs.read import read
from zsc.models.prepacked import prepacked
from zsc.study.formats import format_of
from zsc.study.knobs import OFF, build_settings, described_briefly, load_once
from zsc.study.options import KnobChoice, KnobOptions
from zsc.study.play.command import command, save_setting, shared_words
from zsc.study.play.controls import Section, choices_of, default_options, in_order, section
from zsc.study.play.options import PlayOptions
from zsc.study.play.texts import HISTORY, editable, edited

BEGINS = "attn_bias"  # the knob that is on at first where the options name none


@dataclass(frozen=True)
class Answer:
    """What the model says to ``record`` with the noise of ``seed``: without knobs, and in ``setting`` (None where no
    knob is on), and where attention to the source lies along that; ``notes`` are for the reader."""

    record: Record
    edited: bool
    seed: int
    setting: str | None
    off: Response
    on: Response | None
    attended: Attended | None
    notes: tuple[str, ...]


class Playground:
    """Answers to records, with knobs off and on. Several threads may ask; they are answered one after the other.

    ``words`` are those of the command that asked for ``options``, in which commands are told; ``sections`` say what can
    be set of the knobs that the model takes, and ``lacking`` why it takes no others, by name. Raises ZscError for what
    cannot be loaded.
    """

    def __init__(self, options: PlayOptions, words: Sequence[str] = (), records: Sequence[Record] | None = None):
        self.options, self.words = options, shared_words(words)
        found = options.dataset.load() if records is None else records
        count = min(options.examples, len(found))
        self.records = [found[place * len(found) // count] for place in range(count)]
        if not self.records:
            raise ZscError(f"dataset={options.dataset.loader} holds no record to begin with.")
        self.loaded = load_once(options.model)
        self.format = format_of(options, self.loaded)
        self.fields = editable(self.format.layout, self.records)
        self.defaults = {name: default_options(name, options) for name in KNOBS}
        self._lock = threading.Lock()
        self._said: tuple[str, Response] | None = None
        self.lacking: dict[str, str] = {}
        self.sections = self._sections()

    @property
    def spans(self) -> list[str]:
        """The parts of a source that attention can be biased towards, as they are called."""
        return ["dialog" if name == HISTORY else name for name in self.fields]

    def _sections(self) -> list[Section]:
        given = {part.name: part for part in self.options.knob.parts}
        source = self._source(self.records[0])
        begun = {}
        for name in in_order(KNOBS):
            if name in given:
                begun[name] = given[name]
            elif (sound := self._sound(name, source)) is not None:
                begun[name] = sound
        on = set(given) or {BEGINS}
        causal = is_causal(self.loaded.model)
        return [section(options, self.spans, causal, name in on) for name, options in begun.items()]

    def _sound(self, name: str, source: Source) -> KnobOptions | None:
        """Return the knob called ``name`` as it is shipped, or if that cannot act on the first record, with the first
        other choice of a field that can. None, saying why in ``lacking``, for one that the model does not take."""
        shipped = self.defaults[name]
        others = [
            shipped.replace(**{field: choice})
            for field, value in shipped.values.items()
            if isinstance(value, str)
            for choice in choices_of(name, field, self.spans)
            if choice != value
        ]
        for options in (shipped, *others):
            try:
                (knob,) = self._knobs([options])
                knob.check(self.loaded.model, source)
                self.lacking.pop(name, None)
                return options
            except UnsupportedModel as error:
                self.lacking[name] = first_line(error)
                return None
            except (ZscError, ValueError) as error:
                self.lacking.setdefault(name, first_line(error))
        if issubclass(KNOBS[name], AdditiveKnob):  # whose profile may be in other records
            del self.lacking[name]
            return shipped
        return None

    def _knobs(self, parts: Sequence[KnobOptions]) -> Sequence[Knob]:
        """Return ``parts`` as knobs. Raises ZscError for values that make several settings, or that they refuse."""
        if not parts:
            return []
        settings = build_settings([KnobChoice(tuple(parts))], self.options.model, self.loaded).settings
        others = [knobs for name, knobs in settings.items() if name != OFF]
        if len(others) > 1:
            raise ZscError(f"these values make {len(others)} settings, and the page shows one: give one value of each.")
        return others[0]

    def _source(self, record: Record) -> Source:
        sources, _ = self.format.lay_out([record], self.loaded)
        return sources.batch([0]).to(self.loaded.model.device)

    def answer(self, number: int, texts: Mapping[str, str], parts: Sequence[KnobOptions], seed: int) -> Answer:
        """Return what is said to the record ``number``, with ``texts`` in the place of its own, without knobs and with
        ``parts``, with the same noise. It is what `zsc run` makes of the same record, seed and setting.

        Raises ZscError for texts, values and combinations that cannot be.
        """
        if type(seed) is not int or seed < 0:
            raise ZscError(f"seed={seed} must be a whole number of at least 0.")
        original = self.records[number]
        with self._lock, told():
            record = edited(original, texts)
            knobs = self._knobs(parts)
            sources, cut = self.format.lay_out([record], self.loaded)
            check_settings(self.loaded, {"on": knobs}, [record], sources)
            source = sources.batch([0]).to(self.loaded.model.device)
            off = self._off(record, source, seed)
            setting, on, found = None, None, None
            notes = [line for line in str(cut).splitlines() if line]
            if knobs:
                setting, on = "+".join(map(str, knobs)), self._say(record, source, Job(knobs, seed))
                first: Any = self.format.decoding.forced_first
                found = attended(self.loaded, source, knobs, on.text, first)
                notes += [type(knob).attention_note(described_briefly(knob)) for knob in knobs]
        return Answer(record, record is not original, seed, setting, off, on, found, tuple(filter(None, notes)))

    def _off(self, record: Record, source: Source, seed: int) -> Response:
        """Return what is said without knobs: the last such response, if it was to the same record and seed."""
        key = json.dumps([record.to_json(), seed])
        if self._said is None or self._said[0] != key:
            self._said = key, self._say(record, source, Job([], seed))
        return self._said[1]

    @torch.inference_mode()
    def _say(self, record: Record, source: Source, job: Job) -> Response:
        model, tokenizer = self.loaded.model, self.loaded.target_tokenizer
        with prepacked(model, *other_models(job.knobs)):
            ((response,),) = generate(read(model, source), tokenizer, [record.id], [job], self.format.decoding)
        return response

    def command(self, answer: Answer, parts: Sequence[KnobOptions]) -> str:
        """Return the `zsc run` whose responses ``answer`` with ``parts`` is among; of an edited record, on a file of
        it."""
        return command(self.words, parts, self.defaults, answer.seed, answer.edited)

    def save(self, name: str, parts: Sequence[KnobOptions], seed: int) -> tuple[Path, str]:
        """Write ``parts`` as an option ``name`` of the group knob; return the file and the command that uses it."""
        with self._lock, told():
            setting = "+".join(map(str, self._knobs(parts)))
        return save_setting(name, parts, setting, self.words, seed, Path(self.options.output or "play"))


@contextmanager
def told() -> Iterator[None]:
    """Turn what knobs refuse into a ZscError of one line."""
    try:
        yield
    except (NoSuchSpan, UnsupportedModel, ValueError) as error:
        raise ZscError(first_line(error)) from error
