"""Which knob works on which family, measured; the table in docs/supported.md is written from this.

`python -m tests.coverage` writes the table anew.
"""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
import transformers
from transformers import BatchEncoding

from tests.families import FAMILIES, LISTENERS, tiny_family
from tests.knob_cases import CASES, PHRASES, Given, first
from tests.reference import Plain
from zsc.data.source import Source
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, decode
from zsc.knobs import KNOBS, UnsupportedModel, apply
from zsc.knobs.anatomy import merges_attention
from zsc.knobs.encoder import EncoderReading, encode, encoder_outputs
from zsc.knobs.probe import probe
from zsc.knobs.supported import BACKENDS, check_model

PAGE = Path(__file__).parents[1] / "docs" / "supported.md"
BEGIN, END = "<!-- coverage: python -m tests.coverage -->\n", "<!-- end of coverage -->"
OFF = "off"  # no knob at all
RELEASE = ".".join(transformers.__version__.split(".")[:2])
COLUMNS = [OFF, *(name for name in KNOBS if name in CASES)]
DECODINGS = {
    "greedy": Decoding(max_new_tokens=4, sample=False),
    "sampling": Decoding(max_new_tokens=4),
    "beams": Decoding(max_new_tokens=4, sample=False, num_beams=3),
}
VOCABULARY = 300
LENGTHS = [24, 17, 9]
STEPS = 5
TARGETS = torch.randint(10, VOCABULARY, (3, STEPS), generator=torch.Generator().manual_seed(5))


class Words:
    """As much of a tokenizer as context augmentation uses: fixed ids for every phrase, padded to the longest."""

    def __call__(self, phrases, padding, padding_side, return_tensors):
        known = dict(zip(PHRASES, ([11, 12, 13, 14, 2], [21, 22, 2]), strict=True))
        rows = [torch.tensor(known[phrase]) for phrase in phrases]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=1)
        return BatchEncoding({"input_ids": ids, "attention_mask": (ids != 1).long()})


def make_source():
    ids = torch.randint(10, VOCABULARY, (3, 24), generator=torch.Generator().manual_seed(4))
    segments = torch.full((3, 24), -1)
    for row, length in enumerate(LENGTHS):
        segments[row, :length] = 2
        segments[row, :5] = 1
    mask = (segments >= 0).long()
    return Source(ids.masked_fill(mask == 0, 1), mask, segments)


SOURCE = make_source()


@cache
def pair_of(family, backend):
    model, other = (tiny_family(family, VOCABULARY, backend, seed) for seed in (0, 1))
    shared = {
        name: tensor for name, tensor in model.state_dict().items() if not re.search(r"(^|\.)(text_)?decoder\.", name)
    }
    other.load_state_dict(shared, strict=False)
    other.tie_weights()
    return model, other


def given(other):
    return Given(Words(), other)


def logits(model, states, mask):
    with torch.no_grad():
        return model(encoder_outputs=encoder_outputs(states), attention_mask=mask, decoder_input_ids=TARGETS).logits


@cache
def expected(name, family):
    """Return the logits that the knob should give, from eager models without any hook of ours."""
    model, other = pair_of(family, "eager")
    if name != OFF:
        return CASES[name].expected(Plain(model, other, Words(), SOURCE, TARGETS))
    with torch.no_grad():
        ids, mask = SOURCE.input_ids, SOURCE.attention_mask
        return model(input_ids=ids, attention_mask=mask, decoder_input_ids=TARGETS).logits


@cache
def measure(name, family, backend):
    """Return the decodings that work, or the error that says why none does."""
    try:
        model, other = pair_of(family, backend)
    except ValueError as error:
        assert "does not support an attention implementation" in str(error)
        return f"transformers has no {backend} attention for it"
    knobs = [] if name == OFF else [first(name, given(other))]
    try:
        check_model(model)
        for knob in knobs:
            knob.check(model, SOURCE)
    except UnsupportedModel as error:
        return str(error)
    states = encode(model, SOURCE)
    with apply(model, knobs, SOURCE):
        actual = logits(model, states, SOURCE.attention_mask)
    torch.testing.assert_close(actual, expected(name, family), atol=1e-4, rtol=1e-4)
    if knobs:
        assert probe(model, knobs, SOURCE).kl > 0
    ids = ["a", "b", "c"]
    cases = [(knobs, decoding) for decoding in DECODINGS.values()]
    cases += [([knob], DECODINGS["beams"]) for knob in (tried(name, model, other) if knobs else [])]
    notes = []
    for active, decoding in cases:
        notes.append(decode(EncoderReading(model, SOURCE, states), ids, [Job(active, 0)], decoding))
        recomputed = replace(decoding, use_cache=False)
        assert torch.equal(notes[-1], decode(EncoderReading(model, SOURCE, states), ids, [Job(active, 0)], recomputed))
    alone = decode(
        EncoderReading(model, SOURCE.select([1]), states[1:2]), ids[1:2], [Job(knobs, 0)], DECODINGS["sampling"]
    )
    assert without_padding(alone[0]) == without_padding(notes[1][1])
    return list(DECODINGS)


def tried(name, model, other):
    """Return the knob with the settings that it says are to be tried; only where the two attentions are one may the
    model not take them."""
    knob = first(name, Given(Words(), other))
    found = []
    for one in (replace(knob, **changes) for changes in knob.tried):
        try:
            one.check(model, SOURCE)
        except UnsupportedModel:
            assert merges_attention(model)
        else:
            found.append(one)
    return found


def without_padding(row):
    return [token for token in row.tolist() if token != 1]


def table_in_docs():
    return table_between(BEGIN, END)


def table_between(begin, end):
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index(begin) + len(begin) : text.index(end)]


def write_between(begin, end, table):
    text = PAGE.read_text(encoding="utf-8")
    start, stop = text.index(begin) + len(begin), text.index(end)
    PAGE.write_text(text[:start] + table + text[stop:], encoding="utf-8")


def row_of(table, family):
    """Return the backends of each column."""
    names, entries = (
        next(line for line in table.splitlines() if line.startswith(f"| {start} |")).strip("| ").split(" | ")[1:]
        for start in ("family", family)
    )
    return dict(zip(names, entries, strict=True))


def write_table():
    lines = [["family", *COLUMNS], ["---"] * (1 + len(COLUMNS))]
    reasons: dict[str, list[str]] = {}
    for family in FAMILIES:
        entries = []
        for name in COLUMNS:
            outcomes = {backend: measure(name, family, backend) for backend in BACKENDS}
            for outcome in outcomes.values():
                if isinstance(outcome, str) and family not in reasons.setdefault(outcome, []):
                    reasons[outcome].append(family)
            entries.append(", ".join(backend for backend in BACKENDS if isinstance(outcomes[backend], list)) or "-")
        lines.append([family, *entries])
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    because = "".join(f"- {', '.join(of)}: {reason.rstrip('.')}.\n" for reason, of in reasons.items())
    listeners = ", ".join(f"`{kind}`" for kind in LISTENERS)
    because += f"- {listeners}: not encoder-decoders, but causal language models that listen.\n"
    write_between(BEGIN, END, f"{table}\nNot named, or refused:\n\n{because}")
    print(table, because, sep="\n")


if __name__ == "__main__":
    write_table()
