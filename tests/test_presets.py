"""Which layout a checkpoint is taken for: of known ones by name, model type, tokenizer and task; of others, with a
warning."""

import re

import pytest

from zsc.configs import CONFIGS
from zsc.data.layouts import AutoLayout, WrittenLayout, read_layout
from zsc.data.layouts.drafts import Draft
from zsc.data.layouts.presets import Checkpoint, preset_for, presets
from zsc.data.record import Record, Turn
from zsc.errors import ZscError
from zsc.study.formats import chosen

TRANSLATION, SUMMARY, ANSWER, QUESTION = "translation", "summarisation", "question_answering", "question_generation"
KNOWN = [  # name, model type, class of the tokenizer, task, and the preset
    ("google-t5/t5-small", "t5", "T5Tokenizer", TRANSLATION, "t5_translation"),
    ("google-t5/t5-base", "t5", "T5Tokenizer", SUMMARY, "t5_summary"),
    ("t5-large", "t5", "T5Tokenizer", ANSWER, "t5_answer"),
    ("google/flan-t5-base", "t5", "T5Tokenizer", TRANSLATION, "flan_translation"),
    ("google/flan-t5-xl", "t5", "T5Tokenizer", SUMMARY, "flan_summary"),
    ("google/flan-ul2", "t5", "T5Tokenizer", ANSWER, "flan_answer"),
    ("./Flan-T5-mine", "t5", "T5Tokenizer", QUESTION, "flan_question"),
    ("google/madlad400-3b-mt", "t5", "T5Tokenizer", TRANSLATION, "madlad400"),
    ("microsoft/GODEL-v1_1-base-seq2seq", "t5", "T5Tokenizer", "dialogue", "godel"),
    ("facebook/blenderbot-400M-distill", "blenderbot", "BlenderbotTokenizer", "dialogue", "blenderbot"),
    ("facebook/blenderbot_small-90M", "blenderbot-small", "BlenderbotSmallTokenizer", "dialogue", "blenderbot_small"),
    ("facebook/bart-large-cnn", "bart", "RobertaTokenizer", SUMMARY, "summary"),
    ("philschmid/bart-large-cnn-samsum", "bart", "RobertaTokenizer", SUMMARY, "summary"),
    ("sshleifer/distilbart-cnn-12-6", "bart", "RobertaTokenizer", SUMMARY, "summary"),
    ("google/pegasus-xsum", "pegasus", "PegasusTokenizer", SUMMARY, "summary"),
    ("google/pegasus-x-base", "pegasus_x", "TokenizersBackend", SUMMARY, "summary"),
    ("google/bigbird-pegasus-large-arxiv", "bigbird_pegasus", "TokenizersBackend", SUMMARY, "summary"),
    ("allenai/led-large-16384-arxiv", "led", "RobertaTokenizer", SUMMARY, "summary"),
    ("Stancld/longt5-tglobal-large-16384-pubmed-3k_steps", "longt5", "T5Tokenizer", SUMMARY, "summary"),
    ("RUCAIBox/mvp", "mvp", "RobertaTokenizer", SUMMARY, "mvp_summary"),
    ("RUCAIBox/mtl-question-generation", "mvp", "RobertaTokenizer", QUESTION, "mvp_question"),
    ("Helsinki-NLP/opus-mt-en-de", "marian", "MarianTokenizer", TRANSLATION, "opus_mt"),
    ("facebook/mbart-large-50-many-to-many-mmt", "mbart", "MBart50Tokenizer", TRANSLATION, "mbart50"),
    ("facebook/mbart-large-en-ro", "mbart", "MBartTokenizer", TRANSLATION, "mbart"),
    ("facebook/nllb-200-distilled-600M", "m2m_100", "NllbTokenizer", TRANSLATION, "nllb"),
    ("facebook/nllb-moe-54b", "nllb-moe", "NllbTokenizer", TRANSLATION, "nllb"),
    ("facebook/m2m100_418M", "m2m_100", "M2M100Tokenizer", TRANSLATION, "m2m100"),
    ("uclanlp/plbart-java-cs", "plbart", "PLBartTokenizer", TRANSLATION, "plbart"),
    ("google/t5gemma-2b-2b-prefixlm-it", "t5gemma", "GemmaTokenizer", SUMMARY, "t5gemma_summary"),
    ("google/t5gemma-2b-2b-ul2-it", "t5gemma", "GemmaTokenizer", "dialogue", "t5gemma_dialogue"),
    ("google/t5gemma-b-b-ul2-it", "t5gemma", "GemmaTokenizer", TRANSLATION, "t5gemma_translation"),
    ("google/t5gemma-b-b-ul2-it", "t5gemma", "GemmaTokenizer", ANSWER, "t5gemma_answer"),
    ("mini", "bart", "TokenizersBackend", "dialogue", "buckets"),
    ("HuggingFaceTB/SmolLM2-135M-Instruct", "llama", "TokenizersBackend", "dialogue", "chat"),
    ("HuggingFaceTB/SmolLM2-135M", "llama", "TokenizersBackend", "dialogue", "base_dialogue"),
    ("google/gemma-3-1b-it", "gemma3_text", "GemmaTokenizer", SUMMARY, "chat_summary"),
    ("openai-community/gpt2", "gpt2", "GPT2Tokenizer", SUMMARY, "base_summary"),
    ("Qwen/Qwen3-0.6B", "qwen3", "Qwen2Tokenizer", TRANSLATION, "chat_translation"),
    ("EleutherAI/pythia-70m", "gpt_neox", "GPTNeoXTokenizer", TRANSLATION, "base_translation"),
    ("mistralai/Mistral-7B-Instruct-v0.3", "mistral", "LlamaTokenizer", ANSWER, "chat_answer"),
    ("facebook/opt-125m", "opt", "GPT2Tokenizer", ANSWER, "base_answer"),
    ("meta-llama/Llama-3.2-1B-Instruct", "llama", "TokenizersBackend", QUESTION, "chat_question"),
    ("meta-llama/Llama-3.2-1B", "llama", "TokenizersBackend", QUESTION, "base_question"),
    ("a decoder of mini's vocabulary", "gpt2", "TokenizersBackend", "dialogue", "base_dialogue"),
]  # fmt: skip
UNKNOWN = [  # and what it is taken for
    ("google/byt5-small", "t5", "ByT5Tokenizer", TRANSLATION, "translation"),
    ("google/mt5-small", "mt5", "T5Tokenizer", SUMMARY, "summarisation"),
    ("google-t5/t5-small", "t5", "T5Tokenizer", QUESTION, "question_generation"),
    ("google-t5/t5-small", "t5", "T5Tokenizer", "dialogue", "buckets"),
    ("facebook/bart-large", "bart", "RobertaTokenizer", "dialogue", "buckets"),
    ("facebook/bart-large", "bart", "RobertaTokenizer", ANSWER, "question_answering"),
    ("google/t5gemma-2b-2b-prefixlm", "t5gemma", "GemmaTokenizer", SUMMARY, "summarisation"),
    ("Helsinki-NLP/opus-mt-en-de", "marian", "MarianTokenizer", SUMMARY, "summarisation"),
]
SPEAKERS = {"<speaker1>", "<speaker2>"}
TOKENS = {"mini": SPEAKERS, "a decoder of mini's vocabulary": SPEAKERS, "google/madlad400-3b-mt": {"<2en>", "<2de>"}}


CAUSAL = ("llama", "gpt2", "gpt_neox", "opt", "qwen3", "gemma3_text", "mistral")


def checkpoint(name, model, tokenizer, task):
    has, chat = TOKENS.get(name, set()).__contains__, re.search("instruct|-it|qwen3-", name.lower()) is not None
    return Checkpoint(name, model, tokenizer, task, has, causal=model in CAUSAL, chat=chat)


@pytest.mark.parametrize(("name", "model", "tokenizer", "task", "preset"), KNOWN)
def test_known_checkpoints_get_their_preset_and_no_other_fits_as_well(name, model, tokenizer, task, preset):
    one = checkpoint(name, model, tokenizer, task)
    found, why = preset_for(one)
    assert found == preset and why
    fitting = [
        len(content["fits"]) for content in presets().values() if content.get("fits") and one.fits(content["fits"])
    ]
    assert fitting.count(max(fitting)) == 1
    layout, remark = chosen(AutoLayout(), one)
    assert layout == read_layout("layout", preset) and remark.startswith(f"layout: {preset}, by the checkpoint's ")


@pytest.mark.parametrize(("name", "model", "tokenizer", "task", "taken"), UNKNOWN)
def test_others_are_taken_for_something_with_a_warning(name, model, tokenizer, task, taken):
    one = checkpoint(name, model, tokenizer, task)
    assert preset_for(one) is None
    layout, remark = chosen(AutoLayout(), one)
    assert layout == read_layout("layout", taken)
    assert remark.startswith(
        f"warning: nothing tells the format of this checkpoint ({model}), which is taken for {taken}."
    )


def test_every_preset_that_fits_something_is_in_the_table():
    with_rules = {name for name, content in presets().items() if content.get("fits")}
    assert with_rules == {preset for *_, preset in KNOWN}


def test_every_preset_names_its_source_and_can_be_read():
    for name, content in presets().items():
        layout = read_layout("layout", name) if name not in ("template",) else None
        lines = (CONFIGS / "layout" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        if content.get("fits") and name != "buckets":
            comment = [line for line in lines if line.startswith("#")]
            assert len(comment) > 1 and isinstance(layout, WrittenLayout)


def test_an_option_that_the_chosen_layout_has_not_is_refused():
    one = checkpoint("facebook/bart-large-cnn", "bart", "RobertaTokenizer", SUMMARY)
    with pytest.raises(ZscError, match=r"layout\.knowledge_tokens is no option of the layout summary"):
        chosen(AutoLayout(knowledge_tokens=3), one)
    layout, _ = chosen(AutoLayout(max_tokens=77), one)
    assert layout.max_tokens == 77


WRITTEN = {  # presets, and what they write of the record below
    "godel": "Instruction: given a dialog context and related knowledge, you need to response safely based on the"
             " knowledge. [CONTEXT] Hi. EOS Hello. [KNOWLEDGE] It rains.",
    "blenderbot": " It rains.   Hi.   Hello.",
    "blenderbot_small": "It rains.\nHi.\nHello.",
    "t5_translation": "translate English to German: Good day.",
    "t5_summary": "summarize: A document.",
    "t5_answer": "question: Why? context: Because.",
    "flan_translation": "Translate from English to German:\n\nGood day.",
    "flan_summary": "Summarize:\n\nA document.",
    "flan_answer": "Read this and answer the question\n\nBecause.\n\nWhy?",
    "flan_question": "Because.\n\nAsk a question about this article.",
    "mvp_summary": "Summarize: A document.",
    "mvp_question": "Generate the question based on the answer: cause [X_SEP] Because.",
    "t5gemma_summary": "<start_of_turn>user\nSummarize:\n\nA document.<end_of_turn>\n<start_of_turn>model\n",
    "t5gemma_dialogue": "<start_of_turn>user\nIt rains.<end_of_turn>\n<start_of_turn>model\nHi.<end_of_turn>\n"
                        "<start_of_turn>user\nHello.<end_of_turn>\n<start_of_turn>model\n",
    "opus_mt": "Good day.", "m2m100": "Good day.", "nllb": "Good day.", "mbart50": "Good day.",
    "summary": "A document.",
    "base_dialogue": "Knowledge: It rains.\nA: Hi.\nB: Hello.\nA:",
    "base_summary": "A document.\nTL;DR:",
    "base_translation": "English: Good day.\nGerman:",
    "base_answer": "Because.\nQ: Why?\nA:",
    "base_question": "Because.\nQ:",
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_presets_write_what_their_sources_say(name):
    texts = dict(source="Good day.", document="A document.", question="Why?", context="Because.", answer="cause")
    one = Record("r", (Turn("a", "Hi."), Turn("b", "Hello.")), None, "It rains.", fields=texts)
    assert written(read_layout("layout", name), one) == WRITTEN[name]


def test_godel_without_knowledge_leaves_the_space_of_its_card():
    text = written(read_layout("layout", "godel"), Record("r", (Turn("a", "Hi."),)))
    assert text == "Instruction: given a dialog context, you need to response empathically. [CONTEXT] Hi. "


@pytest.mark.parametrize("name", [name for name in presets() if name.startswith(("base_", "chat"))])
def test_responses_of_base_models_end_with_their_line(name):
    assert read_layout("layout", name).stop == ("\n" if name.startswith("base_") else None)


def test_what_is_known_of_a_decoder_is_said():
    remarks = [chosen(AutoLayout(), checkpoint(name, "llama", "", "dialogue"))[1] for name in ("x-instruct", "x")]
    assert remarks == [
        "layout: chat, by the checkpoint's chat template",
        "layout: base_dialogue, by the checkpoint's lack of a chat template",
    ]


def written(layout, record):
    """Return the text that ``layout`` gives its tokenizer."""
    return Draft.of(layout, record, dict.fromkeys((*layout.fields, "knowledge"), 0), None).write("text").text
