"""Tiny random decoders alone, of families that knobs name and of others, and prompts for them."""

import inspect
import re
from contextlib import contextmanager
from functools import cache

import torch
from transformers import AutoConfig, AutoModelForCausalLM, BatchEncoding

from tests.families import draw_weights
from zsc.data.source import Source
from zsc.knobs import ContextAugmentation
from zsc.knobs.cache import cache_name, returned_cache
from zsc.knobs.read import read

TOKENS = dict(pad_token_id=1, bos_token_id=0, eos_token_id=2)
LLAMA = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             head_dim=8, max_position_embeddings=200)  # fmt: skip
FALCON = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=200)
GEMMA = LLAMA | dict(sliding_window=4, layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=8)
GPT = dict(n_embd=32, n_layer=2, n_head=4, n_positions=200)
SIZES = {
    "llama": LLAMA, "qwen2": LLAMA, "qwen3": LLAMA, "mistral": LLAMA | dict(sliding_window=4), "gemma": LLAMA,
    "gemma2": GEMMA, "gemma3_text": GEMMA, "gpt2": GPT, "gpt_neox": LLAMA | dict(rotary_pct=0.5),
    "opt": dict(hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=32,
                max_position_embeddings=200), "phi": LLAMA, "phi3": LLAMA, "smollm3": LLAMA,
    "bloom": dict(hidden_size=32, n_layer=2, n_head=4), "falcon": FALCON | dict(alibi=False),
    "falcon alibi": FALCON | dict(alibi=True), "gptj": GPT | dict(rotary_dim=4), "olmo2": LLAMA,
    "cohere2": GEMMA, "starcoder2": LLAMA | dict(sliding_window=None), "mixtral": LLAMA | dict(num_local_experts=3),
}  # fmt: skip
NAMED = ("llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "opt", "phi",
         "phi3", "smollm3")  # fmt: skip
EMBEDDED = ("gpt2", "opt", "gptj")  # whose positions are looked up in a table, where there are none before the first
BIASED = ("bloom", "falcon alibi")  # whose positions are told by a bias of attention
EAGER_ONLY = ("gemma2", "bloom", "gptj", "falcon", "falcon alibi")
MODELS = [(family, one) for family in SIZES for one in ("eager", "sdpa") if one == "eager" or family not in EAGER_ONLY]
VOCABULARY = 300
LENGTHS = (12, 9, 7)
STEPS = 7


def tiny_causal(family, backend="eager", seed=0, vocabulary=VOCABULARY):
    """Return a random model of ``family`` whose attention is sharp enough for a weight to matter."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(family.split()[0], vocab_size=vocabulary, **(TOKENS | SIZES[family]))
    model = AutoModelForCausalLM.from_config(config, attn_implementation=backend)
    draw_weights(model)
    return model.eval()


known = cache(tiny_causal)


@cache
def known_reading(family, backend="eager"):
    """Return ``PROMPTS`` as the model of a family reads them, which is for all tests, whatever knobs they put on."""
    return read(known(family, backend), PROMPTS)


@cache
def known_logits(family, backend="eager"):
    """Return what the model of a family gives without knobs."""
    return logits_at_once(known(family, backend))


def make_prompts(lengths=LENGTHS):
    """Return prompts padded on the left: three positions of knowledge, two that are of no text, and a dialogue."""
    width = max(lengths)
    ids = torch.randint(10, VOCABULARY, (len(lengths), width), generator=torch.Generator().manual_seed(4))
    segments = torch.full((len(lengths), width), -1)
    for row, length in enumerate(lengths):
        segments[row, width - length :] = torch.tensor([0, 1, 1, 1, 0, *[2] * (length - 5)])
    mask = (segments >= 0).long()
    return Source(ids.masked_fill(mask == 0, TOKENS["pad_token_id"]), mask, segments)


PROMPTS = make_prompts()
RESPONSES = torch.randint(10, VOCABULARY, (len(LENGTHS), STEPS - 1), generator=torch.Generator().manual_seed(5))
TARGETS = torch.cat([PROMPTS.input_ids[:, -1:], RESPONSES], dim=1)  # step 0 is the last token of the prompt


def whole(model, prompts=PROMPTS, responses=RESPONSES):
    """Return what ``model`` is called with to read prompts and responses at once, positions told if it takes them."""
    mask = torch.cat([prompts.attention_mask, torch.ones_like(responses)], dim=1)
    ids = torch.cat([prompts.input_ids, responses], dim=1)
    return given(model, ids, mask, (mask.cumsum(dim=1) - 1).clamp(min=0))


def given(model, ids, mask, places):
    takes = inspect.signature(model.forward).parameters
    told = {"position_ids": places} if "position_ids" in takes else {}
    return {"input_ids": ids, "attention_mask": mask, **told}


@torch.inference_mode()
def logits_at_once(model, prompts=PROMPTS, responses=RESPONSES):
    """Return the logits (rows, steps, vocabulary) from the last token of the prompt on, read without a cache."""
    return model(**whole(model, prompts, responses), use_cache=False).logits[:, prompts.input_ids.shape[1] - 1 :]


@torch.inference_mode()
def logits_by_step(model, prompts=PROMPTS, responses=RESPONSES):
    """Return the same, read token by token behind a prompt in a cache, all by the library's own means."""
    read, first, cache, steps = whole(model, prompts, responses), 0, None, []
    for end in range(prompts.input_ids.shape[1], read["input_ids"].shape[1] + 1):
        now = {name: one[:, first:end] for name, one in read.items()} | {
            "attention_mask": read["attention_mask"][:, :end]
        }
        output = model(**now, use_cache=True, **{cache_name(model): cache})
        first, cache = end, returned_cache(output)
        steps.append(output.logits[:, -1:])
    return torch.cat(steps, dim=1)


def self_attentions(model, layers=(0, 1)):
    """Return the modules that compute attention in ``layers``."""
    found = rf"\.(layers|h)\.({'|'.join(map(str, layers))})\.(self_attn|attn|attention|self_attention)"
    return [module for name, module in model.named_modules() if re.search(found + "$", name)]


@contextmanager
def left_alone(model):
    """Check that afterwards ``model`` is what it was: tensors, what it gives, attention, and no hooks of ours."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain, backend = logits_at_once(model), model.config._attn_implementation
    yield plain
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(logits_at_once(model), plain) and model.config._attn_implementation == backend
    hooks = [
        hook for one in model.modules() for hook in (*one._forward_pre_hooks.values(), *one._forward_hooks.values())
    ]
    assert not [hook for hook in hooks if hook.__module__.startswith("zsc")]  # the library leaves some of its own


PHRASES = {"Really?": [11, 12, 13, 14, 15], "Why?": [21, 22], "How so?": [31, 32, 33]}
BEGIN = 0  # the token that phrases are read behind


class Words:
    """As much of a tokenizer as context augmentation uses. Texts begin with token 0, which is no part of a code."""

    bos_token_id, eos_token_id = BEGIN, 2

    def __call__(self, phrases, padding, padding_side, return_tensors, add_special_tokens):
        assert not add_special_tokens
        rows = [torch.tensor(PHRASES[phrase]) for phrase in phrases]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=1)
        return BatchEncoding({"input_ids": ids, "attention_mask": (ids != 1).long()})


def code(strength=6.3, **options):
    return ContextAugmentation(list(PHRASES), Words(), **({"count": 3, "strength": strength} | options))
