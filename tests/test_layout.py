import random

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from zsc.data.first_tokens import first_tokens
from zsc.data.layouts import BucketLayout
from zsc.data.record import Record, Turn
from zsc.data.source import BEGIN, FIRST_TURN, KNOWLEDGE, PAD


def record(turns, knowledge="The moon has no air."):
    history = tuple(Turn(speaker, text) for speaker, text in turns)
    return Record("r", history, "I see.", knowledge)


def test_default_layout_is_the_papers_163_positions(parlor, tokenizer):
    source = BucketLayout().encode(parlor[:3], tokenizer)
    assert source.input_ids.shape == source.attention_mask.shape == source.segments.shape == (3, 163)
    assert (source.input_ids[:, 0] == tokenizer.bos_token_id).all() and (source.segments[:, 0] == BEGIN).all()


def test_contents_lie_in_their_buckets(tokenizer):
    layout = BucketLayout(knowledge_tokens=8, turns=2, turn_tokens=4)
    source = layout.encode([record([("a", "Hello you there."), ("b", "Hi.")])], tokenizer)
    knowledge = tokenizer("The moon has no air.", add_special_tokens=False)["input_ids"][:8]
    first = tokenizer("Hello you there.", add_special_tokens=False)["input_ids"][:4]
    second = tokenizer("Hi.", add_special_tokens=False)["input_ids"][:4]
    speaker1, speaker2 = tokenizer.convert_tokens_to_ids(["<speaker1>", "<speaker2>"])
    pad = tokenizer.pad_token_id
    expected = [
        tokenizer.bos_token_id,
        *knowledge, *[pad] * (8 - len(knowledge)),
        speaker2, *first, *[pad] * (4 - len(first)),
        speaker1, *second, *[pad] * (4 - len(second)),
    ]  # fmt: skip
    assert source.input_ids[0].tolist() == expected
    attended = [token != pad for token in expected]
    assert source.attention_mask[0].bool().tolist() == attended
    where = [BEGIN] + [KNOWLEDGE] * 8 + [FIRST_TURN] * 5 + [FIRST_TURN + 1] * 5
    assert source.segments[0].tolist() == [s if a else PAD for s, a in zip(where, attended, strict=True)]


def test_the_newest_turn_takes_the_last_bucket_and_old_turns_fall_out(tokenizer):
    layout = BucketLayout(knowledge_tokens=2, turns=2, turn_tokens=3)
    short = layout.encode([record([("a", "Hi.")])], tokenizer)
    assert set(short.segments[0].tolist()) == {BEGIN, KNOWLEDGE, PAD, FIRST_TURN + 1}
    long = layout.encode([record([("a", "One."), ("b", "Two."), ("a", "Three.")])], tokenizer)
    two = layout.encode([record([("b", "Two."), ("a", "Three.")])], tokenizer)
    assert torch.equal(long.input_ids, two.input_ids)


def test_missing_knowledge_leaves_its_bucket_unattended(tokenizer):
    source = BucketLayout().encode([record([("a", "Hi.")], knowledge=None)], tokenizer)
    assert not (source.segments == KNOWLEDGE).any() and source.attention_mask[0, 1:33].sum() == 0


def test_literal_layout_attends_padding_and_counts_it_to_its_bucket(tokenizer):
    source = BucketLayout(attend_padding=True).encode([record([("a", "Hi.")])], tokenizer)
    assert source.attention_mask.all()
    assert (source.segments[0, 1:33] == KNOWLEDGE).all() and (source.segments[0, 33:137] == PAD).all()
    assert (source.segments[0, 137:] == FIRST_TURN + 4).all()


def test_a_record_is_laid_out_alike_alone_and_in_a_batch(parlor, tokenizer):
    together = BucketLayout().encode(parlor[:5], tokenizer)
    alone = BucketLayout().encode(parlor[3:4], tokenizer)
    assert torch.equal(together.input_ids[3:4], alone.input_ids)
    assert torch.equal(together.select([3]).segments, alone.segments)


def test_unknown_speaker_tokens_become_the_end_token(tokenizer):
    layout = BucketLayout(speaker_tokens=("<you>", "<me>"))
    source = layout.encode([record([("a", "Hi.")])], tokenizer)
    assert source.input_ids[0, 33 + 4 * 26] == tokenizer.eos_token_id


def test_a_tokenizer_without_a_begin_token_leaves_it_out(tokenizer, tokenizer_folder):
    from transformers import AutoTokenizer

    bare = AutoTokenizer.from_pretrained(tokenizer_folder)
    bare.bos_token = None
    with_begin = BucketLayout().encode([record([("a", "Hi.")])], tokenizer)
    without = BucketLayout().encode([record([("a", "Hi.")])], bare)
    assert torch.equal(without.input_ids, with_begin.input_ids[:, 1:]) and with_begin.input_ids.shape[1] == 163


def test_what_is_cut_is_counted_by_kind(tokenizer):
    short = record([("a", "Hi.")], knowledge=None)
    long = record([("a", "word " * 40), ("b", "Hi."), ("a", "Yes.")], knowledge="word " * 200)
    words = [len(tokenizer("word " * count, add_special_tokens=False)["input_ids"]) for count in (200, 40)]
    assert (
        BucketLayout().lay_out([short], tokenizer)[1].share == 0
        and str(BucketLayout().lay_out([short], tokenizer)[1]) == ""
    )
    cut = BucketLayout(turns=2, turn_tokens=30).lay_out([short, long], tokenizer)[1]
    assert cut.share == pytest.approx(1 / 4)  # of one knowledge and three turns, since the oldest is left out
    room = "layout.knowledge_tokens, layout.turn_tokens and layout.turns make room."
    assert str(cut) == (
        f"the layout cuts off knowledge in 1 of 2 examples (50.0%), the longest of {words[0]} tokens for 32;"
        f" turns before the last 2 in 1 of 2 examples (50.0%). {room}"
    )
    cut = BucketLayout(turns=3).lay_out([short, long], tokenizer)[1]
    assert f"; turns in 1 of 2 examples (50.0%), the longest of {words[1]} tokens for 25. " in str(cut)
    huge = record([("a", "Hi.")], knowledge="word " * 20_000 + "end")
    assert "the longest of 100,003 characters for 32" in str(BucketLayout().lay_out([huge], tokenizer)[1])


def subword_tokenizers(texts):
    """Tokenizers that split in the ways of T5 (also without splitting at white space), BERT, and joined BPE."""
    special = ["<pad>", "<unk>"]
    unigram = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False)
    bpe = trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    wordpiece = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    for model, trainer, normalizer, pre in (
        (models.Unigram(), unigram, normalizers.NFKC(), pre_tokenizers.Metaspace()),
        (models.Unigram(), unigram, normalizers.NFKC(), pre_tokenizers.Metaspace(split=False)),
        (
            models.WordPiece(unk_token="<unk>"),
            wordpiece,
            normalizers.BertNormalizer(),
            pre_tokenizers.BertPreTokenizer(),
        ),
        (models.BPE(unk_token="<unk>"), bpe, normalizers.Replace(" ", "_"), None),
    ):
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizer
        if pre is not None:
            tokenizer.pre_tokenizer = pre
        tokenizer.train_from_iterator(texts, trainer)
        yield PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>")


def test_the_first_tokens_of_a_long_text_are_those_of_the_whole(parlor, tokenizer):
    rng = random.Random(0)
    words = [word for one in parlor for word in one.knowledge.split()]
    drawn = rng.choices(words, k=3000)
    texts = [
        " ".join(drawn), "".join(drawn), "a" * 20_001, "ab" * 10_003, "\u200b" * 9_000 + "the end of it all",
        " ".join("".join(rng.choices("abcdefgh", k=rng.randint(1, 4000))) for _ in range(8)),
        "".join(chr(rng.randint(0x4E00, 0x9FFF)) for _ in range(12_000)),
        "".join(rng.choices(["e\u0301", "\U0001f469\u200d\U0001f467", "x ", "7"], k=9_000)),
    ]  # fmt: skip
    for one in (tokenizer, *subword_tokenizers([r.knowledge for r in parlor])):
        for text in texts:
            all_ids = one(text, add_special_tokens=False, verbose=False)["input_ids"]
            for size in (25, 60):
                (first,) = first_tokens([text], [size], one)
                assert first.ids[:size] == all_ids[:size]
                assert first.bucket(size).cut == (len(all_ids) > size)


def test_no_more_of_a_huge_text_is_tokenized_than_is_needed(tokenizer):
    """Counted in characters that the tokenizer is given; time and memory follow from it."""

    class Counting:
        def __init__(self, replies):
            self.read, self.replies = 0, replies

        def __call__(self, texts, **options):
            self.read += sum(map(len, texts))
            return {"input_ids": [self.replies or tokenizer(text, **options)["input_ids"] for text in texts]}

    for text in ("word " * 2_000_000, "a" * 10_000_000):
        counting = Counting(None)
        (first,) = first_tokens([text], [32], counting)
        assert counting.read < 10_000 and first.characters == 10_000_000
    unknown = Counting([1])  # one token, however long the text, as for a script that the vocabulary lacks
    (first,) = first_tokens(["x" * 10_000_000], [32], unknown)
    assert unknown.read < 500_000 and first.characters == 10_000_000


def test_a_record_of_nothing_leaves_nothing_to_attend_to(tokenizer):
    source = BucketLayout().encode([Record("r", ())], tokenizer)
    assert source.attention_mask.sum() == 1 and not (source.segments >= KNOWLEDGE).any()
