"""Layouts of any text: segments, truncation, turns, focus and profiles, read back by the tokenizers' own decoding."""

import random
import re
import unicodedata

import numpy as np
import pytest
import torch

from tests import published
from zsc.data.layouts import BucketLayout, PlainLayout, TemplateLayout
from zsc.data.offsets import aligned, piece_places
from zsc.data.record import Record, Turn, parse_record
from zsc.data.source import BEGIN, FIRST_FIELD, FIRST_TURN, KNOWLEDGE, PAD
from zsc.errors import ZscError
from zsc.knobs.spans import NoSuchSpan, chosen_positions, parse_span

pytestmark = pytest.mark.filterwarnings("ignore:Recommended")
BYTES = ["byt5", "gemma", "roberta"]  # whose tokens are made of bytes, so that every text can be read back
PIECES = ["t5", "pegasus", "nllb", "mbart", "m2m100", "marian", "plbart", "blenderbot", "blenderbot_small"]
SLOW = ["byt5", "m2m100", "marian", "plbart", "blenderbot_small"]
SCRIPTS = [
    "Plain words, twice: words words.", "Grüße aus Köln, naïve façade", "Привет, как дела?", "日本語のテキストです。",
    "한국어 문장", "नमस्ते दुनिया", "مرحبا بالعالم", "שלום עולם", "สวัสดีชาวโลก", "👩\u200d👧 and 🏳️\u200d🌈 flags 🇩🇪",
    "e\u0301a\u0308o\u0302 combined", "a {brace} and {{two}} and {#x}", "\ufb01ne ligatures \u00bd \u00b2",
    "\u0130stanbul \u0131I ß \u1e9e", "tab and   spaces", "x", "!?", "\u200bzero\u200bwidth", "word" * 30,
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    made = {}

    def one(name):
        if name not in made:
            made[name] = getattr(published, name)(tmp_path_factory.mktemp(name))
            made[name].model_max_length = 10**9
            assert made[name].is_fast == (name not in SLOW)
        return made[name]

    return one


def record(**fields):
    knowledge, history = fields.pop("knowledge", None), fields.pop("history", ())
    turns = tuple(Turn("ab"[i % 2], text) for i, text in enumerate(history))
    return Record("r", turns, None, knowledge, fields=fields)


def read_back(tokenizer, source, segment, row=0):
    """Return the text of a segment's tokens."""
    ids = source.input_ids[row][source.segments[row] == segment].tolist()
    return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def letters(text):
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


@pytest.mark.parametrize("name", BYTES)
def test_fields_of_any_script_are_segments_also_side_by_side(tokenizers, name):
    tokenizer, rng = tokenizers(name), random.Random(0)
    for between in (" ", "", " | ", "}", "日"):
        layout = TemplateLayout("A: {a}" + between.replace("}", "}}") + "{b}" + between.replace("}", "}}") + "{a}!")
        for _ in range(25):
            a, b = rng.choice(SCRIPTS), rng.choice(SCRIPTS)
            a, b = " ".join(a.split()), " ".join(b.split())
            source = layout.encode([record(a=a, b=b)], tokenizer)
            whole = f"A: {a}{between}{b}{between}{a}!"
            assert source.input_ids[0].tolist() == tokenizer(whole)["input_ids"]
            if between or name == "byt5":  # else a token may be of both
                assert letters(read_back(tokenizer, source, FIRST_FIELD)) == letters(a + a)
                assert letters(read_back(tokenizer, source, FIRST_FIELD + 1)) == letters(b)
            assert letters(read_back(tokenizer, source, BEGIN)) == letters(f"A:{between}{between}!")
            assert source.fields == ("a", "b") and source.attention_mask.all()


@pytest.mark.parametrize("name", PIECES)
def test_fields_are_segments_for_tokenizers_of_pieces(tokenizers, name, parlor):
    tokenizer, rng = tokenizers(name), random.Random(1)
    layout = TemplateLayout("{#knowledge}known: {knowledge} {/knowledge}then: {a}, and {b}.")
    known = set(letters(" ".join(published.texts())))
    for one in rng.sample(parlor, 12):
        said = [turn.text for turn in one.history]
        a, b = said[0], " ".join([said[-1], said[-1]])
        source = layout.encode([record(a=a, b=b, knowledge=one.knowledge)], tokenizer)
        assert source.input_ids[0].tolist() == tokenizer(f"known: {one.knowledge} then: {a}, and {b}.")["input_ids"]
        for segment, text in ((KNOWLEDGE, one.knowledge), (FIRST_FIELD, a), (FIRST_FIELD + 1, b)):
            back, own = letters(read_back(tokenizer, source, segment)), letters(text)
            if set(own) <= known and tokenizer.unk_token_id not in source.input_ids[0]:
                assert own.startswith(back[: len(own)]) and len(back) - len(own) in (0, 1)  # with punctuation behind it
        without = layout.encode([record(a=a, b=b)], tokenizer)
        assert without.input_ids[0].tolist() == tokenizer(f"then: {a}, and {b}.")["input_ids"]
        assert not (without.segments == KNOWLEDGE).any()


@pytest.mark.parametrize("name", SLOW)
def test_places_by_slow_tokenizers_cover_the_text_in_order(tokenizers, name):
    tokenizer = tokenizers(name)
    for text in [*SCRIPTS, "", " ", "  a  b ", "\n\n", "aaaa aaaa", "ab" * 200, "".join(reversed(SCRIPTS))]:
        ids = tokenizer(text)["input_ids"]
        found = aligned(text, ids, tokenizer)
        assert found.ids == ids and len(found.starts) == len(found.ends) == len(ids)
        assert (found.starts <= found.ends).all() and (found.ends <= len(text)).all()
        inside = found.ends > 0
        assert (np.diff(found.starts[inside]) >= 0).all() and (np.diff(found.ends[inside]) >= 0).all()
        unread = set(range(len(text))) - {c for s, e in zip(found.starts, found.ends, strict=True) for c in range(s, e)}
        if tokenizer.unk_token_id not in ids:
            assert not letters("".join(text[place] for place in sorted(unread))) or name != "byt5"


@pytest.mark.parametrize(
    ("pieces", "text", "expected"),
    [
        (["Gr", "üße"], "Grüße", ["Gr", "üße"]),
        (["\ufb01", "ne"], "\ufb01ne", ["\ufb01", "ne"]),
        (["fi", "ne"], "\ufb01ne", ["\ufb01", "ne"]),
        (["f", "ine"], "\ufb01ne", ["\ufb01", "\ufb01ne"]),  # a character that two tokens make up is of both
        (["ss"], "ß", ["ß"]),
        (["a", "", "b"], "a  b", ["a", "  ", "b"]),
        (["<unk>", "b"], "日b", ["日", "b"]),
        (["a", "<unk>", "a"], "a日a", ["a", "日", "a"]),
        (["", "a"], "a", ["", "a"]),
        ([], "abc", []),
    ],
)
def test_pieces_lie_where_their_letters_are(pieces, text, expected):
    starts, ends = piece_places(pieces, text)
    assert [text[start:end] for start, end in zip(starts, ends, strict=True)] == expected


def test_turns_speakers_and_joiner(tokenizers):
    tokenizer = tokenizers("byt5")
    one = record(history=["Hi.", "Hello you.", "Bye."], knowledge="It rains.")
    cases = {
        TemplateLayout("{history}"): "Hi.\nHello you.\nBye.",
        TemplateLayout("{history}", joiner=" EOS ", turns=2): "Hello you. EOS Bye.",
        TemplateLayout("{history}>", turn="{speaker}: {text}"): "a: Hi.\nb: Hello you.\na: Bye.>",
        TemplateLayout("{history}", turn="[{speaker}] {text}", speakers=("Me", "You"), joiner=""):
            "[Me] Hi.[You] Hello you.[Me] Bye.",
        TemplateLayout("{{{knowledge}}} {^topic}none{/topic}{#topic}{topic}{/topic} {history}"):
            "{It rains.} none Hi.\nHello you.\nBye.",
    }  # fmt: skip
    for layout, text in cases.items():
        source = layout.encode([one], tokenizer)
        assert source.input_ids[0].tolist() == tokenizer(text)["input_ids"]
        said = ["Hi.", "Hello you.", "Bye."][-(layout.turns or 3) :]
        for number, turn in enumerate(said):
            assert turn in read_back(tokenizer, source, FIRST_TURN + number)
        (last,) = parse_span("turn:-1")(source)
        assert "Bye." in tokenizer.decode(source.input_ids[0][last])


@pytest.mark.parametrize("name", [*BYTES, *PIECES])
def test_one_field_is_cut_as_the_library_cuts_it(tokenizers, name, parlor):
    tokenizer, rng = tokenizers(name), random.Random(3)
    for limit in (9, 17, 40):
        for one in rng.sample(parlor, 6):
            text = f"{one.knowledge} {one.reference}"
            source = PlainLayout("a", "sum: ", max_tokens=limit).encode([record(a=text)], tokenizer, 100)
            expected = tokenizer(f"sum: {text}", truncation=True, max_length=limit)["input_ids"]
            assert source.input_ids[0].tolist() == expected


def test_several_fields_are_cut_in_their_order(tokenizers):
    tokenizer = tokenizers("byt5")
    one = record(a="a" * 20, b="b" * 20, c="c" * 20)

    def kept(limit, **given):
        layout = TemplateLayout("<{a}|{b}|{c}>", max_tokens=limit, **given)
        (sources, cut) = layout.lay_out([one], tokenizer, 1000)
        return tokenizer.decode(sources.batch([0]).input_ids[0], skip_special_tokens=True), str(cut)

    whole = "<" + "a" * 20 + "|" + "b" * 20 + "|" + "c" * 20 + ">"
    assert kept(65) == (whole, "")
    assert kept(60)[0] == whole.replace("c" * 20, "c" * 15)
    assert kept(40)[0] == whole.replace("c" * 20, "").replace("b" * 20, "b" * 15)
    assert kept(60, cut=("a",))[0] == whole.replace("a" * 20, "a" * 15)
    assert kept(40, cut=("b", "a"))[0] == whole.replace("b" * 20, "").replace("a" * 20, "a" * 15)
    _, said = kept(40)
    assert "c in 1 of 1 examples (100.0%), the longest of 20 tokens for 0" in said
    assert "first to be cut: c, b, a (layout.cut)" in said and "b in 1 of 1" in said
    with pytest.raises(ZscError, match="record r: the template alone takes 5 tokens, and a source has 4 at most"):
        kept(4)


def test_older_turns_are_left_out_first_and_the_last_is_cut_when_it_must_be(tokenizers):
    tokenizer = tokenizers("byt5")
    one = record(history=["first turn", "second turn", "third turn"], knowledge="known")

    def kept(limit):
        sources, cut = TemplateLayout("{knowledge}> {history}", max_tokens=limit).lay_out([one], tokenizer, None)
        return tokenizer.decode(sources.batch([0]).input_ids[0], skip_special_tokens=True), str(cut)

    assert kept(41) == ("known> first turn\nsecond turn\nthird turn", "")
    text, said = kept(40)
    assert text == "known> second turn\nthird turn" and "older turns in 1 of 1 examples" in said
    assert kept(18)[0] == "known> third turn"
    assert kept(13)[0] == "known> third"
    assert kept(5)[0] == "kn> "


def test_batches_are_padded_to_their_longest_and_rows_are_alike_alone(tokenizers, parlor):
    for name in ("t5", "marian"):
        tokenizer = tokenizers(name)
        records = [Record(str(i), one.history, None, one.knowledge) for i, one in enumerate(parlor[:9])]
        layout = TemplateLayout("{knowledge} {history}", turns=2)
        sources, _ = layout.lay_out(records, tokenizer, None)
        together = sources.batch([7, 2, 5])
        assert together.input_ids.shape[1] == max(sources.lengths[[7, 2, 5]])
        for place, row in enumerate([7, 2, 5]):
            alone = layout.encode([records[row]], tokenizer)
            length = alone.input_ids.shape[1]
            for tensor in ("input_ids", "segments", "attention_mask"):
                assert torch.equal(getattr(together, tensor)[place, :length], getattr(alone, tensor)[0])
            assert not together.attention_mask[place, length:].any()
            assert (together.input_ids[place, length:] == tokenizer.pad_token_id).all()
            assert (together.segments[place, length:] == PAD).all()


@pytest.mark.parametrize("name", ["byt5", "roberta", "t5", "m2m100"])
def test_the_focus_of_a_record_is_marked_wherever_it_is_laid_out(tokenizers, name):
    tokenizer = tokenizers(name)
    text = "The cat saw the other cat in a category of its own."

    def focus(focus, layout=None, history=(), **fields):
        value = {"id": "r", "history": [{"speaker": "a", "text": one} for one in history], **fields, "focus": focus}
        layout = layout or TemplateLayout("read: {context}")
        source = layout.encode([parse_record(value, "here")], tokenizer)
        marks = [False] * source.input_ids.shape[1] if source.focus is None else source.focus[0].tolist()
        parts = [[]]
        for mark, index in zip(marks, source.input_ids[0].tolist(), strict=True):
            parts[-1].append(index) if mark else parts.append([])
        return [tokenizer.decode(ids).strip() for ids in parts if ids]

    assert focus("cat", context=text) == ["cat", "cat"]  # as whole words
    assert focus("categor", context=text)[0].startswith("categor")
    start = text.index("other cat")
    assert focus({"field": "context", "start": start, "end": start + 9}, context=text) == ["other cat"]
    assert focus("dog", context=text) == []
    said = TemplateLayout("{history}", joiner=" ")
    assert focus("the dog", said, history=["I saw the dog there", "Which one"]) == ["the dog"]
    assert focus(["saw", "its own"], context=text) == ["saw", "its own"]
    cut = TemplateLayout("read: {context}", max_tokens=12)
    assert focus("its own", cut, context=text) == []
    buckets = BucketLayout(knowledge_tokens=60, turns=2, turn_tokens=40)
    assert focus("other cat", buckets, knowledge=text, history=["Hi."]) == ["other cat"]
    assert focus("you there", buckets, knowledge=text, history=["Hi you there now", "Yes"]) == ["you there"]
    assert focus("its own", BucketLayout(8, 1, 4), knowledge=text, history=["Hi."]) == []


def test_profiles_of_templates(tokenizers):
    tokenizer = tokenizers("byt5")
    one = record(a="alpha one", b="beta two", history=["Hi.", "Bye."], knowledge="known")
    source = TemplateLayout("{knowledge}: {a}, {b}. {history}").encode([one, one], tokenizer)

    def read(profile):
        (first, second) = chosen_positions(profile, parse_span(profile, tokenizer), source)
        assert torch.equal(first, second)
        return tokenizer.decode(source.input_ids[0][first])

    assert read("a") == "alpha one" and read("b").strip() == "beta two" and read("knowledge") == "known"
    assert read("a+b").replace(" ", "") == "alphaonebetatwo" and read("knowledge+turn:-1").endswith("Bye.")
    assert read("turn:0").strip() == "Hi." and read("turn:-1").strip() == "Bye."
    assert read("dialog") == "Hi.Bye."
    assert read("tokens:0:5") == "known" and read("text:a") == "aaa" and read("text:alpha|Bye") == "alphaBye"
    assert read("text:one") == "one"
    for profile, message in [("c", "the source has no field 'c'"), ("aa", "Did you mean 'a'")]:
        with pytest.raises(ValueError, match=message):
            parse_span(profile, tokenizer)(source)
    for profile in ("turn:5", "tokens:900:901", "text:gamma", "focus"):
        with pytest.raises(NoSuchSpan, match=re.escape(profile)):
            chosen_positions(profile, parse_span(profile, tokenizer), source)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TemplateLayout("no field"), "names no field of a record, such as {document}"),
        (lambda: TemplateLayout("a { b"), "a single { at character 2"),
        (lambda: TemplateLayout("{#a}{a}"), "{#a} is not ended"),
        (lambda: TemplateLayout("{a}{/a}"), "{/a} ends what {nothing} began"),
        (lambda: TemplateLayout("{#a}{b}{/b}"), "{/b} ends what {#a} began"),
        (lambda: TemplateLayout("{a}", turn="{who}"), "a turn has {text} and {speaker}, no {who}"),
        (lambda: TemplateLayout("{document}", cut=("documents",)), "Did you mean 'document'"),
        (lambda: TemplateLayout("{a}", target_form="x"), "must have one {}"),
    ],
)
def test_templates_that_are_none_are_refused(make, message):
    with pytest.raises(ZscError, match=re.escape(message)):
        make()


def test_fields_that_records_lack_are_named_with_those_that_they_have(tokenizers):
    tokenizer = tokenizers("byt5")
    records = [record(document="Yes."), record(documents="No.", context="x")]
    with pytest.raises(ZscError, match=re.escape("record r has no document, which layout.text names. Did you mean")):
        TemplateLayout("{document}").lay_out(records, tokenizer, None)
    with pytest.raises(ZscError, match="It has: nothing to read"):
        PlainLayout("source").lay_out([record()], tokenizer, None)
    sources, _ = TemplateLayout("{#document}{document}{/document}{^document}-{/document}").lay_out(
        records, tokenizer, None
    )
    assert [int(length) for length in sources.lengths] == [5, 2]


def test_literal_braces_of_a_prefix_are_text(tokenizers):
    tokenizer = tokenizers("byt5")
    source = PlainLayout("a", "{b}{{: ").encode([record(a="x{a}")], tokenizer)
    assert tokenizer.decode(source.input_ids[0], skip_special_tokens=True) == "{b}{{: x{a}"
