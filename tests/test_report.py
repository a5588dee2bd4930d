"""`zsc report`: attention against a direct computation, and the page as a reader's browser gets it."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import torch
from hydra import compose, initialize_config_dir
from transformers.modeling_outputs import BaseModelOutput

from tests.reference import cross_attentions, reweighted
from zsc.cli.compose import options_of
from zsc.cli.main import main
from zsc.configs import CONFIGS
from zsc.data.layouts import BucketLayout
from zsc.data.record import Record, Turn
from zsc.data.source import plain_source
from zsc.generation.attended import attended, decoder_ids, source_texts
from zsc.generation.folder import RunFolder
from zsc.knobs import AttentionBias, ContextAugmentation
from zsc.metrics.score import Row
from zsc.models.load import Loaded
from zsc.study.options import ReportOptions, RunOptions
from zsc.study.report import examples_of, grouped_runs, load
from zsc.study.run import run as perform
from zsc.study.watch import Silent
from zsc.tables.compared import Group, Run
from zsc.tables.figures import STYLES
from zsc.tables.plots import dose_places, spread
from zsc.tables.report import curve_plots, labels_of, plane_plot
from zsc.tables.trade_off import verdict

NASTY = 'She said "</script><b>&amp;" <img src=x>'
SAID = "Yes, of course."
SETTINGS = ["off", "attn_bias(knowledge, 0)", "attn_bias(knowledge, 4)", "attn_bias(dialog, 0)", "attn_bias(dialog, 4)"]
METRICS = ["knowledge_rouge1", "perplexity_corpus", "repetition", "distinct2", "length"]


@pytest.fixture
def source(parlor, tokenizer):
    return BucketLayout().encode(parlor[3:4], tokenizer)


def read(model, states, mask, ids):
    """Return cross-attention (positions,) of an eager model, meant over layers, heads and queries."""
    with torch.no_grad():
        given = BaseModelOutput(last_hidden_state=states)
        output = model(
            encoder_outputs=given, attention_mask=mask, decoder_input_ids=ids, output_attentions=True, use_cache=False
        )
    return torch.cat(output.cross_attentions).double().mean(dim=(0, 1, 2))


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize(("family", "start"), [("bart", 2), ("t5", 1)])
def test_attention_is_that_of_a_direct_computation(tiny, tokenizer, source, family, start, backend):
    model, reference = tiny(family, backend), tiny(family, "eager")
    found = attended(Loaded(model, tokenizer, tokenizer, ""), source, [AttentionBias("knowledge", 8.0)], SAID)
    ids = torch.tensor([[start, *tokenizer(SAID, add_special_tokens=False)["input_ids"]]])
    with torch.no_grad():
        states = reference.get_encoder()(source.input_ids, source.attention_mask).last_hidden_state
    off = read(reference, states, source.attention_mask, ids)
    with reweighted(cross_attentions(reference), torch.where(source.segments == 1, 8.0, 1.0)[:, None, None]):
        on = read(reference, states, source.attention_mask, ids)
    places = source.attention_mask[0].nonzero().flatten()
    assert [token.segment for token in found.tokens] == source.segments[0, places].tolist()
    torch.testing.assert_close(torch.tensor([t.off for t in found.tokens]), off[places].float(), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(torch.tensor([t.on for t in found.tokens]), on[places].float(), rtol=1e-3, atol=1e-6)
    assert found.code == 0 and found.padding == (0, 0)
    assert sum(t.on - t.off for t in found.tokens if t.segment == 1) > 0.1
    assert model.get_decoder().config._attn_implementation == backend


def test_attention_to_control_phrases_stands_apart(tiny, tokenizer, source):
    model, reference = tiny("bart", "sdpa"), tiny("bart", "eager")
    knob = ContextAugmentation(["Why is that so?", "How?"], tokenizer, strength=3.0, count=2)
    found = attended(Loaded(model, tokenizer, tokenizer, ""), source, [knob], SAID)
    ids, first = decoder_ids(reference, tokenizer, SAID)
    with torch.no_grad():
        states = reference.get_encoder()(source.input_ids, source.attention_mask).last_hidden_state
    code = knob.code(reference)
    new = code.shape[1]
    mask = torch.cat([torch.ones(1, new, dtype=torch.long), source.attention_mask], dim=1)
    weights = torch.cat([torch.full((1, new), 3.0), torch.ones(1, source.input_ids.shape[1])], dim=1)
    with reweighted(cross_attentions(reference), weights[:, None, None]):
        on = read(reference, torch.cat([code, states], dim=1), mask, ids)
    assert first == 0 and new > 1 and found.code == pytest.approx(float(on[:new].sum()), rel=1e-3)
    places = source.attention_mask[0].nonzero().flatten()
    torch.testing.assert_close(
        torch.tensor([t.on for t in found.tokens]), on[new:][places].float(), rtol=1e-3, atol=1e-6
    )
    assert found.code + sum(t.on for t in found.tokens) == pytest.approx(1, abs=1e-5)
    assert sum(t.off for t in found.tokens) == pytest.approx(1, abs=1e-5)


def test_a_forced_first_token_is_read_and_not_counted(tiny, tokenizer):
    model = tiny("bart")
    model.generation_config.forced_bos_token_id = 0
    ids, first = decoder_ids(model, tokenizer, SAID)
    response_ids = tokenizer(SAID, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == [[2, 0, *response_ids]] and first == 1
    assert decoder_ids(model, tokenizer, "")[0].tolist() == [[2, 0]]


def test_attended_padding_is_left_out_and_its_share_told(tiny, tokenizer, parlor):
    source = BucketLayout(attend_padding=True).encode(parlor[:1], tokenizer)
    found = attended(Loaded(tiny("bart"), tokenizer, tokenizer, ""), source, [AttentionBias("dialog", 4.0)], SAID)
    pads = int((source.input_ids == tokenizer.pad_token_id).sum())
    assert pads > 5 and len(found.tokens) == source.input_ids.shape[1] - pads
    for share, padding in zip(("off", "on"), found.padding, strict=True):
        assert padding > 0.01
        assert padding + sum(getattr(token, share) for token in found.tokens) == pytest.approx(1, abs=1e-5)


def test_the_texts_of_tokens_joined_are_the_text(tokenizer):
    text = "A café, naïve 猫 and 🎈 too."
    source = plain_source([text], tokenizer)
    found = source_texts(tokenizer, source, source.attention_mask[0].bool())
    assert "".join(part for _, part, special in found if not special).strip() == text
    record = Record("r", (Turn("a", "Oh?"), Turn("b", "Say.")), None, text)
    laid = BucketLayout().encode([record], tokenizer)
    found = source_texts(tokenizer, laid, laid.attention_mask[0].bool())
    assert [part for place, part, special in found if special] == [tokenizer.bos_token, "<speaker2>", "<speaker1>"]
    assert "".join(part for place, part, _ in found if laid.segments[0, place] == 1).strip() == text


class Page(HTMLParser):
    """What stands in a page: text, tags with attributes, and a complaint for each tag that is not closed in order."""

    CDATA_CONTENT_ELEMENTS = ("script", "style")
    VOID = ("meta", "link", "br", "wbr", "img", "hr", "input")

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.text, self.wrong = [], [], [], []
        self.feed(text)
        assert not self.open and not self.wrong

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, text):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(text)

    def of(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory, checkpoint):
    """A finished sweep of the tiny model."""
    folder = tmp_path_factory.mktemp("report")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("run", [
            "model=checkpoint", f"model.checkpoint={checkpoint}", "model.device=cpu", "dataset.limit=5", "seeds=[0,1]",
            "knob=attn_bias", "knob.profile=[knowledge,dialog]", "knob.strength=[0,4]", "decoding.max_new_tokens=5",
            f"cells={folder}/cells", f"output={folder}/run", f"metrics=[{','.join(METRICS)}]",
            "resampling.resamples=60",
        ])  # fmt: skip
    return perform(options_of(RunOptions, config), Silent()).folder.path


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch):
    """A copy of it, in a folder to work in."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(finished_run, tmp_path / "my-run")


def changed(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_the_page_holds_everything_and_needs_nothing(run, capsys):
    changed(run / "manifest.json", lambda written: written.update(command="zsc sweep 'knob.profile=[a,b]' x=\"<i>\""))
    lines = [json.loads(line) for line in (run / "generations.jsonl").read_text().splitlines()]
    for line in lines:
        line["response"] = NASTY if line["setting"] == "attn_bias(dialog, 4)" else line["response"]
    (run / "generations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["report", str(run), "output=page", "setting=attn_bias(dialog, 4)", "examples=2"]) == 0
    assert "page: page/report.html" in capsys.readouterr().out
    text = (run.parent / "page" / "report.html").read_text()
    page = Page(text)
    shown = "".join(page.text)
    assert not re.search(r"https?:|//\w|url\((?!#)|@import|<img|<b>&", text.replace("</b>", ""))
    assert text.count("<script") == text.count("</script") == 1  # its own
    assert all(
        value.startswith("#") for tag, own in page.tags for name, value in own.items() if name in ("href", "src")
    )
    assert all(setting in shown for setting in SETTINGS) and shown.count(NASTY) == 2
    assert "zsc sweep 'knob.profile=[a,b]' x=\"<i>\"" in shown and "my-run" in shown and str(run) not in text
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    pictures = [own for own in page.of("svg") if own.get("aria-hidden") != "true"]
    assert len(pictures) == 5 and all(own["role"] == "img" and "knowledge" in own["aria-label"] for own in pictures)
    ids = [own["id"] for _, own in page.tags if "id" in own]
    assert len(set(ids)) == len(ids) and {href[1:] for own in page.of("a", "use") if (href := own["href"])} <= set(ids)
    scores = json.loads((run / "scores.json").read_text())
    assert all(signature in shown for metric, signature in scores["signatures"].items() if metric != "length")
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["weights"] in shown and f"transformers {manifest['versions']['transformers']}" in shown
    assert f"{manifest['effects'][SETTINGS[2]]['kl']:.3g}" in shown
    for name in ("curves-attn_bias", "frontier"):
        assert (run.parent / "page" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        pdf = (run.parent / "page" / f"{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF") and b"/FontFile2" in pdf and b"/Type3" not in pdf  # TrueType, embedded
        assert "<text" in (run.parent / "page" / f"{name}.svg").read_text()


def test_attention_is_shaded_by_its_change(run):
    assert main(["report", str(run), "output=page", "setting=attn_bias(knowledge, 0)", "examples=1"]) == 0
    page = Page((run.parent / "page" / "report.html").read_text())
    tokens = [own for own in page.of("span") if own.get("title")]
    assert tokens and any("less-5" in own["class"] for own in tokens) and any("more-" in own["class"] for own in tokens)
    for own in tokens:  # nothing is left where the strength is 0; the other tokens can only gain on average
        title = own["title"].replace("\N{MINUS SIGN}", "-")
        off, on, change = map(float, re.search(r"([\d.]+)% → ([\d.]+)% \(([+-][\d.]+)\)$", title).groups())
        assert on - off == pytest.approx(change, abs=0.11)
        assert change >= -0.05 or on == 0 or "more-" not in own["class"]
    names = [text for text in page.text if re.match(r"(knowledge|begin|turn -\d) ?$", text)]
    assert names[-1].strip() == "turn -1" and "knowledge " in names


def test_the_same_input_gives_the_same_bytes(run):
    for output in ("one", "two"):
        assert main(["report", str(run), f"output={output}", "attention=false"]) == 0
    one, two = ({file.name: file.read_bytes() for file in (run.parent / name).iterdir()} for name in ("one", "two"))
    assert one == two and len(one) == 7


def options(**given):
    return ReportOptions(runs=("run",), **given)


def group_of(run):
    folders = {"run": RunFolder(run)}
    (group,) = grouped_runs([load("run", folders["run"])], folders, options())
    return group, folders


def test_the_choice_of_examples_depends_on_its_seed(run):
    group, folders = group_of(run)
    drawn = [
        examples_of(group, folders, options(attention=False, examples=3, shuffle=shuffle), Silent()).items
        for shuffle in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2] and len({item.record.id for item in drawn[0]}) == 3
    rows = {
        (row["setting"], row["seed"], row["id"]): row["response"] + "…" * (not row["ended"])
        for row in folders["run"].rows()
    }
    assert any(text.endswith("…") for text in rows.values())
    best = group.frontier.best or group.frontier.nearest
    for item in drawn[0]:
        assert (item.off, item.on) == (rows["off", 0, item.record.id], rows[best, 0, item.record.id])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda written: written.update(weights="0" * 64), "the weights of .* have changed since the run"),
        (lambda written: written["knobs"][SETTINGS[1]][0].update(size=3), "do not make attn_bias"),
        (
            lambda written: written.update(made_from={"phrases": {"x": {"y": ["z"]}}}),
            "control phrases, .*, have changed",
        ),
        (lambda written: written.update(identity="0"), "measured with another version of the code"),
        (lambda written: None, "^$"),
    ],
)
def test_what_is_said_when_the_model_is_another(run, change, sentence):
    changed(run / "manifest.json", change)
    shown = examples_of(*group_of(run), options(setting=SETTINGS[1], examples=1), Silent())
    note = re.sub("^… ends what was cut at the most tokens it may have.", "", shown.note).strip()
    assert re.search(sentence, note)
    assert (shown.items[0].attended is None) == ("changed" in sentence or "make" in sentence)


def test_a_model_that_is_gone(run):
    file = run / "config.yaml"
    file.write_text(re.sub(r"checkpoint: .*", "checkpoint: /nowhere/at-all", file.read_text()))
    shown = examples_of(*group_of(run), options(), Silent())
    assert "Attention was not measured: model '/nowhere/at-all'" in shown.note
    assert all(item.attended is None for item in shown.items)


def test_no_model_is_fetched_because_a_run_names_it(run, monkeypatch):
    def fetch(*_, **options):
        assert options.get("local_files_only"), "the hub was asked"
        raise OSError("not in the cache")

    monkeypatch.setattr("zsc.models.files.snapshot_download", fetch)
    monkeypatch.setattr("zsc.models.files.HfApi", lambda: pytest.fail("the hub was asked"))
    file = run / "config.yaml"
    file.write_text(re.sub(r"checkpoint: .*", "checkpoint: acme/theirs", file.read_text()))
    shown = examples_of(*group_of(run), options(), Silent())
    assert shown.note.endswith("model 'acme/theirs', which the run's config.yaml names, is not here.")


def test_values_that_are_missing_do_not_crash(run):
    def lose(scores):
        for row in scores["table"]:
            if row["setting"].endswith("(dialog, 4)") or row["metric"] == "repetition":
                row.update(value=None, low=None, high=None, n=0)

    changed(run / "scores.json", lose)
    assert main(["report", str(run), "output=page", "attention=false"]) == 0
    text = (run.parent / "page" / "report.html").read_text()
    assert "Without a value, and left out: attn_bias(dialog, 4)." in text
    changed(run / "scores.json", lambda scores: [row.update(value=None, low=None) for row in scores["table"]])
    assert main(["report", str(run), "output=page", "attention=false"]) == 0
    assert "There is nothing to compare with off" in (run.parent / "page" / "report.html").read_text()


def test_runs_that_cannot_be_compared_have_frontiers_of_their_own(run, capsys):
    same, other = (shutil.copytree(run, run.parent / name) for name in ("same", "other"))
    changed(other / "manifest.json", lambda written: written["cells"].update({"off seed 1": "of another model"}))
    assert main(["report", str(run), str(same), str(run), str(other), "output=page", "attention=false"]) == 0
    assert {file.name for file in (run.parent / "page").glob("*.svg")} == {
        f"{number}-{name}.svg" for number in (1, 2) for name in ("curves-attn_bias", "frontier")
    }
    assert capsys.readouterr().out.count("knowledge_rouge1 on parlor") == 2
    page = Page((run.parent / "page" / "report.html").read_text())
    assert [text for text in page.text if text in ("my-run", "same", "other")].count("same") == 3


def fake_group(knobs, metrics=("knowledge_rouge1", "perplexity_corpus")):
    """A group of settings whose metrics, control and fluency first, count up."""
    rows = [
        Row(setting, metric, i + 1.0, i + 0.5, i + 1.5, 5, 1, 0)
        for i, setting in enumerate(knobs)
        for metric in metrics
    ]
    manifest = {"seeds": [0], "knobs": knobs}
    return Group(*metrics[:2], [Run("fake", {}, manifest, rows, dict.fromkeys(metrics, ""), {"confidence": 0.9}, 5)])


def test_metrics_that_are_not_registered_here_do_not_crash(run):
    def rename(scores):
        scores["signatures"]["their_metric"] = scores["signatures"].pop("length")
        for row in scores["table"]:
            row.update(metric=row["metric"].replace("length", "their_metric"))

    changed(run / "scores.json", rename)
    assert main(["report", str(run), "output=page", "attention=false"]) == 0
    knobs = {f"s{i}": [{"knob": "attn_bias", "profile": "dialog", "strength": i}] for i in (2, 5)}
    group = fake_group({"off": []} | knobs, ("their_metric", "their_fluency"))
    (curves,), plane = curve_plots(group, "c"), plane_plot(group, "p")
    assert all(f">{label}<" in plane.panels[0][0] for label in ("their_metric", "their_fluency"))
    assert ">their_metric<" in curves.panels[0][0]


def test_what_stands_beside_control_and_fluency_is_of_the_family_of_fluency_first():
    scored = ("knowledge_rouge1", "perplexity_corpus", "length", "phrase_copy_rate", "distinct2", "repetition")
    assert fake_group({"off": []}, scored).metrics == [*scored[:2], "repetition", "distinct2", "phrase_copy_rate"]


def test_more_series_than_styles_are_drawn_in_parts_of_one_scale():
    knobs = {f"p{i}": [{"knob": "attn_bias", "profile": f"turn:{i}", "strength": 5}] for i in range(7)}
    plots = curve_plots(fake_group({"off": []} | knobs), "curves-")
    assert [(plot.name, [style for style, _ in plot.legend]) for plot in plots] == [
        ("curves-attn_bias-1", [0, 1, 2, 3]),
        ("curves-attn_bias-2", [0, 1, 2]),
    ]
    assert [label for plot in plots for _, label in plot.legend] == [f"turn:{i}" for i in range(7)]
    ticks = [re.findall(r">(\d+(?:\.\d+)?)</text>", plot.panels[0][0]) for plot in plots]
    assert ticks[0] == ticks[1] != []


def test_labels_on_the_frontier():
    bias = {"knob": "attn_bias", "profile": "dialog", "strength": 2}
    code = {"knob": "ctx_aug", "label": "questions", "strength": 2}
    one_knob = fake_group({"off": [], "a": [bias], "b": [bias | {"profile": "knowledge"}]})
    assert labels_of(one_knob) == {"a": "dialog", "b": "knowledge"}
    two = fake_group({"off": [], "a": [bias], "c": [code], "d": [bias, code]})
    assert labels_of(two) == {"a": "attn_bias", "c": "ctx_aug", "d": "attn_bias + ctx_aug"}
    many = {f"p{i}": [bias | {"profile": f"turn:{i}"}] for i in range(7)}
    assert set(labels_of(fake_group({"off": []} | many)).values()) == {"attn_bias"}


def trade_off(rises, control="knowledge_precision", several=True):
    """A group whose best trade-off is "on"; ``rises`` are of metrics, from a value to another, with a p-value."""
    settings = ["off", "on", "worse"] if several else ["off", "on"]
    rows = [
        Row("off", "perplexity_corpus", 5.0, 4.9, 5.1, 9, 1, 0),
        Row("off", control, 0.2, 0.1, 0.3, 9, 1, 0),
        Row("on", "perplexity_corpus", 4.0, 3.9, 4.1, 9, 1, 0),
        Row("on", control, 0.4, 0.3, 0.5, 9, 1, 0),
        Row("worse", "perplexity_corpus", 6.0, 5.9, 6.1, 9, 1, 0),
        Row("worse", control, 0.1, 0.0, 0.2, 9, 1, 0),
    ]
    for metric, (before, after, p) in rises.items():
        name = "difference: on" if several else "difference"
        rows += [
            Row("off", metric, before, before, before, 9, 1, 0),
            Row("on", metric, after, after, after, 9, 1, 0),
            Row(name, metric, after - before, 0, 0, 9, 1, 0, p=p / 10, p_holm=p),
        ]
    metrics = {row.metric: "" for row in rows if row.setting in [*settings, "difference: on", "difference"]}
    manifest = {"knobs": {name: [] for name in settings}, "seeds": [0]}
    kept = [row for row in rows if row.setting != "worse" or several]
    return Group(control, "perplexity_corpus", [Run("fake", {}, manifest, kept, metrics, {"confidence": 0.9}, 9)])


def test_the_verdict_says_what_copying_and_novelty_did():
    best = "The best trade-off is on: knowledge_precision 0.200 → 0.400, perplexity_corpus 5.000 → 4.000."
    copied, new = (0.1, 0.45, 0.001), (0.8, 0.5, 0.049)
    both = {"knowledge_copied_run": copied, "novelty": new}
    said = "From off to it, knowledge_copied_run rises 0.100 → 0.450 and novelty falls 0.800 → 0.500."
    assert verdict(trade_off(both)) == verdict(trade_off(both, several=False)) == f"{best} {said}"
    unsure = {"knowledge_copied_run": copied, "novelty": (0.8, 0.5, 0.05)}
    assert verdict(trade_off(unsure)).endswith("and novelty does not change significantly, 0.800 → 0.500.")
    assert verdict(trade_off({"novelty": new})) == f"{best} From off to it, novelty falls 0.800 → 0.500."
    assert verdict(trade_off({})) == best
    of_copying = verdict(trade_off({"novelty": new}, control="knowledge_copied_run"))
    assert "trade-off" in of_copying and "knowledge_copied_run rises" not in of_copying


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs the folders of finished runs"),
        (["examples=1"], "needs the folders of finished runs"),
        (["{run}", "controll=length"], "Did you mean 'control'"),
        (["{run}", "control=lenth"], "control=lenth is no metric. Did you mean 'length'"),
        (["{run}", "control=question_rate"], "has no score of control=question_rate. Run `zsc score {run} metrics=["),
        (["{run}", "fluency=judge_perplexity_median"], "has no score of fluency=judge_perplexity_median"),
        (["{run}", "control=perplexity_corpus"], "must be two metrics"),
        (["{run}", "setting=loud"], "setting=loud must name one of: attn_bias(knowledge, 0); "),
        (["{run}", "examples=-1"], "examples=-1 must be a whole number"),
        (["{run}", "shuffle=x"], "shuffle=x must be a whole number"),
        (["{run}", "attention=2"], "attention=2 must be true or false"),
        (["/nowhere"], "/nowhere is not the folder of a run"),
        (["{run}", "output={run}/config.yaml"], "cannot write to"),
    ],
)
def test_bad_input(run, arguments, message, capsys):
    assert main(["report", *(argument.format(run=run) for argument in arguments)]) == 2
    assert message.format(run=run) in capsys.readouterr().err


def test_a_run_without_scores_or_responses(run, capsys):
    scores = (run / "scores.json").read_text()
    (run / "scores.json").write_text("{")
    assert main(["report", str(run)]) == 2 and "scores.json cannot be read" in capsys.readouterr().err
    (run / "scores.json").unlink()
    assert main(["report", str(run)]) == 2 and f"Run `zsc score {run}`" in capsys.readouterr().err
    (run / "scores.json").write_text(scores)
    (run / "generations.jsonl").write_text("")
    assert main(["report", str(run)]) == 2 and "the run is not finished" in capsys.readouterr().err
    assert not (run.parent / "runs").exists()


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_series_are_legible_on_both_grounds_and_told_apart_by_markers():
    for light, dark, _ in STYLES:  # WCAG: graphics need a contrast of 3
        assert 1.05 / (luminance(light) + 0.05) >= 3 and (luminance(dark) + 0.05) / (luminance("#1c2025") + 0.05) >= 3
    assert len({marker for *_, marker in STYLES}) == len(STYLES)


def test_doses_lie_on_a_logarithmic_axis_with_zero_apart():
    places = dose_places([0, 1, 10, 100])
    assert [places[dose] for dose in (1, 10, 100)] == [0, 1, 2] and places[0] == pytest.approx(-0.4)
    assert spread([1, 1.01, 2, 4], dose_places([1, 1.01, 2, 4]), {1.01}) == [1.01, 2, 4]
