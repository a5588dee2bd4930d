"""Load an encoder-decoder and its tokenizer: embedded, from a folder, or from the Hugging Face hub."""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi
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

from zsc.errors import ZscError, suggestion

EMBEDDED = {"mini": Path(__file__).parent / "mini"}
HUB_TIMEOUT = 10.0  # seconds
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ATTENTION = ("sdpa", "eager")
PROTOCOL_FIELDS = (
    "decoder_start_token_id",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
)


@dataclass(frozen=True)
class Loaded:
    """A model in evaluation mode with its tokenizer; ``fingerprint`` identifies the weights."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
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
    folder = EMBEDDED.get(checkpoint, Path(checkpoint))
    local = folder.is_dir()
    if local and not (folder / "config.json").is_file():
        raise ZscError(f"model folder {folder} holds no config.json: it is not a Hugging Face checkpoint.")
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    source = str(folder) if local else checkpoint
    try:
        config = _from_cache_or_hub(AutoConfig, source)
        if not config.is_encoder_decoder:
            raise ZscError(
                f"model {checkpoint} ({config.model_type}) is not an encoder-decoder: zsc steers cross-attention."
            )
        model = _from_cache_or_hub(
            AutoModelForSeq2SeqLM, source, config=config, dtype=DTYPES[dtype], attn_implementation=attention
        )
        tokenizer = _from_cache_or_hub(AutoTokenizer, source)
    except SafetensorError as error:
        raise ZscError(
            f"the weights of model {checkpoint} are broken or cut short ({error}). Fetch them again."
        ) from error
    except OSError as error:
        if local:
            raise ZscError(f"model folder {folder} cannot be loaded: {_first_line(error)}") from error
        raise ZscError(
            f"model '{checkpoint}' is neither a folder nor in the cache, and the hub did not give it"
            f" ({_first_line(error)}).{suggestion(checkpoint, EMBEDDED)}"
        ) from error
    except ValueError as error:
        raise ZscError(f"model {checkpoint} cannot be loaded as an encoder-decoder: {_first_line(error)}") from error
    files = sorted(folder.glob("model*.safetensors")) + sorted(folder.glob("pytorch_model*.bin")) if local else []
    if decoder is not None:
        files.append(replace_decoder(model, folder / decoder))
    model.generation_config = token_protocol(model.generation_config)
    return Loaded(
        model.eval().to(resolve_device(device)),
        tokenizer,
        hash_files(files) if local else f"{checkpoint}@{config._commit_hash}",
    )


def replace_decoder(model: PreTrainedModel, file: Path) -> Path:
    """Load the tensors of ``file`` into the decoder of ``model``; every one must belong there. Returns ``file``."""
    if not file.is_file():
        raise ZscError(f"model.decoder: no file {file}.")
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
        raise ZscError(f"model.device={device} cannot be used: {_first_line(error)} Try model.device=cpu.") from error
    return resolved


def hash_files(files: list[Path]) -> str:
    """Return the SHA-256 over the contents of ``files`` in their order."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def _from_cache_or_hub(cls: Any, source: str, **kwargs: Any) -> Any:
    """Load without the network where the files are on disk, and only otherwise ask the hub."""
    try:
        return cls.from_pretrained(source, local_files_only=True, **kwargs)
    except OSError:
        if os.path.isdir(source):
            raise
        ask_hub(source)
        return cls.from_pretrained(source, **kwargs)


def ask_hub(checkpoint: str) -> None:
    """Raise OSError at once if the hub cannot be reached or has no such model; downloads would retry for long."""
    try:
        HfApi().model_info(checkpoint, timeout=HUB_TIMEOUT)
    except Exception as error:  # each HTTP library has errors of its own
        raise OSError(_first_line(error)) from error


def _check(value: str, allowed: Any, key: str) -> None:
    if value not in allowed:
        raise ZscError(f"{key}={value} is not one of {', '.join(allowed)}.{suggestion(str(value), allowed)}")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
