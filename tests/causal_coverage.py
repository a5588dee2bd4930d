"""Which knob works on which decoder alone, measured; the second table in docs/supported.md is written from this.

`python -m tests.causal_coverage` writes the table anew.
"""

from dataclasses import replace
from functools import cache

import torch
from transformers import BatchEncoding

from tests.causal import PROMPTS, SIZES, known, left_alone, tiny_causal
from tests.coverage import COLUMNS, DECODINGS, OFF, table_between, write_between
from tests.knob_cases import PHRASES, Given, first
from zsc.generation.generate import Job, decode
from zsc.knobs import UnsupportedModel
from zsc.knobs.probe import probe
from zsc.knobs.read import read
from zsc.knobs.supported import BACKENDS, check_model

BEGIN, END = "<!-- coverage: python -m tests.causal_coverage -->\n", "<!-- end of coverage of decoders alone -->"
IDS = ["a", "b", "c"]


class Words:
    """As much of a tokenizer as context augmentation uses: fixed ids for every phrase, padded to the longest."""

    chat_template, bos_token_id, eos_token_id = None, 0, 2

    def __call__(self, phrases, **options):
        texts = dict(zip(PHRASES, ([11, 12, 13, 14], [21, 22]), strict=True))
        ids = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(texts[phrase]) for phrase in phrases], batch_first=True, padding_value=1
        )
        return BatchEncoding({"input_ids": ids, "attention_mask": (ids != 1).long()})


other = cache(lambda family, backend: tiny_causal(family, backend, seed=1))


@cache
def measure(name, family, backend):
    """Return the decodings that work, or the error that says why none does."""
    try:
        model = known(family, backend)
    except ValueError as error:
        assert "does not support an attention implementation" in str(error)
        return f"transformers has no {backend} attention for it"
    knobs = [] if name == OFF else [first(name, Given(Words(), other(family, backend)))]
    try:
        check_model(model)
        for knob in knobs:
            knob.check(model, PROMPTS)
    except UnsupportedModel as error:
        return str(error)
    with left_alone(model):
        reading = read(model, PROMPTS)
        if knobs:
            assert probe(model, knobs, PROMPTS).kl > 0
        for decoding in DECODINGS.values():
            cached = decode(reading, IDS, [Job(knobs, 0)], decoding)
            assert torch.equal(cached, decode(reading, IDS, [Job(knobs, 0)], replace(decoding, use_cache=False)))
    return list(DECODINGS)


def table_in_docs():
    return table_between(BEGIN, END)


def write_table():
    lines = [["family", *COLUMNS], ["---"] * (1 + len(COLUMNS))]
    reasons: dict[str, list[str]] = {}
    for family in SIZES:
        outcomes = {name: {backend: measure(name, family, backend) for backend in BACKENDS} for name in COLUMNS}
        for outcome in [one for by_backend in outcomes.values() for one in by_backend.values()]:
            if isinstance(outcome, str) and family not in reasons.setdefault(outcome, []):
                reasons[outcome].append(family)
        works = [", ".join(one for one in BACKENDS if isinstance(outcomes[name][one], list)) or "-" for name in COLUMNS]
        lines.append([family, *works])
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    because = "".join(f"- {', '.join(of)}: {reason.rstrip('.')}.\n" for reason, of in reasons.items())
    write_between(BEGIN, END, f"{table}\n{because}")
    print(table, because, sep="\n")


if __name__ == "__main__":
    write_table()
