"""The judge of entailment against logits worked by hand and the model's own, pair by pair; and through `zsc score`."""

import csv
import io
import json
from contextlib import nullcontext

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from zsc.cli.main import main
from zsc.errors import ZscError
from zsc.metrics.judges import JUDGES, Topic, build_judges
from zsc.metrics.judges.entailment import Entailment
from zsc.metrics.judges.verdicts import judged

PAIRS = [("It rains in the city.", "It rains."), ("A guitar is made of wood.", "I like films."), ("Yes.", "No idea")]
LABELS = ["contradiction", "neutral", "Entailment"]


def nli(folder, tokenizer, labels=LABELS, logits=None, positions=64):
    """Save a random model, or one whose logits are always ``logits``."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=positions, id2label=dict(enumerate(labels)), pad_token_id=tokenizer.pad_token_id,
        label2id={label: i for i, label in enumerate(labels)}, initializer_range=1.0, num_labels=len(labels),
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    if logits is not None:
        model.classifier.weight.data.zero_()
        model.classifier.bias.data.copy_(torch.tensor(logits))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def own(judge, premise, response, **cut):
    read = judge.classifier.pipeline.tokenizer(premise, response, return_tensors="pt", **cut)
    with torch.no_grad():
        return read, float(judge.classifier.pipeline.model(**read).logits[0].softmax(0)[2])


def test_probability_by_hand(tmp_path, tokenizer):
    judge = Entailment(nli(tmp_path / "m", tokenizer, logits=[0.0, torch.log(torch.tensor(2.0)), 0.0]), "cpu")
    assert judge.judge(PAIRS) == [[pytest.approx(1 / 4)]] * 3  # of odds 1 : 2 : 1
    sure = Entailment(nli(tmp_path / "s", tokenizer, ["not_entailment", "entailment"], [0.0, 1.0986123]), "cpu")
    assert sure.judge(PAIRS[:1]) == [[pytest.approx(3 / 4)]]


def test_probability_is_the_models_own_of_premise_then_response(tmp_path, tokenizer):
    judge = Entailment(nli(tmp_path / "m", tokenizer), "cpu")
    found = [one[0] for one in judge.judge(PAIRS)]
    assert found == pytest.approx([own(judge, *pair)[1] for pair in PAIRS], abs=1e-5)
    assert found != pytest.approx([own(judge, *pair[::-1])[1] for pair in PAIRS], abs=1e-3)
    assert judge.judge([("", "It rains."), (" ", "x"), ("It rains.", ""), PAIRS[0]])[:3] == [None] * 3
    assert judge.judge([("", "x")]) == [None]


def test_of_a_long_pair_the_longer_text_loses_its_end(tmp_path, tokenizer):
    judge = Entailment(nli(tmp_path / "m", tokenizer), "cpu")
    long, short = " ".join(["the birds in the city"] * 40), "It rains."
    read, expected = own(judge, long, short, truncation="only_first", max_length=64)
    assert read["input_ids"].shape[1] == 64 and judge.judge([(long, short)])[0] == pytest.approx([expected], abs=1e-5)
    read, expected = own(judge, short, long, truncation="only_second", max_length=64)
    assert read["input_ids"].shape[1] == 64 and judge.judge([(short, long)])[0] == pytest.approx([expected], abs=1e-5)
    assert 0 < judge.judge([(long, long)])[0][0] < 1
    assert "|window:64-cut-longer|label:Entailment|premise:knowledge" in judge.signature
    assert judge.signature.startswith("model:m|weights:")


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["entailment"], ["entails", "entailed"], ["LABEL_0", "LABEL_1"]])
def test_a_model_without_one_label_of_entailment(tmp_path, tokenizer, labels):
    with pytest.raises(ZscError, match=f"no one label of entailment among {', '.join(labels)}"):
        Entailment(nli(tmp_path / "m", tokenizer, labels), "cpu")


def test_a_model_that_is_none(checkpoint):
    with pytest.raises(ZscError, match=r"judges\.entailment="):
        build_judges({**dict.fromkeys(JUDGES), "device": "cpu", "entailment": str(checkpoint)}, Topic("", []))


def test_pairs_are_kept_beside_the_texts_of_other_judges_and_not_judged_twice(tmp_path):
    class Counting:
        columns, signature, premise, networks = ("entailment_probability",), "counting", "knowledge", ()

        def __init__(self):
            self.asked = []

        def batches(self, pairs):
            return [[pair] for pair in pairs]

        def judge(self, batch):
            self.asked += batch
            return [[len(premise) / len(response)] for premise, response in batch]

    def unwatched(total):
        return nullcontext(lambda count: None)

    first, again = Counting(), Counting()
    judged(first, [("ab", "a")], tmp_path, unwatched)
    pairs = [("ab", "a"), ("a", "ab"), ("ab", "b")]
    found = judged(again, pairs, tmp_path, unwatched)
    assert [found[pair] for pair in pairs] == [[2], [0.5], [2]] and ("a", "b") not in found and "aab" not in found
    assert again.asked == pairs[1:]
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text().splitlines()[0]) == {"premise": "ab", "text": "a", "values": [2.0]}


def test_through_the_command(tmp_path, monkeypatch, capsys, tokenizer):
    monkeypatch.chdir(tmp_path)
    model = nli(tmp_path / "nli", tokenizer)
    judge = Entailment(model, "cpu")
    pairs = [("It rains.", "Yes."), (None, "Yes."), ("It rains.", "")]
    rows = [
        {"setting": name, "history": "Hi.", "knowledge": known, "response": response}
        for name in ("a", "b")
        for known, response in [*pairs, ("He ran.", f"I like {name}.")]
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def scored(*more):
        code = main(["score", "x.jsonl", "metrics=[knowledge_entailment,length]", "format=csv", *more])
        out, err = capsys.readouterr()
        return code, {(row["setting"], row["metric"]): row for row in csv.DictReader(io.StringIO(out))}, err

    judging = (f"judges.entailment={model}", "judges.device=cpu", "resampling.resamples=50")
    code, table, err = scored(*judging)
    row = table["a", "knowledge_entailment"]
    expected = [own(judge, "It rains.", "Yes.")[1], own(judge, "He ran.", "I like a.")[1]]
    assert code == 0 and float(row["value"]) == pytest.approx(sum(expected) / 2, abs=1e-5)
    assert (row["n"], row["dropped"]) == ("2", "2") and f"|{judge.signature}|" in row["signature"]
    assert "entailment_probability: 4 different responses, 4 judged now" in err
    assert "entailment_probability: 4 different responses, 0 judged now" in scored(*judging)[2]
    assert "nothing to compute them from: knowledge_entailment" in scored("resampling.resamples=50")[2]
