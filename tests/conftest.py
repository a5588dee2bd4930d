"""Tiny random models and data, made on the spot; nothing is downloaded."""

import os
import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a script leaves it to what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["SUBMITIT_LOG_LEVEL"] = "NOCONFIG"  # else importing submitit closes the handlers of all logs
if "PYTEST_XDIST_WORKER" in os.environ:  # the other processes have the other cores
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from transformers import AutoTokenizer

from tests.data import SPEAKERS
from tests.families import tiny_model
from zsc.cli.main import main
from zsc.data.embedded import load_parlor
from zsc.install import problem, requirements
from zsc.models.load import load_model
from zsc.training.tokenizer import train_tokenizer


@pytest.fixture(scope="session")
def parlor():
    return load_parlor()


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory, parlor):
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [text for r in parlor for text in (r.knowledge, r.reference, *(t.text for t in r.history))]
    train_tokenizer(texts, 600, SPEAKERS).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder):
    return AutoTokenizer.from_pretrained(tokenizer_folder)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory, tokenizer):
    """Folders with a tiny random model, by family."""
    folders = {}
    for family in ("bart", "t5"):
        folders[family] = tmp_path_factory.mktemp(family)
        tiny_model(family, tokenizer).save_pretrained(folders[family])
        tokenizer.save_pretrained(folders[family])
    return folders


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, tokenizer):
    """A folder with a tiny random BART that stores generation settings of its own, as published ones do."""
    folder = tmp_path_factory.mktemp("bart")
    model = tiny_model("bart", tokenizer)
    model.generation_config.no_repeat_ngram_size = 3
    model.generation_config.num_beams = 4
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def tiny(tokenizer):
    return lambda family, attention="eager", seed=0: tiny_model(family, tokenizer, attention, seed)


@pytest.fixture
def pair(tiny):
    """Two models of a family that share everything outside their decoders."""

    def make(family, backend="sdpa"):
        model, other = tiny(family, backend, seed=0), tiny(family, backend, seed=1)
        shared = {name: tensor for name, tensor in model.state_dict().items() if "decoder." not in name}
        other.load_state_dict(shared, strict=False)
        other.tie_weights()
        return model, other

    return make


@pytest.fixture
def inputs():
    """Three sources, one of them padded."""
    mask = torch.ones(3, 11, dtype=torch.long)
    mask[1, 7:] = 0
    ids = torch.randint(10, 500, (3, 11), generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids.masked_fill(mask == 0, 1), "attention_mask": mask}


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """The command, run in this process and in an empty folder: returns exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        try:
            code = main(list(arguments))
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="session")
def smollm2():
    """SmolLM2-135M-Instruct, a published language model that a package carries."""
    if lacking := [found for one in requirements("smollm2") if (found := problem(one))]:
        pytest.skip(f"no SmolLM2: {', '.join(lacking)}")
    return load_model("smollm2", device="cpu")
