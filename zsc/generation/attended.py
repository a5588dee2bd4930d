"""Where attention to the source lies along a given response, with knobs off and on, token by token of it [D]."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from zsc.data.source import PAD, Source
from zsc.generation.attention import Attended, Token
from zsc.knobs.anatomy import is_causal
from zsc.knobs.apply import apply
from zsc.knobs.base import Knob
from zsc.knobs.encoder import start_token
from zsc.knobs.probe import eager
from zsc.knobs.read import read
from zsc.knobs.spans import common_length, decoded
from zsc.models.load import Loaded


@torch.inference_mode()
def attended(
    loaded: Loaded, source: Source, knobs: Sequence[Knob], response: str, forced_first: int | None = None
) -> Attended:
    """Measure attention to ``source``, one row, while the decoder reads ``response``, without and with ``knobs``.

    Shares are means over layers, heads and the positions at which a token of the response, or its end, is chosen. The
    attention is that of the model's own decoder, also where a knob mixes in another. ``forced_first`` is the token that
    the response begins with, where the model has no other.
    """
    model, tokenizer = loaded.model, loaded.tokenizer
    source = source.to(model.device)
    start = int(source.input_ids[0, -1]) if is_causal(model) else None
    ids, first = decoder_ids(model, loaded.target_tokenizer, response, forced_first, start)
    reading = read(model, source)

    def shares(active: Sequence[Knob]) -> torch.Tensor:
        with apply(model, active, source):
            attention = reading.decode(ids, attentions=True).source
        assert attention is not None
        return attention.float()[:, 0, :, first:].mean(dim=(0, 1, 2)).cpu()

    with eager(model):
        off, on = shares([]), shares(knobs)
    positions = source.input_ids.shape[1]
    code, on = float(on[len(off) - positions : -positions].sum()), on[-positions:]
    off = off[-positions:]
    pads = (source.segments == PAD) if is_causal(model) else (source.input_ids == tokenizer.pad_token_id)
    kept = source.attention_mask[0].bool() & ~pads[0]  # the padding of a decoder alone may be its end token
    tokens = [
        Token(text, int(source.segments[0, place]), special, float(off[place]), float(on[place]))
        for place, text, special in source_texts(tokenizer, source, kept)
    ]
    padding = (~kept).cpu()
    return Attended(tuple(tokens), code, (float(off[padding].sum()), float(on[padding].sum())), source.fields)


def decoder_ids(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    response: str,
    forced_first: int | None = None,
    start: int | None = None,
) -> tuple[torch.Tensor, int]:
    """Return what the decoder reads when it says ``response``, (1, length), and the position where its choice begins.

    The token ``start``, or that of the model, comes first, then the token that a model is forced to begin with, if it
    is, then the response.
    """
    start = start_token(model) if start is None else start
    first = model.generation_config.forced_bos_token_id if forced_first is None else forced_first
    forced = [] if first is None else [first]
    response_ids = tokenizer(text_target=response, add_special_tokens=False)["input_ids"]
    return torch.tensor([[start, *forced, *response_ids]], device=model.device), len(forced)


def source_texts(tokenizer: PreTrainedTokenizerBase, source: Source, kept: torch.Tensor) -> list[tuple[int, str, bool]]:
    """Return (position, text, special) of the tokens of ``source``, one row, where ``kept`` (positions,) is true.

    The texts of a segment's ordinary tokens, joined, are its text; of several tokens that make up one character, the
    last has it.
    """
    ids, segments = source.input_ids[0].tolist(), source.segments[0]
    special = set(tokenizer.all_special_ids)
    texts: dict[int, str] = {}
    for segment in segments[kept].unique():
        places = (kept & (segments == segment)).nonzero().flatten().tolist()
        plain = [place for place in places if ids[place] not in special]
        joined = decoded(tokenizer, [ids[place] for place in plain])
        ends = [common_length(decoded(tokenizer, [ids[p] for p in plain[: i + 1]]), joined) for i in range(len(plain))]
        texts |= {place: joined[start:end] for place, start, end in zip(plain, [0, *ends], ends, strict=False)}
    return [
        (place, texts.get(place, str(tokenizer.convert_ids_to_tokens(ids[place]))), ids[place] in special)
        for place in kept.nonzero().flatten().tolist()
    ]
