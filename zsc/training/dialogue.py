"""The dialogue task: records in the bucket layout as sources, human responses as targets."""

import sys
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.data.layout import BucketLayout
from zsc.data.record import Record
from zsc.training.segments import Targets


class DialogueCollator:
    """Lay out records as sources (batch x positions), with their references, cut to ``target_tokens``, as targets."""

    def __init__(self, layout: BucketLayout, tokenizer: PreTrainedTokenizerBase, targets: Targets, target_tokens: int):
        self.layout, self.tokenizer, self.targets, self.target_tokens = layout, tokenizer, targets, target_tokens

    def __call__(self, records: Sequence[Record]) -> dict[str, torch.Tensor]:
        source = self.layout.encode(records, self.tokenizer)
        references = self.tokenizer([r.reference or "" for r in records], add_special_tokens=False)["input_ids"]
        end = self.tokenizer.eos_token_id
        return {
            "input_ids": source.input_ids,
            "attention_mask": source.attention_mask,
            **self.targets.batch([[*tokens, end][: self.target_tokens] for tokens in references]),
        }


def dialogue_collator(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, layout: BucketLayout, target_tokens: int
) -> DialogueCollator:
    """Return the collator, after giving ``model`` and ``tokenizer`` the layout's speaker tokens if they lack them.

    A new token starts from the embedding of the end token, since by default embeddings do not train.
    """
    missing = [token for token in layout.speaker_tokens if token not in tokenizer.get_vocab()]
    if missing:
        print(f"adding {', '.join(missing)} to the vocabulary, embedded as the end token is", file=sys.stderr)
        tokenizer.add_special_tokens({"additional_special_tokens": missing})
        model.resize_token_embeddings(len(tokenizer))
        embeddings: Any = model.get_input_embeddings()
        rows = embeddings.weight.data
        rows[tokenizer.convert_tokens_to_ids(missing)] = rows[tokenizer.eos_token_id].clone()
    return DialogueCollator(layout, tokenizer, Targets.of(model, tokenizer), target_tokens)
