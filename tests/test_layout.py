import pytest
import torch

from zsc.data.layout import BEGIN, FIRST_TURN, KNOWLEDGE, PAD, BucketLayout
from zsc.data.record import Record, Turn


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


def test_truncated_share(tokenizer):
    short, long = record([("a", "Hi.")], knowledge=None), record([("a", "Hi.")], knowledge="word " * 200)
    assert BucketLayout().truncated([short], tokenizer) == 0
    assert BucketLayout().truncated([short, long], tokenizer) == pytest.approx(1 / 3)
