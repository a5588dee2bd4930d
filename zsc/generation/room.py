"""How many sources are read, and how many responses decoded at a time: as many as the memory holds."""

from dataclasses import dataclass

import psutil
import torch
from transformers import PreTrainedModel

from zsc.generation.decoding import Decoding
from zsc.knobs.anatomy import head_count

MEMORY_SHARE = 0.25  # of what is free, for what the decoder keeps
ROOM = 2  # times the longest response that rows have room for
SCORES = 6  # numbers for each token of the vocabulary while the next is chosen
READ = {"cpu": 32}  # sources at once; more are not read faster
DECODED = {"cpu": 256}  # responses at a time; more are not decoded faster
READ_ELSEWHERE, DECODED_ELSEWHERE = 128, 2048
REFUSED = ("can't allocate memory", "not enough memory")  # what the CPU's allocator says


@dataclass(frozen=True)
class Room:
    """So many sources are ``read`` at once, and so many responses are ``decoded`` at a time."""

    read: int
    decoded: int


def room(model: PreTrainedModel, positions: int, decoding: Decoding) -> Room:
    """Return what the free memory has room for, where sources are up to ``positions`` long; never none at all."""
    device = model.device.type
    decoded = min(rows_that_fit(model, positions, decoding), DECODED.get(device, DECODED_ELSEWHERE))
    return Room(min(decoded, READ.get(device, READ_ELSEWHERE)), decoded)


def rows_that_fit(model: PreTrainedModel, positions: int, decoding: Decoding) -> int:
    """Return for how many responses, at least 1, the decoder can keep what it needs in the free memory.

    An estimate: keys and values of source and response, and what choosing a token takes, in ``MEMORY_SHARE`` of it.
    """
    config = model.get_decoder().config
    layers = getattr(config, "decoder_layers", None) or getattr(config, "num_decoder_layers", None)
    layers = layers or config.num_hidden_layers
    kept = getattr(config, "num_key_value_heads", None)
    head = getattr(config, "head_dim", None) or config.hidden_size // head_count(model)
    width = config.hidden_size if kept is None else kept * head
    per_position = 2 * layers * width * torch.finfo(model.dtype).bits // 8
    vocabulary = model.get_decoder().get_input_embeddings().num_embeddings
    row = (positions + ROOM * decoding.max_new_tokens) * per_position + SCORES * 4 * vocabulary
    return max(1, int(free_memory(model.device) * MEMORY_SHARE) // (decoding.num_beams * row))


def free_memory(device: torch.device) -> int:
    """Return how many bytes of memory tensors on ``device`` could take."""
    on_cuda = device.type == "cuda"
    return torch.cuda.mem_get_info(device)[0] if on_cuda else psutil.virtual_memory().available


def out_of_memory(error: BaseException) -> bool:
    """Say whether ``error`` is that of a device, or of the CPU, whose memory does not suffice."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in REFUSED)
    )
