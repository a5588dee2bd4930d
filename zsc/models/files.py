"""The files of a checkpoint: where they lie, which of them decide what the model does, and their hash."""

import hashlib
import json
import logging
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

from zsc.errors import ZscError, first_line, suggestion
from zsc.install import check_installed
from zsc.models.local import GGUF, NAMES, PACKAGED, local_path

HUB_TIMEOUT = 10.0  # seconds
SAFETENSORS, BIN = "model*.safetensors", "pytorch_model*.bin"
TARGET_TOKENIZER = "target_tokenizer"  # folder in a checkpoint whose decoder has a vocabulary of its own
TOKENIZER_FILES = (
    "tokenizer.json", "*vocab*.json", "vocab*", "*vocab*.txt", "merges*.txt", "dict*.txt", "*.model", "*.spm", "*.bpe",
    "*.codes", "*.tokenizer",
)  # fmt: skip
OTHER_FORMATS = {
    "adapter_model*": "an adapter without the model it belongs to (PEFT): merge it into that model and save the whole",
    "tf_model*.h5": "TensorFlow", "flax_model*.msgpack": "Flax", "*.onnx": "ONNX",
    "*.ckpt*": "a training framework of its own", "*.safetensors": "safetensors of another name than model.safetensors",
    "*.pt": "PyTorch files of another name than pytorch_model.bin",
}  # fmt: skip


def find_checkpoint(checkpoint: str) -> Path:
    """Return the folder of ``checkpoint``, or its GGUF file; what is not on disk is fetched from the hub.

    Raises ZscError for a folder that lacks a part or cannot be read, and for a name that is no folder, not in the cache
    and not to be had from the hub.
    """
    if checkpoint in PACKAGED:
        package = PACKAGED[checkpoint]
        check_installed(package.distribution, package.extra, f"model {checkpoint}")
        if package.file() is None:
            raise ZscError(
                f"model {checkpoint}: the package {package.distribution} holds no GGUF file. Install it again."
            )
    if (place := on_disk(checkpoint)) is not None:
        return place
    if checkpoint.endswith(GGUF):
        raise ZscError(f"there is no file {checkpoint}.")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        files = [file.rfilename for file in HfApi().model_info(checkpoint, timeout=HUB_TIMEOUT).siblings or []]
        weights = SAFETENSORS if any(fnmatch(file, SAFETENSORS) for file in files) else BIN
        wanted = [file for file in files if _wanted(file, (weights,))]
        packed = [file for file in files if file.endswith(GGUF)]
        if packed and not any(fnmatch(file, weights) for file in wanted):
            raise ZscError(
                f"model {checkpoint} is there as GGUF alone: run `hf download {checkpoint} {packed[0]} --local-dir"
                f" FOLDER`, and choose model=FOLDER/{packed[0]}."
            )
        return Path(snapshot_download(checkpoint, allow_patterns=wanted))
    except ZscError:
        raise
    except Exception as error:  # each HTTP library has errors of its own
        raise ZscError(
            f"model '{checkpoint}' is neither a folder nor in the cache, and the hub did not give it"
            f" ({first_line(error)}).{suggestion(checkpoint, NAMES)}"
        ) from error


def on_disk(checkpoint: str) -> Path | None:
    """Return the folder of ``checkpoint``, or of the hub's cache, without asking the hub; None if there is none.

    It is a GGUF file instead if that is named, or all that a folder has of weights. Raises ZscError for a folder that
    lacks a part or cannot be read.
    """
    place = local_path(checkpoint)
    try:
        if place.is_dir():
            if (packed := _packed(place)) is not None:
                return packed
            if lacking := _lacking(place):
                raise ZscError(f"model folder {place} holds {lacking}: it is not a complete Hugging Face checkpoint.")
            return place
        if place.is_file():
            if place.suffix == GGUF:
                return place
            raise ZscError(
                f"model {checkpoint} is a file: name the folder of a Hugging Face checkpoint, or a GGUF file."
            )
    except OSError as error:
        raise ZscError(f"model {checkpoint} cannot be read: {error.strerror or error}.") from error
    try:
        cached = Path(snapshot_download(checkpoint, local_files_only=True))
        return None if _lacking(cached) else cached
    except (OSError, ValueError):
        return None


def deciding_files(folder: Path) -> list[Path]:
    """Return the files that decide what the checkpoint in ``folder`` does, in a fixed order; a GGUF file does alone."""
    if folder.is_file():
        return [folder]
    files = [file for file in sorted(folder.iterdir()) if _wanted(file.name, (SAFETENSORS, BIN))]
    return files + sorted(file for file in (folder / TARGET_TOKENIZER).glob("*") if file.is_file())


def hash_files(files: list[Path]) -> str:
    """Return the SHA-256 over the names and contents of ``files`` in their order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0")
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def json_in(file: Path) -> dict[str, Any]:
    """Return the object in a JSON ``file``, empty where there is none or it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _packed(folder: Path) -> Path | None:
    """Return the GGUF file of a ``folder`` without other weights. Raises ZscError where it has several."""
    files = sorted(folder.iterdir())
    packed = [file for file in files if file.suffix == GGUF]
    if not packed or any(_match(file.name, (SAFETENSORS, BIN)) for file in files):
        return None
    if len(packed) > 1:
        raise ZscError(f"model folder {folder} holds {len(packed)} GGUF files: name one, such as model={packed[0]}.")
    return packed[0]


def _lacking(folder: Path) -> str | None:
    """Say what part of a checkpoint ``folder`` lacks. Without tokenizer files transformers loads an empty one."""
    names = [file.name for file in folder.iterdir()]
    if "config.json" not in names:
        foreign = " but an adapter (PEFT), which is no model: merge it into its own" * ("adapter_config.json" in names)
        return f"no config.json{foreign}"
    if not any(_match(name, (SAFETENSORS, BIN)) for name in names):
        found = [f"{n} ({what})" for pattern, what in OTHER_FORMATS.items() for n in names if fnmatch(n, pattern)]
        return "no weights that zsc reads (safetensors or PyTorch)" + (f", but {found[0]}" if found else "")
    if not any(_match(name, TOKENIZER_FILES) for name in names) and not _needs_no_vocabulary(folder):
        return "no tokenizer"
    return None


def _needs_no_vocabulary(folder: Path) -> bool:
    """Say whether the tokenizer of ``folder`` is of a kind, such as ByT5's, that reads no file of its own."""
    for file in ("tokenizer_config.json", "config.json"):
        if isinstance(name := json_in(folder / file).get("tokenizer_class"), str):
            kind = tokenizer_class_from_name(name)
            return kind is not None and not getattr(kind, "vocab_files_names", {"any": "file"})
    return False


def _wanted(name: str, weights: Iterable[str]) -> bool:
    """Say whether a checkpoint's file decides what the model does: ``weights``, configuration, tokenizer."""
    own = name.removeprefix(f"{TARGET_TOKENIZER}/")
    return "/" not in own and _match(own, ("*.json", *TOKENIZER_FILES, *weights))


def _match(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
