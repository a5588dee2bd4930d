"""Training from text to text: batches as the tokenizers themselves make them, and from the command to a model."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tests.families import tiny_family, tiny_model
from tests.published import mbart50
from zsc.cli.compose import options_of
from zsc.data.layouts import BucketLayout, PlainLayout, TemplateLayout
from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.models.load import Loaded
from zsc.study.stored import stored_training
from zsc.training.options import TrainOptions
from zsc.training.text_to_text import TextCollator

PAIRS = [("The sun is a star.", "Is it hot?"), ("A dell is a small wooded hollow, and no city.", "What is it?")]
RECORDS = [Record(str(i), (), reference, fields={"source": source}) for i, (source, reference) in enumerate(PAIRS)]


def test_batches_are_those_of_the_tokenizer_padded_to_their_longest(tokenizer):
    model = tiny_model("bart", tokenizer)
    batch = TextCollator(PlainLayout(), Loaded(model, tokenizer, tokenizer, ""), 40)(RECORDS)
    own = tokenizer([source for source, _ in PAIRS], padding=True, return_tensors="pt")
    assert torch.equal(batch["input_ids"], own["input_ids"])
    assert torch.equal(batch["attention_mask"], own["attention_mask"])
    for row, (_, reference) in zip(batch["labels"], PAIRS, strict=True):
        assert row[row != -100].tolist() == [*tokenizer(reference, add_special_tokens=False)["input_ids"], 2]
    single = TextCollator(PlainLayout(), Loaded(model, tokenizer, tokenizer, ""), 40)(RECORDS[:1])
    assert single["input_ids"].shape[1] < batch["input_ids"].shape[1]


def test_sources_are_cut_to_what_the_model_reads(tokenizer):
    model = tiny_model("bart", tokenizer)
    most = model.config.max_position_embeddings
    long = Record("long", (), "Yes.", fields={"source": "word " * (2 * most)})
    batch = TextCollator(PlainLayout(), Loaded(model, tokenizer, tokenizer, ""), 40)([long])
    assert batch["input_ids"].shape[1] == most and batch["input_ids"][0, -1] == tokenizer.eos_token_id


def test_targets_begin_with_the_language_as_the_tokenizer_and_the_model_have_it(tmp_path):
    own_tokenizer = mbart50(tmp_path)
    model = tiny_family("mbart", len(own_tokenizer))
    layout = TemplateLayout("{source}", source_language="en_XX", target_language="de_DE", language_tokens=True)
    batch = TextCollator(layout, Loaded(model, own_tokenizer, own_tokenizer, ""), 60)(RECORDS)
    own_tokenizer.src_lang, own_tokenizer.tgt_lang = "en_XX", "de_DE"
    sources, targets = [source for source, _ in PAIRS], [reference for _, reference in PAIRS]
    own = own_tokenizer(sources, text_target=targets, padding=True, return_tensors="pt")
    assert own["labels"][0, 0] == own_tokenizer.convert_tokens_to_ids("de_DE") != own_tokenizer.unk_token_id
    assert torch.equal(batch["input_ids"], own["input_ids"])
    labels = own["labels"].masked_fill(own["labels"] == own_tokenizer.pad_token_id, -100)
    assert torch.equal(batch["labels"], labels)
    with torch.no_grad():
        expected = model(input_ids=own["input_ids"], attention_mask=own["attention_mask"], labels=labels).loss
        assert torch.allclose(model(**batch).loss, expected)


@pytest.fixture
def files(tmp_path):
    rows = [
        {
            "id": str(i),
            "question": f"Is {i} even?",
            "passage": f"The number is {i}.",
            "reference": ("Yes.", "No.")[i % 2],
        }
        for i in range(12)
    ]
    for name, some in (("train", rows[:8]), ("heldout", rows[8:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")
    return [f"objective.{name}=[{{loader: jsonl, path: {tmp_path / name}.jsonl}}]" for name in ("train", "heldout")]


def test_a_model_is_trained_in_a_template_resumed_and_read(command, checkpoint, files, tmp_path):
    def train(output, *more):
        return command(
            "train", "objective=text_to_text", f"objective.checkpoint={checkpoint}", *files, "layout=template",
            "layout.text=question: {question} passage: {passage}", f"output={output}", "precision=fp32",
            "trainer.max_steps=2", "trainer.per_device_train_batch_size=4", "trainer.save_steps=1", *more,
        )  # fmt: skip

    assert train("whole")[0] == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "parts", ignore=shutil.ignore_patterns("model", "checkpoint-2"))
    status, _, err = train("parts")
    assert status == 0 and "resuming from parts/checkpoint-1" in err
    parts, whole = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("parts", "whole"))
    before = load_file(checkpoint / "model.safetensors")
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name])
    moved = {name for name in before if not torch.equal(before[name], whole[name])}
    assert any("encoder.layers" in name for name in moved) and any("decoder.layers" in name for name in moved)
    stored = stored_training(tmp_path / "whole" / "config.yaml")
    assert stored.layout == TemplateLayout("question: {question} passage: {passage}") and stored.freeze == ()
    status, _, err = train("whole", "layout.max_tokens=20")
    assert status == 2 and "holds a training with other options" in err

    status, _, err = command(
        "run", f"model={tmp_path / 'whole' / 'model'}", "dataset=jsonl", f"dataset.path={tmp_path / 'heldout.jsonl'}",
        "decoding=greedy", "seeds=[0]", "decoding.max_new_tokens=5", "model.device=cpu", "output=said",
        "metrics=[length]",
    )  # fmt: skip
    assert status == 0 and "layout: as it was trained, by the checkpoint's own zsc_layout.yaml" in err, err
    said = [json.loads(line) for line in (tmp_path / "said" / "generations.jsonl").read_text().splitlines()]
    model, own = (kind.from_pretrained(tmp_path / "whole" / "model") for kind in (AutoModelForSeq2SeqLM, AutoTokenizer))
    source = own("question: Is 8 even? passage: The number is 8.", return_tensors="pt")
    ids = model.eval().generate(**source, max_new_tokens=5, do_sample=False, num_beams=1)
    assert said[0]["response"] == own.decode(ids[0], skip_special_tokens=True).strip()


def test_what_is_cut_is_said(command, checkpoint, files):
    status, _, err = command(
        "train", "objective=text_to_text", f"objective.checkpoint={checkpoint}", *files, "layout.field=passage",
        "layout.max_tokens=6", "output=out", "trainer.max_steps=1", "precision=fp32",
    )  # fmt: skip
    assert status == 0 and "the layout cuts off passage in 8 of 8 examples" in err, err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["layout.field=pasage"], "record 0 has no pasage"),
        (["layout=auto"], "layout=auto goes by what a checkpoint was trained with"),
        (["layout=buckets"], "record 0 has neither knowledge nor history to read. Leave such records out, or choose"),
        (["layout.field=passage", "objective.target_tokens=2000"], "Reduce objective.target_tokens"),
    ],
)
def test_bad_input_is_one_line(command, checkpoint, files, words, message):
    status, _, err = command(
        "train", "objective=text_to_text", f"objective.checkpoint={checkpoint}", *files, "output=out", *words
    )
    assert status == 2 and message in err and len(err.strip().splitlines()) == 1, err


def test_layouts_of_earlier_trainings_are_read(tmp_path):
    """As written before layouts had a group of their own and objectives were called tasks."""
    (tmp_path / "config.yaml").write_text(
        "task: {name: dialogue, checkpoint: mini, decoder: null, language_model: null, train: [], heldout: [],"
        " target_tokens: 30, layout: {knowledge_tokens: 20, turns: 3, turn_tokens: 25, speaker_tokens: [<a>, <b>],"
        " attend_padding: false}, freeze: [encoder]}\n"
        "output: out\nseed: 3\nprecision: fp32\nfreeze: [encoder]\ntrainer: {max_steps: 5}\n",
        encoding="utf-8",
    )
    stored = stored_training(tmp_path / "config.yaml")
    assert stored.layout == BucketLayout(knowledge_tokens=20, turns=3, speaker_tokens=("<a>", "<b>"))
    assert stored.objective.options.name == "dialogue" and stored.objective.options.target_tokens == 30
    (tmp_path / "config.yaml").write_text("task: 3\noutput: out\n", encoding="utf-8")
    with pytest.raises(ZscError, match="no config of a training"):
        stored_training(tmp_path / "config.yaml")


def test_the_layout_of_an_objective_is_that_of_its_config():
    from hydra import compose, initialize_config_dir

    from zsc.cli.groups import CONFIGS

    train = ["output=o", "objective.checkpoint=x", "objective.train=[]", "objective.heldout=[]"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        for words, layout in (
            (["objective=dialogue"], BucketLayout()),
            (["objective=text_to_text"], PlainLayout()),
            (["objective=text_to_text", "layout=buckets"], BucketLayout()),
            (["objective=dialogue", "layout=plain", "layout.field=knowledge"], PlainLayout("knowledge")),
        ):
            assert options_of(TrainOptions, compose("train", [*words, *train])).layout == layout
