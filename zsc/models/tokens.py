"""Whether a tokenizer and a model's special tokens fit the embeddings that they index."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.errors import ZscError

NO_TEXT = ("mask_token_id", "image_token_id", "audio_token_id", "video_token_id")


def check_vocabulary_files(what: str, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Raise ZscError for a tokenizer that was made without its files, which the library does in silence."""
    names = type(tokenizer).vocab_files_names
    if folder.is_dir() and tokenizer.is_fast and not (folder / "tokenizer.json").is_file():
        lacking = [names[one] for one in ("vocab_file", "merges_file") if one in names]
        if lacking := [name for name in lacking if not (folder / name).is_file()]:
            raise ZscError(
                f"{what}: its {type(tokenizer).__name__} needs {lacking[0]}, or tokenizer.json, and has none."
            )
    if not set(tokenizer.get_vocab()) - set(tokenizer.get_added_vocab()) - set(tokenizer.all_special_tokens):
        raise ZscError(f"{what}: its {type(tokenizer).__name__} knows no word, only special tokens. Fetch it again.")


def check_vocabulary(what: str, tokenizer: PreTrainedTokenizerBase, embeddings: Any) -> None:
    """Raise ZscError if ``tokenizer`` gives ids that the ``embeddings``, or an output projection, have no row for.

    A mask token, and those that stand for a picture or a sound, may lie outside, as in some published checkpoints: no
    text has them.
    """
    rows = embeddings.weight.shape[0]
    beyond = {index: token for token, index in tokenizer.get_vocab().items() if index >= rows}
    for name in NO_TEXT:
        beyond.pop(getattr(tokenizer, name, None) or -1, None)
    if beyond:
        first = min(beyond)
        raise ZscError(
            f"{what}: its tokenizer has {len(beyond)} tokens more than the model has embeddings ({rows}), the first of"
            f" them {beyond[first]!r} ({first}). Save it with the model's own tokenizer, or resize the embeddings and"
            " train them."
        )


def check_special_tokens(
    what: str, model: PreTrainedModel, target: PreTrainedTokenizerBase, required: Mapping[str, str]
) -> None:
    """Raise ZscError if ``model`` has none of the special tokens ``required``, each for its use, or one that it has no
    row for."""
    config, rows = model.generation_config, model.get_output_embeddings().weight.shape[0]
    for field, use in required.items():
        value = getattr(config, field)
        if field == "decoder_start_token_id" and value is None:
            value = config.bos_token_id
        if value is None or value == []:
            raise ZscError(f"{what} names no {use}: set {field} in its generation_config.json (or config.json).")
    for field in (*required, "pad_token_id", "bos_token_id", "forced_bos_token_id", "bad_words_ids"):
        for index in _flat(getattr(config, field)):
            if type(index) is not int or not 0 <= index < rows:
                raise ZscError(f"{what}: {field}={index} is no token of its {rows}. Set it in generation_config.json.")
    ends = list(_flat(config.eos_token_id))
    if target.eos_token_id not in (None, *ends) and target.pad_token_id != config.pad_token_id is not None:
        raise ZscError(
            f"{what}: its tokenizer ends and pads texts with tokens {target.eos_token_id} and {target.pad_token_id},"
            f" the model with {', '.join(map(str, ends))} and {config.pad_token_id}: one is of another model."
        )


def check_reading(what: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise ZscError if sources cannot be laid out with ``tokenizer``: padding, and an end or a separator."""
    if tokenizer.eos_token_id is None and tokenizer.sep_token_id is None:
        raise ZscError(f"{what}: its tokenizer has no end token: set eos_token in tokenizer_config.json.")
    if tokenizer.pad_token_id is None:
        raise ZscError(f"{what}: its tokenizer has no padding token: set pad_token in tokenizer_config.json.")


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)
    elif value is not None:
        yield value
