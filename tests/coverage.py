"""Which knob works on which family, measured; the table in the README is written from this.

`python -m tests.coverage` writes the table anew.
"""

import copy
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
import transformers

from tests.families import FAMILIES, LISTENERS, tiny_family
from tests.reference import cross_attentions, reweighted, self_attentions
from zsc.data.layout import Source
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, decode
from zsc.knobs import (
    KNOBS,
    AttentionBias,
    ComponentSwap,
    ContextAugmentation,
    DecoderMixing,
    SelfAttentionBias,
    UnsupportedModel,
    apply,
)
from zsc.knobs.anatomy import merges_attention
from zsc.knobs.encoder import encode, encoder_outputs
from zsc.knobs.probe import probe
from zsc.knobs.supported import BACKENDS, check_model

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- coverage: python -m tests.coverage -->\n", "<!-- end of coverage -->"
OFF = "off"  # no knob at all
RELEASE = ".".join(transformers.__version__.split(".")[:2])
SHIPPED = [name for name, knob in KNOBS.items() if knob.__module__.startswith("zsc.knobs.")]
COLUMNS = [OFF, *SHIPPED]
LEVELS = ("weights", "hidden", "cross_attention")  # beside probs
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

    ids = ([11, 12, 13, 14, 2], [21, 22, 2])

    def __call__(self, phrases, padding, padding_side, return_tensors):
        from transformers import BatchEncoding

        rows = [row + [1] * (5 - len(row)) for row in self.ids[: len(phrases)]]
        ids = torch.tensor(rows)
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


def knob_of(name, other, neutral=False):
    return {
        "attn_bias": lambda: AttentionBias("knowledge", 1.0 if neutral else 6.0),
        "ctx_aug": lambda: ContextAugmentation(["a", "b"], Words(), strength=0.0 if neutral else 6.0, count=2),
        "dec_mix": lambda: DecoderMixing(other, 0.0 if neutral else 0.4, "probs"),
        "self_attn_bias": lambda: SelfAttentionBias("uniform", 1.0 if neutral else 6.0),
        "swap": lambda: ComponentSwap(other=other),
    }[name]()


def logits(model, states, mask):
    with torch.no_grad():
        return model(encoder_outputs=encoder_outputs(states), attention_mask=mask, decoder_input_ids=TARGETS).logits


@cache
def expected(name, family):
    """Return the logits that the knob should give, from eager models without any hook of ours."""
    model, other = pair_of(family, "eager")
    states, mask = encode(model, SOURCE), SOURCE.attention_mask
    if name == OFF:
        with torch.no_grad():
            return model(input_ids=SOURCE.input_ids, attention_mask=mask, decoder_input_ids=TARGETS).logits
    one_softmax = family == "t5gemma2"  # over the past, then the source

    def with_weights(weights, states, mask):
        if one_softmax:
            weights = torch.nn.functional.pad(weights, (STEPS, 0), value=1)
        modules = self_attentions(model) if one_softmax else cross_attentions(model)
        with reweighted(modules, weights):
            return logits(model, states, mask)

    if name == "attn_bias":
        return with_weights(torch.where(SOURCE.segments == 1, 6.0, 1.0)[:, None, None], states, mask)
    if name == "self_attn_bias":
        weights = torch.full((STEPS, STEPS), 6.0).fill_diagonal_(1.0)[None, None].expand(3, 1, -1, -1)
        if one_softmax:
            weights = torch.nn.functional.pad(weights, (0, states.shape[1]), value=1)
        with reweighted(self_attentions(model), weights):
            return logits(model, states, mask)
    if name == "ctx_aug":
        rows = [torch.tensor([row]) for row in Words.ids]
        encoded = [model.get_encoder()(input_ids=row, attention_mask=torch.ones_like(row))[0][0] for row in rows]
        code = torch.cat([(encoded[0][:3] + encoded[1]) / 2, encoded[0][3:]]).detach()
        longer = torch.cat([code.expand(3, -1, -1), states], dim=1)
        weights = torch.ones(3, 1, 1, longer.shape[1])
        weights[..., :5] = 6.0
        return with_weights(weights, longer, torch.cat([torch.ones(3, 5, dtype=torch.long), mask], dim=1))
    if name == "dec_mix":
        mixed = 0.6 * logits(model, states, mask).softmax(-1) + 0.4 * logits(other, states, mask).softmax(-1)
        return mixed.log()
    swapped = copy.deepcopy(model)
    kinds = r"decoder\..*(self_attn\.|SelfAttention|\.attention\.|\.attn\.)"
    theirs = {n: t for n, t in other.state_dict().items() if re.search(kinds, n)}
    assert theirs
    swapped.load_state_dict(theirs, strict=False)
    return logits(swapped, states, mask)


@cache
def measure(name, family, backend):
    """Return the decodings that work, or the error that says why none does."""
    try:
        model, other = pair_of(family, backend)
    except ValueError as error:
        assert "does not support an attention implementation" in str(error)
        return f"transformers has no {backend} attention for it"
    knobs = [] if name == OFF else [knob_of(name, other)]
    try:
        check_model(model)
        for knob in knobs:
            knob.check(model, SOURCE)
    except UnsupportedModel as error:
        return str(error)
    states = encode(model, SOURCE)
    with apply(model, knobs, SOURCE):
        actual = logits(model, states, SOURCE.attention_mask)
    if name == "dec_mix":
        actual = actual.log_softmax(-1)
    torch.testing.assert_close(actual, expected(name, family), atol=1e-4, rtol=1e-4)
    if knobs:
        assert probe(model, knobs, SOURCE).kl > 0
    ids = ["a", "b", "c"]
    cases = [(knobs, decoding) for decoding in DECODINGS.values()]
    if name == "dec_mix":
        levels = [level for level in LEVELS if level != "cross_attention" or not merges_attention(model)]
        cases += [([DecoderMixing(other, 0.4, level)], DECODINGS["beams"]) for level in levels]
    said = []
    for active, decoding in cases:
        said.append(decode(model, SOURCE, states, ids, [Job(active, 0)], decoding))
        recomputed = replace(decoding, use_cache=False)
        assert torch.equal(said[-1], decode(model, SOURCE, states, ids, [Job(active, 0)], recomputed))
    alone = decode(model, SOURCE.select([1]), states[1:2], ids[1:2], [Job(knobs, 0)], DECODINGS["sampling"])
    assert without_padding(alone[0]) == without_padding(said[1][1])
    return list(DECODINGS)


def without_padding(row):
    return [token for token in row.tolist() if token != 1]


def table_in_readme():
    text = README.read_text(encoding="utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def row_of(table, family):
    """Return the backends of each column."""
    cells = next(line for line in table.splitlines() if line.startswith(f"| {family} |")).strip("| ").split(" | ")
    return dict(zip(COLUMNS, cells[1:], strict=True))


def write_table():
    lines = [["family", *COLUMNS], ["---"] * (1 + len(COLUMNS))]
    reasons: dict[str, list[str]] = {}
    for family in FAMILIES:
        cells = []
        for name in COLUMNS:
            outcomes = {backend: measure(name, family, backend) for backend in BACKENDS}
            for outcome in outcomes.values():
                if isinstance(outcome, str) and family not in reasons.setdefault(outcome, []):
                    reasons[outcome].append(family)
            cells.append(", ".join(backend for backend in BACKENDS if isinstance(outcomes[backend], list)) or "-")
        lines.append([family, *cells])
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    because = "".join(f"- {', '.join(of)}: {reason.rstrip('.')}.\n" for reason, of in reasons.items())
    listeners = ", ".join(f"`{kind}`" for kind in LISTENERS)
    because += f"- {listeners}: not encoder-decoders, but causal language models that listen.\n"
    text = README.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    README.write_text(f"{text[:start]}{table}\nNot named, or refused:\n\n{because}{text[end:]}", encoding="utf-8")
    print(table, because, sep="\n")


if __name__ == "__main__":
    write_table()
