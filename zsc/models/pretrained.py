"""Every reading of a checkpoint by transformers: it runs no code of the checkpoint's, and what is wrong is one line."""

import pickle
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from zsc.errors import ZscError
from zsc.models.files import SAFETENSORS
from zsc.models.gguf import source_of, unpacked
from zsc.models.tokens import check_vocabulary_files
from zsc.models.weights import check_finite_weights, check_keys, check_stored_types

SIDES = (  # the arguments of a MarianTokenizer of one vocabulary: that of the sources, that of the targets
    {"vocab": "vocab.json", "source_spm": "source.spm", "target_spm": "source.spm"},
    {"vocab": "target_vocab.json", "source_spm": "target.spm", "target_spm": "target.spm"},
)


def read_config(folder: Path, what: str) -> PreTrainedConfig:
    """Return the configuration in ``folder``. Raises ZscError, which begins with ``what``, if it cannot be read."""
    try:
        place, packed = source_of(folder)
        return AutoConfig.from_pretrained(place, trust_remote_code=False, **packed)
    except Exception as error:  # the library passes on those of every format
        raise ZscError(f"{what} cannot be loaded: {first_words(error)}") from error


def read_model(
    auto: Any, folder: Path, what: str, unread: tuple[str, ...] = (), heads: bool = False, **options: Any
) -> PreTrainedModel:
    """Return the model in ``folder`` by a class with ``from_pretrained``, whose ``options`` are passed on.

    Raises ZscError, which begins with ``what``, if it cannot be read, or if its weights are not all of the model and of
    the model alone (see :func:`zsc.models.weights.check_keys`, also for ``unread`` and ``heads``), or not finite.
    """
    try:
        place, packed = source_of(folder)
        options |= packed | unpacked(folder)
        model, loading = auto.from_pretrained(
            place, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    except SafetensorError as error:
        raise ZscError(f"the weights of {what} are broken or cut short ({error}). Fetch them again.") from error
    except Exception as error:  # the library passes on those of every format
        raise ZscError(_failure(what, error)) from error
    check_keys(what, model, loading, unread, heads)
    if getattr(model.config, "quantization_config", None) is None:
        check_stored_types(what, model, sorted(Path(folder).glob(SAFETENSORS)))
    check_finite_weights(what, model)
    return model


def read_tokenizer(folder: Path, what: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer in ``folder``. Raises ZscError, which begins with ``what``, if it cannot be read or is
    empty."""
    try:
        place, packed = source_of(folder)
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False, **packed)
    except Exception as error:  # the library passes on those of every format
        raise ZscError(f"the tokenizer of {what} cannot be loaded: {first_words(error)}") from error
    check_vocabulary_files(what, tokenizer, folder)
    return tokenizer


def read_tokenizers(folder: Path, what: str) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    """Return the tokenizer of sources and that of targets: mostly the same.

    A MarianTokenizer with ``separate_vocabs`` reads every id back with the vocabulary of its targets; instead there are
    two, each of one vocabulary.
    """
    tokenizer = read_tokenizer(folder, what)
    if not getattr(tokenizer, "separate_vocabs", False):
        return tokenizer, tokenizer
    kept: dict[str, Any] = {
        name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)
    }
    kept["model_max_length"] = tokenizer.model_max_length
    kind: Any = type(tokenizer)
    try:
        source, target = (kind(**{name: str(folder / file) for name, file in files.items()}, **kept) for files in SIDES)
    except Exception as error:  # the library passes on those of every format
        raise ZscError(f"the tokenizer of {what} cannot be loaded: {first_words(error)}") from error
    return source, target


def _failure(what: str, error: Exception) -> str:
    """Say why weights could not be read."""
    text = str(error)
    if isinstance(error, pickle.UnpicklingError):
        return (
            f"the weights of {what} are not tensors alone: an unsafe pickle, which could run code and is not opened, or"
            " a broken file. Take safetensors, or fetch them again."
        )
    if isinstance(error, EOFError) or "PytorchStreamReader" in text:
        return f"the weights of {what} are broken or cut short: no file of tensors. Fetch them again."
    return f"{what} cannot be loaded: {first_words(error)}"


def first_words(error: Exception) -> str:
    """Return the beginning of an error's text in one line, and its kind where the text alone says little."""
    lines = str(error).split("\n")
    text = " ".join(" ".join(lines[: 2 if lines[0].rstrip().endswith(":") else 1]).split())
    return text if isinstance(error, OSError | ValueError | ImportError) and text else f"{type(error).__name__} {text}"
