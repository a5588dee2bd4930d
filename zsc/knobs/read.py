"""Reading a source, or control phrases, as a model of its kind does."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.data.source import Source
from zsc.knobs import encoder, prompt
from zsc.knobs.anatomy import is_causal
from zsc.knobs.encoder import EncoderReading
from zsc.knobs.opening import opening_of
from zsc.knobs.prompt import read_prompt
from zsc.knobs.reading import Reading


def read(model: PreTrainedModel, source: Source) -> Reading:
    """Return ``source`` as ``model`` reads it without knobs; this is all that is done of it once for all settings.

    Raises ValueError for a prompt that is not padded on the left.
    """
    if is_causal(model):
        return read_prompt(model, source)
    return EncoderReading(model, source, encoder.encode(model, source))


def read_phrases(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, phrases: Sequence[str], literal: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the states (phrases, positions, width) of texts and their mask (phrases, positions), all 1 if ``literal``.

    They are what stands beside those of a source: encoder states, or keys and values.
    """
    own: dict[str, Any] = dict(padding=True, padding_side="right", return_tensors="pt")
    if is_causal(model):
        own["add_special_tokens"] = False
    batch = tokenizer(list(phrases), **own).to(model.device)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    mask = torch.ones_like(mask) if literal else mask
    if is_causal(model):
        return prompt.phrase_states(model, ids, mask, opening_of(tokenizer)), mask
    return encoder.phrase_states(model, ids, mask), mask
