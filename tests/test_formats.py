"""Checkpoints of every family, in the format that they were published with, against the library's own generation.

What the library is given is written out here: the text that a card or paper says, its tokenizer and ``generate``.
"""

import json
import shutil
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

import zsc
from tests import published
from zsc.data.record import Record, Turn
from zsc.errors import ZscError
from zsc.generation.batches import ReadBatches
from zsc.generation.decoding import Decoding, PublishedDecoding, read_decoding
from zsc.generation.generate import Job, decode
from zsc.models.load import load_model
from zsc.options import plain, read
from zsc.study.experiment import prepare
from zsc.study.options import RunOptions, TaskOptions

LENGTH = 14


@dataclass(frozen=True)
class Case:
    """One checkpoint: its ``family``, how its tokenizer is ``made``, a published ``name``, its ``task``, the ``preset``
    that it is to get with ``options``, what its own code reads of a record, and what ``generate`` is told
    besides. What is not ``whole`` has text behind its field, which the library would cut off and zsc does not."""

    family: str
    made: str
    name: str
    task: str
    preset: str
    text: Any
    options: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, Any] = field(default_factory=dict)
    first: Any = None
    attention: str = "sdpa"
    whole: bool = True


def turns(record):
    return [turn.text for turn in record.history]


def blenderbot(record):
    known = [f" {record.knowledge}"] if record.knowledge else []
    return "  ".join([*known, *(f" {text}" for text in turns(record))])


def godel(record):
    with_knowledge = "given a dialog context and related knowledge, you need to response safely based on the knowledge."
    without = "given a dialog context, you need to response empathically."
    instruction = f"Instruction: {with_knowledge if record.knowledge else without}"
    knowledge = f"[KNOWLEDGE] {record.knowledge}" if record.knowledge else ""
    return f"{instruction} [CONTEXT] {' EOS '.join(turns(record))} {knowledge}"


TO_GERMAN = dict(source_language="English", target_language="German")
CASES = {
    "t5": Case("t5", "t5", "t5-small", "translation", "t5_translation",
               lambda r: f"translate English to German: {r.fields['source']}", TO_GERMAN),
    "t5-summary": Case("t5", "t5", "t5-base", "summarisation", "t5_summary",
                       lambda r: f"summarize: {r.fields['document']}"),
    "t5-answer": Case("t5", "t5", "t5-base", "question_answering", "t5_answer",
                      lambda r: f"question: {r.fields['question']} context: {r.fields['context']}"),
    "flan": Case("t5", "t5", "flan-t5-small", "summarisation", "flan_summary",
                 lambda r: f"Summarize:\n\n{r.fields['document']}"),
    "godel": Case("t5", "godel", "GODEL-v1_1-base-seq2seq", "dialogue", "godel", godel),
    "madlad": Case("t5", "madlad", "madlad400-3b-mt", "translation", "madlad400",
                   lambda r: f"<2de> {r.fields['source']}", dict(target_language="de")),
    "byt5": Case("t5", "byt5", "my-byt5-of-news", "summarisation", "summarisation", lambda r: r.fields["document"]),
    "bart": Case("bart", "roberta", "bart-large-cnn", "summarisation", "summary", lambda r: r.fields["document"]),
    "pegasus": Case("pegasus", "pegasus", "pegasus-xsum", "summarisation", "summary", lambda r: r.fields["document"]),
    "blenderbot": Case("blenderbot", "blenderbot", "blenderbot-400M-distill", "dialogue", "blenderbot", blenderbot),
    "blenderbot-small": Case("blenderbot-small", "blenderbot_small", "blenderbot_small-90M", "dialogue",
                             "blenderbot_small",
                             lambda r: "\n".join([*([r.knowledge] if r.knowledge else []), *turns(r)])),
    "marian": Case("marian", "marian", "opus-mt-en-de", "translation", "opus_mt", lambda r: r.fields["source"]),
    "marian-several": Case("marian", "marian_of_several", "opus-mt-en-gem", "translation", "opus_mt",
                           lambda r: f">>nld<< {r.fields['source']}", dict(target_language="nld")),
    "mbart50": Case("mbart", "mbart50", "mbart-large-50-many-to-many-mmt", "translation", "mbart50",
                    lambda r: r.fields["source"], dict(source_language="fr_XX", target_language="de_DE"),
                    dict(src_lang="fr_XX"), "de_DE"),
    "mbart": Case("mbart", "mbart", "mbart-large-en-ro", "translation", "mbart", lambda r: r.fields["source"],
                  dict(source_language="en_XX", target_language="ro_RO"), dict(src_lang="en_XX")),
    "nllb": Case("m2m_100", "nllb", "nllb-200-distilled-600M", "translation", "nllb", lambda r: r.fields["source"],
                 dict(source_language="fra_Latn", target_language="deu_Latn"), dict(src_lang="fra_Latn"), "deu_Latn"),
    "m2m100": Case("m2m_100", "m2m100", "m2m100_418M", "translation", "m2m100", lambda r: r.fields["source"],
                   dict(source_language="fr", target_language="de"), dict(src_lang="fr"), "__de__"),
    "plbart": Case("plbart", "plbart", "plbart-java-cs", "translation", "plbart", lambda r: r.fields["source"],
                   dict(source_language="__java__", target_language="__en_XX__"), dict(src_lang="java")),
    "t5gemma": Case("t5gemma", "gemma", "t5gemma-2b-2b-prefixlm-it", "summarisation", "t5gemma_summary",
                    lambda r: f"<start_of_turn>user\nSummarize:\n\n{r.fields['document']}<end_of_turn>\n"
                              "<start_of_turn>model\n",
                    attention="eager", whole=False),
}  # fmt: skip

PUBLISHED = {  # whose options of decoding they are, and what the files hold, but for fewer beams and shorter responses
    "facebook/bart-large-cnn": dict(
        early_stopping=True, forced_bos_token_id="bos", forced_eos_token_id="eos", length_penalty=2.0, max_length=13,
        min_length=7, no_repeat_ngram_size=3, num_beams=4),
    "google/pegasus-xsum": dict(
        forced_eos_token_id="eos", length_penalty=0.6, max_length=12, num_beams=5),
    "Helsinki-NLP/opus-mt-en-de": dict(
        bad_words_ids="pad", forced_eos_token_id="eos", max_length=13, num_beams=4, renormalize_logits=True),
    "facebook/nllb-200-distilled-600M": dict(max_length=12),
    "facebook/mbart-large-50-many-to-many-mmt": dict(
        early_stopping=True, forced_eos_token_id="eos", max_length=12, num_beams=5),
    "facebook/blenderbot-400M-distill": dict(
        encoder_no_repeat_ngram_size=3, forced_eos_token_id="eos", length_penalty=0.65, max_length=14, min_length=8,
        no_repeat_ngram_size=3, num_beams=5),
    "google/flan-t5-small": dict(),
    "openai/whisper-like": dict(suppress_tokens=[7, 9, 11, 30], begin_suppress_tokens=[5, 6, 17], max_new_tokens=9),
    "all the rest": dict(
        num_beams=3, early_stopping="never", repetition_penalty=1.3, encoder_no_repeat_ngram_size=1, min_new_tokens=3,
        forced_eos_token_id=["eos"], max_new_tokens=11, top_k=7, temperature=0.3, do_sample=False),
}  # fmt: skip
OF = {  # whose options a checkpoint is given, beside those of the last two
    "bart": "facebook/bart-large-cnn", "pegasus": "google/pegasus-xsum", "marian": "Helsinki-NLP/opus-mt-en-de",
    "marian-several": "Helsinki-NLP/opus-mt-en-de", "nllb": "facebook/nllb-200-distilled-600M",
    "mbart50": "facebook/mbart-large-50-many-to-many-mmt", "m2m100": "facebook/mbart-large-50-many-to-many-mmt",
    "blenderbot": "facebook/blenderbot-400M-distill", "blenderbot-small": "facebook/blenderbot-400M-distill",
}  # fmt: skip


@pytest.fixture(scope="module")
def records(parlor):
    """Records with every field, of texts of many lengths: one longer than the model reads, one without knowledge."""
    found = []
    for i, one in enumerate(parlor[5:10]):
        said = [turn.text for turn in one.history][-3:]
        long = " ".join([one.knowledge, *said] * 6)
        texts = dict(source=said[-1], document=long if i == 1 else one.knowledge, question=said[-1],
                     context=one.knowledge[: 60 + 20 * i], answer="it")  # fmt: skip
        history = tuple(Turn("ab"[n % 2], text[: 20 + 3 * i]) for n, text in enumerate(said))
        knowledge = None if i == 2 else one.knowledge[:30]
        found.append(Record(f"r{i}", history, "A reference.", knowledge, fields=texts))
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders with checkpoints by case, made once each, with the ``options`` of decoding that are asked for."""
    made = {}

    def folder(key, old=False, **options):
        case = CASES[key]
        place = made.get(key)
        if place is None:
            place = made[key] = tmp_path_factory.mktemp(key) / case.name
            place.mkdir()
            tokenizer = getattr(published, case.made)(place)
            start = (
                case.options.get("target_language") if case.family in ("mbart", "plbart") and not case.first else None
            )
            published.save(place, case.family, tokenizer, start=start)
        return place if not options and not old else with_options(place, options, old)

    return folder


def with_options(folder, options, old):
    """Return a copy of the checkpoint in ``folder`` with the ``options`` of decoding, whose tokens are named, in its
    configuration; of an ``old`` one in config.json alone."""
    copy = folder.parent / f"options-{len(list(folder.parent.iterdir()))}" / folder.name
    shutil.copytree(folder, copy)
    config = json.loads((folder / "generation_config.json").read_text())
    named = {name: config.get(f"{name}_token_id") for name in ("bos", "eos", "pad")}
    own = {
        name: [[named["pad"]]] if name == "bad_words_ids" else _numbers(value, named) for name, value in options.items()
    }
    if old:
        (copy / "generation_config.json").unlink()
        config |= json.loads((folder / "config.json").read_text())
    (copy / ("config.json" if old else "generation_config.json")).write_text(json.dumps(config | own))
    return copy


def _numbers(value, named):
    if isinstance(value, list):
        return [_numbers(one, named) for one in value]
    return named.get(value, value) if isinstance(value, str) else value


def own_code(case, folder, records, published_options=True, **options):
    """Return the token ids, start token first, that the library generates for each record, alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder, **case.marks)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation=case.attention).eval()
    if not published_options:
        names = ("bos", "eos", "pad", "decoder_start")
        tokens = {f"{name}_token_id": getattr(model.generation_config, f"{name}_token_id") for name in names}
        model.generation_config = GenerationConfig(**tokens)
    if case.first is not None:
        known = getattr(tokenizer, "lang_token_to_id", {})
        options["forced_bos_token_id"] = known.get(case.first) or tokenizer.convert_tokens_to_ids(case.first)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs = [tokenizer(case.text(one), return_tensors="pt", truncation=True) for one in records]
        found = [model.generate(**one, **options)[0].tolist() for one in inputs]
    return [ended(one, model.generation_config.eos_token_id) for one in found]


def options_of(case, folder, decoding, **more):
    task = TaskOptions(name=case.task)
    layout = {"form": "auto", **case.options}
    model = {"checkpoint": str(folder), "device": "cpu", "attention": case.attention}
    given = {"model": model, "layout": layout, "decoding": decoding, "seeds": [0], **more}
    return replace(read(RunOptions, given), task=task)


def ours(case, folder, records, decoding):
    """Return what zsc generates for each record without knobs, alone and in padded batches, and its remarks."""
    experiment = prepare(options_of(case, folder, decoding), records=records)
    return *(_decoded(experiment, records, batch_size) for batch_size in (1, 4)), experiment.remarks


def _decoded(experiment, records, batch_size):
    model = experiment.loaded.model
    batches, found = ReadBatches(model, experiment.sources, batch_size), {}
    for number in range(len(batches.rows)):
        rows, reading = batches.batch(number)
        ids = [records[row].id for row in rows]
        sequences = decode(reading, ids, [Job([], 0)], experiment.format.decoding)
        found |= dict(zip(rows, sequences.tolist(), strict=True))
    return [ended(found[row], model.generation_config.eos_token_id) for row in range(len(records))]


def ended(ids, end):
    """Return ``ids`` to the first ``end`` behind the start token: the library pads with the end, or with padding."""
    return ids[: ids.index(end, 1) + 1] if end in ids[1:] else ids


DECODING = {
    "greedy": (dict(sample=False, max_new_tokens=LENGTH, min_new_tokens=0),
               dict(do_sample=False, max_new_tokens=LENGTH)),
    "beams": (dict(sample=False, num_beams=3, early_stopping=True, length_penalty=1.4, max_new_tokens=LENGTH,
                   min_new_tokens=4, no_repeat_ngram_size=2),
              dict(do_sample=False, num_beams=3, early_stopping=True, length_penalty=1.4, max_new_tokens=LENGTH,
                   min_new_tokens=4, no_repeat_ngram_size=2)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Recommended")
@pytest.mark.parametrize("key", CASES)
def test_a_checkpoint_says_what_its_own_code_says(folders, records, key):
    case, folder = CASES[key], folders(key)
    records = records if case.whole else [one for one in records if one.id != "r1"]
    for own, options in DECODING.values():
        expected = own_code(case, folder, records, published_options=False, **options)
        alone, together, remarks = ours(case, folder, records, own)
        assert f"layout: {case.preset}, " in remarks or f"is taken for {case.preset}. " in remarks
        assert alone == together == expected
        assert len({tuple(one) for one in expected}) > 1 or key == "blenderbot-small"  # or else anything would do


@pytest.mark.filterwarnings("ignore:Recommended")
@pytest.mark.parametrize("key", CASES)
def test_decoding_of_the_checkpoint_is_that_of_its_own_code(folders, records, key):
    case = CASES[key]
    records = records if case.whole else [one for one in records if one.id != "r1"]
    for name in dict.fromkeys([OF.get(key, "google/flan-t5-small"), *list(PUBLISHED)[-2:]]):
        folder = folders(key, **PUBLISHED[name]) if PUBLISHED[name] else folders(key)
        expected = own_code(case, folder, records)
        alone, together, remarks = ours(case, folder, records, {"published": True})
        assert alone == together == expected and "decoding of the checkpoint: " in remarks


@pytest.mark.parametrize("key", ["bart", "blenderbot"])
def test_old_checkpoints_have_their_options_in_config_json_alone(folders, records, key):
    case, options = CASES[key], PUBLISHED[OF[key]]
    folder = folders(key, old=True, **options)
    assert not (folder / "generation_config.json").exists()
    new = json.loads((folders(key, **options) / "generation_config.json").read_text())
    assert PublishedDecoding().of(load_model(str(folder), device="cpu").published) == PublishedDecoding().of(new)
    assert ours(case, folder, records, {"published": True})[0] == own_code(case, folder, records)


def test_a_run_says_in_words_what_the_checkpoint_says(folders, records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case, folder = CASES["marian-several"], folders("marian-several")
    options = options_of(case, folder, {"published": True, "max_new_tokens": 9}, metrics=["length"])
    given = {name: getattr(options, name) for name in ("model", "layout", "decoding", "task", "seeds", "metrics")}
    given = {name: plain(value) for name, value in given.items()}
    result = zsc.run(dataset=records, quiet=True, **given)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    said = own_code(case, folder, records, max_new_tokens=9)
    words = [" ".join(tokenizer.decode(one, skip_special_tokens=True).split()) for one in said]
    assert list(result.responses.response) == words and any(words)


DEFAULTS = Decoding(max_new_tokens=20, min_new_tokens=0, sample=False, temperature=1.0, top_p=1.0)


@pytest.mark.parametrize(
    ("published", "given", "changed"),
    [
        ({}, {}, {}),
        ({"max_length": 142, "min_length": 56}, {}, dict(max_new_tokens=141, min_new_tokens=55)),
        ({"max_length": 142, "min_length": 56}, {"max_new_tokens": 30}, dict(max_new_tokens=30, min_new_tokens=30)),
        ({"max_length": 142, "max_new_tokens": 7}, {}, dict(max_new_tokens=7)),
        ({"num_beams": 4, "early_stopping": "never"}, {"num_beams": 2}, dict(num_beams=2, early_stopping="never")),
        ({"do_sample": True}, {}, dict(sample=True, top_k=50)),
        ({"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 0}, {},
         dict(sample=True, temperature=0.6, top_p=0.9)),
        ({"temperature": 0.6, "top_k": 9, "min_p": 0.2, "typical_p": 0.3}, {}, {}),
        ({"forced_eos_token_id": [7, 5]}, {}, dict(forced_last=5)),
        ({"suppress_tokens": [], "begin_suppress_tokens": [3]}, {}, dict(begin_suppress_tokens=(3,))),
        ({"a_field_of_its_own": 3, "num_return_sequences": 4, "use_cache": False}, {}, {}),
        ({"prompt_lookup_num_tokens": 5}, {}, {}),
        ({"num_beam_groups": 1, "diversity_penalty": 0.0, "guidance_scale": 1, "bad_words_ids": [[0]]}, {}, {}),
    ],
)  # fmt: skip
def test_what_a_checkpoint_says_becomes_options(published, given, changed):
    assert PublishedDecoding(given).of(published) == replace(DEFAULTS, **changed)


@pytest.mark.parametrize(
    ("published", "message"),
    [
        ({"num_beam_groups": 3, "num_beams": 6}, "num_beam_groups=3"),
        ({"penalty_alpha": 0.6, "top_k": 4}, "penalty_alpha=0.6"),
        ({"exponential_decay_length_penalty": [5, 1.1]}, "exponential_decay_length_penalty="),
        ({"encoder_repetition_penalty": 1.2}, "encoder_repetition_penalty=1.2"),
        ({"stop_strings": ["."]}, "stop_strings="),
        ({"sequence_bias": [[[3], 1.0]]}, "sequence_bias="),
        ({"do_sample": True, "min_p": 0.1}, "min_p=0.1"),
        ({"do_sample": True, "num_beams": 4}, "num_beams=4 and draws tokens"),
        ({"early_stopping": "soon"}, "decoding.early_stopping=soon must be true, false or never"),
    ],
)
def test_what_zsc_cannot_do_is_refused(published, message):
    with pytest.raises(ZscError, match=message.replace("[", r"\[")):
        PublishedDecoding().of(published)


def test_options_beside_the_checkpoints_are_checked_at_once():
    given = dict(published=True, num_beams=3, min_new_tokens=90, top_k=None)
    assert read_decoding("decoding", given) == PublishedDecoding(dict(num_beams=3, min_new_tokens=90))
    with pytest.raises(ZscError, match=r"decoding\.num_beams=0 is out of range"):
        read_decoding("decoding", dict(published=True, num_beams=0))


@pytest.mark.filterwarnings("ignore:Recommended")
@pytest.mark.parametrize(
    ("key", "changed", "message"),
    [
        ("nllb", dict(target_language="german"), "layout.target_language=german is no language of this checkpoint"),
        ("nllb", dict(source_language="eng"), "Did you mean eng_Latn"),
        ("nllb", dict(target_language=None), "layout.target_language has no value. Give one of the checkpoint's codes"),
        ("mbart50", dict(source_language=None), "layout.source_language has no value"),
        ("m2m100", dict(target_language="de_DE"), "layout.target_language=de_DE is no language"),
        ("mbart", dict(target_language="de_DE"), "tuned to translate to ro_RO alone"),
        ("marian-several", dict(target_language="nl"), "layout.target_language=nl is no language of this checkpoint"),
        ("marian-several", dict(target_language=None), "has no value. Give one of the checkpoint's: deu, nld."),
        ("marian", dict(target_language="deu"), "It has none of the form >>{}<<: leave the option out"),
        ("madlad", dict(target_language=None), "layout.target_language has no value"),
        ("t5", dict(max_tokens=0), "max_tokens"),
        ("bart", dict(max_tokens=4000), "layout.max_tokens=4000: this model reads 200 positions at most"),
    ],
)
def test_languages_and_lengths_that_a_checkpoint_has_not(folders, records, key, changed, message):
    case = replace(CASES[key], options=CASES[key].options | changed)
    with pytest.raises(ZscError, match=message.replace("{", r"\{")) as error:
        prepare(options_of(case, folders(key), {"sample": False}), records=records)
    assert "\n" not in str(error.value)


def test_a_language_that_was_never_trained_is_refused(folders, records):
    case, folder = CASES["nllb"], with_options(folders("nllb"), {}, False)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_decoder().get_input_embeddings().weight[tokenizer.convert_tokens_to_ids("deu_Latn")] = 0
    model.save_pretrained(folder)
    with pytest.raises(ZscError, match="was never trained with its language token deu_Latn"):
        prepare(options_of(case, folder, {"sample": False}), records=records)


@pytest.mark.parametrize("forced", [dict(forced_first="</s>"), dict(forced_first=2)])
def test_a_forced_first_token_and_a_target_language_exclude_each_other(folders, records, forced):
    with pytest.raises(ZscError, match="both name the first token"):
        prepare(options_of(CASES["nllb"], folders("nllb"), {"sample": False, **forced}), records=records)


def test_forced_tokens_are_said(folders, records):
    case, folder = CASES["t5"], folders("t5")
    decoding = dict(sample=False, max_new_tokens=5, min_new_tokens=5, forced_first="\u2581The", forced_last=9)
    number = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("\u2581The")
    for ids in ours(case, folder, records, decoding)[1]:
        assert ids[1] == number and ids[5] == 9
    with pytest.raises(ZscError, match=r"decoding\.forced_first=Nosuch is no token of this checkpoint"):
        prepare(options_of(case, folder, decoding | dict(forced_first="Nosuch")), records=records)
