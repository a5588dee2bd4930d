"""Tiny random checkpoints with tiny trained tokenizers, of the classes that published ones have; made offline."""

import io
import json
import random
import warnings
from functools import cache

import sentencepiece
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    BlenderbotSmallTokenizer,
    BlenderbotTokenizer,
    ByT5Tokenizer,
    GemmaTokenizer,
    GenerationConfig,
    M2M100Tokenizer,
    MarianTokenizer,
    MBart50Tokenizer,
    MBartTokenizer,
    NllbTokenizer,
    PegasusTokenizer,
    PLBartTokenizer,
    RobertaTokenizer,
    T5Tokenizer,
)
from transformers.models.mbart.tokenization_mbart import FAIRSEQ_LANGUAGE_CODES as MBART_CODES
from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES as MBART50_CODES

from tests.families import FAMILIES, GEMMA, draw_weights
from zsc.data.embedded import load_parlor

LONGEST = 150  # tokens that the tokenizers say a source may have


@cache
def texts():
    rng = random.Random(0)
    found = [text for r in load_parlor() for text in (r.knowledge, r.reference, *(turn.text for turn in r.history))]
    return rng.sample(found, 600)


@cache
def pieces():
    """Train a SentencePiece model; return its file's content and its pieces with their scores, special ones aside."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts()), model_writer=model, vocab_size=400, character_coverage=1.0, minloglevel=2
    )
    built = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    kept = range(3, built.get_piece_size())
    return model.getvalue(), [(built.id_to_piece(i), built.get_score(i)) for i in kept]


def merges(special, pre, normalizer=None, size=500):
    """Train a BPE whose vocabulary begins with the ``special`` tokens; return it and the merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet() if isinstance(pre, pre_tokenizers.ByteLevel) else []
    trainer = trainers.BpeTrainer(
        vocab_size=size + len(special), special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def unigram(*special):
    return [(token, 0.0) for token in special] + pieces()[1]


def t5(folder):
    return T5Tokenizer(vocab=unigram("<pad>", "</s>", "<unk>"), model_max_length=LONGEST)


def godel(folder):
    tokenizer = t5(folder)
    tokenizer.model_max_length = 250
    tokenizer.add_tokens(["EOS", "<PAD>"])  # as published
    return tokenizer


def madlad(folder):
    vocabulary = [*unigram("<pad>", "</s>", "<unk>"), ("<2de>", -1.0), ("<2en>", -1.0)]
    tokenizer = T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=LONGEST)
    tokenizer.add_tokens(["<2de>", "<2en>"], special_tokens=True)
    return tokenizer


def byt5(folder):
    return ByT5Tokenizer(model_max_length=400)


def pegasus(folder):
    vocabulary = unigram("<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>")
    return PegasusTokenizer(vocab=vocabulary, offset=3, model_max_length=LONGEST)


def roberta(folder, kind=RobertaTokenizer, special=("<s>", "<pad>", "</s>", "<unk>", "<mask>"), **given):
    vocabulary, pairs = merges(list(special), pre_tokenizers.ByteLevel(add_prefix_space=False))
    return kind(vocab=vocabulary, merges=pairs, model_max_length=LONGEST, **given)


def blenderbot(folder):
    special = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
    tokenizer = roberta(folder, BlenderbotTokenizer, special, add_prefix_space=True)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 2)])
    return tokenizer


def blenderbot_small(folder):
    special = ["__null__", "__start__", "__end__", "__unk__", "__newln__"]
    letters = sorted({letter for text in texts() for letter in text.lower() if not letter.isspace()})
    vocabulary = [*special, *letters, *(f"{letter}@@" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version\n")
    given = dict(model_max_length=LONGEST)
    return BlenderbotSmallTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), **given)


def mbart50(folder):
    vocabulary = unigram("<s>", "<pad>", "</s>", "<unk>") + [(code, 0.0) for code in MBART50_CODES] + [("<mask>", 0.0)]
    return MBart50Tokenizer(vocab=vocabulary, model_max_length=LONGEST)


def mbart(folder):
    vocabulary = unigram("<s>", "<pad>", "</s>", "<unk>") + [(code, 0.0) for code in MBART_CODES] + [("<mask>", 0.0)]
    return MBartTokenizer(vocab=vocabulary, model_max_length=LONGEST)


def nllb(folder):
    spaces = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    vocabulary, pairs = merges(["<s>", "<pad>", "</s>", "<unk>"], spaces)
    return NllbTokenizer(vocab=vocabulary, merges=pairs, model_max_length=LONGEST)


def gemma(folder):
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
    spaces = pre_tokenizers.Split(pattern=" ", behavior="merged_with_previous", invert=False)
    vocabulary, pairs = merges(special, spaces, normalizers.Replace(" ", "\u2581"))
    return GemmaTokenizer(vocab=vocabulary, merges=pairs, model_max_length=LONGEST)


def m2m100(folder):
    content, found = pieces()
    (folder / "sentencepiece.bpe.model").write_bytes(content)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *(piece for piece, _ in found)]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    files = str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model")
    return M2M100Tokenizer(*files, model_max_length=LONGEST)


def plbart(folder):
    (folder / "sentencepiece.bpe.model").write_bytes(pieces()[0])
    return PLBartTokenizer(str(folder / "sentencepiece.bpe.model"), language_codes="base", model_max_length=LONGEST)


def marian(folder, targets=()):
    """One vocabulary for both languages, and tokens of several ``targets``."""
    content, found = pieces()
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(content)
    tokens = ["</s>", "<unk>", *(f">>{target}<<" for target in targets), *(piece for piece, _ in found), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    files = dict(source_spm="source.spm", target_spm="target.spm", vocab="vocab.json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MarianTokenizer(**{name: str(folder / file) for name, file in files.items()}, model_max_length=LONGEST)


def marian_of_several(folder):
    return marian(folder, ("deu", "nld"))


STARTS = {  # token that the decoder starts from, where it is not the end token
    "t5": "pad", "pegasus": "pad", "marian": "pad", "blenderbot": "bos", "blenderbot-small": "bos", "t5gemma": "bos",
}  # fmt: skip


def save(folder, family, tokenizer, start=None):
    """Write a tiny random model of ``family`` and ``tokenizer`` to ``folder``. ``start`` is the token that its decoder
    starts from, where it is not that of the family."""
    torch.manual_seed(0)
    own = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    own["decoder_start_token_id"] = own[f"{STARTS.get(family, 'eos')}_token_id"]
    if start is not None:
        own["decoder_start_token_id"] = tokenizer.convert_tokens_to_ids(start)
    size = max([len(tokenizer) - 1, *tokenizer.get_vocab().values(), *getattr(tokenizer, "id_to_lang_token", ())]) + 1
    if family == "t5gemma":
        sizes = GEMMA | dict(vocab_size=size, **{name: one for name, one in own.items() if "start" not in name})
        config = AutoConfig.for_model("t5gemma", encoder=sizes, decoder=sizes, vocab_size=size, **own)
    else:
        config = AutoConfig.for_model(
            family, **(FAMILIES[family] | dict(vocab_size=size, forced_eos_token_id=None) | own)
        )
    model = AutoModelForSeq2SeqLM.from_config(config)
    draw_weights(model)
    model.generation_config = GenerationConfig(**own)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
