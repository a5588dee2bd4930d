"""Loading checkpoints, and what is said when one cannot be had."""

import shutil

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer

from zsc.errors import ZscError
from zsc.models import files
from zsc.models.load import load_model, own_accelerator, resolve_device
from zsc.training.tokenizer import train_tokenizer


def test_a_folder_loads_in_evaluation_mode(checkpoint):
    loaded = load_model(str(checkpoint), device="cpu")
    assert not loaded.model.training and loaded.model.dtype == torch.float32
    assert loaded.fingerprint == load_model(str(checkpoint), device="cpu").fingerprint


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_precisions(checkpoint, dtype):
    model = load_model(str(checkpoint), device="cpu", dtype=dtype).model
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}


def copy(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "copy")


def test_truncated_weights(checkpoint, tmp_path):
    folder = copy(checkpoint, tmp_path)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ZscError, match="broken or cut short"):
        load_model(str(folder))


def test_changed_weights_change_the_fingerprint(checkpoint, tmp_path):
    folder = copy(checkpoint, tmp_path)
    loaded = load_model(str(folder), device="cpu")
    with torch.no_grad():
        loaded.model.lm_head.weight[0] += 1
    loaded.model.save_pretrained(folder)
    assert load_model(str(folder)).fingerprint != loaded.fingerprint


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json"])
def test_changed_configuration_or_tokenizer_changes_the_fingerprint(checkpoint, tmp_path, name):
    folder = copy(checkpoint, tmp_path)
    (folder / name).write_text((folder / name).read_text() + "\n")
    assert load_model(str(folder)).fingerprint != load_model(str(checkpoint)).fingerprint


def in_cache(cache, checkpoint, monkeypatch, leave_out=()):
    """Lay out ``checkpoint`` as the hub's cache keeps a model called acme/tiny."""
    repo = cache / "models--acme--tiny"
    files = shutil.ignore_patterns(*leave_out)
    shutil.copytree(checkpoint, repo / "snapshots" / "0123456789abcdef0123456789abcdef01234567", ignore=files)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0123456789abcdef0123456789abcdef01234567")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))


def test_a_cached_hub_name_loads_without_the_network(checkpoint, tmp_path, monkeypatch):
    in_cache(tmp_path, checkpoint, monkeypatch)
    cached, local = load_model("acme/tiny", device="cpu"), load_model(str(checkpoint), device="cpu")
    assert cached.fingerprint == local.fingerprint and len(cached.tokenizer) == len(local.tokenizer)


@pytest.mark.parametrize("part", ["tokenizer.json", "model.safetensors", "config.json"])
def test_an_incomplete_cache_asks_the_hub(checkpoint, tmp_path, monkeypatch, part):
    in_cache(tmp_path, checkpoint, monkeypatch, leave_out=[part])
    with pytest.raises(ZscError, match="neither a folder nor in the cache"):
        load_model("acme/tiny", device="cpu")


def test_a_folder_without_tokenizer_or_weights(checkpoint, tmp_path):
    folder = copy(checkpoint, tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ZscError, match="holds no tokenizer"):
        load_model(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ZscError, match="holds no weights"):
        load_model(str(folder))


def test_a_missing_hub_checkpoint_is_one_line():
    with pytest.raises(ZscError, match="neither a folder nor in the cache") as error:
        load_model("facebook/bart-base-not-here")
    assert "\n" not in str(error.value)
    with pytest.raises(ZscError, match="Did you mean 'mini'"):
        load_model("minni")


def test_a_folder_without_a_checkpoint(tmp_path):
    with pytest.raises(ZscError, match=r"holds no config.json"):
        load_model(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float23"}, "Did you mean 'float32'"),
        ({"attention": "flash"}, "sdpa, eager"),
        ({"device": "warp"}, "model.device=warp"),
    ],
)
def test_bad_options(checkpoint, options, message):
    with pytest.raises(ZscError, match=message):
        load_model(str(checkpoint), **options)


def test_decoder_weights_of_another_file_replace_the_decoders_alone(checkpoint, tmp_path):
    folder = copy(checkpoint, tmp_path)
    plain = load_model(str(folder), device="cpu").model.state_dict()
    name = "layers.0.fc1.weight"
    save_file({name: torch.zeros_like(plain[f"model.decoder.{name}"])}, folder / "other.safetensors")
    swapped = load_model(str(folder), decoder="other.safetensors", device="cpu").model.state_dict()
    changed = {key for key in plain if not torch.equal(plain[key], swapped[key])}
    assert changed == {f"model.decoder.{name}"} and not swapped[f"model.decoder.{name}"].any()
    save_file({"layers.9.fc1.weight": torch.zeros(2)}, folder / "other.safetensors")
    with pytest.raises(ZscError, match=r"layers.9.fc1.weight is no tensor"):
        load_model(str(folder), decoder="other.safetensors")


@pytest.fixture(scope="module")
def two_vocabularies(tmp_path_factory, checkpoint, parlor):
    """A checkpoint whose decoder has a tokenizer of its own, half as large."""
    folder = tmp_path_factory.mktemp("both") / "model"
    shutil.copytree(checkpoint, folder)
    train_tokenizer((record.reference for record in parlor), 300, []).save_pretrained(folder / "target_tokenizer")
    return folder


def test_a_decoder_may_have_a_tokenizer_of_its_own(checkpoint, two_vocabularies):
    loaded, plain = load_model(str(two_vocabularies), device="cpu"), load_model(str(checkpoint), device="cpu")
    text = "Where did you find that?"
    for own, folder in [
        (loaded.tokenizer, two_vocabularies),
        (loaded.target_tokenizer, two_vocabularies / "target_tokenizer"),
    ]:
        assert own(text)["input_ids"] == AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    assert len(loaded.tokenizer) == 600 and len(loaded.target_tokenizer) == 300
    assert plain.target_tokenizer is plain.tokenizer


def test_a_tokenizer_of_the_decoder_decides_the_fingerprint(checkpoint, two_vocabularies, tmp_path):
    folder = copy(two_vocabularies, tmp_path)
    prints = [load_model(str(one), device="cpu").fingerprint for one in (checkpoint, two_vocabularies, folder)]
    assert prints[0] != prints[1] == prints[2]
    file = folder / "target_tokenizer" / "tokenizer.json"
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert load_model(str(folder), device="cpu").fingerprint not in prints


def test_a_cached_hub_name_loads_with_the_tokenizer_of_its_decoder(two_vocabularies, tmp_path, monkeypatch):
    in_cache(tmp_path, two_vocabularies, monkeypatch)
    cached, local = load_model("acme/tiny", device="cpu"), load_model(str(two_vocabularies), device="cpu")
    assert cached.fingerprint == local.fingerprint and len(cached.target_tokenizer) == 300


def test_the_hub_is_asked_for_what_decides_and_no_more(two_vocabularies, monkeypatch):
    deciding = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "spiece.model",
                "merges.txt", "dict.txt", "source.spm", "target_vocab.json", "bpe.codes", "sentencepiece.bpe",
                "target_tokenizer/tokenizer.json", "target_tokenizer/vocab.txt"]  # fmt: skip
    others = ["README.md", "pytorch_model.bin", "tf_model.h5", "onnx/tokenizer.json", "target_tokenizer/README.md",
              "target_tokenizer/old/tokenizer.json"]  # fmt: skip
    requested = []

    class Hub:
        def model_info(self, name, timeout):
            files = [type("File", (), {"rfilename": file})() for file in (*deciding, *others)]
            return type("Info", (), {"siblings": files})()

    def snapshot(name, local_files_only=False, allow_patterns=None):
        if local_files_only:
            raise OSError("not cached")
        requested.extend(allow_patterns)
        return str(two_vocabularies)

    monkeypatch.setattr(files, "HfApi", Hub)
    monkeypatch.setattr(files, "snapshot_download", snapshot)
    assert files.find_checkpoint("acme/tiny") == two_vocabularies
    assert sorted(requested) == sorted(deciding)


@pytest.mark.parametrize(
    ("environ", "count", "index"),
    [
        ({}, 4, 0),
        ({"LOCAL_RANK": "3"}, 4, 3),
        ({"LOCAL_RANK": "5"}, 4, 1),
        ({"SLURM_LOCALID": "2"}, 4, 2),
        ({"LOCAL_RANK": "1", "SLURM_LOCALID": "2"}, 4, 1),
    ],
)
def test_each_process_of_a_machine_has_an_accelerator_of_its_own(monkeypatch, environ, count, index):
    assert own_accelerator(count, environ) == index
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    assert resolve_device("auto") == torch.device("cuda", index) and resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    assert resolve_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    assert resolve_device("auto") == torch.device("cpu")


def test_a_rank_that_is_no_number_is_refused():
    with pytest.raises(ZscError, match=r"LOCAL_RANK=one must be a whole number: .* Or set model.device."):
        own_accelerator(2, {"LOCAL_RANK": "one"})
