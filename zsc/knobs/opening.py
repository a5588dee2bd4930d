"""What stands before the texts that a decoder alone says."""

from transformers import PreTrainedTokenizerBase

from zsc.data.layouts.chat_template import ChatTemplate, Message
from zsc.data.layouts.drafts import Rendered

GREETING = [Message("user", Rendered("Hello.", []))]


def opening_of(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens behind which a decoder alone reads control phrases [D].

    They are those of a short conversation up to where the model's reply begins, if ``tokenizer`` has a chat template;
    else the one token by which texts begin, or else end. The first token of a text draws attention whatever it is
    (Xiao et al., 2023, arXiv 2309.17453): it is to be of the opening, not of a phrase.
    """
    if getattr(tokenizer, "chat_template", None):
        text = ChatTemplate.of(tokenizer, {}).render(GREETING, "the opening of control phrases").text
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    return [] if first is None else [first]
