"""Weights on what a decoder alone attends to, against an eager re-computation that multiplies and renormalises."""

from dataclasses import dataclass, field
from functools import cache

import pytest
import torch

from tests.causal import (
    EMBEDDED,
    MODELS,
    NAMED,
    PROMPTS,
    RESPONSES,
    STEPS,
    TARGETS,
    given,
    known,
    known_logits,
    known_reading,
    left_alone,
    logits_at_once,
    logits_by_step,
    make_prompts,
    self_attentions,
)
from tests.reference import changed_attention, reweighted
from zsc.knobs import AttentionBias, SelfAttentionBias, apply, biased_cross_attention
from zsc.knobs.cache import cache_name
from zsc.knobs.read import read
from zsc.knobs.self_attn_bias import tosses

POSITIONS = PROMPTS.input_ids.shape[1]
KNOWLEDGE, DIALOG = (PROMPTS.segments == part for part in (1, 2))
QUERY, KEY = torch.arange(STEPS)[:, None], torch.arange(STEPS)[None]
EVERY = [0, 1, 2, 3]


@dataclass(frozen=True)
class Weights:
    """By what attention of the response is multiplied, in ``layers`` and ``heads``: that to the prompt (rows, steps or
    1, positions) and that to its own past (steps, steps)."""

    prompt: torch.Tensor = field(default_factory=lambda: torch.ones(1, 1, POSITIONS))
    past: torch.Tensor = field(default_factory=lambda: torch.ones(STEPS, STEPS))
    layers: tuple = (0, 1)
    heads: list = field(default_factory=lambda: EVERY)


def on(chosen, strength):
    return torch.ones(chosen.shape).masked_fill(chosen, strength)


def moving(share):
    """From 20 on the knowledge to 20 on the dialogue: the first part of this ``share`` (steps,), then the other."""
    start, end = (on(chosen, 20.0)[:, None] for chosen in (KNOWLEDGE, DIALOG))
    return (1 - share[:, None]) * start + share[:, None] * end


CASES = {
    "knowledge": [(AttentionBias("knowledge", 6.3), Weights(on(KNOWLEDGE, 6.3)[:, None]))],
    "less knowledge": [(AttentionBias("knowledge", 0.0), Weights(on(KNOWLEDGE, 0.0)[:, None]))],
    "some heads of a layer": [
        (AttentionBias("dialog", 30.0, layers=[1], heads=[0, 2]),
         Weights(on(DIALOG, 30.0)[:, None], layers=(1,), heads=[0, 2])),
    ],
    "gradual": [
        (AttentionBias("gradual", 20.0, steps=4), Weights(moving((torch.arange(STEPS) / 4).clamp(max=1)))),
    ],
    "gradual, at once": [
        (AttentionBias("gradual", 20.0, steps=3, schedule="step"), Weights(moving((torch.arange(STEPS) >= 3).float()))),
    ],
    "two parts": [
        (AttentionBias("knowledge", 9.0, layers=[0]), Weights(on(KNOWLEDGE, 9.0)[:, None], layers=(0,))),
        (AttentionBias("dialog", 0.2, heads=[1]), Weights(on(DIALOG, 0.2)[:, None], heads=[1])),
    ],
    "recent": [(SelfAttentionBias("recent", 9.0, size=2), Weights(past=on(KEY > QUERY - 2, 9.0)))],
    "distant": [
        (SelfAttentionBias("distant", 9.0, size=2, layers=[0], heads=[3]),
         Weights(past=on(KEY <= QUERY - 2, 9.0), layers=(0,), heads=[3])),
    ],
    "start": [(SelfAttentionBias("start", 30.0), Weights(past=on((KEY == 0).expand(STEPS, -1), 30.0)))],
    "no start": [  # but for the first query, which has no other key
        (SelfAttentionBias("start", 0.0), Weights(past=on((KEY == 0).expand(STEPS, -1) & (QUERY > 0), 0.0))),
    ],
    "random": [
        (SelfAttentionBias("random", 12.0, seed=3), Weights(past=on(tosses(STEPS, 3)[None].expand(STEPS, -1), 12.0))),
    ],
    "uniform": [(SelfAttentionBias("uniform", 50.0), Weights(past=on(KEY < QUERY, 50.0)))],
    "gradual and recent": [
        (AttentionBias("gradual", 20.0, steps=4), Weights(moving((torch.arange(STEPS) / 4).clamp(max=1)))),
        (SelfAttentionBias("recent", 9.0, size=2, heads=[1, 2]), Weights(past=on(KEY > QUERY - 2, 9.0), heads=[1, 2])),
    ],
    "prompt and past": [
        (AttentionBias("knowledge", 6.3), Weights(on(KNOWLEDGE, 6.3)[:, None])),
        (SelfAttentionBias("uniform", 5.0, layers=[1]), Weights(past=on(KEY < QUERY, 5.0), layers=(1,))),
    ],
}  # fmt: skip
STEPPED = "gradual and recent"


def expected(family, several):
    """Return the logits of the eager model whose attention is multiplied by ``several`` weights: only queries from the
    last position of the prompt on have any."""
    model = known(family)
    length = POSITIONS + STEPS - 1
    by_layer = torch.ones(2, len(PROMPTS.input_ids), 4, length, length)
    for weights in several:
        for layer in weights.layers:
            for head in weights.heads:
                by_layer[layer, :, head, POSITIONS - 1 :, :POSITIONS] *= weights.prompt
                by_layer[layer, :, head, POSITIONS - 1 :, POSITIONS - 1 :] *= weights.past
    first, second = ([module] for module in self_attentions(model))
    with reweighted(first, by_layer[0]), reweighted(second, by_layer[1]):
        return logits_at_once(model)


@cache
def recomputed(family, case):
    return expected(family, [weights for _, weights in CASES[case]])


@pytest.mark.parametrize(
    ("family", "backend", "case"),
    [(*model, case) for model in MODELS for case in CASES if model[0] in NAMED or case == STEPPED],
)
def test_logits_equal_the_definition(family, backend, case):
    """Read at once, and behind a prompt that was read before there were any knobs."""
    model, should_be = known(family, backend), recomputed(family, case)
    reading = known_reading(family, backend)
    with apply(model, [knob for knob, _ in CASES[case]], PROMPTS):
        for actual in (logits_at_once(model), reading.decode(TARGETS).logits):
            torch.testing.assert_close(actual, should_be, atol=2e-4, rtol=1e-4)
    assert (should_be - known_logits(family)).abs().max() > 0.01


@pytest.mark.parametrize(("family", "backend"), MODELS)
def test_steps_with_a_cache_equal_the_definition(family, backend):
    model = known(family, backend)
    with left_alone(model), apply(model, [knob for knob, _ in CASES[STEPPED]], PROMPTS):
        actual = logits_by_step(model)
    torch.testing.assert_close(actual, recomputed(family, STEPPED), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(("family", "backend"), MODELS)
def test_a_prompt_without_padding(family, backend):
    """Its row is that of a padded batch; attention modules may be given no mask then."""
    model, beside, responses = known(family, backend), make_prompts((12, 5)), RESPONSES[:2]
    prompt = beside.select([0])
    knobs = [AttentionBias("knowledge", 6.3), SelfAttentionBias("recent", 9.0, size=2)]
    with apply(model, knobs, prompt):
        ways = [logits(model, prompt, responses[:1]) for logits in (logits_at_once, logits_by_step)]
    with apply(model, knobs, beside):
        together = logits_at_once(model, beside, responses)[:1]
    for actual in ways:
        torch.testing.assert_close(actual, together, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("family", [family for family in NAMED if family not in ("mistral", "gemma2", "gemma3_text")])
def test_whole_weights_equal_as_many_keys(family):
    """A position of the prompt is repeated in the cache as often as its weight says, or deleted from it."""
    model, prompt = known(family, "sdpa"), make_prompts((12,))
    weights = torch.tensor([[1, 3, 0, 2, 1, 1, 5, 1, 0, 1, 1, 1]])
    begun, counts = read(model, prompt).cache, weights[0, :-1]
    for layer in begun.layers:
        layer.keys, layer.values = (one.repeat_interleave(counts, dim=2) for one in (layer.keys, layer.values))
    keys, targets = int(counts.sum()), TARGETS[:1].clone()
    targets[0, 0] = prompt.input_ids[0, -1]
    places = torch.arange(11, 11 + STEPS)[None]
    with torch.inference_mode():
        repeated = given(model, targets, torch.ones(1, keys + STEPS, dtype=torch.long), places)
        should_be = model(**repeated, use_cache=True, **{cache_name(model): begun}).logits
        plain = logits_at_once(model, prompt, targets[:, 1:])
    with biased_cross_attention(model, weights.float(), prompt.attention_mask):
        actual = logits_at_once(model, prompt, targets[:, 1:])
    torch.testing.assert_close(actual, should_be, atol=1e-4, rtol=1e-4)
    assert (should_be - plain).abs().max() > 0.01
    assert family in EMBEDDED or "position_ids" in repeated


ALPHA, STEERED = 0.01, [0, 3]  # of PASTA


def pasta(attention, marked, scaled, queries):
    """Steer attention (rows, heads, queries, keys) as Zhang et al. (2023, arXiv 2311.02262) write it.

    Their equation 2, of a steered head: [T(A)]_ij is A_ij / C_i where the key j is of the ``marked`` set G, and
    alpha A_ij / C_i where it is of G^-, which is all else; C_i is the sum of these before they are divided. ``scaled``
    (rows, keys) is G^-, ``queries`` are those i that are steered: in the paper all of them.
    """
    steered = attention.clone()
    for head in STEERED:
        own = attention[:, head]
        of_marked, of_others = own * marked[:, None], ALPHA * own * scaled[:, None]
        left = own * ~(marked | scaled)[:, None]
        total = (of_marked + of_others + left).sum(dim=-1, keepdim=True)
        steered[:, head, queries] = ((of_marked + of_others + left) / total)[:, queries]
    return steered


def steered_by_pasta(family, layer, generated_too=True, queries=slice(None)):
    """Return the logits of PASTA in some heads of a ``layer``, the span marked being the knowledge."""
    model = known(family)
    marked = torch.nn.functional.pad(KNOWLEDGE, (0, STEPS - 1), value=False)
    generated = torch.arange(marked.shape[1]) >= POSITIONS
    scaled = ~marked & (generated_too | ~generated)
    with changed_attention(
        self_attentions(model, [layer]), lambda attention: pasta(attention, marked, scaled, queries)
    ):
        return logits_at_once(model)


def logits_under(family, knob):
    model = known(family)
    with apply(model, [knob], PROMPTS):
        return logits_at_once(model)


WITH_PASTA = ["llama", "mistral", "gemma", "phi3", "gptj", "gpt2"]
RESPONSE = slice(POSITIONS - 1, None)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("family", WITH_PASTA)
def test_pasta_of_the_queries_of_a_response_is_a_weight_on_the_marked_span(family, layer):
    """G^- holds what is generated as well, the response's own keys: only 1/alpha on G is left of alpha on all else."""
    steered = steered_by_pasta(family, layer, queries=RESPONSE)
    own = logits_under(family, AttentionBias("knowledge", 1 / ALPHA, layers=[layer], heads=STEERED))
    torch.testing.assert_close(own, steered, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", WITH_PASTA)
def test_pasta_as_published_is_the_same_where_no_layer_follows(family):
    """It steers the queries of the prompt too, which change what later layers read there, and nothing else."""
    knobs = [AttentionBias("knowledge", 1 / ALPHA, layers=[layer], heads=STEERED) for layer in (0, 1)]
    torch.testing.assert_close(logits_under(family, knobs[1]), steered_by_pasta(family, 1), atol=1e-4, rtol=1e-4)
    assert (logits_under(family, knobs[0]) - steered_by_pasta(family, 0)).abs().max() > 0.01


@pytest.mark.parametrize("family", WITH_PASTA)
def test_pasta_that_leaves_what_is_generated_is_a_weight_on_the_rest_of_the_prompt(family):
    """The code of its authors scales down keys of the prompt alone: alpha on all of it but the span, not 1/alpha."""
    steered = steered_by_pasta(family, 0, generated_too=False, queries=RESPONSE)
    rest = AttentionBias("tokens:0:1+tokens:4:99", ALPHA, layers=[0], heads=STEERED)
    torch.testing.assert_close(logits_under(family, rest), steered, atol=1e-4, rtol=1e-4)
    other = AttentionBias("knowledge", 1 / ALPHA, layers=[0], heads=STEERED)
    assert (logits_under(family, other) - steered).abs().max() > 0.01
