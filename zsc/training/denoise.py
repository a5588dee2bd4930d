"""The denoising objective: from a text file to a trained reconstructing encoder-decoder."""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from datasets import Dataset, disable_progress_bars, load_from_disk
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.data.text import read_documents
from zsc.errors import ZscError
from zsc.files import remove_folder, write_atomic
from zsc.models.pretrained import read_tokenizer
from zsc.terminal import say
from zsc.training.callbacks import Reconstruction
from zsc.training.segments import DenoisingCollator, Segments, Targets, segment_documents
from zsc.training.tokenizer import train_tokenizer

EVAL_SEGMENTS = 512
RECONSTRUCTED = 128


def tokenizer_for(text: Path, output: Path, vocab_size: int, speaker_tokens: list[str]) -> PreTrainedTokenizerBase:
    """Return the tokenizer of ``output``, training it on ``text`` the first time."""
    folder = output / "tokenizer"
    if not folder.is_dir():
        say(f"training a byte-level BPE of {vocab_size} on {text}")
        partial = output / "tokenizer.partial"
        train_tokenizer(read_documents(text), vocab_size, speaker_tokens).save_pretrained(partial)
        partial.rename(folder)
    return read_tokenizer(folder, f"training {output}")


def segments_of(text: Path, output: Path, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Dataset:
    """Return the segments of ``text`` as a dataset with the column ``sentences``, kept on disk for a resume."""
    folder = output / f"segments-{text.name}"
    made_from = {"text": str(text.resolve()), "bytes": text.stat().st_size, "max_tokens": max_tokens}
    marker = folder / "made_from.json"
    if not marker.is_file() or json.loads(marker.read_text()) != made_from:
        if folder.is_dir() and any(part.suffix not in (".arrow", ".json") for part in folder.iterdir()):
            raise ZscError(f"{folder} holds what is of no training. Move it away, or set output=DIR.")
        say(f"cutting {text} into segments of at most {max_tokens} tokens")
        remove_folder(folder)

        def generate() -> Iterator[dict[str, Any]]:
            for segment in segment_documents(read_documents(text), tokenizer, max_tokens):
                yield {"sentences": segment}

        cache = output / "segments.partial"
        remove_folder(cache)
        disable_progress_bars()
        Dataset.from_generator(generate, cache_dir=str(cache)).save_to_disk(str(folder))
        remove_folder(cache)
        write_atomic(marker, json.dumps(made_from, allow_nan=False))
    return load_from_disk(str(folder))


def denoising_data(
    text: Path,
    heldout: Path,
    output: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    corruption: dict[str, Any],
) -> tuple[Segments, Segments, DenoisingCollator, Reconstruction]:
    """Return training data, held-out data, the collator that corrupts texts, and the reconstruction check."""
    held = segments_of(heldout, output, tokenizer, max_tokens)
    held = held.select(range(min(EVAL_SEGMENTS, len(held))))
    originals = [list(chain(*row["sentences"])) for row in held.select(range(min(RECONSTRUCTED, len(held))))]
    if tokenizer.mask_token_id is None:
        raise ZscError(f"the tokenizer of {type(model).__name__} has no mask token, which text infilling needs.")
    collator = DenoisingCollator(tokenizer, Targets.of(model, tokenizer), **corruption)
    train_data = segments_of(text, output, tokenizer, max_tokens)
    return Segments(train_data), Segments(held), collator, Reconstruction(originals, tokenizer)
