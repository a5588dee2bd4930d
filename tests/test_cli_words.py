"""Words of the command line: values as they stand, and the right form for what is none."""

import re
import shlex
from itertools import zip_longest
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from zsc.cli.check import check_overrides
from zsc.cli.expand import contract, expand
from zsc.cli.flags import check_words, named, split_arguments
from zsc.cli.groups import group_options
from zsc.cli.help import COMMANDS, help_of, overview
from zsc.cli.words import FREE, quoted
from zsc.configs import CONFIGS
from zsc.errors import ZscError
from zsc.options import read
from zsc.study.options import ReportOptions

ROOT = Path(__file__).parents[1]
PAGES = "\n".join(
    file.read_text(encoding="utf-8") for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
)
TEXTS = ["a b", "é.csv", "~x", "a#b", "a(b)", "a=b", "a,b", "it's", 'say "hi"', "a{b}", "a}", "$x", "100%", "a: b",
         "wow!", "back\\slash", "end\\", "1_000", "1e5", "007", "1.50", "true", "[x]", " lead", "x*?", "-a", "a\nb",
         "\\'", "nan", "c:\\d'e'", "plain", "./x/../y", "中文", "a|b", "a;b", "a&b", "@x", "{"]  # fmt: skip


def composed(overrides, command="run"):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return OmegaConf.to_container(compose(command, overrides))


@pytest.mark.parametrize("text", TEXTS)
def test_a_path_or_a_name_is_taken_as_it_stands(text):
    words = [f"model={text}", "dataset=table", f"dataset.path={text}", f"dataset.columns.history={text}",
             f"output={text}", f"cells={text}", f"topic={text}", f"judges.embedder={text}"]  # fmt: skip
    overrides = expand(words, several=False)
    check_overrides("run", [], overrides)
    config = composed(overrides)
    found = [config["model"]["checkpoint"], config["dataset"]["path"], config["dataset"]["columns"]["history"],
             config["output"], config["cells"], config["topic"], config["judges"]["embedder"]]  # fmt: skip
    assert found == [text] * 7
    again = shlex.split(shlex.join(contract(overrides)))
    assert composed(expand(again, several=False)) == config


@pytest.mark.parametrize(("command", "at"), [("run", "dataset."), ("data", "dataset."), ("score", "")])
@pytest.mark.parametrize("text", ["title", "a b", "translation.en", "c,d", "null"])
def test_a_column_of_any_field_can_be_named(command, at, text):
    words = ["dataset=table", "dataset.path=x"] if at else ["run=x"]
    given = [*words, f"{at}columns.mine={text}", f"{at}columns.source={text}"]
    overrides = expand(given, several=False)
    check_overrides(command, [], overrides)
    config = composed(overrides, command)
    columns = (config["dataset"] if at else config)["columns"]
    assert columns["mine"] == columns["source"] == (None if text == "null" else text)
    assert contract(overrides) == given


@pytest.mark.parametrize("text", TEXTS)
def test_files_of_parallel_texts_are_taken_as_they_stand(text):
    words = ["dataset=parallel", f"dataset.source={text}", f"dataset.target={text}"]
    dataset = composed(expand(words, several=False))["dataset"]
    assert (dataset["source"], dataset["target"]) == (text, text)


@pytest.mark.parametrize("word", ["dataset.columns.my-own=x", "dataset.columns.mine.too=x", "dataset.path.mine=x"])
def test_only_columns_take_any_word(word):
    with pytest.raises(ZscError, match="no option 'dataset"):
        check_overrides("run", [], expand(["dataset=table", "dataset.path=x", word], several=False))
    with pytest.raises(ZscError, match=r"no option .dataset.columns.mine"):
        check_overrides("run", [], expand(["dataset=parlor", "dataset.columns.mine=x"], several=False))


def test_what_is_in_quotes_or_null_or_a_list_of_a_knobs_stays_as_in_hydra():
    words = ["knob=ctx_aug", "knob.phrases=[my file.txt,'a,b.txt']", "topic='x y'", "output=null", "cells=${output}"]
    config = composed(expand(words, several=False))
    assert config["knob"]["phrases"] == ["my file.txt", "a,b.txt"]
    assert (config["topic"], config["output"], config["cells"]) == ("x y", None, "${output}")
    assert composed(expand(["knob=attn_bias", "knob.profile=text:(a|b), c"], False))["knob"]["profile"] == (
        "text:(a|b), c"
    )


def test_commas_separate_with_m_unless_the_whole_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert expand(["dataset.path=a b,c", "model=a/b,./c d"]) == [
        "dataset.path='a b',c", "model=checkpoint", "model.checkpoint='a/b','./c d'"
    ]  # fmt: skip
    Path("a b,c").touch()
    assert expand(["dataset.path=a b,c", "model=a b,c"]) == [
        "dataset.path='a b,c'", "model=checkpoint", "model.checkpoint='a b,c'"
    ]  # fmt: skip
    assert expand(["knob.strength=1,2", "dataset.limit=3"]) == ["knob.strength=1,2", "dataset.limit=3"]


def test_a_path_at_home_is_found_there(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert composed(expand(["output=~/my run"], several=False))["output"] == f"{tmp_path}/my run"


@pytest.mark.parametrize("text", TEXTS)
def test_a_run_a_column_or_a_setting_is_taken_as_it_stands(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    score = [f"run={text}", f"columns.response={text}", f"judges.embedder={text}", "columns.id=null"]
    config = composed(expand(score, several=False), "score")
    assert (config["run"], config["columns"]["response"], config["judges"]["embedder"]) == (text, text, text)
    assert config["columns"]["id"] is None
    config = composed(expand([f"runs=['plain',{quoted(text)}]", f"setting={text}"], several=False), "report")
    assert config["runs"] == ["plain", text] and config["setting"] == text


@pytest.mark.parametrize("text", [text for text in TEXTS if "=" not in text and not text.startswith("-")])
def test_a_bare_path_is_taken_as_it_stands(text):
    for command, key in (("score", "run"), ("annotate", "run"), ("report", "runs")):
        config = composed(expand(named(command, [text]), several=False), command)
        assert config[key] == ([text] if key == "runs" else text)


def test_what_stands_without_a_name_keeps_its_place_and_may_be_named():
    assert named("table", ["make=true", "topics", "format=md"]) == ["make=true", "table=topics", "format=md"]
    assert named("score", ["--cfg", "job", "a=b", "x", "y"]) == ["--cfg", "job", "a=b", "run='x'", "y"]
    assert named("report", ["format=md", "x", "--cfg", "job", "y"]) == ["format=md", "runs=['x','y']", "--cfg", "job"]
    assert named("data", []) == [] and named("run", ["attn_bias"]) == ["attn_bias"]
    for command, word in (("score", "run=x"), ("annotate", "run=x"), ("report", "runs=[x]"), ("table", "table=swap")):
        assert named(command, [word]) == [word]
        with pytest.raises(ZscError, match=f"zsc {command} needs"):
            named(command, ["format=md"])


def test_one_path_is_a_list_of_one_and_an_empty_list_is_none():
    for words, runs in ((["runs=a b"], ("a b",)), (["runs=[a b,c]"], ("a b", "c")), (["runs=[]"], ())):
        assert read(ReportOptions, composed(expand(words, several=False), "report")).runs == runs


def test_answers_are_a_list_of_files_as_they_stand():
    words = ["answers=[a b.csv,'c,d.csv',e #1.csv]", "run=x", "count=3"]
    config = composed(expand(words, several=False), "annotate")
    assert config["answers"] == ["a b.csv", "c,d.csv", "e #1.csv"] and config["count"] == 3


def test_every_path_or_name_of_the_configs_is_free():
    known = {"path", "checkpoint", "decoder", "output", "cells", "topic", "save", "trained", "text", "phrases",
             "language_model", "embedder", "topic_classifier", "sentiment_classifier", "register_classifier", "history",
             "profile"}  # fmt: skip

    def check(node, prefix):
        for key, value in node.items():
            if isinstance(value, dict):
                check(value, f"{prefix}{key}.")
            elif key in known:
                assert FREE.fullmatch(f"{prefix}{key}"), f"{prefix}{key}"

    for pair in zip_longest(group_options("dataset"), group_options("knob")):
        check(composed([f"{kind}={one}" for kind, one in zip(("dataset", "knob"), pair, strict=True) if one]), "")
    for objective in group_options("objective"):
        check(composed([f"objective={objective}"], "train"), "")


WRONG = [
    ("run --knob attn_bias", "no flag '--knob'", "knob=attn_bias"),
    ("run --knob=attn_bias", "no flag '--knob'", "knob=attn_bias"),
    ("run -knob attn_bias", "no flag '-knob'", "knob=attn_bias"),
    ("run knob = attn_bias", "split by a space", "knob=attn_bias"),
    ("run knob= attn_bias", "split by a space", "knob=attn_bias"),
    ("run knob =attn_bias", "split by a space", "knob=attn_bias"),
    ("run knob=attn_bias knob.strength=[2, 5]", "split by a space", "'knob.strength=[2,5]'"),
    ("run knob.strength = [2, 5]", "split by a space", "'knob.strength=[2,5]'"),
    ("run knob=[attn_bias, ctx_aug]", "split by a space", "'knob=[attn_bias,ctx_aug]'"),
    ("run attn_bias", "not of the form key=value", "knob=attn_bias"),
    ("run parlor", "not of the form key=value", "dataset=parlor"),
    ("attn_bias", "no command", "zsc run knob=attn_bias"),
    ("knob=attn_bias", "no command", "zsc run knob=attn_bias"),
    ("run dataset=mine.csv", "names no dataset", "dataset=table dataset.path=mine.csv"),
    ("run dataset=nowhere.csv", "names no dataset", "dataset=table dataset.path=nowhere.csv"),
    ("data mine.csv", "names no dataset", "dataset=table dataset.path=mine.csv"),
    ("run mine.csv", "not of the form key=value", "dataset=table dataset.path=mine.csv"),
    ("score RUN --format md", "no flag '--format'", "format=md"),
    ("score RUN metrics=[length, novelty]", "split by a space", "'metrics=[length,novelty]'"),
    ("report RUN --output x", "no flag '--output'", "output=x"),
    ("annotate RUN output = x", "split by a space", "output=x"),
    ("run --config-path x", "replace all options", "--config-dir"),
    ("run --config-dir nowhere", "no folder", "nowhere"),
]


@pytest.mark.parametrize(("line", "wrong", "right"), WRONG, ids=[line for line, *_ in WRONG])
def test_a_wrong_form_is_answered_with_the_right_one(command, line, wrong, right):
    Path("mine.csv").touch()
    code, out, err = command(*line.split(" "))
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert wrong in err and right in err, err


EXAMPLES = [
    line.strip()
    for text in [
        overview(),
        *map(help_of, COMMANDS),
        "\n".join(re.findall(r"^\$ (.*(?:\n    .*)*)", PAGES, re.MULTILINE)),
    ]
    for line in re.sub(r"\\\n\s*", "", text).splitlines()
    if re.match(r"\s*(\w+=\S+ )?zsc [^C]", line) and "[key=value" not in line
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_the_examples_are_quoted_for_every_shell_and_read_as_one_word_each(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("last").mkdir()  # which is then the run that is called so
    shown = re.split(r" > | {3,}| #", line)[0]
    outside = re.sub(r"'[^']*'|\"[^\"]*\"", "", shown)
    assert not re.search(r"[\[\](){}?|;&$!]", outside.replace("$bart", "")), f"unquoted: {shown}"
    words = [word for word in shlex.split(shown) if not re.match(r"[A-Z_]+=", word)]
    check_words(words)
    if words[1:] and words[1] in COMMANDS and "--help" not in words:
        split_arguments(named(words[1], words[2:]))


@pytest.fixture
def own(tmp_path):
    """A folder of one's own with a knob setting, a dataset, a model and a table."""
    for group, name, text in [
        ("knob", "strong", "# Strong biasing.\ndefaults: [attn_bias, _self_]\nstrength: 50.0\n"),
        ("dataset", "few", "defaults: [parlor, _self_]\nlimit: 2\n"),
        ("model", "small", "defaults: [mini, _self_]\nbatch: 1\n"),
        ("table", "ours", "title: Ours\ncolumns: [length]\ngroups: [{runs: [knob=strong]}]\n"),
    ]:
        (tmp_path / "my own, configs" / group).mkdir(parents=True)
        (tmp_path / "my own, configs" / group / f"{name}.yaml").write_text(text)
    return tmp_path / "my own, configs"


def test_options_of_ones_own_are_known_and_checked(own, command):
    flags = ["--config-dir", str(own)]
    assert "strong" in group_options("knob", own) and "strong" not in group_options("knob")
    check_overrides("run", flags, ["knob=strong", "dataset=few", "knob.strength=2"])
    check_overrides("table", flags, ["table=ours"])
    for word, message in [
        ("knob=strng", "Did you mean 'strong'"),
        ("dataset=fev", "Did you mean 'few'"),
        ("knob.strenth=2", "Did you mean 'knob.strength'"),
        ("sedes=[1]", "no option 'sedes'"),
    ]:
        words = [word] if word.startswith(("knob=", "dataset=")) else ["knob=strong", word]
        with pytest.raises(ZscError, match=message):
            check_overrides("run", flags, words)
    for order in (["ous", *flags], [*flags, "ous"], [f"--config-dir={own}", "ous"]):
        code, _, err = command("table", *order)
        assert code == 2 and "no table 'ous'. Did you mean 'ours'" in err
    code, out, _ = command("ls", *flags, "format=csv")
    assert code == 0 and "knob,strong,Strong biasing." in out and "table,ours," in out
    code, _, err = command("table", *flags)
    assert code == 2 and "ours" in err


def test_an_option_that_would_be_hidden_by_a_shipped_one_is_refused(own):
    (own / "knob" / "attn_bias.yaml").write_text("name: attn_bias\n")
    with pytest.raises(ZscError, match=r"attn_bias\.yaml has the name of a file that comes with zsc"):
        check_overrides("run", ["-cd", str(own)], ["knob=attn_bias"])


def test_options_of_a_chat_template_have_any_name_and_its_texts_stand_as_they_are():
    text = "Short, with {document}: {{}}"
    words = ["layout=chat_summary", "layout.template_options.enable_thinking=true", f"layout.user={text}",
             f"layout.system={text}", f"layout.stop={text}", f"decoding.stop={text}"]  # fmt: skip
    overrides = expand(words, several=False)
    check_overrides("run", [], overrides)
    found = composed(overrides)
    assert found["layout"]["template_options"] == {"enable_thinking": True} and found["decoding"]["stop"] == text
    assert [found["layout"][name] for name in ("user", "system", "stop")] == [text] * 3
    assert contract(overrides) == words
