"""Every reading of a checkpoint by transformers: it runs no code of the checkpoint's, and what is wrong is one line."""

import pickle
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from zsc.errors import ZscError, first_line
from zsc.models.files import settings_in
from zsc.models.tokens import check_vocabulary_files
from zsc.models.weights import check_finite_weights, check_keys

BROKEN = ("PytorchStreamReader", "central directory", "Ran out of input", "invalid load key", "unexpected EOF")
VOCABULARIES: dict[str, tuple[dict[str, str], dict[str, str]]] = {  # files of sources, of targets, by tokenizer
    "MarianTokenizer": (
        {"target_spm": "source.spm"},
        {"vocab": "target_vocab.json", "source_spm": "target.spm"},
    ),
    "FSMTTokenizer": (
        {"tgt_vocab_file": "vocab-src.json"},
        {"src_vocab_file": "vocab-tgt.json"},
    ),
}  # fmt: skip


def read_config(folder: Path, what: str) -> PreTrainedConfig:
    """Return the configuration in ``folder``. Raises ZscError, which begins with ``what``, if it cannot be read."""
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the library passes on those of every format
        raise ZscError(f"{what} cannot be loaded: {first_line(error)}") from error


def read_model(
    auto: Any, folder: Path, what: str, unread: str | None = None, heads: bool = False, **options: Any
) -> PreTrainedModel:
    """Return the model in ``folder`` by a class with ``from_pretrained``, whose ``options`` are passed on.

    Raises ZscError, which begins with ``what``, if it cannot be read, or if its weights are not all of the model and of
    the model alone (see :func:`zsc.models.weights.check_keys`, also for ``unread`` and ``heads``), or not finite.
    """
    try:
        model, loading = auto.from_pretrained(
            folder, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    except SafetensorError as error:
        raise ZscError(f"the weights of {what} are broken or cut short ({error}). Fetch them again.") from error
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        if isinstance(error, EOFError) or any(sign in str(error) for sign in BROKEN):
            raise ZscError(
                f"the weights of {what} are broken or cut short ({first_line(error)}). Fetch them again."
            ) from error
        if isinstance(error, pickle.UnpicklingError):
            raise ZscError(
                f"the weights of {what} are a pickle with more than tensors in it, which could run code: zsc does not"
                " open it. Take safetensors, or save the tensors alone again where you trust them."
            ) from error
        raise ZscError(f"{what} cannot be loaded: {first_line(error)}") from error
    except Exception as error:  # the library passes on those of every format
        raise ZscError(f"{what} cannot be loaded: {first_line(error)}") from error
    check_keys(what, model, loading, unread, heads)
    check_finite_weights(what, model)
    return model


def read_tokenizer(folder: Path, what: str, **options: Any) -> PreTrainedTokenizerBase:
    """Return the tokenizer in ``folder``. Raises ZscError, which begins with ``what``, if it cannot be read or is
    empty."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)
    except Exception as error:  # the library passes on those of every format
        raise ZscError(f"the tokenizer of {what} cannot be loaded: {first_line(error)}") from error
    check_vocabulary_files(what, tokenizer, folder)
    return tokenizer


def read_tokenizers(folder: Path, what: str) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    """Return the tokenizer of sources and that of targets: mostly the same.

    A tokenizer of two vocabularies (Marian with ``separate_vocabs``, FSMT) reads ids back with that of its targets
    alone; instead there are two, each of one vocabulary.
    """
    tokenizer = read_tokenizer(folder, what)
    kind = type(tokenizer).__name__
    if kind not in VOCABULARIES or not (kind == "FSMTTokenizer" or getattr(tokenizer, "separate_vocabs", False)):
        return tokenizer, tokenizer
    own: dict[str, Any] = {}
    if kind == "FSMTTokenizer":
        own = {"langs": list(reversed(settings_in(folder / "tokenizer_config.json").get("langs") or []))}
    sources, targets = (
        {name: str(folder / file) for name, file in files.items()} | {"separate_vocabs": False}
        for files in VOCABULARIES[kind]
    )
    return read_tokenizer(folder, what, **sources), read_tokenizer(folder, what, **targets, **own)
