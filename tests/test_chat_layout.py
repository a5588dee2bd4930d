"""The layout of chat templates against the library's own rendering of messages that are written out here."""

import re
from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig

from tests.chat_templates import TEMPLATES, chat_tokenizer
from zsc.data.layouts import AutoLayout, BucketLayout, ChatLayout, TemplateLayout, read_layout
from zsc.data.record import Focus, Record, Turn, parse_record
from zsc.data.source import BEGIN, FIRST_FIELD, FIRST_TURN, KNOWLEDGE, PAD
from zsc.errors import ZscError
from zsc.generation.decoding import Decoding
from zsc.knobs.spans import chosen_positions, parse_span
from zsc.models.load import load_model
from zsc.study import formats
from zsc.study.options import RunOptions

SYSTEM_TEXT = "Answer shortly. Known: It rains in Köln {{today}}."
LAYOUT = ChatLayout(system="Answer shortly.{#knowledge} Known: {knowledge}{/knowledge}")
KNOWN = "It rains in Köln {{today}}."
TURNS = ("Hi there.", "Hello, who are you?", "A friend of the 日本語 school, {% raw %}.")
NO_SYSTEM, USER_FIRST = ("gemma", "mistral"), ("gemma", "mistral", "mistral3")
GIVEN = {"qwen3": {"enable_thinking": False}, "llama3": {"date_string": "26 Jul 2024"}}


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    made = {}

    def one(name, kind="roberta"):
        if (name, kind) not in made:
            made[name, kind] = chat_tokenizer(tmp_path_factory.mktemp(f"{name}-{kind}"), name, kind)
        return made[name, kind]

    return one


def dialogue(*texts, knowledge=KNOWN, speakers="ab"):
    turns = tuple(Turn(speakers[i % len(speakers)], text) for i, text in enumerate(texts))
    return Record("r7", turns, None, knowledge)


def messages(name, system, *said):
    """Return messages of an opening and what was ``said``, (role, text), as a template called ``name`` takes them."""
    found = [{"role": role, "content": text} for role, text in said]
    if name not in NO_SYSTEM:
        return [{"role": "system", "content": system}, *found]
    first = next(one for one in found if one["role"] == "user")
    first["content"] = f"{system}\n\n{first['content']}"
    return found


def library(tokenizer, name, conversation, **given):
    given = {**GIVEN.get(name, {}), **given}
    return tokenizer.apply_chat_template(conversation, add_generation_prompt=True, return_dict=False, **given)


def read_back(tokenizer, source, segment, row=0):
    return tokenizer.decode(source.input_ids[row][source.segments[row] == segment]).strip()


@pytest.mark.parametrize("kind", ["roberta", "gemma", "t5"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_dialogue_is_the_librarys_rendering_and_its_fields_are_segments(tokenizers, name, kind):
    tokenizer = tokenizers(name, kind)
    own = (TURNS, KNOWN) if kind != "t5" else (("Hi there.", "Who?", "Me and you."), "It rains.")  # what it can spell
    source = LAYOUT.encode([dialogue(*own[0], knowledge=own[1])], tokenizer)
    said = zip(("user", "assistant", "user"), own[0], strict=True)
    expected = library(tokenizer, name, messages(name, f"Answer shortly. Known: {own[1]}", *said))
    assert source.input_ids[0].tolist() == expected and source.attention_mask.all()
    assert read_back(tokenizer, source, KNOWLEDGE) == own[1]
    for number, text in enumerate(own[0]):
        assert read_back(tokenizer, source, FIRST_TURN + number) == text
    rest = read_back(tokenizer, source, BEGIN)
    assert "Answer shortly. Known:" in rest and not any(text in rest for text in (*own[0], own[1]))
    assert source.segments[0, -1] == BEGIN


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_that_wants_the_user_first_loses_the_turn_before_that(tokenizers, name):
    tokenizer = tokenizers(name)
    sources, cut = LAYOUT.lay_out([dialogue("Before that.", *TURNS)], tokenizer)
    said = [("assistant", "Before that."), *zip(("user", "assistant", "user"), TURNS, strict=True)]
    said = said[1:] if name in USER_FIRST else said
    source = sources.batch([0])
    assert source.input_ids[0].tolist() == library(tokenizer, name, messages(name, SYSTEM_TEXT, *said))
    assert str(cut).startswith("the layout cuts off older turns in 1 of 1") == (name in USER_FIRST)
    texts = [read_back(tokenizer, source, FIRST_TURN + number) for number in range(len(said))]
    assert texts == [text for _, text in said]
    (newest,) = parse_span("turn:-1")(source)
    assert tokenizer.decode(source.input_ids[0][newest]).strip() == TURNS[-1]


@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_turns_of_one_speaker_are_one_message_and_its_parts_are_turns(tokenizers, name):
    tokenizer = tokenizers(name)
    record = dialogue("One.", "Two.", "Three.", "Four.", speakers="aaba")
    source = replace(LAYOUT, joiner=" / ", turn="{speaker}: {text}", speakers=("you", "me")).encode([record], tokenizer)
    said = [("user", "you: One. / you: Two."), ("assistant", "me: Three."), ("user", "you: Four.")]
    assert source.input_ids[0].tolist() == library(tokenizer, name, messages(name, SYSTEM_TEXT, *said))
    assert read_back(tokenizer, source, FIRST_TURN + 1) == "you: Two."
    newest = replace(LAYOUT, turns=1).encode([record], tokenizer)
    assert newest.input_ids[0].tolist() == library(tokenizer, name, messages(name, SYSTEM_TEXT, ("user", "Four.")))


@pytest.mark.parametrize("name", TEMPLATES)
def test_without_a_history_the_opening_is_the_message_and_without_an_opening_there_is_none(tokenizers, name):
    tokenizer = tokenizers(name)
    found = LAYOUT.encode([dialogue()], tokenizer)
    assert found.input_ids[0].tolist() == library(tokenizer, name, [{"role": "user", "content": SYSTEM_TEXT}])
    bare = ChatLayout(system="").encode([dialogue("Hi.")], tokenizer)
    assert bare.input_ids[0].tolist() == library(tokenizer, name, [{"role": "user", "content": "Hi."}])
    with pytest.raises(ZscError, match="record r7 has no history, which layout=chat names"):
        ChatLayout(system="").encode([dialogue()], tokenizer)


@pytest.mark.parametrize("name", TEMPLATES)
def test_tasks_are_one_message_of_the_user(tokenizers, name):
    tokenizer = tokenizers(name)
    record = Record("r", (), fields={"source": "Guten Tag.", "note": "formal"})
    layout = ChatLayout(
        "", "To {target_language} ({note}{#topic}, {topic}{/topic}):\n{source}", target_language="French"
    )
    source = layout.encode([record], tokenizer)
    message = {"role": "user", "content": "To French (formal):\nGuten Tag."}
    assert source.input_ids[0].tolist() == library(tokenizer, name, [message])
    assert source.fields == ("note", "topic", "source")
    assert read_back(tokenizer, source, FIRST_FIELD) == "formal"
    assert read_back(tokenizer, source, FIRST_FIELD + 2) == "Guten Tag."
    with pytest.raises(ZscError, match=r"record r has no text, which layout\.user names"):
        ChatLayout("", "{text}").encode([record], tokenizer)
    with pytest.raises(ZscError, match=r"layout\.target_language has no value"):
        replace(layout, target_language=None).encode([record], tokenizer)


def test_a_history_may_stand_in_the_message_of_the_user(tokenizers):
    tokenizer = tokenizers("smollm2")
    layout = ChatLayout("", "Sum up:\n{history}", turn="{speaker}: {text}")
    source = layout.encode([dialogue("Hi.", "Bye.")], tokenizer)
    message = {"role": "user", "content": "Sum up:\na: Hi.\nb: Bye."}
    assert source.input_ids[0].tolist() == library(tokenizer, "smollm2", [message])
    assert read_back(tokenizer, source, FIRST_TURN + 1) == "b: Bye."


@pytest.mark.parametrize("name", ["chat", "chat_summary", "chat_translation", "chat_answer", "chat_question"])
def test_presets_write_every_field_of_their_task(tokenizers, name):
    tokenizer = tokenizers("llama3")
    fields = dict(document="A document.", source="Good day.", question="Why so?", context="It is because.")
    source = read_layout("layout", name).encode([replace(dialogue(*TURNS), fields=fields)], tokenizer)
    assert all(read_back(tokenizer, source, FIRST_FIELD + i) == fields[one] for i, one in enumerate(source.fields))
    assert source.fields or read_back(tokenizer, source, KNOWLEDGE) == KNOWN
    text = tokenizer.decode(source.input_ids[0])
    assert text.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n") and "  " not in text


def test_the_focus_is_marked_in_messages(tokenizers):
    tokenizer = tokenizers("gemma")
    value = {"id": "r", "history": [{"speaker": "a", "text": "Which cat is it?"}], "focus": "cat",
             "knowledge": "The cat saw a cat in a category."}  # fmt: skip
    source = LAYOUT.encode([parse_record(value, "here")], tokenizer)
    assert tokenizer.decode(source.input_ids[0][source.focus[0]]).split() == ["cat", "cat"]
    assert set(source.segments[0][source.focus[0]].tolist()) == {KNOWLEDGE}


@pytest.mark.parametrize("earlier", [0, 1])
@pytest.mark.parametrize("name", TEMPLATES)
def test_what_is_too_long_loses_as_few_of_its_oldest_turns_as_must_go(tokenizers, name, earlier):
    tokenizer = tokenizers(name)
    texts = ("No.", "Good morning to you.", "And to you.", "Is it far?", "Not at all.", "Then let us go there.")
    said = list(zip(["assistant", "user"] * 3, texts, strict=True))[1 - earlier :]
    record, turns = dialogue(*(text for _, text in said)), range(len(said))
    starts = [first for first in turns if name not in USER_FIRST or said[first][0] == "user"]
    whole = {first: library(tokenizer, name, messages(name, SYSTEM_TEXT, *said[first:])) for first in starts}
    kept = set()
    for limit in range(len(whole[turns[-1]]), len(whole[starts[0]]) + 2):
        sources, cut = replace(LAYOUT, max_tokens=limit).lay_out([record], tokenizer)
        first = next(first for first in starts if len(whole[first]) <= limit)
        assert sources.batch([0]).input_ids[0].tolist() == whole[first]
        assert ("older turns in 1 of 1" in str(cut)) == (first > 0)
        kept.add(first)
    assert kept == {*starts}


def test_then_the_last_turn_is_cut_then_the_knowledge_and_no_more(tokenizers):
    tokenizer = tokenizers("smollm2")
    record = dialogue("Oh.", "Well.", "Then let us go there by train.")
    shortest = library(tokenizer, "smollm2", messages("smollm2", SYSTEM_TEXT, ("user", record.history[-1].text)))
    turn = len(tokenizer(record.history[-1].text, add_special_tokens=False)["input_ids"])
    known = int((LAYOUT.encode([record], tokenizer).segments == KNOWLEDGE).sum())
    for limit, gone in ((len(shortest) - 2, 2), (len(shortest) - turn - 3, turn)):
        sources, cut = replace(LAYOUT, max_tokens=limit).lay_out([record], tokenizer)
        source = sources.batch([0])
        turns = source.segments[0] >= FIRST_TURN
        assert source.input_ids.shape[1] == limit and int(turns.sum()) == turn - gone
        assert int((source.segments == KNOWLEDGE).sum()) == known - (0 if gone == 2 else 3)
        assert "first to be cut: history, knowledge (layout.cut)" in str(cut)
    first = replace(LAYOUT, max_tokens=len(shortest) - 2, cut=("knowledge",)).encode([record], tokenizer)
    assert int((first.segments == KNOWLEDGE).sum()) < known
    with pytest.raises(ZscError, match=r"record r7: the template alone takes \d+ tokens.* Shorten layout\.system and"):
        replace(LAYOUT, max_tokens=5).lay_out([record], tokenizer)


@pytest.mark.parametrize("layout", [LAYOUT, BucketLayout(12, 2, 9), BucketLayout(12, 2, 9, attend_padding=True),
                                    TemplateLayout("{knowledge} {history}")])  # fmt: skip
def test_a_tokenizer_that_pads_on_the_left_has_sources_end_together(tokenizers, layout):
    tokenizer = tokenizers("smollm2")
    focus = (Focus("rains"), Focus("Hi"))
    records = [replace(dialogue(*TURNS[:count]), id=str(count), focus=focus) for count in (1, 3, 2)]
    sources, _ = layout.lay_out(records, tokenizer)
    batch = sources.batch([0, 1, 2])
    for row, record in enumerate(records):
        alone = layout.encode([record], tokenizer)
        length = alone.input_ids.shape[1]
        for name in ("input_ids", "segments", "attention_mask", "focus"):
            together = getattr(batch, name)[row]
            assert torch.equal(together[together.shape[0] - length :], getattr(alone, name)[0])
        padding = slice(0, batch.input_ids.shape[1] - length)
        assert not batch.attention_mask[row, padding].any() and (batch.segments[row, padding] == PAD).all()
        assert (batch.input_ids[row, padding] == tokenizer.pad_token_id).all()
    chosen = chosen_positions("tokens:0:3", parse_span("tokens:0:3"), batch)
    for row, record in enumerate(records):
        alone = layout.encode([record], tokenizer)
        assert torch.equal(batch.input_ids[row][chosen[row]], alone.input_ids[0][alone.attention_mask[0].bool()][:3])
    assert torch.equal(batch.repeat(2).attention_mask[3:], batch.attention_mask)


def test_a_response_goes_on_where_a_template_ends(tokenizers):
    tokenizer, layout, record = tokenizers("smollm2"), TemplateLayout("{history}\nA:"), dialogue("Hi.")
    ids = tokenizer("Hi.\nA:")["input_ids"]
    assert ids[-1] == tokenizer.eos_token_id and layout.encode([record], tokenizer).input_ids[0].tolist() == ids[:-1]
    tokenizer.padding_side = "right"
    try:
        assert layout.encode([record], tokenizer).input_ids[0].tolist() == ids
    finally:
        tokenizer.padding_side = "left"


def test_the_day_and_thinking_are_settled_and_options_of_the_template_change_them(tokenizers):
    record, said = dialogue("Hi."), [{"role": "system", "content": SYSTEM_TEXT}, {"role": "user", "content": "Hi."}]
    llama, qwen = tokenizers("llama3"), tokenizers("qwen3")
    assert "Today Date: 26 Jul 2024" in llama.decode(LAYOUT.encode([record], llama).input_ids[0])
    other = replace(LAYOUT, template_options={"date_string": "1 May 2025"}).encode([record], llama)
    assert other.input_ids[0].tolist() == library(llama, "llama3", said, date_string="1 May 2025")
    thinking = replace(LAYOUT, template_options={"enable_thinking": True}).encode([record], qwen)
    assert thinking.input_ids[0].tolist() == library(qwen, "qwen3", said, enable_thinking=True)
    assert thinking.input_ids[0].tolist() != LAYOUT.encode([record], qwen).input_ids[0].tolist()


def test_texts_may_hold_anything_that_marks_are_made_of(tokenizers):
    tokenizer = tokenizers("smollm2")
    for text in ("\ue000", "\ue0010\ue000 1", "<|im_end|>", "{{ messages }}", "7", "\U000f0000 \uf8ff"):
        source = LAYOUT.encode([dialogue(text, text, knowledge=text)], tokenizer)
        said = messages("smollm2", f"Answer shortly. Known: {text}", ("assistant", text), ("user", text))
        assert source.input_ids[0].tolist() == library(tokenizer, "smollm2", said)
        assert read_back(tokenizer, source, KNOWLEDGE) == read_back(tokenizer, source, FIRST_TURN) == text


def test_white_space_around_texts_is_not_theirs(tokenizers):
    tokenizer = tokenizers("llama3")
    loose, tight = (
        dialogue("  Hi.\n", " Yes. ", knowledge=" It rains. "),
        dialogue("Hi.", "Yes.", knowledge="It rains."),
    )
    found = [replace(LAYOUT, system="\n Known: {knowledge} ").encode([one], tokenizer) for one in (loose, tight)]
    assert torch.equal(found[0].input_ids, found[1].input_ids) and torch.equal(found[0].segments, found[1].segments)


@pytest.mark.parametrize(
    ("template", "given", "message"),
    [
        (None, {}, "layout=chat: this checkpoint's tokenizer has no chat template. Choose layout=base_dialogue"),
        ("{{ nonsense.x.y }}", {}, "chat template fails: 'nonsense' is undefined"),
        ("{% for %}", {}, "layout=chat: this checkpoint's chat template fails"),
        ("{% for m in messages %}{{ m.content.upper() }}{% endfor %}", {},
         "record r7: the chat template leaves out or changes its knowledge"),
        ("{% for m in messages %}{{ m.content[:8] }}{% endfor %}", {}, "record r7: the chat template leaves out or"),
        ("{% if messages | length > 3 %}{{ raise_exception('Too many.') }}{% endif %}{% for m in messages %}"
         "{{ m.content }}{% endfor %}", {},
         "record r7: the chat template refuses its messages (system, user, assistant, user): Too many."),
        ("{% set f = '%d' %}{{ strftime_now(f) }}{{ messages[0].content }}", {}, "writes the day of today"),
        (TEMPLATES["qwen3"], {"enable_thinkin": True}, "takes no such option. Did you mean 'enable_thinking'?"),
        (TEMPLATES["qwen3"], {"add_generation_prompt": False}, "layout.template_options.add_generation_prompt"),
    ],
)  # fmt: skip
def test_templates_that_do_not_do_are_one_clear_line(tokenizers, template, given, message):
    tokenizer = tokenizers("broken")
    tokenizer.chat_template = template
    with pytest.raises(ZscError, match=re.escape(message)) as error:
        replace(LAYOUT, template_options=given).encode([dialogue(*TURNS)], tokenizer)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"system": "{history}"}, "layout.system names {history}, whose turns are messages"),
        ({"user": "no field", "system": ""}, "layout.system='' and layout.user='no field' names no field of a record"),
        ({"user": "{a"}, "layout.user='{a': a single {"),
        ({"cut": ["document"]}, "layout.cut=['document']: layout.system and layout.user has no {document}"),
        ({"stop": ""}, "layout.stop='' ends every response before it begins"),
        ({"template_options": 3}, "layout.template_options=3 must be a mapping"),
        ({"template_options": {"tools": []}}, "layout.template_options.tools=[] must be a text"),
    ],
)
def test_options_that_make_no_layout_are_refused(options, message):
    with pytest.raises(ZscError, match=re.escape(message)):
        read_layout("layout", {"form": "chat", **options})


@pytest.mark.parametrize(("name", "chosen"), [("qwen3", "chat"), (None, "base_dialogue"), ("t5gemma", "buckets")])
def test_the_layout_of_a_model_is_chosen_by_its_kind_and_its_chat_template(tokenizers, name, chosen):
    options = RunOptions()
    config = AutoConfig.for_model("t5gemma" if name == "t5gemma" else "llama")
    layout, remark = formats.chosen(AutoLayout(), formats.checkpoint_of(options, config, tokenizers(name)))
    assert layout == read_layout("layout", chosen) and f" {chosen}" in remark


def test_what_a_layout_says_of_the_end_of_responses_is_said_to_the_decoding(checkpoint):
    loaded = load_model(str(checkpoint), device="cpu")
    for own, named, expected in (("\n", None, "\n"), ("\n", "END", "END"), (None, "END", "END"), (None, None, None)):
        for layout in (TemplateLayout("{history}", stop=own), replace(LAYOUT, stop=own)):
            assert formats.with_tokens(Decoding(stop=named), layout, loaded).stop == expected
    assert formats.with_tokens(Decoding(), BucketLayout(), loaded).stop is None


def test_smollm2_reads_what_its_own_template_writes(smollm2, parlor):
    tokenizer = smollm2.tokenizer
    for record in parlor[:5]:
        said = [{"role": role, "content": turn.text}
                for turn, role in zip(record.history[::-1], ["user", "assistant"] * 9, strict=False)][::-1]  # fmt: skip
        system = {"role": "system", "content": f"Answer shortly. Known: {record.knowledge}"}
        source = LAYOUT.encode([record], tokenizer)
        assert source.input_ids[0].tolist() == library(tokenizer, "smollm2", [system, *said])
        assert read_back(tokenizer, source, KNOWLEDGE) == record.knowledge
