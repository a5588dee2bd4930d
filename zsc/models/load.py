"""Load an encoder-decoder and its tokenizer: embedded, from a folder, or from the Hugging Face hub."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from zsc.errors import ZscError, first_line, suggestion

EMBEDDED = {"mini": Path(__file__).parent / "mini"}
HUB_TIMEOUT = 10.0  # seconds
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ATTENTION = ("sdpa", "eager")
SAFETENSORS, BIN = "model*.safetensors", "pytorch_model*.bin"
TARGET_TOKENIZER = "target_tokenizer"  # folder in a checkpoint whose decoder has a vocabulary of its own
TOKENIZER_FILES = ("tokenizer.json", "vocab.*", "*.model", "*.spm", "merges.txt")
PROTOCOL_FIELDS = (
    "decoder_start_token_id",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "forced_bos_token_id",
    "bad_words_ids",
)


@dataclass(frozen=True)
class Loaded:
    """A model in evaluation mode with its tokenizer; ``fingerprint`` identifies their files and configuration.

    ``target_tokenizer`` is that of the decoder: mostly the same, but not in a model put together from two.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    target_tokenizer: PreTrainedTokenizerBase
    fingerprint: str


def load_model(
    checkpoint: str,
    decoder: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    attention: str = "sdpa",
) -> Loaded:
    """Load ``checkpoint``: an embedded name, a folder, or a hub name.

    ``decoder`` names a safetensors file in the checkpoint's folder whose tensors replace those of the decoder.
    The generation settings stored with a checkpoint are dropped, except the token ids it was trained with: every
    other setting must come from the caller. Raises ZscError if the checkpoint cannot be had or is no encoder-decoder.
    """
    _check(dtype, DTYPES, "model.dtype")
    _check(attention, ATTENTION, "model.attention")
    silence_library()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    folder = find_checkpoint(str(checkpoint))
    try:
        config = AutoConfig.from_pretrained(folder)
        if not config.is_encoder_decoder:
            raise ZscError(
                f"model {checkpoint} ({config.model_type}) is not an encoder-decoder: zsc steers cross-attention."
            )
        model = AutoModelForSeq2SeqLM.from_pretrained(
            folder, config=config, dtype=DTYPES[dtype], attn_implementation=attention
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
        targets = folder / TARGET_TOKENIZER
        target_tokenizer = AutoTokenizer.from_pretrained(targets) if targets.is_dir() else tokenizer
    except SafetensorError as error:
        raise ZscError(
            f"the weights of model {checkpoint} are broken or cut short ({error}). Fetch them again."
        ) from error
    except (OSError, ValueError, ImportError) as error:
        hint = " Try model.attention=eager." if "attention" in str(error) and attention != "eager" else ""
        raise ZscError(f"model {checkpoint} cannot be loaded: {first_line(error)}{hint}") from error
    files = [file for file in sorted(folder.iterdir()) if _wanted(file.name, (SAFETENSORS, BIN))]
    files += sorted(file for file in targets.glob("*") if file.is_file())
    if decoder is not None:
        files.append(replace_decoder(model, folder / decoder))
    model.generation_config = token_protocol(model.generation_config)
    return Loaded(model.eval().to(resolve_device(device)), tokenizer, target_tokenizer, hash_files(files))


def load_tokenizer(checkpoint: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of ``checkpoint`` alone. Raises ZscError if it cannot be had."""
    silence_library()
    folder = find_checkpoint(str(checkpoint))
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, ImportError) as error:
        raise ZscError(f"the tokenizer of model {checkpoint} cannot be loaded: {first_line(error)}") from error


def silence_library() -> None:
    """Keep transformers' progress bars and warnings off the terminal: what matters is an error."""
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def find_checkpoint(checkpoint: str) -> Path:
    """Return the folder of ``checkpoint``; what is not on disk is fetched from the hub.

    Raises ZscError for a folder that lacks a part, and for a name that is no folder, not in the cache and not to be
    had from the hub.
    """
    folder = EMBEDDED.get(checkpoint, Path(checkpoint))
    if folder.is_dir():
        if lacking := _lacking(folder):
            raise ZscError(f"model folder {folder} holds no {lacking}: it is not a complete Hugging Face checkpoint.")
        return folder
    try:
        cached = Path(snapshot_download(checkpoint, local_files_only=True))
        if not _lacking(cached):
            return cached
    except (OSError, ValueError):
        pass
    try:
        files = [file.rfilename for file in HfApi().model_info(checkpoint, timeout=HUB_TIMEOUT).siblings or []]
        weights = SAFETENSORS if any(fnmatch(file, SAFETENSORS) for file in files) else BIN
        wanted = [file for file in files if _wanted(file, (weights,))]
        return Path(snapshot_download(checkpoint, allow_patterns=wanted))
    except Exception as error:  # each HTTP library has errors of its own
        raise ZscError(
            f"model '{checkpoint}' is neither a folder nor in the cache, and the hub did not give it"
            f" ({first_line(error)}).{suggestion(checkpoint, EMBEDDED)}"
        ) from error


def replace_decoder(model: PreTrainedModel, file: Path) -> Path:
    """Load the tensors of ``file`` into the decoder of ``model``; every one must belong there. Returns ``file``."""
    if not file.is_file():
        raise ZscError(
            f"no file {file} of decoder weights. With decoder=null (model.decoder, other.decoder, task.decoder) a"
            " checkpoint keeps its own decoder."
        )
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise ZscError(f"decoder file {file} is broken or cut short ({error}). Fetch it again.") from error
    own = model.get_decoder().state_dict()
    wrong = [name for name, tensor in tensors.items() if name not in own or own[name].shape != tensor.shape]
    if wrong:
        raise ZscError(f"decoder file {file}: {wrong[0]} is no tensor of this model's decoder, or has another shape.")
    model.get_decoder().load_state_dict(tensors, strict=False)
    return file


def token_protocol(config: GenerationConfig) -> GenerationConfig:
    """Return a fresh GenerationConfig that keeps only the token ids a checkpoint was trained with."""
    return GenerationConfig(**{field: getattr(config, field) for field in PROTOCOL_FIELDS})


def resolve_device(device: str) -> torch.device:
    """Resolve ``auto`` to the first accelerator, or the CPU. Raises ZscError for a device that is not there."""
    if device == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError) as error:
        raise ZscError(f"model.device={device} cannot be used: {first_line(error)} Try model.device=cpu.") from error
    return resolved


def hash_files(files: list[Path]) -> str:
    """Return the SHA-256 over the names and contents of ``files`` in their order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0")
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def _lacking(folder: Path) -> str | None:
    """Name the part of a checkpoint that ``folder`` lacks. Without tokenizer files transformers loads an empty one."""
    names = [file.name for file in folder.iterdir()]
    parts = {"config.json": ("config.json",), "weights": (SAFETENSORS, BIN), "tokenizer": TOKENIZER_FILES}
    return next((part for part, patterns in parts.items() if not any(_match(n, patterns) for n in names)), None)


def _wanted(name: str, weights: Iterable[str]) -> bool:
    """Say whether a checkpoint's file decides what the model does: ``weights``, configuration, tokenizer."""
    own = name.removeprefix(f"{TARGET_TOKENIZER}/")
    return "/" not in own and _match(own, ("*.json", *TOKENIZER_FILES, *weights))


def _match(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _check(value: str, allowed: Any, key: str) -> None:
    if value not in allowed:
        raise ZscError(f"{key}={value} is not one of {', '.join(allowed)}.{suggestion(str(value), allowed)}")
