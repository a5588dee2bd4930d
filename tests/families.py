"""Tiny random models of every encoder-decoder family that knobs claim to work on."""

import torch
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    BertConfig,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    GPT2Config,
)

BART = dict(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=200)  # fmt: skip
T5 = dict(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=1)
FAMILIES = {
    "bart": BART, "mbart": BART, "marian": BART, "pegasus": BART, "blenderbot": BART, "blenderbot-small": BART,
    "m2m_100": BART, "plbart": BART, "pegasus_x": BART | dict(block_size=16, num_global_tokens=4),
    "t5": T5, "mt5": T5, "umt5": T5, "longt5": T5 | dict(local_radius=8, encoder_attention_type="local"),
    "encoder-decoder": {},
}  # fmt: skip
EAGER_ONLY = ("longt5", "pegasus_x")
BERT2GPT2 = "bert2gpt2"  # an encoder-decoder put together from two kinds of models


def tiny_family(family: str, vocabulary: int, attention: str = "eager", seed: int = 0):
    """Return a random model of ``family`` whose attention is sharp enough for a bias to matter."""
    torch.manual_seed(seed)
    tokens = dict(pad_token_id=1, bos_token_id=0, eos_token_id=2)
    if family in ("encoder-decoder", BERT2GPT2):
        bert = dict(vocab_size=vocabulary, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, **tokens)
        gpt2 = dict(vocab_size=vocabulary, n_layer=2, n_head=4, n_positions=200, **tokens)
        steered = dict(is_decoder=True, add_cross_attention=True)
        config = EncoderDecoderConfig.from_encoder_decoder_configs(
            BertConfig(hidden_size=48, **bert),
            GPT2Config(n_embd=32, **steered, **gpt2)
            if family == BERT2GPT2
            else BertConfig(hidden_size=32, **steered, **bert),
            decoder_start_token_id=2, **tokens,
        )  # fmt: skip
        model = EncoderDecoderModel(config)
        model.set_attn_implementation(attention)
    else:
        config = AutoConfig.for_model(
            family, vocab_size=vocabulary, forced_eos_token_id=None,
            **({"decoder_start_token_id": 2} | tokens | FAMILIES[family]),
        )  # fmt: skip
        config._attn_implementation = attention
        model = AutoModelForSeq2SeqLM.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embed_positions" not in name:
                parameter.normal_(0, 0.25)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.1)
    return model.eval()
