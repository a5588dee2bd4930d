"""Typed options: the reader by hand, and configs, dataclasses and help that say the same."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from inspect import Parameter, signature
from typing import Annotated, Literal, get_type_hints

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from zsc.cli.completion import CompletionOptions
from zsc.cli.groups import GROUPS, group_options
from zsc.cli.help import COMMANDS, help_of
from zsc.configs import CONFIGS
from zsc.data import DATASETS
from zsc.data.layouts import LAYOUTS, BucketLayout, read_layout
from zsc.data.options import DatasetOptions
from zsc.errors import ZscError
from zsc.generation.decoding import Decoding
from zsc.knobs import KNOBS
from zsc.launch import LAUNCHERS
from zsc.metrics import build_metrics
from zsc.metrics.judges import JUDGES
from zsc.metrics.options import JudgeOptions
from zsc.models.options import ModelOptions
from zsc.options import Count, Seed, plain, read, read_arguments, value_of
from zsc.study.init import InitOptions
from zsc.study.options import (
    AnnotateOptions,
    BenchOptions,
    DataOptions,
    ExportOptions,
    KnobChoice,
    KnobOptions,
    LsOptions,
    ReportOptions,
    RunOptions,
    ScoreOptions,
    TableOptions,
    TableSpec,
    TaskOptions,
    TuneOptions,
)
from zsc.study.outputs import COLUMNS
from zsc.study.play.options import PlayOptions
from zsc.study.runs import RunsOptions
from zsc.study.show import ShowOptions
from zsc.study.tasks import task_values
from zsc.training.options import (
    OBJECTIVES,
    DenoiseOptions,
    DialogueOptions,
    LanguageModelOptions,
    Objective,
    TrainOptions,
)


@dataclass(frozen=True)
class Inner:
    depth: Count = 2
    words: tuple[str, ...] = ()


def even(key, value):
    if value % 2:
        raise ZscError(f"{key}={value} must be even.")
    return value


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    share: float = 0.5
    seed: Seed = 0
    loud: bool = False
    way: Literal["short", "long"] = "short"
    pair: tuple[str, str] = ("a", "b")
    many: tuple[Inner, ...] = ()
    limit: Count | None = None
    size: int | Literal["all"] | None = None
    paths: Mapping[str, str | None] = field(default_factory=dict)
    twice: Annotated[int, even] = 0
    anything: Mapping[str, object] = field(default_factory=dict)


WHOLE = {
    "name": "x", "inner": {"depth": 3, "words": ["a", "b"]}, "share": 1, "seed": 4, "loud": True, "way": "long",
    "pair": ["c", "d"], "many": [{"depth": 1}, {}], "limit": 7, "size": 5, "paths": {"one": "x", "two": None},
    "twice": 8, "anything": {"k": [1, "x"]},
}  # fmt: skip


def test_values_of_every_kind_are_read():
    assert read(Outer, {"name": "x"}) == Outer(name="x")
    assert read(Outer, WHOLE) == Outer(
        name="x", inner=Inner(3, ("a", "b")), share=1, seed=4, loud=True, way="long", pair=("c", "d"),
        many=(Inner(1), Inner()), limit=7, size=5, paths={"one": "x", "two": None}, twice=8,
        anything={"k": [1, "x"]},
    )  # fmt: skip
    assert read(Outer, {"name": "x", "size": "all", "limit": None}).size == "all"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "name has no value. Give name=VALUE."),
        ({"name": 1}, "name=1 must be a text."),
        ({"name": None}, "name=null must be a text."),
        ({"nmae": "x"}, "no option 'nmae'. Did you mean 'name'? Known: name, inner, share, "),
        ({"inner": {"dept": 1}}, "no option 'inner.dept'. Did you mean 'depth'? Known: depth, words."),
        ({"inner": {"depth": 0}}, "inner.depth=0 must be a whole number of at least 1."),
        ({"inner": {"depth": True}}, "inner.depth=true must be a whole number of at least 1."),
        ({"inner": {"words": "ab"}}, "inner.words=ab must be a list of texts."),
        ({"inner": {"words": ["a", 1]}}, "inner.words=['a', 1] must be a list of texts."),
        ({"inner": 3}, "inner=3: its options have names, such as inner.depth."),
        ({"share": "x"}, "share=x must be a number."),
        ({"share": True}, "share=true must be a number."),
        ({"seed": -1}, "seed=-1 must be a whole number of at least 0."),
        ({"loud": 1}, "loud=1 must be true or false."),
        ({"way": "lnog"}, "way=lnog is not one of short, long. Did you mean 'long'?"),
        ({"pair": ["a"]}, "pair=['a'] must be a list of 2 texts."),
        ({"many": [{"depth": 0}]}, "many.depth=0 must be a whole number of at least 1."),
        ({"many": {"depth": 1}}, "many={'depth': 1} must be a list."),
        ({"limit": 0}, "limit=0 must be a whole number of at least 1."),
        ({"size": "al"}, "size=al is not one of all. Did you mean 'all'?"),
        ({"paths": "x"}, "paths=x must be a mapping of names."),
        ({"paths": {"one": 1}}, "paths.one=1 must be a text."),
        ({"twice": 3}, "twice=3 must be even."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_with_its_name(values, message):
    with pytest.raises(ZscError) as error:
        read(Outer, values if values in ({}, {"nmae": "x"}) else {"name": "x"} | values)
    assert str(error.value).startswith(message), error.value


def test_arguments_of_a_function_are_read_as_fields_are():
    def load(path: str | None, split: Literal["test", "train"] = "test", least: Count = 1) -> None: ...

    given = {"path": None, "least": 2}
    assert read_arguments(load, given, "dataset") == given
    for values, message in [
        ({}, "dataset.path has no value"),
        ({"path": "x", "least": 0}, "dataset.least=0 must be"),
        ({"path": "x", "splt": "test"}, "no option 'dataset.splt'. Did you mean 'split'"),
    ]:
        with pytest.raises(ZscError, match=message):
            read_arguments(load, values, "dataset")


SEVERAL = KnobChoice((KnobOptions("attn_bias", {"strength": [2, 5]}), KnobOptions("ctx_aug", {"phrases": "questions"})))
TOPICAL = DatasetOptions("topical_chat", 5, {"path": "x", "split": "train"})
WRITTEN = [
    RunOptions(),
    RunOptions(knob=SEVERAL, dataset=TOPICAL, judges=JudgeOptions({"embedder": "x"}, "cpu"), seeds=(3, 1)),
    RunOptions(knob=KnobChoice(SEVERAL.parts[:1]), decoding=Decoding(sample=False), layout=BucketLayout(turns=2)),
    ScoreOptions(run="x", metrics=("length",), columns={"id": None}),
    ReportOptions(runs=("a", "b")),
    AnnotateOptions(run="x", answers=("a,b",)),
    ExportOptions(run="x", to="y", setting="off", weights=True),
    TuneOptions(target="length", budget=("fluency:+1", "distinct2:-5%")),
    TrainOptions(
        objective=Objective(DialogueOptions(checkpoint="x", train=(TOPICAL,))), output="o", freeze=("encoder",)
    ),
    TrainOptions(objective=Objective(DenoiseOptions(text="x", heldout="y")), output="o", freeze=()),
    TrainOptions(
        objective=Objective(LanguageModelOptions(text="x", heldout="y", checkpoint="z")), output="o", freeze=()
    ),
    Outer(name="x", many=(Inner(1),), paths={"a": None}),
]


@pytest.mark.parametrize("options", WRITTEN, ids=lambda options: type(options).__name__)
def test_what_is_written_is_read_again(options):
    written = plain(options)
    assert read(type(options), written) == options
    assert OmegaConf.to_container(OmegaConf.create(written)) == written  # plain values alone


KINDS = {
    "run": RunOptions, "sweep": RunOptions, "work": RunOptions, "plan": RunOptions, "doctor": RunOptions,
    "tune": TuneOptions, "bench": BenchOptions, "data": DataOptions, "table": TableOptions, "score": ScoreOptions,
    "report": ReportOptions, "annotate": AnnotateOptions, "export": ExportOptions, "train": TrainOptions,
    "ls": LsOptions, "play": PlayOptions,
    "init": InitOptions, "runs": RunsOptions, "show": ShowOptions, "completion": CompletionOptions,
}  # fmt: skip
CHOSEN = {"table": ["table=questions"], "bench": ["knob=none"]}  # bench alone has a knob where none is named
FILLED = {"judges": JudgeOptions(dict.fromkeys(JUDGES)), "columns": COLUMNS}  # defaults that a config names one by one


def composed(command, *words):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return OmegaConf.to_container(compose(command, list(words)), resolve=True)


def loaded(file):
    return OmegaConf.to_container(OmegaConf.load(CONFIGS / file))


def agree(kind, node, at=""):
    """Compare a config with the dataclass ``kind``: its names, and its values with the defaults of the fields."""
    hints, own = get_type_hints(kind, include_extras=True), {one.name: one for one in fields(kind) if one.init}
    assert set(node) == set(own), at
    for name, one in own.items():
        key, value = f"{at}{name}", node[name]
        if one.default is MISSING and one.default_factory is MISSING:
            assert value == "???" or key in ("objective", "table", "freeze"), key
            continue
        default = one.default if one.default is not MISSING else one.default_factory()
        expected = default if kind is InitOptions else FILLED.get(key, default)
        assert value_of(hints[name], value, key) == expected, key
        if is_dataclass(default) and not hasattr(default, "to_mapping"):
            agree(type(default), value, f"{key}.")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_config_of_a_command_is_its_dataclass(command):
    node = composed(command, *CHOSEN.get(command, []))
    assert all(node.pop(group, None) in ({"name": "none"}, None) for group in ("launcher", "log"))
    agree(KINDS[command], node)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_config_of_a_launcher_is_its_class(name):
    node = loaded(f"launcher/{name}.yaml")
    assert node.pop("name") == name and set(group_options("launcher")) == {*LAUNCHERS, "none"}
    agree(LAUNCHERS[name], node)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_config_of_an_objective_is_its_dataclass(name):
    node = composed("train", f"objective={name}")
    assert node["objective"].pop("name") == name and node["freeze"] == node["objective"]["freeze"]
    agree(OBJECTIVES[name], node["objective"])


@pytest.mark.parametrize("name", [name for name in group_options("knob") if name not in ("none", "several")])
def test_the_config_of_a_knob_is_its_class(name):
    own = {one.name: one.default for one in fields(KNOBS[name]) if one.compare and one.name != "label"}
    node = loaded(f"knob/{name}.yaml")
    other = node.pop("other", None)
    assert node.pop("name") == name and set(node) == set(own)
    node |= {key: getattr(TaskOptions, value[7:-1]) for key, value in node.items() if str(value).startswith("${task.")}
    assert {key for key, value in own.items() if value is not MISSING and value != node[key]} == set()
    assert other == ({"checkpoint": "${other.checkpoint}", "decoder": "${other.decoder}"} if other else None)
    assert (other is not None) == ("other" in {one.name for one in fields(KNOBS[name])})


@pytest.mark.parametrize("name", DATASETS)
def test_the_config_of_a_dataset_is_the_signature_of_its_loader(name):
    node = loaded(f"dataset/{name}.yaml")
    assert (node.pop("loader"), node.pop("limit")) == (name, None)
    defaults = {one.name: one.default for one in signature(DATASETS[name]).parameters.values()}
    defaults |= {"task": "${task.name}"} if "task" in defaults else {}
    assert node == {key: "???" if value is Parameter.empty else value for key, value in defaults.items()}


def test_models_and_decodings_have_the_fields_of_their_dataclasses():
    assert set(group_options("dataset")) == set(DATASETS) and set(group_options("objective")) == set(OBJECTIVES)
    for group, kind, shipped in (("model", ModelOptions, "mini"), ("decoding", Decoding, "sample")):
        agree(kind, composed("run", f"{group}={shipped}")[group])
        for name in group_options(group):
            own = set(composed("run", f"{group}={name}")[group])
            assert own - ({"published"} if name == "checkpoint" else set()) == {one.name for one in fields(kind)}


@pytest.mark.parametrize("name", group_options("layout"))
def test_a_layout_has_the_options_of_its_form(name):
    node = composed("run", f"layout={name}")["layout"]
    node |= {"text": node["text"] or "{document}"} if "text" in node else {}
    assert set(node.pop("fits", {})) <= {"names", "models", "tokenizers", "tasks", "tokens", "kinds", "chat"}
    kind = LAYOUTS[node.pop("form")]
    assert set(node) == {one.name for one in fields(kind) if one.init}
    assert plain(read_layout("layout", node | {"form": kind.form})) == node | {"form": kind.form}
    if name in LAYOUTS and name != "template":
        assert read_layout("layout", node | {"form": kind.form}) == kind()
    if name != "template":
        assert read_layout("layout", name) == read_layout("layout", node | {"form": kind.form})


@pytest.mark.parametrize("name", group_options("task"))
def test_a_task_is_the_same_from_the_shell_and_from_python(name):
    node = {key: value for key, value in composed("run", f"task={name}").items() if key not in ("launcher", "log")}
    assert node["task"]["name"] == name and read(RunOptions, node).task == read(RunOptions, task_values(name)).task
    build_metrics(list(node["metrics"]))
    for key, value in task_values(name).items():
        assert node[key] == value, key


@pytest.mark.parametrize("name", group_options("table"))
def test_a_table_has_the_fields_of_its_dataclass(name):
    node = loaded(f"table/{name}.yaml")
    spec = plain(read(TableSpec, node, "table"))
    assert {key: spec[key] for key in node if key != "groups"} == {key: node[key] for key in node if key != "groups"}
    for group, given in zip(spec["groups"], node.get("groups", []), strict=True):
        assert group == {"label": "", "topic": None} | given


def keys(node, prefix=""):
    """Every dotted name of a nested mapping."""
    for name, value in node.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")


def standing(command):
    """The options that stand in the config of a command, groups among them."""
    node = loaded(f"{command}.yaml")
    defaults = [next(iter(one)).split(" ")[-1] for one in node.pop("defaults", []) if isinstance(one, dict)]
    groups = {one for one in defaults if not one.startswith("hydra/")}
    node.pop("hydra", None)
    return {*keys(node), *groups}


def known(command):
    """All options of a command, those of every choice of its groups among them."""
    inherited = {"run"} if "run" in loaded(f"{command}.yaml").get("defaults", []) else set()
    found = set().union(*map(standing, {command, *inherited}))
    for group in GROUPS.get(command, ()):
        for name in group_options(group):
            found |= {group, *(f"{group}.{key}" for key in keys(loaded(f"{group}/{name}.yaml")))}
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_what_stands_in_the_config_and_no_more(command):
    text = help_of(command)
    entries = re.findall(r"^  ([a-z_][\w.]*)(?:=.*| {2,}.*)?$", text, re.MULTILINE)
    assert sorted(entries) == sorted(standing(command))
    prose = "\n".join(line for line in text.splitlines() if not line.startswith(("  zsc ", "  ZSC_DATA=", "      ")))
    mentioned = {*re.findall(r"(?<![\w.])([a-z_]+(?:\.[a-z_]+)*)=", prose)} - {
        "key",
        "config",
    }  # none: without zsc.yaml
    mentioned |= {*re.findall(rf"(?<![\w./])((?:{'|'.join(GROUPS.get(command, ['run']))})\.[a-z_]+)\b", prose)}
    assert mentioned <= known(command), mentioned - known(command)
