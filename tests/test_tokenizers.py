"""Tokenizers that are not one tokenizer.json: with no file (ByT5), two files (BARTpho), two vocabularies (Marian).

Texts are read back against what the files themselves say: bytes, dict.txt, and the SentencePiece models.
"""

import io
import json
import shutil
import warnings

import pytest
import sentencepiece
import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, BartphoTokenizer, ByT5Tokenizer, MarianTokenizer

from tests.families import BART, T5, tiny_family
from zsc.data import load_records
from zsc.data.layouts import BucketLayout
from zsc.data.source import FIRST_TURN, KNOWLEDGE, plain_source
from zsc.errors import ZscError
from zsc.generation.attended import attended, decoder_ids
from zsc.knobs import KNOBS
from zsc.knobs.spans import parse_span
from zsc.models.files import _wanted
from zsc.models.load import load_model, load_reader
from zsc.study.contents import example

TEXT = "Some birds sing at night, others sing at dawn."
FILES = {
    "byt5": ["tokenizer_config.json"],
    "bartpho": ["dict.txt", "sentencepiece.bpe.model"],
    "marian": ["source.spm", "target.spm", "vocab.json", "target_vocab.json"],
}


def pieces(file, texts, size):
    """Train a SentencePiece model, write it to ``file``, and return its pieces without special ones."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=size, character_coverage=1.0, minloglevel=2
    )
    file.write_bytes(model.getvalue())
    built = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [built.id_to_piece(i) for i in range(3, built.get_piece_size())]


def save(folder, family, **given):
    torch.manual_seed(0)
    model = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(family, **given))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embed_positions" not in name:
                parameter.normal_(0, 0.25)
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, parlor):
    built = {name: tmp_path_factory.mktemp(name) for name in FILES}
    texts = [text for r in parlor for text in (r.knowledge, *(turn.text for turn in r.history))]
    ByT5Tokenizer().save_pretrained(built["byt5"])
    save(built["byt5"], "t5", **(T5 | dict(vocab_size=384, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)))

    folder = built["bartpho"]
    kept = pieces(folder / "sentencepiece.bpe.model", texts, 400)[::-1]  # other ids than the model has
    (folder / "dict.txt").write_text("".join(f"{piece} 1\n" for piece in kept), encoding="utf-8")
    tokenizer = BartphoTokenizer(str(folder / "sentencepiece.bpe.model"), str(folder / "dict.txt"))
    tokenizer.save_pretrained(folder)
    tiny_family("mbart", len(tokenizer)).save_pretrained(folder)

    folder = built["marian"]
    sizes, backwards = [], [text[::-1] for text in texts]
    for spm, vocabulary, read, size in [
        ("source.spm", "vocab.json", texts, 400), ("target.spm", "target_vocab.json", backwards, 300)
    ]:  # fmt: skip
        tokens = ["</s>", "<unk>", *pieces(folder / spm, read, size), "<pad>"]
        sizes.append(len(tokens))
        (folder / vocabulary).write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    paths = {"source_spm": "source.spm", "target_spm": "target.spm", "vocab": "vocab.json",
             "target_vocab_file": "target_vocab.json"}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        marian = MarianTokenizer(**{name: str(folder / file) for name, file in paths.items()}, separate_vocabs=True)
    marian.save_pretrained(folder)
    end = sizes[1] - 1
    save(
        folder, "marian",
        **(BART | dict(vocab_size=sizes[0], decoder_vocab_size=sizes[1], share_encoder_decoder_embeddings=False,
                       tie_word_embeddings=False, pad_token_id=end, decoder_start_token_id=end, eos_token_id=0,
                       forced_eos_token_id=None)),
    )  # fmt: skip
    return built


@pytest.fixture(params=FILES)
def loaded(folders, request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return request.param, folders[request.param], load_model(str(folders[request.param]), device="cpu")


def read_back(name, folder, ids, side="source"):
    """Return the text of ``ids`` by the checkpoint's own files."""
    if name == "byt5":
        return bytes(i - 3 for i in ids).decode()
    if name == "bartpho":
        names = [line.split()[0] for line in (folder / "dict.txt").read_text(encoding="utf-8").splitlines()]
        known = ["<s>", "<pad>", "</s>", "<unk>", *names]
        spm = "sentencepiece.bpe.model"
    else:
        known = list(json.loads((folder / {"source": "vocab.json", "target": "target_vocab.json"}[side]).read_text()))
        spm = f"{side}.spm"
    built = sentencepiece.SentencePieceProcessor(model_file=str(folder / spm))
    return built.decode([known[i] for i in ids])


def test_sources_and_targets_are_read_back_by_their_own_files(loaded):
    name, folder, model = loaded
    for tokenizer, side in [(model.tokenizer, "source"), (load_reader(str(folder))[1], "source")]:
        ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
        assert read_back(name, folder, ids, side) == tokenizer.decode(ids) == TEXT
    expected = TEXT[::-1] if name == "marian" else TEXT
    ids = decoder_ids(model.model, model.target_tokenizer, expected)[0][0, 1:].tolist()
    text = model.target_tokenizer.batch_decode([[*ids, *[model.model.generation_config.eos_token_id]]],
                                               skip_special_tokens=True)  # fmt: skip
    assert text == [expected] == [read_back(name, folder, ids, "target")]


def test_profiles_of_text_find_their_tokens(loaded):
    """The chosen tokens alone, read by the checkpoint's own files, cover the matches and little beside them."""
    name, folder, model = loaded
    source = plain_source([TEXT], model.tokenizer)
    (chosen,) = parse_span("text:sing", model.tokenizer)(source)
    text = "".join(read_back(name, folder, [i]) for i in source.input_ids[0][chosen].tolist())
    assert text.count("sing") == 2 and len(text) < len(TEXT) // 2


def test_attention_maps_carry_the_texts_of_the_source(loaded):
    _, _, model = loaded
    records = load_records("parlor", limit=2)
    layout = BucketLayout(12, 2, 12)
    source = layout.encode(records, model.tokenizer).select([1])
    bias = KNOBS["attn_bias"](profile="knowledge", strength=4.0)
    measured = attended(model, source, [bias], TEXT)
    for segment in (KNOWLEDGE, FIRST_TURN + 1):
        shown = "".join(token.text for token in measured.tokens if token.segment == segment and not token.special)
        known = records[1].knowledge if segment == KNOWLEDGE else records[1].history[-1].text
        assert shown.strip() and known.startswith(shown.strip())
    assert sum(t.on for t in measured.tokens if t.segment == KNOWLEDGE) > sum(
        t.off for t in measured.tokens if t.segment == KNOWLEDGE
    )
    lines = dict(example(records[1], layout, model.tokenizer))
    assert records[1].knowledge.startswith(lines["knowledge"].split(" … ")[0].strip())


@pytest.mark.filterwarnings("ignore:Recommended")
def test_a_run_scores_and_reports(loaded, command):
    _, folder, _ = loaded
    status, _, err = command(
        "run", "knob=attn_bias", f"model={folder}", "model.device=cpu", "dataset.limit=2", "seeds=[0]", "output=run",
        "decoding.max_new_tokens=4", "resampling.resamples=20", "metrics=[length]", "format=json",
    )  # fmt: skip
    assert status == 0, err


@pytest.mark.filterwarnings("ignore:Recommended")
@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in FILES.items() for file in files])
def test_every_file_of_a_tokenizer_decides_the_fingerprint_and_is_fetched(folders, tmp_path, name, file):
    folder = shutil.copytree(folders[name], tmp_path / "copy")
    before = load_model(str(folder), device="cpu").fingerprint
    if file.endswith("json"):
        (folder / file).write_text((folder / file).read_text() + "\n")
    elif file == "dict.txt":
        lines = (folder / file).read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / file).write_text("".join([lines[1], lines[0], *lines[2:]]), encoding="utf-8")
    else:
        built = sentencepiece.SentencePieceProcessor(model_file=str(folder / file)).serialized_model_proto()
        (folder / file).write_bytes(built + b"\x42\x00")  # an empty field, which is allowed
    assert load_model(str(folder), device="cpu").fingerprint != before
    assert _wanted(file, ())


@pytest.mark.parametrize("file", ["bpe.codes", "vocab.txt", "vocab-src.json", "x.bpe", "prophetnet.tokenizer", "a.spm"])
def test_files_of_other_tokenizers_are_fetched(file):
    assert _wanted(file, ()) and _wanted(f"target_tokenizer/{file}", ())


@pytest.mark.parametrize("name", ["bartpho", "marian"])
def test_a_tokenizer_without_one_of_its_files_is_refused(folders, tmp_path, name):
    folder = shutil.copytree(folders[name], tmp_path / "copy")
    (folder / FILES[name][-1]).unlink()
    with pytest.raises(ZscError, match="tokenizer") as error:
        load_model(str(folder), device="cpu")
    assert "\n" not in str(error.value)
