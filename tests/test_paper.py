"""Tables of the paper: by hand from rows, every shipped one composed, one made from nothing by the command."""

import csv
import io
import json
import re

import pytest
from omegaconf import OmegaConf

from tests.families import tiny_model
from zsc.cli.groups import group_options
from zsc.cli.knobs import compose_knob
from zsc.configs import CONFIGS
from zsc.errors import ZscError
from zsc.metrics.score import Row
from zsc.study.options import RunOptions
from zsc.study.paper import check_spec
from zsc.tables.paper import PaperTable, Published, Section, adjusted, render_paper


def rows_of(metric, off, on, p):
    values = {"off": off, "a(1)": on[0], "b_c(2)": on[1]}
    rows = [Row(name, metric, v, v - 0.1, v + 0.1, 9, 2, 1) for name, v in values.items()]
    rows += [
        Row(f"difference: {name}", metric, values[name] - off, -1.0, 1.0, 9, 2, 2, p=one, p_bootstrap=one, effect=0.5)
        for name, one in zip(("a(1)", "b_c(2)"), p, strict=True)
    ]
    return rows


@pytest.fixture
def table():
    first = Section(
        "x", [*rows_of("length", 5.0, (6.0, 12.0), (0.01, 0.9)), *rows_of("questions", 0.5, (0.5, 0.25), (1, 0.012))]
    )
    second = Section("y", rows_of("length", 5.0, (6.5, 4.0), (0.02, 0.011)))
    signatures = {"length": "length|zsc", "questions": "questions|zsc"}
    published = Published("Somebody (2020)", {"a(1)": "theirs: 50% & more"})
    columns = ["questions", "unscored", "length"]
    return PaperTable("mine", "Title_of it ~ \\w^", adjusted([first, second]), columns, published, signatures)


def test_holms_correction_spans_the_whole_table(table):
    # of six p-values .01, .9, 1, .012, .02, .011: .01 * 6, then .011 * 5, .012 * 4 raised to what came before, .02 * 3
    found = [row.p_holm for section in table.sections for row in section.rows if row.p is not None]
    assert found == pytest.approx([0.06, 1, 1, 0.06, 0.06, 0.06])
    alone = [row.p_holm for section in adjusted([table.sections[1]]) for row in section.rows if row.p is not None]
    assert alone == pytest.approx([0.022, 0.022])


def test_markdown_by_hand(table):
    sections = adjusted([table.sections[1]])
    text = render_paper(PaperTable("t", "T", sections, ["length"], Published(), {"length": "sig"}), "md")
    assert text.splitlines()[:7] == [
        "# T",
        "",
        "| group | setting | length | dropped |",
        "| --- | --- | --- | --- |",
        "| y | off | 5.000 [4.900, 5.100] | 1 |",
        "| y | a(1) | 6.500 [6.400, 6.600]* | 1 |",
        "| y | b_c(2) | 4.000 [3.900, 4.100]* | 1 |",
    ]
    assert "9 examples, 2 seeds" in text and "p < 0.05" in text and text.endswith("- `sig`")


def test_every_format_has_the_numbers_and_what_was_published(table):
    for style in ("table", "md", "latex"):
        text = render_paper(table, style)
        assert "Somebody (2020)" in text and "theirs: 50" in text and "unscored" not in text
        assert all(value in text for value in ("12.0", "0.250", "6.500")), style
    data = json.loads(render_paper(table, "json"))
    assert len(data) == 9 and [row["metric"] for row in data[:2]] == ["questions", "length"]
    first = next(row for row in data if row["setting"] == "a(1)" and row["metric"] == "length" and row["group"] == "x")
    assert (first["value"], first["difference_value"], first["p"], first["p_holm"]) == (
        6.0,
        1.0,
        0.01,
        pytest.approx(0.06),
    )
    assert first["published"] == "theirs: 50% & more" and first["signature"] == "length|zsc"
    lines = list(csv.DictReader(io.StringIO(render_paper(table, "csv"))))
    assert [float(line["value"]) for line in lines] == [row["value"] for row in data]
    assert all(line["difference_value"] == "" for line in lines if line["setting"] == "off")


def test_latex_is_escaped_and_ruled(table):
    text = render_paper(table, "latex")
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert (
        r"50\% \& more" in text
        and r"b\_c(2)" in text
        and not any(re.search(r"(?<!\\)[_%]", line) for line in body if "label" not in line)
    )
    assert (
        r"\caption{Title\_of it \textasciitilde{} \textbackslash{}w\textasciicircum{}}" in text
        and r"\label{tab:mine}" in text
    )
    rows = [line.split(" & ") for line in body if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(row) for row in rows} == {4}  # setting, two metrics, responses without a value
    assert [row[0] for row in rows if row[0]] == [r"\heading{setting}", *["off", "a(1)", r"b\_c(2)"] * 2]
    assert [row[3] for row in rows[1::2]] == [r"2 \\"] * 3 + [r"1 \\"] * 3
    assert rows[3][2] == r"6.000" and rows[4][2] == r"\interval{5.900,\,6.100}"
    assert [line for line in body if "multicolumn" in line] == [
        rf"\multicolumn{{4}}{{@{{}}l}}{{\itshape {label}}} \\" for label in "xy"
    ]


@pytest.mark.parametrize("name", group_options("table"))
def test_every_shipped_table_is_well_formed_and_its_knobs_compose(name):
    spec = OmegaConf.to_container(OmegaConf.load(CONFIGS / "table" / f"{name}.yaml"))
    check_spec(spec, name)
    for group in spec.get("groups", []):
        choices = [compose_knob(run, RunOptions()) for run in group["runs"]]
        assert choices and all(choice.parts for choice in choices)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": ...}, "see the files in configs/table for the form. table.title has no value"),
        ({"colums": []}, r"no option 'table.colums'. Did you mean 'columns'\? Known: title, columns, task, groups"),
        ({"baseline": "nothing"}, "It holds title, columns, either groups, a list, or baseline"),
        ({"groups": ..., "baseline": ["nothing"]}, r"table.baseline=\['nothing'\] must be a text"),
        ({"groups": ..., "baseline": "x", "columns": ["trained_shared"]}, "trained_shared"),
        ({"columns": ["lenght"]}, "Did you mean 'length'"),
        ({"groups": []}, "either groups, a list, or baseline"),
        ({"groups": [{"run": ["knob=attn_bias"]}]}, "no option 'table.groups.run'. Did you mean 'runs'"),
        ({"groups": [{"runs": []}, {"runs": []}]}, "different labels"),
        ({"groups": [{"runs": [{"knob": "attn_bias"}]}]}, "table.groups.runs=.* must be a list of texts"),
        ({"groups": [{"runs": [], "label": 1}]}, "table.groups.label=1 must be a text"),
        ({"columns": []}, "columns must be a list of metrics"),
        ({"published": {"sauce": "x"}}, "published holds source, a text, and rows"),
        ({"published": {"source": "x", "rows": ["a"]}}, "published holds source, a text, and rows"),
        ({"published": {"source": "x", "rows": {False: "1"}}}, "quote names such as"),
    ],
)
def test_ill_formed_tables(change, message):
    spec = {"title": "t", "columns": ["length"], "groups": [{"runs": ["knob=attn_bias"]}]} | change
    spec = {key: value for key, value in spec.items() if value is not ...}
    with pytest.raises(ZscError, match=message):
        check_spec(spec, "mine")


def test_runs_of_a_table_hold_knobs_alone():
    with pytest.raises(ZscError, match="in a table's runs: only knobs"):
        compose_knob("knob=attn_bias model=x", RunOptions())


@pytest.fixture
def make(command, checkpoint):
    quick = [f"model={checkpoint}", "model.device=cpu", "dataset.limit=6", "seeds=[0]", "resampling.resamples=20",
             "decoding.max_new_tokens=6"]  # fmt: skip
    return lambda *arguments: command("table", *arguments[:1], *quick, *arguments[1:])


def test_a_table_is_made_on_request_and_then_read_from_what_is_stored(make, tmp_path):
    code, out, err = make("topics")
    assert code == 2 and not out and "11 of the 11 cells of this table are not in runs/cells" in err
    assert "make=true" in err and not (tmp_path / "runs").exists()
    code, first, err = make("topics", "make=true", "format=md")
    assert code == 0 and "cells: 11, 0 found, 11 made" in err, err
    assert first.count("\n| ") == 1 + 1 + 8 * 2 + 3 and "| music | ctx_aug(topic_music, 5, K=10) |" in first
    code, second, err = make("topics", "format=md")
    assert code == 0 and second == first.replace(" make=true", "") and err.count(" 0 made") == 9
    code, text, _ = make("topics", "format=latex", "save=paper")
    assert code == 0 and r"\bottomrule" in text
    saved = {file.name: file.read_text() for file in (tmp_path / "paper").iterdir()}
    assert set(saved) == {"topics.md", "topics.tex", "topics.csv", "topics.json"} and saved["topics.tex"] == text
    assert (
        "zsc table topics save" not in saved["topics.md"]
        and "`zsc table topics model=" in saved["topics.md"]
        and "transformers" in saved["topics.md"]
    )


def test_each_group_is_scored_for_its_own_topic(make, tmp_path):
    assert make("topics", "make=true", "output=out")[0] == 0
    configs = {file.parent.name: OmegaConf.load(file) for file in tmp_path.glob("out/*/config.yaml")}
    spec = OmegaConf.load(CONFIGS / "table" / "topics.yaml")
    assert {label: config.topic for label, config in configs.items()} == {one.label: one.topic for one in spec.groups}
    assert all(list(config.metrics) == list(spec.columns) for config in configs.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "zsc table needs the name of one: combinations, "),
        (["informativenes"], "no table 'informativenes'. Did you mean 'informativeness'?"),
        (["topics", "knob=attn_bias"], "names its own knobs: leave knob=attn_bias out"),
        (["topics", "format=tex"], "format=tex is not one of table, md, latex, csv, json"),
        (["topics", "dataset=jsonl"], "dataset.path has no value"),
    ],
)
def test_bad_input(make, arguments, message):
    code, out, err = make(*arguments)
    assert code == 2 and message in err.splitlines()[-1] and "Traceback" not in err and not out, err


def test_components_of_any_pair_of_models_are_swapped_layer_by_layer(make, tmp_path, tokenizer):
    for seed, name in enumerate(("first", "second")):
        tiny_model("t5", tokenizer, seed=seed).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    pair = [f"model={tmp_path / 'first'}", f"other.checkpoint={tmp_path / 'second'}", "other.decoder=null"]
    code, text, err = make(
        "swap_layers", *pair, "make=true", "format=json", "dataset.limit=2", "table.columns=[length]"
    )
    assert code == 0, err
    settings = dict.fromkeys(row["setting"] for row in json.loads(text))
    ways = ("other", "averaged", "layer_mean", "random seed 0", "shuffled seed 0", "averaged_random seed 0")
    components = ("self_attention", "cross_attention", "feed_forward")
    assert set(settings) == {"off"} | {
        f"swap({component}, {way}, layers {layer})" for component in components for way in ways for layer in (0, 1)
    }
