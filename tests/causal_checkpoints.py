"""Folders with tiny random decoders alone and the tokenizer they are used with, with and without a chat template."""

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.chat_templates import TEMPLATES, TOKENS
from tests.families import draw_weights

WINDOW = 600
ROTARY = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
              head_dim=8, max_position_embeddings=WINDOW)  # fmt: skip
SLIDING = ["sliding_attention", "full_attention"]
SIZES = {
    "gpt2": dict(n_embd=32, n_layer=2, n_head=4, n_positions=WINDOW),
    "llama": ROTARY,
    "gemma2": ROTARY | dict(sliding_window=5, layer_types=SLIDING, query_pre_attn_scalar=8),
    "qwen2": ROTARY,
    "mistral": ROTARY | dict(sliding_window=5),
}
BACKENDS = {family: "eager" if family == "gemma2" else "sdpa" for family in SIZES}


def save_causal(folder, family, tokenizer, template=None, seed=0, **changes):
    """Write a random model of ``family``, and ``tokenizer`` with the chat template of this name, if any, to
    ``folder``; return it."""
    torch.manual_seed(seed)
    special = dict(pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
                   eos_token_id=tokenizer.eos_token_id)  # fmt: skip
    added = tokenizer.add_tokens(TOKENS, special_tokens=True) if template else 0
    assert added in (0, len(TOKENS))
    config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **(special | SIZES[family] | changes))
    model = AutoModelForCausalLM.from_config(config)
    draw_weights(model)
    model.save_pretrained(folder)
    tokenizer.chat_template = TEMPLATES.get(template)
    tokenizer.save_pretrained(folder)
    return folder
