"""Which responses ended by themselves, and were not cut at the most tokens they may have."""

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.generation.decoding import Decoding
from zsc.generation.sampling import generation_config


def ended(
    sequences: torch.Tensor, decoding: Decoding, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> list[bool]:
    """Say which of ``sequences`` (rows, 1 + length), as they were decoded, have an end token of their own or the text
    at which responses end. An end token that is forced in the last place is not their own."""
    ids = generation_config(decoding, model).eos_token_id or []
    ends = torch.isin(sequences[:, 1:], torch.tensor(ids, device=sequences.device, dtype=sequences.dtype))
    if decoding.forced_last is not None:
        ends = ends[:, : decoding.max_new_tokens - 1]
    found: list[bool] = ends.any(dim=1).tolist()
    if decoding.stop is not None:
        texts = tokenizer.batch_decode(sequences[:, 1:], skip_special_tokens=True)
        found = [own or decoding.stop in text for own, text in zip(found, texts, strict=True)]
    return found
