"""From text to text: records in any layout as sources, their references as targets."""

from collections.abc import Sequence
from typing import Any

import torch

from zsc.data.first_tokens import first_tokens
from zsc.data.layouts import BucketLayout, Layout
from zsc.data.record import Record
from zsc.generation.checks import position_limit
from zsc.models.load import Loaded
from zsc.terminal import say
from zsc.training.segments import Targets


class TextCollator:
    """Lay out records as sources, padded to the longest of them, with their references, cut to ``target_tokens``, as
    targets, which begin with the token of the target language where the layout names one."""

    def __init__(self, layout: Layout, loaded: Loaded, target_tokens: int):
        self.layout, self.target_tokens = layout, target_tokens
        self.tokenizer, self.target_tokenizer = loaded.tokenizer, loaded.target_tokenizer
        self.most = position_limit(loaded.model.get_encoder())
        self.targets = Targets.of(loaded.model, loaded.target_tokenizer, layout.first_token(loaded.target_tokenizer))

    def __call__(self, records: Sequence[Record]) -> dict[str, torch.Tensor]:
        source = self.layout.encode(records, self.tokenizer, self.most)
        tokenizer = self.target_tokenizer
        sizes = [self.target_tokens] * len(records)
        references = first_tokens([record.reference or "" for record in records], sizes, tokenizer)
        return {
            "input_ids": source.input_ids,
            "attention_mask": source.attention_mask,
            **self.targets.batch([[*first.ids, tokenizer.eos_token_id][: self.target_tokens] for first in references]),
        }


def add_speaker_tokens(loaded: Loaded, layout: BucketLayout) -> None:
    """Give the model and the tokenizer of sources the speaker tokens of ``layout`` that they lack.

    A new token starts from the embedding of the end or separator token, since by default embeddings do not train.
    """
    model: Any = loaded.model
    tokenizer = loaded.tokenizer
    missing = [token for token in layout.speaker_tokens if token not in tokenizer.get_vocab()]
    if not missing:
        return
    say(f"adding {', '.join(missing)} to the vocabulary, embedded as the end token is")
    tokenizer.add_special_tokens({"additional_special_tokens": missing})
    owner = model.get_encoder() if model.config.model_type == "encoder-decoder" else model
    owner.resize_token_embeddings(len(tokenizer))
    rows = owner.get_input_embeddings().weight.data
    end = tokenizer.sep_token_id if tokenizer.eos_token_id is None else tokenizer.eos_token_id
    rows[tokenizer.convert_tokens_to_ids(missing)] = rows[end].clone()
