"""Load a model and its tokenizers: embedded, from a package, a folder or a GGUF file, or from the Hugging Face hub."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from zsc.errors import ZscError, first_line, suggestion
from zsc.models.files import TARGET_TOKENIZER, deciding_files, find_checkpoint, hash_files
from zsc.models.gguf import read_once
from zsc.models.intact import check_beginning, check_files
from zsc.models.kinds import CAUSAL, Kind, kind_of, reading_embeddings
from zsc.models.pretrained import read_config, read_model, read_tokenizer, read_tokenizers
from zsc.models.tokens import check_reading, check_special_tokens, check_vocabulary
from zsc.models.weights import check_finite_weights

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}
ATTENTION = ("sdpa", "eager")
RANKS = ("LOCAL_RANK", "SLURM_LOCALID")
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

    ``target_tokenizer`` is that of the decoder: mostly the same, but not where sources and targets have vocabularies of
    their own. ``published`` are the generation options stored with the checkpoint, which ``model`` does not have.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    target_tokenizer: PreTrainedTokenizerBase
    fingerprint: str
    published: Mapping[str, Any] = field(default_factory=dict)


def load_model(
    checkpoint: str,
    decoder: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    attention: str = "sdpa",
) -> Loaded:
    """Load ``checkpoint``, an encoder-decoder or a causal language model: an embedded name, a folder, a GGUF file, or a
    hub name.

    ``decoder`` names a safetensors file in the checkpoint's folder whose tensors replace those of the decoder.
    The generation options stored with a checkpoint are dropped, except the token ids it was trained with: every
    other option must come from the caller. Raises ZscError if the checkpoint cannot be had, is of no such kind, or is
    not whole: files, weights, tokenizer and special tokens are checked, and no code of its own is run.
    """
    _check(dtype, DTYPES, "model.dtype")
    _check(attention, ATTENTION, "model.attention")
    silence_library()
    what = f"model {checkpoint}"
    place = find_checkpoint(str(checkpoint))
    check_files(place, what)
    with read_once(place, what):
        config = read_config(place, what)
        kind = kind_of(config, what)
        hint = " Try model.attention=eager." if attention != "eager" else ""
        try:
            model = read_model(
                kind.auto, place, what, config=config, dtype=DTYPES[dtype], attn_implementation=attention
            )
        except ZscError as error:
            raise ZscError(f"{error}{hint * ('attention' in str(error.__cause__))}") from error
        tokenizer, target_tokenizer = prepared_tokenizers(kind, place, what)
    files = deciding_files(place)
    if decoder is not None:
        files.append(replace_decoder(model, place / decoder))
    check_tokens(what, model, tokenizer, target_tokenizer, kind)
    published = model.generation_config.to_dict()
    model.generation_config = token_protocol(model.generation_config)
    if kind is CAUSAL:
        model.generation_config.forced_bos_token_id = None  # which begins what an encoder-decoder says
    if model.generation_config.pad_token_id is None:
        model.generation_config.pad_token_id = target_tokenizer.pad_token_id
    return Loaded(model.eval().to(resolve_device(device)), tokenizer, target_tokenizer, hash_files(files), published)


def load_reader(checkpoint: str) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase]:
    """Load the configuration and the tokenizer of sources of ``checkpoint``, without its weights.

    Raises ZscError if they cannot be had.
    """
    silence_library()
    what = f"model {checkpoint}"
    place = find_checkpoint(str(checkpoint))
    check_files(place, what)
    with read_once(place, what):
        config = read_config(place, what)
        tokenizer, _ = prepared_tokenizers(kind_of(config, what), place, what)
    check_reading(what, tokenizer)
    return config, tokenizer


def prepared_tokenizers(kind: Kind, place: Path, what: str) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    """Return the tokenizers of sources and of targets in ``place``, which pad as models of the ``kind`` are read."""
    tokenizer, target = read_tokenizers(place, what)
    if (place / TARGET_TOKENIZER).is_dir():
        target = read_tokenizer(place / TARGET_TOKENIZER, what)
    for one in (tokenizer, target):
        kind.prepare(one)
    return tokenizer, target


def check_tokens(
    what: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    target_tokenizer: PreTrainedTokenizerBase,
    kind: Kind,
) -> None:
    """Raise ZscError unless the tokenizers fit the embeddings of ``model``, and its special tokens those."""
    check_reading(what, tokenizer)
    check_vocabulary(what, tokenizer, reading_embeddings(model))
    check_vocabulary(what, target_tokenizer, model.get_output_embeddings())
    check_special_tokens(what, model, target_tokenizer, kind.required)


def silence_library() -> None:
    """Keep transformers' progress bars and warnings off the terminal: what matters is an error."""
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def replace_decoder(model: PreTrainedModel, file: Path) -> Path:
    """Load the tensors of ``file`` into the decoder of ``model``; every one must belong there. Returns ``file``."""
    if not file.is_file():
        raise ZscError(
            f"no file {file} of decoder weights. With decoder=null (model.decoder, other.decoder, objective.decoder) a"
            " checkpoint keeps its own decoder."
        )
    what = f"decoder file {file}"
    check_beginning(file, what)
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise ZscError(f"{what} is broken or cut short ({error}). Fetch it again.") from error
    if not tensors:
        raise ZscError(f"{what} holds no tensor.")
    own = model.get_decoder().state_dict()
    wrong = [name for name, tensor in tensors.items() if name not in own or own[name].shape != tensor.shape]
    if wrong:
        raise ZscError(f"{what}: {wrong[0]} is no tensor of this model's decoder, or has another shape.")
    model.get_decoder().load_state_dict(tensors, strict=False)
    check_finite_weights(what, model.get_decoder())
    return file


def token_protocol(config: GenerationConfig) -> GenerationConfig:
    """Return a fresh GenerationConfig that keeps only the token ids a checkpoint was trained with."""
    return GenerationConfig(**{field: getattr(config, field) for field in PROTOCOL_FIELDS})


def resolve_device(device: str) -> torch.device:
    """Resolve ``auto`` to an accelerator, or the CPU. Raises ZscError for a device that is not there.

    Of several accelerators it is that of this process, see :func:`own_accelerator`.
    """
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        if found is None:
            return torch.device("cpu")
        count = torch.accelerator.device_count()
        return found if count == 1 else torch.device(found.type, own_accelerator(count, os.environ))
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError) as error:
        raise ZscError(f"model.device={device} cannot be used: {first_line(error)} Try model.device=cpu.") from error
    return resolved


def own_accelerator(count: int, environ: Mapping[str, str]) -> int:
    """Return which of ``count`` accelerators is this process's: its number among those of the machine, as torchrun or
    else Slurm tells it, modulo ``count``; the first where neither does. Raises ZscError for what is no such number."""
    name = next((name for name in RANKS if name in environ), None)
    if name is None:
        return 0
    if not environ[name].isdecimal():
        raise ZscError(
            f"{name}={environ[name]} must be a whole number: it chooses an accelerator. Or set model.device."
        )
    return int(environ[name]) % count


def _check(value: str, allowed: Any, key: str) -> None:
    if value not in allowed:
        raise ZscError(f"{key}={value} is not one of {', '.join(allowed)}.{suggestion(str(value), allowed)}")
