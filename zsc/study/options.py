"""The options of a study, a dataclass for each config: what configs/*.yaml holds, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from zsc.data.layouts import AutoLayout, BucketLayout, Layout, read_layout
from zsc.data.options import DatasetOptions
from zsc.errors import ZscError
from zsc.generation.decoding import Decoding, PublishedDecoding, read_decoding
from zsc.metrics.options import JudgeOptions, ScoringOptions, share
from zsc.models.options import ModelOptions
from zsc.options import Count, Seed, plain, shown, value_of
from zsc.tables.paper import Published

Format = Literal["table", "md", "csv", "json"]
PaperFormat = Literal["table", "md", "latex", "csv", "json"]


def different_seeds(key: str, value: Any) -> tuple[int, ...]:
    """Return ``value``, of the option ``key``. Raises ZscError unless it lists different whole numbers."""
    valid = isinstance(value, list | tuple) and value and all(type(seed) is int and seed >= 0 for seed in value)
    if not valid or len(set(value)) < len(value):
        raise ZscError(f"{key}={value} must be a non-empty list of different whole numbers, such as {key}=[0,1,2].")
    return tuple(value)


def count_or_auto(key: str, value: Any) -> int | Literal["auto"]:
    """Return ``value``, of the option ``key``. Raises ZscError unless it is "auto" or a whole number from 1."""
    if value == "auto":
        return "auto"
    if type(value) is not int or value < 1:
        raise ZscError(f"{key}={shown(value)} must be a whole number of at least 1, or auto.")
    return value


def one_or_several(key: str, value: Any) -> tuple[str, ...]:
    """Return the texts in ``value``, of the option ``key``: a list of them, or one. Raises ZscError for others."""
    found: tuple[str, ...] = value_of(tuple[str, ...], [value] if isinstance(value, str) else value, key)
    return found


def as_text(key: str, value: Any) -> str:
    """Return ``value``, of the option ``key``, as a text: it may be written as a number."""
    return str(value_of(str, shown(value) if isinstance(value, int | float) else value, key))


@dataclass(frozen=True)
class KnobOptions:
    """The knob called ``name``, a key of :data:`zsc.knobs.KNOBS`, with ``values`` of its fields: one setting for every
    combination of those that are listed."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, Any]:
        return {"name": self.name} | {key: plain(value) for key, value in self.values.items()}

    def replace(self, **values: Any) -> "KnobOptions":
        """Return the same knob with other ``values`` of some fields."""
        return KnobOptions(self.name, {**self.values, **values})


@dataclass(frozen=True)
class KnobChoice:
    """The knobs, none or several, that act together."""

    parts: tuple[KnobOptions, ...] = ()

    @classmethod
    def from_mapping(cls, values: Any, at: str = "knob") -> "KnobChoice":
        """Read a config of the group knob. Raises ZscError unless it names a knob."""
        if not isinstance(values, Mapping) or "name" not in values:
            raise ZscError(f"{at}={values} must name a knob, such as knob=attn_bias.")
        given = dict(values)
        name = str(given.pop("name"))
        if name == "none":
            return cls()
        if name != "several":
            return cls((KnobOptions(name, given),))
        if not given or not all(isinstance(part, Mapping) for part in given.values()):
            raise ZscError(f"{at}=several needs knobs: write them as a list, such as knob=[attn_bias,ctx_aug].")
        return cls(tuple(part for one in given.values() for part in cls.from_mapping(one, at).parts))

    def to_mapping(self) -> dict[str, Any]:
        if len(self.parts) == 1:
            return self.parts[0].to_mapping()
        several: dict[str, Any] = {part.name: part.to_mapping() for part in self.parts}
        return {"name": "several" if several else "none"} | several

    @property
    def name(self) -> str:
        """What begins the name of a run's folder."""
        return str(self.to_mapping()["name"])


@dataclass(frozen=True)
class TaskOptions:
    """configs/task/NAME.yaml: the ``name`` of what a model is used for, by which a layout is chosen, the ``profile``
    that is biased towards, and the set of control ``phrases``, where a knob's config names no other."""

    name: str = "dialogue"
    profile: str = "knowledge"
    phrases: str = "questions"


@dataclass(frozen=True)
class OtherModel:
    """The second model of the knobs that need one, where their own config names no other."""

    checkpoint: str = "mini"
    decoder: str | None = "denoiser.safetensors"


@dataclass(frozen=True, kw_only=True)
class RunOptions(ScoringOptions):
    """configs/run.yaml: what responses are generated from, with and how, and what they are scored by."""

    model: ModelOptions = field(default_factory=ModelOptions)
    dataset: DatasetOptions = field(default_factory=DatasetOptions)
    knob: KnobChoice = field(default_factory=KnobChoice)
    decoding: Annotated[Decoding | PublishedDecoding, read_decoding] = field(default_factory=Decoding)
    other: OtherModel = field(default_factory=OtherModel)
    layout: Annotated[Layout | AutoLayout, read_layout] = field(default_factory=AutoLayout)
    task: TaskOptions = field(default_factory=TaskOptions)
    seeds: Annotated[tuple[int, ...], different_seeds] = (0, 1, 2)
    batch_size: Annotated[int | Literal["auto"], count_or_auto] = "auto"
    together: Count = 8
    cells: str = "runs/cells"
    shard: Count = 1000
    workers: Annotated[int | Literal["auto"], count_or_auto] = "auto"
    output: str | None = None
    format: Format = "table"
    examples: Annotated[int, 0] = 2

    @property
    def dialog_turns(self) -> int:
        """How many turns, the last of a history, the ``dialog_`` metrics look at."""
        return self.layout.turns or BucketLayout.turns


@dataclass(frozen=True, kw_only=True)
class TuneOptions(RunOptions):
    """configs/tune.yaml: the ``target`` metric and what it is to ``gain``, the ``budget`` of others, one of ``copying``
    for targets measured against knowledge, and how doses are searched."""

    target: str
    budget: Annotated[tuple[str, ...], one_or_several]
    gain: Annotated[str, as_text] = "5%"
    copying: str | None = "knowledge_copied_run:+0.1"
    weakest: float | None = None
    strongest: float | None = None
    points: Count = 6
    rounds: Count = 2
    split: int = 0


@dataclass(frozen=True, kw_only=True)
class BenchOptions(RunOptions):
    """configs/bench.yaml: what is measured, and how often."""

    seeds: Annotated[tuple[int, ...], different_seeds] = (0,)
    measure: Literal["speed", "cost"] = "speed"
    repeats: Count = 5


@dataclass(frozen=True, kw_only=True)
class DataOptions(RunOptions):
    """configs/data.yaml: how many examples are shown."""

    examples: Annotated[int, 0] = 3


@dataclass(frozen=True)
class TableGroup:
    """Rows of a table that are compared with each other: ``runs`` of knobs, as on a command line, whose settings are
    scored for a ``topic`` of their own."""

    runs: tuple[str, ...]
    label: str = ""
    topic: str | None = None


def figures_of_others(key: str, value: Any) -> Published:
    """Return ``value``, of the option ``key``. Raises ZscError unless it is a source and a text for each setting."""
    if value is None:
        return Published()
    if not isinstance(value, Mapping) or set(value) != {"source", "rows"} or not isinstance(value["rows"], Mapping):
        raise ZscError(f"{key} holds source, a text, and rows, a mapping of settings to texts.")
    texts = [value["source"], *value["rows"], *value["rows"].values()]
    if not all(isinstance(text, str) for text in texts):
        raise ZscError(f'{key} holds texts; quote names such as "off". Got {value["rows"]}.')
    return Published(value["source"], dict(value["rows"]))


@dataclass(frozen=True)
class TableSpec:
    """configs/table/NAME.yaml: the ``task`` of its runs, metrics as ``columns``, and as rows settings of knobs in
    ``groups``, or else trainings, that called ``baseline`` the one the others are compared with."""

    title: str
    columns: tuple[str, ...]
    task: str = "dialogue"
    groups: tuple[TableGroup, ...] = ()
    baseline: str | None = None
    published: Annotated[Published, figures_of_others] = field(default_factory=Published)


@dataclass(frozen=True, kw_only=True)
class TableOptions(RunOptions):
    """configs/table.yaml: whether what is missing is generated, which trainings are rows, and where it is saved."""

    table: TableSpec
    make: bool = False
    trained: str | None = None
    save: str | None = None
    format: PaperFormat = "table"  # type: ignore[assignment]


@dataclass(frozen=True)
class LsOptions:
    """configs/ls.yaml: how the list is printed."""

    format: Format = "table"


@dataclass(frozen=True)
class GivenBleu:
    """As :class:`zsc.metrics.options.BleuOptions`; None is what the run has."""

    tokenize: str | None = None


@dataclass(frozen=True)
class GivenResampling:
    """As :class:`zsc.metrics.options.Resampling`; None is what the run has."""

    resamples: Count | None = None
    confidence: Annotated[float, share] | None = None
    seed: Seed | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """configs/score.yaml: the folder of a ``run`` or a file of responses, and by what it is scored; None is what the
    run has. ``columns`` and ``turns`` say how a file is read."""

    run: str
    metrics: tuple[str, ...] | None = None
    topic: str | None = None
    judges: JudgeOptions = field(default_factory=JudgeOptions)
    bleu: GivenBleu = field(default_factory=GivenBleu)
    resampling: GivenResampling = field(default_factory=GivenResampling)
    columns: Mapping[str, str | None] = field(default_factory=dict)
    turns: Literal["one", "lines"] | None = None
    format: Format = "table"
    examples: Annotated[int, 0] = 2


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """configs/report.yaml: which ``runs``, what the page compares, and whose responses it shows."""

    runs: Annotated[tuple[str, ...], one_or_several]
    output: str = "runs/report"
    control: str | None = None
    fluency: str | None = None
    setting: str | None = None
    examples: Annotated[int, 0] = 3
    shuffle: int = 0
    attention: bool = True


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """configs/export.yaml: which ``setting`` of a ``run`` goes ``to`` a folder, with the models' ``weights`` or not."""

    run: str
    to: str
    setting: str | None = None
    weights: bool = False


@dataclass(frozen=True, kw_only=True)
class AnnotateOptions:
    """configs/annotate.yaml: which pairs of a ``run`` are drawn, or which ``answers`` to them are read back."""

    run: str
    setting: str | None = None
    seed: int | None = None
    count: Count = 50
    shuffle: int = 0
    questions: tuple[Literal["fluent", "informative", "fits"], ...] = ("fluent", "informative", "fits")
    output: str | None = None
    answers: Annotated[tuple[str, ...], one_or_several] | None = None
    format: Format = "table"
