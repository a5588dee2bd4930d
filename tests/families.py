"""Tiny random models: of every encoder-decoder family that knobs claim to work on, and a language model."""

import torch
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    BertConfig,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    GPT2Config,
    GPT2LMHeadModel,
)

BART = dict(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=200)  # fmt: skip
T5 = dict(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=1)
PROPHETNET = dict(hidden_size=32, num_encoder_layers=2, num_decoder_layers=2, num_encoder_attention_heads=4,
                  num_decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=200,
                  pad_token_id=0, bos_token_id=1)  # fmt: skip
SEAMLESS = dict(hidden_size=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=200,
                speech_encoder_layers=1, speech_encoder_attention_heads=2, t2u_encoder_layers=1,
                t2u_decoder_layers=1)  # fmt: skip
EXPERTS = dict(num_experts=3, expert_capacity=256)
SPARSE = dict(num_decoder_layers=2, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1)
TOKENS = dict(pad_token_id=1, bos_token_id=0, eos_token_id=2)
GEMMA = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             head_dim=8, query_pre_attn_scalar=8, sliding_window=3, max_position_embeddings=200,
             layer_types=["sliding_attention", "full_attention"], **TOKENS)  # fmt: skip
PICTURES = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16,
                patch_size=8)  # fmt: skip
BERT = dict(num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=200)
FAMILIES = {
    "bart": BART, "mbart": BART, "marian": BART, "pegasus": BART, "blenderbot": BART, "blenderbot-small": BART,
    "m2m_100": BART, "plbart": BART, "mvp": BART, "pegasus_x": BART | dict(block_size=16, num_global_tokens=4),
    "bigbird_pegasus": BART | dict(block_size=4, num_random_blocks=1, attention_type="original_full"),
    "led": BART | dict(max_encoder_position_embeddings=200, max_decoder_position_embeddings=200, attention_window=8),
    "nllb-moe": BART | EXPERTS | dict(encoder_sparse_step=1, decoder_sparse_step=1),
    "fsmt": BART | dict(langs=["en", "de"]),
    "t5": T5, "mt5": T5, "umt5": T5, "longt5": T5 | dict(local_radius=8, encoder_attention_type="local"),
    "switch_transformers": T5 | EXPERTS | SPARSE, "t5gemma": dict(decoder_start_token_id=3), "t5gemma2": {},
    "prophetnet": PROPHETNET, "seamless_m4t": SEAMLESS, "seamless_m4t_v2": SEAMLESS,
    "encoder-decoder": {}, "bert2gpt2": {}, "bert2bert-generation": {}, "bert2roberta": {}, "bert2bart": {},
}  # fmt: skip
COMBINED = [family for family in FAMILIES if family.startswith(("encoder-", "bert2"))]
LISTENERS = ("audioflamingo3", "glmasr", "granite_speech", "granite_speech_plus", "moss_transcribe_diarize",
             "musicflamingo", "nemo_speechlm", "omniasr", "qwen2_audio", "qwen3_asr", "vibevoice_asr", "voxtral",
             "voxtral_realtime")  # fmt: skip
UNSOUND = ("fsmt", "prophetnet")  # refused: they do not decode from encoder states as from text
BERT2GPT2 = "bert2gpt2"  # an encoder-decoder put together from two kinds of models
CAUSAL = ("bart", "mbart", "marian", "pegasus", "blenderbot", "blenderbot-small", "plbart")  # also a decoder alone
EAGER_ONLY = ("mvp", "pegasus_x", "bigbird_pegasus", "led", "nllb-moe", "fsmt", "longt5", "switch_transformers",
              "t5gemma", "prophetnet")  # fmt: skip


def settings(family: str, vocabulary: int):
    """Return the configuration of a tiny model of ``family``."""
    if family in COMBINED:
        kind = family.removeprefix("bert2").replace("encoder-decoder", "bert")
        sizes = {"gpt2": dict(n_embd=32, n_layer=2, n_head=4, n_positions=200), "bart": BART}
        own = dict(vocab_size=vocabulary, is_decoder=True, add_cross_attention=True, **TOKENS)
        return EncoderDecoderConfig.from_encoder_decoder_configs(
            BertConfig(hidden_size=48, vocab_size=vocabulary, **BERT, **TOKENS),
            AutoConfig.for_model(kind, **own, **sizes.get(kind, BERT | dict(hidden_size=32))),
            decoder_start_token_id=2, **TOKENS,
        )  # fmt: skip
    if family == "t5gemma":
        sizes = dict(encoder=GEMMA | dict(vocab_size=vocabulary), decoder=GEMMA | dict(vocab_size=vocabulary))
    elif family == "t5gemma2":
        text = GEMMA | dict(vocab_size=vocabulary)
        encoder = dict(text_config=text, vision_config=PICTURES, mm_tokens_per_image=4, image_token_index=5)
        sizes = dict(encoder=encoder, decoder=text)
    elif family == "fsmt":
        sizes = dict(src_vocab_size=vocabulary, tgt_vocab_size=vocabulary)
    else:
        sizes = dict(vocab_size=vocabulary)
    return AutoConfig.for_model(
        family, forced_eos_token_id=None, **({"decoder_start_token_id": 2} | TOKENS | sizes | FAMILIES[family])
    )


def draw_weights(model):
    """Draw weights and biases that matter more than those of a new model; positions stay as they are."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embed_positions" not in name:
                parameter.normal_(0, 0.25)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.1)


def tiny_family(family: str, vocabulary: int, attention: str = "eager", seed: int = 0):
    """Return a random model of ``family`` whose attention is sharp enough for a bias to matter."""
    torch.manual_seed(seed)
    config = settings(family, vocabulary)
    if family in COMBINED:
        model = EncoderDecoderModel(config)
        model.set_attn_implementation(attention)
    else:
        config._attn_implementation = attention
        model = AutoModelForSeq2SeqLM.from_config(config, attn_implementation=attention)
    draw_weights(model)
    if family == "t5gemma":  # or else it says its start token over and over
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "embed_tokens" in name:
                    parameter.mul_(0.1)
    if family == "t5gemma":  # which hides a pad token from later ones without a cache, but not with it
        model.generation_config.bad_words_ids = [[TOKENS["pad_token_id"]]]
    if family.startswith("seamless"):
        model.generation_config.forced_bos_token_id = 7  # the language
    return model.eval()


def tiny_model(family, tokenizer, attention="eager", seed=0):
    return tiny_family(family, len(tokenizer), attention, seed)


def save_language_model(folder, tokenizer, positions=64, seed=0):
    """Write a tiny random GPT-2 and its tokenizer to ``folder``; return it."""
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=positions, n_embd=16, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
