"""The language modelling objective: a causal language model like the decoder of an encoder-decoder."""

from copy import deepcopy
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from zsc.errors import ZscError
from zsc.knobs.components import embeddings
from zsc.training.segments import Targets


def new_language_model(model: PreTrainedModel) -> PreTrainedModel:
    """Return a causal language model like the decoder of ``model``: new layers on the decoder's own embeddings [D].

    Raises ZscError if transformers has no causal language model of this family.
    """
    config = deepcopy(model.config)
    config.is_decoder, config.is_encoder_decoder = True, False
    try:
        created = AutoModelForCausalLM.from_config(config)
    except ValueError as error:
        raise ZscError(
            f"transformers has no causal language model of the family {config.model_type}: take a checkpoint of the"
            " BART family."
        ) from error
    theirs = dict(model.get_decoder().named_modules())
    own = {module: name for name, module in created.get_decoder().named_modules()}
    for module in embeddings(created):
        module.load_state_dict(theirs[own[module]].state_dict())
    return created


class LanguageModelCollator:
    """Lay out segments as a decoder sees its targets: what it starts from, the text, the end token.

    Labels are shifted already: causal language models of the BART family do not shift them, unlike others.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, targets: Targets):
        self.tokenizer, self.targets = tokenizer, targets

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        end = self.tokenizer.eos_token_id
        texts = [[*(token for sentence in example["sentences"] for token in sentence), end] for example in examples]
        batch = self.targets.batch(texts)
        inputs = batch["decoder_input_ids"]
        return {"input_ids": inputs, "attention_mask": (batch["labels"] != -100).long(), "labels": batch["labels"]}
